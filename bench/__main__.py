"""`make bench`: every measured promise, or the parts named on the command line (BENCH="ingest api").

Prints each figure as soon as it is known and writes docs/BENCHMARKS.md when all parts ran. Exit code 1 when a bar is
missed, 2 when something that is needed cannot be had.
"""

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from _pytest.outcomes import OutcomeException

from bench import agent, api, detectors, ingest, latency, releases, result_page, results, start
from bench.machine import this_machine
from bench.report import PAGE, Figure, note, page, show
from bench.rig import Rig
from bench.site import commit, make_site

PARTS = ("ingest", "latency", "agent", "api", "results", "releases", "start", "detectors")


def main(wanted: list[str]) -> int:
    """Run the parts; return the exit code."""
    unknown = set(wanted) - set(PARTS)
    if unknown:
        print(f"bench: there is no part {', '.join(sorted(unknown))}; parts: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="kioskwatch-bench-"))
    try:
        figures = _run(wanted or list(PARTS), folder)
    except OutcomeException as exc:  # a service that cannot be had, in tests.support's words
        print(f"bench: {exc}", file=sys.stderr)
        return 2
    shutil.rmtree(folder)
    return 0 if all(figure.met for figure in figures) else 1


def _run(wanted: list[str], folder: Path) -> list[Figure]:
    machine = this_machine()
    note(f"on {machine.name}: {machine.verifies_per_s:,.0f} verifications/s, fsync {machine.fsync_ms:.2f} ms")
    figures: list[Figure] = []
    for figure in _measure(wanted, folder):
        show(figure)
        figures.append(figure)
    if set(wanted) == set(PARTS):
        day = f"{datetime.now(UTC):%Y-%m-%d}"  # noqa: TID251 - the day of the run
        PAGE.write_text(page(machine, figures, command="make bench", commit=commit(), day=day))
    return figures


def _measure(wanted: list[str], folder: Path) -> Iterator[Figure]:
    with contextlib.ExitStack() as stack:
        if {"ingest", "latency", "agent"} & set(wanted):
            site = make_site(folder / "site")
            rig = Rig(folder / "rig")
            rig.start()
            stack.callback(rig.stop)
            if "ingest" in wanted:
                yield from ingest.measure(folder / "ingest", rig, site)
            if "latency" in wanted:
                yield from latency.measure(folder / "latency", rig, site)
            if "agent" in wanted:
                yield from agent.measure(folder / "agent", rig, site)
    yield from _measure_alone(wanted, folder)


def _measure_alone(wanted: list[str], folder: Path) -> Iterator[Figure]:
    """Parts that need no broker and no store of the rig's."""
    if "api" in wanted:
        yield from api.measure(folder / "api")
    if "results" in wanted:
        yield from results.measure(folder / "results")
        yield from result_page.measure()
    if "releases" in wanted:
        yield from releases.measure(folder / "releases")
    if "start" in wanted:
        yield from start.measure(folder / "start")
    if "detectors" in wanted:
        yield from detectors.measure()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
