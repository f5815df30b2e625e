"""A district to measure: its files, its registry with enrolled senders, and the settings of its gateway.

Everything is made by the program's own commands and API, so what is measured is what an operator runs.
"""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import tomli_w
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from backend.devices.authority import ensure_authority, ensure_deployment_key
from bench.load import DISTRICT, KIND, ZONES, devices
from tests.support.influxd import InfluxOrg
from tests.support.notices import TEXTS
from tests.support.process import Program, free_port

GATEWAY_ID = "main"
GATEWAY_CLIENT = "_gw-main"
ROOMS = tuple(f"air-{number}" for number in range(6))  # the first runs an agent of its own, the others raise alerts


@dataclass(frozen=True, slots=True)
class Site:
    """A folder with certificates, a registry and the senders' keys."""

    folder: Path
    keys: dict[str, Ed25519PrivateKey] = field(repr=False)

    def backend(self, *, series: str = "", mqtt_port: int = 1) -> tuple[Program, str]:
        """The backend of this district and its address; not started. `mqtt_port` is told to devices at enrolment."""
        address = f"127.0.0.1:{free_port()}"
        settings = {
            "state": f"sqlite:{self.folder / 'state'}",
            "series": series or f"sqlite:{self.folder / 'series'}",
            "listen": address,
            "ca_dir": str(self.folder / "ca"),
            "district": str(self.folder / "district.toml"),
            "simulated": False,
            "admin_token_file": str(self.folder / "admin.token"),
            "broker_public": {"host": "127.0.0.1", "port": mqtt_port, "tls": False},
        }
        path = write(self.folder / "backend.toml", settings)
        return OwnProgram(["backend", "serve", "--settings", str(path)], log=path.with_suffix(".log")), address

    def device_token(self, client: httpx.Client, device: str) -> str:
        """An enrolment token, as `kioskwatch device token` gets it from the running backend."""
        headers = {"Authorization": f"Bearer {(self.folder / 'admin.token').read_text().strip()}"}
        answer = client.post("/admin/v1/device-token", json={"device": device}, headers=headers)
        token: str = answer.raise_for_status().json()["token"]
        return token

    def gateway(self, folder: Path, *, mqtt_port: int, org: InfluxOrg | None) -> Program:
        """An ingest with an empty journal in `folder` on a copy of this registry, or in the site's own folder.

        `org` None stores the series in SQLite.
        """
        state = folder / "state"
        if folder != self.folder:
            state.mkdir(parents=True)
            for file in (self.folder / "state").glob("backend.db*"):
                shutil.copy(file, state)
        settings: dict[str, object] = {
            "state": f"sqlite:{state}",
            "series": f"sqlite:{folder / 'series'}",
            "gateway_id": GATEWAY_ID,
            "deployment_key": str(self.folder / "ca/deployment.key"),
            "broker": {"host": "127.0.0.1", "port": mqtt_port},
        }
        if org is not None:
            tokens = folder / "tokens"
            tokens.mkdir(mode=0o700)
            for bucket, token in org.tokens.items():
                (tokens / bucket).write_text(token)
            settings |= {"series": f"influx:{org.url}", "series_org": org.name, "series_token_dir": str(tokens)}
        path = write(folder / "gateway.toml", settings)
        return OwnProgram(["gateway", "ingest", "--settings", str(path)], log=folder / "ingest.log")


class OwnProgram(Program):
    """One of our processes; it is ready when it says so, at each start anew."""

    def __init__(self, words: list[str], *, log: Path) -> None:
        self._words_file = log
        self._said_before = 0
        super().__init__(
            [sys.executable, "-m", "kioskwatch", *words], log=log, ready=self._says_ready, ready_timeout_s=60
        )

    def start(self) -> None:
        """Start and return when it serves."""
        self._said_before = self._times_said()
        super().start()

    def _says_ready(self) -> bool:
        return self._times_said() > self._said_before

    def _times_said(self) -> int:
        if not self._words_file.exists():
            return 0
        return self._words_file.read_text(errors="replace").splitlines().count("ready")


def make_site(folder: Path) -> Site:
    """Make the district's files, start its backend once, and enrol every sender as a device enrols."""
    now = datetime.now(UTC)  # noqa: TID251 - certificates live in the machine's own time
    (folder / "ca").mkdir(parents=True)
    (folder / "state").mkdir()
    (folder / "series").mkdir()
    ensure_authority(folder / "ca", now)
    ensure_deployment_key(folder / "ca")
    write(folder / "district.toml", _district())
    senders = [*(device.id for device in devices()), *ROOMS[1:]]
    site = Site(folder, {sender: Ed25519PrivateKey.generate() for sender in senders})
    backend, address = site.backend()
    backend.start()
    try:
        with httpx.Client(base_url=f"http://{address}", timeout=30, trust_env=False) as client:
            for sender, key in site.keys.items():
                _enrol(client, sender, site.device_token(client, sender), key)
    finally:
        backend.stop()
    return site


def commit() -> str:
    """The commit that is measured, with a `+` when files differ from it."""
    command = ["git", "describe", "--always", "--dirty=+"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _enrol(client: httpx.Client, device: str, token: str, key: Ed25519PrivateKey) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, None)
    body = {"token": token, "csr": request.public_bytes(Encoding.PEM).decode()}
    client.post("/api/v1/enrol", json=body).raise_for_status()


def _district() -> dict[str, object]:
    return {
        "district": {"id": DISTRICT, "name": "Bench", "utc_offset": "+00:00", "window_s": 86_400},
        "assay": [{"code": "SARSCOV2", "targets": ["sars-cov-2"]}],
        "results": {"origin": "https://results.bench.internal"},
        "notice": TEXTS,
        "zone": [{"id": zone, "name": zone} for zone in ZONES],
        "site": [
            *({"id": f"site-{zone}", "zone": zone, "kind": "kiosk", "name": zone} for zone in ZONES),
            {"id": "hall", "zone": ZONES[0], "kind": "venue", "name": "Hall"},
        ],
        "device": [
            *({"id": device.id, "site": device.site, "kind": KIND} for device in devices()),
            *({"id": room, "site": "hall", "kind": "air_monitor"} for room in ROOMS),
        ],
        "limit": [
            {"rule": "co2", "metric": "co2_ppm", "above": 1500, "clear": 1200, "hold_s": 60, "site_kinds": ["venue"]}
        ],
    }


def write(path: Path, settings: Mapping[str, object]) -> Path:
    """Write settings as TOML."""
    path.write_bytes(tomli_w.dumps(settings).encode())
    return path
