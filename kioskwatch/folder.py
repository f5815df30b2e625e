"""Where a district keeps what: the one list of paths below its state folder. No I/O."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

DEFAULT_FOLDER: Final = Path("var")
OWNERS: Final = ("ingest", "analyse", "backend", "cohorts")  # of the state files (DESIGN §8)
BUCKETS: Final = ("environment", "fleet", "restricted", "released", "alerts", "history")


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Paths of one district on one machine; `root` is absolute."""

    root: Path

    @property
    def lock(self) -> Path:
        """Held by the one `kioskwatch up` that runs this district."""
        return self.root / "up.lock"

    @property
    def time(self) -> Path:
        """District time of a simulated district (DESIGN §14); a real one has no such file."""
        return self.root / "time.json"

    @property
    def real(self) -> Path:
        """Marks a folder that has served real devices: no simulated data may ever be mixed in."""
        return self.root / "real"

    @property
    def ca(self) -> Path:
        """The development CA and every key and certificate of this machine's own processes."""
        return self.root / "ca"

    @property
    def state(self) -> Path:
        """One state file an owner."""
        return self.root / "state"

    @property
    def series(self) -> Path:
        """One series file a bucket."""
        return self.root / "series"

    @property
    def broker(self) -> Path:
        """Settings and snapshot of the broker."""
        return self.root / "broker"

    @property
    def logs(self) -> Path:
        """One log a process."""
        return self.root / "logs"

    @property
    def devices(self) -> Path:
        """Simulated cabinets; a real cabinet's folder is on the cabinet."""
        return self.root / "devices"

    @property
    def links(self) -> Path:
        """Names of the simulated serial lines."""
        return self.root / "links"

    @property
    def history_imported(self) -> Path:
        """Says that the demonstration's public history is in."""
        return self.root / "history.imported"

    @property
    def district(self) -> Path:
        """The operator's file of a real district, unless another is named."""
        return self.root / "district.toml"

    @property
    def admin_token(self) -> Path:
        """Lets commands on this machine administer the running backend."""
        return self.root / "admin.token"

    @property
    def gateway_settings(self) -> Path:
        """What ingest and analyse are told."""
        return self.root / "gateway.toml"

    @property
    def backend_settings(self) -> Path:
        """What the backend is told."""
        return self.root / "backend.toml"

    @property
    def results_settings(self) -> Path:
        """What the result page's process is told."""
        return self.root / "results.toml"

    @property
    def public(self) -> Path:
        """What the result page lets everybody download; made anew from the cohort store."""
        return self.root / "public"

    @property
    def simulators_settings(self) -> Path:
        """What the simulated instruments are told."""
        return self.root / "simulators.toml"

    def cabinet(self, device: str) -> Path:
        """The settings of one simulated cabinet."""
        return self.devices / device / "cabinet.toml"
