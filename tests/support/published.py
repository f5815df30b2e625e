"""A small district through the real gateway in this process, and everything of it that anybody may see.

Two kiosks in a zone, an air monitor in a hall and one in a hotel (restricted). Releases come from real windows whose
noise has a seed; ingest judges, the projector and `gateway analyse` write, the boards' panels are asked. Two worlds of
the same seed differ only by what a test lets them differ in.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import prometheus_client

from contracts.codec import CONTENT_BINARY
from contracts.frames import Frame
from contracts.messages import TQ_DISCIPLINED, Reading
from contracts.windows import NS, TICK_S, to_datetime
from dashboards.grafana import BOARDS
from edge.release.counters import open_window
from edge.release.window import draw
from gateway.analyse.bootstrap import thresholds
from gateway.analyse.service.analyst import Analyst, Sources
from gateway.ingest.counters import Counters
from gateway.ingest.projector import Projector
from gateway.ingest.registry import RegistryReader
from gateway.ingest.service import IngestService
from gateway.ingest.steps import Received
from gateway.ingest.verifier import Verifier
from gateway.ingest.world import World
from stores.series.open import open_series
from stores.series.port import TimeSeriesStore
from stores.state.cohorts import CohortStore
from stores.state.database import open_for_reading, open_for_writing
from stores.state.journal import IngestState
from tests.support.ingest import SetClock
from tests.support.registry import LAYOUT, device_of, place_devices, write_registry
from tests.support.seeds import SEED
from tests.support.speaker import START_NS, START_S, WINDOW_S, Said, Speaker

WINDOWS: Final = 2
KIOSKS: Final = ("kiosk-1", "kiosk-2")
LAYOUT_1: Final = LAYOUT.layout
CALLS: Final[Mapping[str, Mapping[str, str] | None]] = {
    "positive": {"sars-cov-2": "positive"},
    "negative": {"sars-cov-2": "negative"},
    "invalid": {"sars-cov-2": "invalid"},
    "absent": None,
}
USUAL: Final = ("negative",) * 60 + ("positive",) * 4 + ("invalid",) * 2  # everybody else, in each window of each kiosk
WRITES: Final = frozenset({"environment", "fleet", "restricted", "released", "alerts"})
PUBLISHED: Final = ("environment", "fleet", "released", "alerts")

Tables = dict[str, list[tuple[object, ...]]]


@dataclass(frozen=True)
class Script:
    """What one world has of its own."""

    tests: Mapping[tuple[str, int], Sequence[str]] = field(default_factory=dict)  # (kiosk, window) -> further words
    hotel_ppm: float = 640.0
    moves: Mapping[tuple[str, int], str] = field(default_factory=dict)  # (kiosk, window from which it counts) -> zone
    records: Callable[[], tuple[bytes, ...]] | None = None  # of each tick; None: dummies


def district(keys: Random) -> list[Speaker]:
    """The devices of all worlds of a comparison."""
    return [Speaker(name, ob=keys.getrandbits(60) + 1) for name in (*KIOSKS, "air-1", "room-1")]


@dataclass(frozen=True)
class Seen:
    """What a world looked like afterwards."""

    folder: Path
    tables: Tables  # of the state, as they are stored
    columns: Mapping[str, Sequence[str]]  # of each table
    sealed: Sequence[bytes]  # the bodies of the ticks
    series: Mapping[str, Tables]  # bucket -> its tables
    panels: Mapping[str, object]  # every answer of every panel of every board, for all zones and each
    counters: str  # Prometheus
    sizes: Mapping[str, int]

    def differs_from(self, other: "Seen") -> set[str]:
        """Name what is published and differs."""
        found = {f"bucket {bucket}" for bucket in PUBLISHED if self.series.get(bucket) != other.series.get(bucket)}
        found |= {f"panel {name}" for name, answer in self.panels.items() if answer != other.panels[name]}
        return found | ({"counters"} if self.counters != other.counters else set())


class Opened:
    """A mutant of ingest's view of the registry: what stands in a restricted place counts as any other."""

    def __init__(self, reader: RegistryReader) -> None:
        self._reader = reader

    def world(self) -> World:
        world = self._reader.world()
        return replace(world, places={name: place._replace(restricted=False) for name, place in world.places.items()})

    def world_with(self, device: str) -> World:
        self._reader.world_with(device)
        return self.world()


def live(folder: Path, speakers: Sequence[Speaker], script: Script, *, mutant: bool = False) -> Seen:
    """Let a world live for two windows."""
    state = f"sqlite:{folder / 'state'}"
    write_registry(state, speakers)
    with ExitStack() as stack:
        world = _World(stack, folder, state, mutant=mutant)
        for window in range(WINDOWS):
            _move(state, speakers, script, window + 1)  # in the middle of this window, before its release is heard
            world.hear(window, [said for speaker in speakers for said in _said(speaker, window, script)])
        answers = _answers(world.series)
        told = prometheus_client.generate_latest(world.counters._registry).decode().splitlines()
        counters = "\n".join(line for line in told if "_created{" not in line)  # when this process began
    files = [folder / "state" / f"{owner}.db" for owner in ("ingest", "analyse")]
    return Seen(
        folder,
        {name: rows for path in files for name, rows in tables(path).items()},
        {name: names for path in files for name, names in columns(path).items()},
        [row[-1] for row in tables(folder / "state" / "cohorts.db")["sealed_ticks"] if isinstance(row[-1], bytes)],
        {path.stem: tables(path) for path in sorted((folder / "series").glob("*.db"))},
        answers,
        counters,
        {str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()},
    )


