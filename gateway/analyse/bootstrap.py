"""Joins `gateway analyse` and `history import`: settings, stores, locks, clock, signals of the operating system."""

import argparse
import getpass
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Final

from contracts.query import READABLE
from contracts.registry import RegistrySnapshot
from contracts.release_chain import GENESIS
from contracts.windows import to_datetime
from gateway.analyse import history
from gateway.analyse.service.analyst import Analyst, Sources, Stop
from gateway.analyse.service.holdings import Holdings
from gateway.analyse.verify import compare
from gateway.clocks import district_clock
from gateway.errors import GatewayError, HistoryError, SettingsError
from gateway.settings import GatewaySettings, read_settings
from gateway.surveillance.budget import ThresholdTable
from stores.errors import SchemaTooNewError, SpecError, StoreError, StoreUnavailableError, WriterLockedError
from stores.series.open import open_series
from stores.series.port import TimeSeriesStore
from stores.state.database import Database, Owner, open_for_reading, open_for_writing
from stores.state.devices import load_registry
from stores.state.named_lease import named_lease
from stores.state.releases import first_broken_link, first_window_of_zone, releases_after

log = logging.getLogger(__name__)

DONE, CRASHED, OPERATOR = 0, 1, 2
RETRY_S: Final = 1.0
VERIFY_AGAIN: Final = 4  # what has just come is drawn a moment later
VERIFY_AGAIN_S: Final = 1.0
VERIFY_SHOWN: Final = 10  # of each kind; the rest is counted
_OPERATORS: Final = (SettingsError, HistoryError, WriterLockedError, SchemaTooNewError, SpecError)


