"""From nothing to the first live chart, cold and warm, and what the processes of a running district weigh."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bench.machine import family, rss_mib
from bench.report import Figure, at_most
from tests.support.process import wait_until
from tests.support.repository import ROOT
from tests.support.up import NEW_PASSWORD, Console, RunningUp

COLD_BAR_S = 60.0
WARM_BAR_S = 10.0
ANALYSE_BAR_MIB = 400.0
_POINTS_OF_A_CHART = 2
_SETTLE_S = 20.0  # some simulated hours: every process has done each of its jobs
_PROCESSES = {
    "backend": "backend serve",
    "ingest with its workers": "gateway ingest",
    "all simulated cabinets in one process": " edge ",
    "all simulated instruments in one process": " simulate ",
}


def measure(folder: Path) -> Iterator[Figure]:
    """The set-up of a clone, then `kioskwatch up` twice on one state folder."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    began = time.monotonic()
    subprocess.run([clone / "scripts/venv.sh", "run"], check=True, stderr=subprocess.DEVNULL)
    yield Figure("start", "packages of `make up`, downloaded and installed", f"{time.monotonic() - began:.0f} s")
    began = time.monotonic()
    up = RunningUp(folder / "var").wait_ready()
    try:
        with closing(Console(up)) as console:
            took = _points_after(console, began, known=0)
            yield at_most("start", "`kioskwatch up` to the first live chart, cold", took, COLD_BAR_S, "s")
            yield from _weights(up)
            known = len(_live(console))
    finally:
        up.stop()
    began = time.monotonic()
    up = RunningUp(folder / "var").wait_ready()
    try:
        with closing(Console(up, password=NEW_PASSWORD)) as console:
            took = _points_after(console, began, known=known)
            yield at_most("start", "`kioskwatch up` to the next live points, warm", took, WARM_BAR_S, "s")
    finally:
        up.stop()


def _points_after(console: Console, began: float, *, known: int) -> float:
    wait_until(
        lambda: len(_live(console)) >= known + _POINTS_OF_A_CHART, timeout_s=2 * COLD_BAR_S, what="points of live CO2"
    )
    return time.monotonic() - began


def _live(console: Console) -> list[float]:
    return console.values("environment", "air", "co2_ppm")


def _weights(up: RunningUp) -> Iterator[Figure]:
    time.sleep(_SETTLE_S)
    for name, words in _PROCESSES.items():
        yield Figure("memory", f"demonstration, {name}", f"{rss_mib(*family(up.pid_of(words))):.0f} MiB")
    analyse = rss_mib(*family(up.pid_of("gateway analyse")))
    yield at_most("memory", "analyse, demonstration district", analyse, ANALYSE_BAR_MIB, "MiB")
