"""`kioskwatch backend results` as a program of its own, for tests that bring a cohort store."""

import sys
import time
from pathlib import Path

from contracts.clock import first_anchors
from contracts.windows import NS, TICK_S
from tests.support.process import Program, free_port
from tests.support.repository import ROOT

TICK = 2_732_142
DISTRICT = ROOT / "kioskwatch/demo/district.toml"


class Results(Program):
    """One process, at the end of TICK of a simulated district; `lines` are more of results.toml."""

    def __init__(self, folder: Path, *lines: str, speed: int = 1) -> None:
        self.folder, self.port, self.log = folder, free_port(), folder / "results.log"
        now = time.monotonic_ns()
        anchors = first_anchors(now, (TICK + 1) * TICK_S * NS, speed)
        self.anchors = anchors
        (folder / "time.json").write_bytes(anchors.written_at(now))
        settings = folder / "results.toml"
        settings.write_text(
            "\n".join(
                [
                    f'state = "sqlite:{folder / "state"}"',
                    f'district = "{DISTRICT.absolute()}"',
                    f'public_dir = "{folder / "public"}"',
                    f'listen = "127.0.0.1:{self.port}"',
                    "simulated = true",
                    f'time_file = "{folder / "time.json"}"',
                    *lines,
                ]
            )
        )
        command = [sys.executable, "-m", "kioskwatch", "backend", "results", "--settings", str(settings)]
        super().__init__(command, log=self.log, ready=self._is_ready, ready_timeout_s=60)
        self._said_before = 0

    def start(self) -> None:
        """Start and return once it has said so once more than before."""
        self._said_before = self.words.count("ready\n")
        super().start()

    def _is_ready(self) -> bool:
        return self.words.count("ready\n") > self._said_before

    @property
    def words(self) -> str:
        """What it has said."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""
