"""A window of 500 kiosks from committed releases to drawn numbers, and how fast a kiosk draws its noise."""

import random
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import partial
from pathlib import Path

from bench.report import Figure, at_most
from contracts.layout import Assay, AssayLayout
from contracts.registry import Device, District, Layout, Site, Zone
from contracts.rows import AssayCounts, ReleaseRow
from contracts.windows import NS, to_datetime
from edge.release.counters import open_window
from edge.release.noise import discrete_laplace
from gateway.analyse.bootstrap import thresholds
from gateway.analyse.service.analyst import Analyst, Sources
from stores.series.open import open_series
from stores.state.database import Database, open_for_reading, open_for_writing
from stores.state.devices import Registry
from stores.state.journal import IngestBatch, IngestState
from tests.support.seeds import SEED

KIOSKS, ZONES = 500, 6
TARGETS = ("sars-cov-2", "influenza-a", "influenza-b", "rsv")
PANEL = Assay("FLUCOV", TARGETS)
WINDOW_S = 6 * 3600
START_NS = 1_639_285_200 * NS  # 2021-12-12 00:00 at -05:00
ROLL_UP_BAR_S, DRAWS_BAR_S = 2.0, 10.0
DRAWS = 100_000


@dataclass(frozen=True, slots=True)
class _After:
    """Implements contracts.clock.Clock: a minute after the window."""

    @property
    def speed(self) -> int:
        return 1

    def now_ns(self) -> int:
        return START_NS + (WINDOW_S + 60) * NS

    def now(self) -> datetime:
        return to_datetime(self.now_ns())

    def real_s(self) -> float:
        return time.monotonic()


def measure(folder: Path) -> Iterator[Figure]:
    """Roll one window up, then draw."""
    what = f"a window of {KIOSKS} kiosks x {len(TARGETS)} targets rolled up and written"
    yield at_most("Releases", what, _rolled_up(folder), ROLL_UP_BAR_S, "s")
    begin_s = time.perf_counter()
    for _ in range(DRAWS // 2):
        discrete_laplace(Fraction(1), secrets.randbelow)
        discrete_laplace(Fraction(1, 4), secrets.randbelow)
    yield at_most("Releases", f"{DRAWS:,} draws of noise", time.perf_counter() - begin_s, DRAWS_BAR_S, "s")


def _rolled_up(folder: Path) -> float:
    state = f"sqlite:{folder / 'state'}"
    devices = [_device(number) for number in range(KIOSKS)]
    with ExitStack() as stack:
        backend = stack.enter_context(open_for_writing(state, "backend"))
        ingest = stack.enter_context(open_for_writing(state, "ingest"))
        _register(backend, devices)
        IngestState(ingest).commit(IngestBatch(releases=[_release(device) for device in devices]))
        series = open_series(f"sqlite:{folder / 'series'}", writes=frozenset({"released"}))
        stack.callback(series.close)
        analyst = Analyst(
            Sources(
                ingest=stack.enter_context(open_for_reading(state, "ingest")),
                backend=stack.enter_context(open_for_reading(state, "backend")),
                own=stack.enter_context(open_for_writing(state, "analyse")),
                series=series,
                table=thresholds(),
                clock=_After(),
                public_baseline=False,
            )
        )
        begin_s = time.perf_counter()
        analyst.step()
        return time.perf_counter() - begin_s


def _device(number: int) -> Device:
    zone = number % ZONES
    return Device(id=f"kiosk-{number}", kind="kiosk", site=f"site-{zone}", zone=f"z{zone}")


def _register(database: Database, devices: list[Device]) -> None:
    registry = Registry(database)
    district = District(
        id="bench", name="Bench", utc_offset_s=-5 * 3600, week_start=6, window_s=WINDOW_S, languages=("en",)
    )
    zones = [Zone(id=f"z{number}", name=f"z{number}", place=number) for number in range(ZONES)]
    sites = [Site(id=f"site-{n}", zone=f"z{n}", kind="kiosk", name=f"s{n}") for n in range(ZONES)]
    with database.begin() as tx:
        registry.apply(tx, district, zones=zones, sites=sites, devices=devices, rules=[], now_ns=START_NS)
        registry.add_layout(tx, Layout(AssayLayout(1, (PANEL,)), 0))


def _release(device: Device) -> ReleaseRow:
    noise = random.Random(f"{SEED} {device.id}").randrange
    drawn = partial(open_window, randbelow=noise)(to_datetime(START_NS), TARGETS)
    return ReleaseRow(
        device=device.id,
        zone=device.zone,
        window_start_ns=START_NS,
        window_s=WINDOW_S,
        layout=1,
        counters={PANEL.code: AssayCounts(drawn.valid + 20, drawn.invalid, dict(drawn.positives))},
        ob=1,
        seq=1,
        received_ns=START_NS + (WINDOW_S + 30) * NS,
        late=False,
    )