def run(settings: GatewaySettings) -> int:
    """`gateway analyse`: until SIGTERM or SIGINT. `ready` is said once both locks are held."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as stack:
        own = stack.enter_context(open_for_writing(settings.state, "analyse"))
        series = stack.enter_context(closing(_open_series(settings, "released")))
        clock = district_clock(settings.time_file)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        backend, ingest = (_awaited(settings.state, owner, stop) for owner in ("backend", "ingest"))
        if backend is None or ingest is None:
            return DONE
        sources = Sources(
            ingest=stack.enter_context(ingest),
            backend=stack.enter_context(backend),
            own=own,
            series=series,
            table=thresholds(),
            clock=clock,
            public_baseline=settings.time_file is not None,
        )
        Analyst(sources).run(stop)
    return DONE


def verify(settings: GatewaySettings) -> tuple[list[str], bool]:
    """`gateway verify`: return what was found, a sentence each, and whether everything holds. Takes no lock."""
    clock = district_clock(settings.time_file)
    with ExitStack() as stack:
        series = stack.enter_context(closing(_open_series(settings)))
        ingest = stack.enter_context(open_for_reading(settings.state, "ingest"))
        with open_for_reading(settings.state, "backend") as backend:
            registry = load_registry(backend)
        broken = first_broken_link(ingest)
        if broken is not None:
            return [f"the chain of releases is broken at number {broken}: restore the state of ingest"], False
        holdings, head = _holdings(ingest)
        found = compare(holdings, registry, series, now_ns=clock.now_ns())
        for _ in range(VERIFY_AGAIN):
            if found.hold:
                break
            time.sleep(VERIFY_AGAIN_S)
            holdings, head = _holdings(ingest)
            found = compare(holdings, registry, series, now_ns=clock.now_ns())
    said = [f"releases: chain head {head.hex()}", f"published lines: {found.lines} follow from the releases"]
    for what, keys in (
        ("missing", found.missing),
        ("not from any release", found.unexplained),
        ("different", found.different),
    ):
        said += [f"{what}: {tags} at {to_datetime(at_ns):%Y-%m-%d %H:%M}Z" for tags, at_ns in keys[:VERIFY_SHOWN]]
        said += [f"{what}: {len(keys)} lines in all"] if keys else []
    return said, found.hold


def _holdings(ingest: Database) -> tuple[Holdings, bytes]:
    """Return every release, and the head of their chain."""
    holdings, after_id, head = Holdings(), 0, GENESIS
    while rows := releases_after(ingest, after_id):
        for row in rows:
            holdings.add(row)
        after_id, head = rows[-1].id, rows[-1].hash
    return holdings, head


def thresholds() -> ThresholdTable:
    """The simulated thresholds that this version ships."""
    return ThresholdTable.read(files("gateway.surveillance").joinpath("thresholds.json").read_bytes())


def main(argv: Sequence[str] | None = None) -> int:
    """`kioskwatch history import FILE.csv --settings FILE --source TEXT [--before DATE]`; 2 = nothing was imported."""
    told = _history_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        sys.stdout.write(_import(told.file, read_settings(told.settings), told.source, told.before) + "\n")
    except _OPERATORS as exc:
        problems = exc.problems if isinstance(exc, HistoryError) else ()
        sys.stderr.writelines(f"{told.file} line {line}: {problem}\n" for line, problem in problems)
        sys.stderr.write(f"kioskwatch history: {exc}\n")
        return OPERATOR
    except (GatewayError, StoreError) as exc:
        sys.stderr.write(f"kioskwatch history: {exc}\n")
        return CRASHED
    return DONE


def _history_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kioskwatch history", description="Public history before the kiosks.")
    command = parser.add_subparsers(dest="what", required=True).add_parser("import", help="import FILE.csv, or nothing")
    command.add_argument("file", type=Path, help=f"CSV with the header {','.join(history.HEADER)}")
    command.add_argument("--settings", type=Path, required=True, help="gateway.toml")
    command.add_argument("--source", required=True, help="where the numbers come from; stands at every chart of them")
    command.add_argument("--before", type=date.fromisoformat, help="leave out weeks that end after this day")
    return parser


def _import(file: Path, settings: GatewaySettings, source: str, before: date | None) -> str:
    """Import a file; return the sentence that says what was done."""
    try:
        with file.open("rb") as opened:
            content = opened.read(history.MAX_BYTES + 1)
    except OSError as exc:
        raise HistoryError(f"{file} cannot be read: {exc.strerror}") from exc
    now_ns = district_clock(settings.time_file).now_ns()
    # InfluxDB has no writer's lock, and two imports at once would hang two audit lines behind the same one.
    with named_lease(settings.state, history.BUCKET), closing(_open_series(settings, history.BUCKET)) as series:
        limits = _limits(settings.state, now_ns)
        weeks = history.read(content, limits, before=before)
        made = history.store(weeks, series, limits, source=source, operator=_operator())
    if made is None:
        return f"the newest import holds the same {len(weeks)} rows of that source already; nothing was changed"
    return f"{made.rows} rows imported; their audit line is {made.chain[:12]}"


def _limits(state: str, now_ns: int) -> history.Limits:
    first: dict[str, int] = {}
    try:
        ingest: Database | None = open_for_reading(state, "ingest")
    except StoreUnavailableError:
        ingest = None  # before ingest's first start; had the store itself failed, the registry would not open either
    with open_for_reading(state, "backend") as backend:
        registry = load_registry(backend)
    if ingest is not None:
        with ingest:
            first = {zone: at for zone in registry.zones if (at := first_window_of_zone(ingest, zone)) is not None}
    return history.Limits(
        district=registry.district.id,
        calendar=registry.district.calendar,
        zones=frozenset(registry.zones),
        targets=_targets(registry),
        first_release_ns=first,
        now_ns=now_ns,
    )


def _targets(registry: RegistrySnapshot) -> frozenset[str]:
    assays = (assay for layout in registry.layouts.values() for assay in layout.layout.assays)
    return frozenset(target for assay in assays for target in assay.targets)


def _open_series(settings: GatewaySettings, *writes: str) -> TimeSeriesStore:
    return open_series(
        settings.series,
        reads=frozenset(READABLE),  # no roll-up, detector or risk index sees `restricted` (DESIGN §7)
        writes=frozenset(writes),
        org=settings.series_org,
        token_dir=settings.series_token_dir,
    )


def _awaited(state: str, owner: Owner, stop: Stop) -> Database | None:
    """Another process's state, once that process has made it; None when told to stop before."""
    said = False
    while not stop.is_set():
        try:
            return open_for_reading(state, owner)
        except StoreUnavailableError as exc:
            if not said:
                log.info("waiting: %s", exc)
            said = True
        stop.wait(RETRY_S)
    return None


def _operator() -> str:
    """Who runs the command, for the audit line."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