class _World:
    """The gateway's two processes, joined as their bootstraps join them."""

    def __init__(self, stack: ExitStack, folder: Path, state: str, *, mutant: bool) -> None:
        self.clock = SetClock()
        self.series = open_series(f"sqlite:{folder / 'series'}", writes=WRITES)
        stack.callback(self.series.close)
        reader = RegistryReader(lambda: open_for_reading(state, "backend"), self.clock)
        stack.callback(reader.close)
        ingest = stack.enter_context(open_for_writing(state, "ingest"))
        cohorts = CohortStore(stack.enter_context(open_for_writing(state, "cohorts")))
        self._service = IngestService(
            IngestState(ingest),
            cohorts,
            clock=self.clock,
            registry=Opened(reader) if mutant else reader,
            verifier=Verifier(0),
        )
        self.counters = Counters(series=self.series, district=lambda: "turtle-bay", clock=self.clock)
        reading = stack.enter_context(open_for_reading(state, "ingest"))
        self._projector = Projector(
            reading=IngestState(reading),
            writing=IngestState(ingest),
            series=self.series,
            district=lambda: "turtle-bay",
            clock=self.clock,
            handover=self._service.handover,
            tell=self.counters.tell,
        )
        self._analyst = Analyst(
            Sources(
                ingest=stack.enter_context(open_for_reading(state, "ingest")),
                backend=stack.enter_context(open_for_reading(state, "backend")),
                own=stack.enter_context(open_for_writing(state, "analyse")),
                series=self.series,
                table=thresholds(),
                clock=self.clock,
                public_baseline=False,
            )
        )

    def hear(self, window: int, said: Sequence[Said]) -> None:
        self.clock.ns = START_NS + (window + 1) * WINDOW_S * NS + 60 * NS
        self.clock.s += 100.0
        messages = [Received(*one, received_ns=self.clock.ns) for one in said]
        self.counters.add(self._service.process(messages).counts)
        while self._projector.step():
            pass
        self.counters.tell(lambda: 0)
        self._analyst.step()


def _move(state: str, speakers: Sequence[Speaker], script: Script, window: int) -> None:
    zones = {kiosk: zone for (kiosk, at), zone in script.moves.items() if at == window}
    if zones:
        stands = [device_of(speaker) for speaker in speakers]
        moved = [replace(one, zone=zones[one.id], site="hall") if one.id in zones else one for one in stands]
        place_devices(state, moved, now_ns=START_NS + window * WINDOW_S * NS - 3600 * NS)


def _said(speaker: Speaker, window: int, script: Script) -> list[Said]:
    if speaker.device.startswith("kiosk"):
        return [_release(speaker, window, script), _tick(speaker, window, script), _health(speaker, window)]
    ppm = script.hotel_ppm if speaker.device.startswith("room") else 560.0
    at_ns = START_NS + window * WINDOW_S * NS
    readings = [Reading(at_ns + n * 600 * NS, TQ_DISCIPLINED, {"co2_ppm": ppm + n}) for n in range(6)]
    return [speaker.batch(1 + 6 * window, readings)]


def _release(speaker: Speaker, window: int, script: Script) -> Said:
    noise = Random(f"{SEED} {speaker.device} {window}").randrange
    start_ns = START_NS + window * WINDOW_S * NS
    counted = draw(start_ns, LAYOUT_1, partial(open_window, randbelow=noise))
    for word in (*USUAL, *script.tests.get((speaker.device, window), ())):
        calls = CALLS[word]
        counted = counted if calls is None else counted.add("SARSCOV2", calls)
    frame = Frame(speaker.ob, window + 1, 1, START_S + window * WINDOW_S, counted.body())
    return speaker.say("release", frame.encode(), CONTENT_BINARY)


def _tick(speaker: Speaker, window: int, script: Script) -> Said:
    tick = (START_S + (window + 1) * WINDOW_S) // TICK_S - 1
    return speaker.tick(window + 1, tick, () if script.records is None else script.records())


def _health(speaker: Speaker, window: int) -> Said:
    at_ns = START_NS + window * WINDOW_S * NS + 3600 * NS
    health = Reading(at_ns, TQ_DISCIPLINED, {"outbox_pct": 0.0, "disk_pct": 20.0, "instrument_ok": 1.0})
    return speaker.batch(window + 1, [health], stream="health")


def _answers(series: TimeSeriesStore) -> dict[str, object]:
    start, stop = to_datetime(START_NS - WINDOW_S * NS), to_datetime(START_NS + 8 * WINDOW_S * NS)
    return {
        f"{board.id}/{panel.id} {number} {zone}": series.query(query)
        for board in BOARDS
        for panel in board.panels
        for zone in (None, "z10016", "z10017")
        for number, (_, query) in enumerate(panel.queries(start, stop, zone=zone))
    }


def tables(path: Path) -> Tables:
    """Every row of every table of an SQLite file."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: sorted(map(tuple, connection.execute(f'SELECT * FROM "{name}"')), key=repr) for name in sorted(names)
        }
    finally:
        connection.close()


def columns(path: Path) -> dict[str, list[str]]:
    """The names of the columns of every table."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: [row[1] for row in connection.execute(f'PRAGMA table_info("{name}")')] for name in names}
    finally:
        connection.close()
