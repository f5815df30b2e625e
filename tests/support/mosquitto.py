"""A real Mosquitto for tests, on a random loopback port; port 1883 is never touched."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.support.process import Program, accepts, free_port
from tests.support.required import unavailable

_DEBIAN_PATH = "/usr/sbin/mosquitto"  # not on the PATH of an ordinary user


def mosquitto_binary() -> str:
    """Its path; skips (fails with CI set) where it is not installed."""
    found = shutil.which("mosquitto") or shutil.which(_DEBIAN_PATH)
    if found is None:
        unavailable("Mosquitto", "`apt-get install mosquitto` brings it")
    return found


class MosquittoServer:
    """One broker with its files in one folder. May be killed and started again.

    `lines` replaces the open plain-TCP configuration (bounded queues, persistence at every change) when given;
    the listener for `port` must then be among them.
    """

    def __init__(self, folder: Path, *, persistence: bool = True, port: int = 0, lines: Sequence[str] = ()) -> None:
        self.port = port or free_port()
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "mosquitto.conf"
        config.write_text("\n".join(lines or _open_configuration(self.port, folder, persistence=persistence)) + "\n")
        self.program = Program(
            [mosquitto_binary(), "-c", str(config)], log=folder / "mosquitto.log", ready=lambda: accepts(self.port)
        )

    def start(self) -> None:
        """Start it on the files it left, if any."""
        self.program.start()


def _open_configuration(port: int, folder: Path, *, persistence: bool) -> list[str]:
    lines = [
        "user root",  # as root it would become user mosquitto, who may not enter pytest's folder
        f"listener {port} 127.0.0.1",
        "allow_anonymous true",
        "set_tcp_nodelay true",
        "max_queued_messages 1000000",
        "max_inflight_messages 100",
    ]
    if persistence:
        lines += [
            f"persistence_location {folder}/",
            "persistence true",
            "autosave_on_changes true",
            "autosave_interval 1",
        ]
    return lines
