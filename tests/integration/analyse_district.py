"""A district whose releases are committed by a seed: real state and series stores, a clock that the test sets."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from contracts.layout import Assay, AssayLayout
from contracts.query import SeriesQuery
from contracts.registry import Device, District, Layout, Site, Zone
from contracts.rows import AssayCounts, ReleaseRow
from contracts.windows import NS, Calendar, to_datetime, to_ns
from gateway.analyse.bootstrap import thresholds
from gateway.analyse.service.analyst import Analyst, Sources
from stores.series.lines import Value
from stores.series.port import TimeSeriesStore
from stores.state.database import Database, open_for_reading, open_for_writing
from stores.state.devices import Registry
from stores.state.journal import IngestBatch, IngestState

ZONES = ("z10016", "z10017", "z10021", "z10022", "z10044", "z10065")
KIOSKS = {f"kiosk-{zone[1:]}-{number}": zone for zone in ZONES for number in (1, 2, 3)}
DISTRICT = District(
    id="turtle-bay",
    name="Turtle Bay",
    utc_offset_s=-5 * 3600,
    week_start=6,
    window_s=6 * 3600,
    languages=("en", "zh"),
)
CALENDAR: Calendar = DISTRICT.calendar
TARGET, ASSAY = "sars-cov-2", "SARSCOV2"
START_NS = to_ns(datetime(2021, 12, 12, 5, tzinfo=UTC))  # Sunday 00:00 in the district
WINDOW_NS = CALENDAR.window_ns
MINUTE_NS = 60 * NS


@dataclass(slots=True)
class SetClock:
    """Implements contracts.clock.Clock: stands where the test puts it; real seconds go on with every look."""

    at_ns: int = START_NS
    real: float = 0.0

    @property
    def speed(self) -> int:
        return 600

    def now_ns(self) -> int:
        return self.at_ns

    def now(self) -> datetime:
        return to_datetime(self.at_ns)

    def real_s(self) -> float:
        self.real += 1.0
        return self.real


def place(backend: Database, kiosks: Mapping[str, str], *, now_ns: int) -> None:
    """Apply a district file in which the kiosks stand in these zones."""
    with backend.begin() as tx:
        Registry(backend).apply(
            tx,
            DISTRICT,
            zones=[Zone(id=zone, name=zone, place=number) for number, zone in enumerate(ZONES)],
            sites=[Site(id=f"site-{zone}", zone=zone, kind="kiosk", name=zone) for zone in ZONES],
            devices=[Device(id=kiosk, kind="kiosk", site=f"site-{zone}", zone=zone) for kiosk, zone in kiosks.items()],
            rules=[],
            now_ns=now_ns,
        )


class CommittedDistrict:
    """Ingest's and the backend's states, written as those processes do."""

    def __init__(self, folder: Path, seed: int, *, state: str | None = None) -> None:
        self.state = state or f"sqlite:{folder / 'state'}"
        self.backend = open_for_writing(self.state, "backend")
        self.ingest = open_for_writing(self.state, "ingest")
        self._rng = np.random.default_rng(seed)
        self._seq = 0
        place(self.backend, KIOSKS, now_ns=START_NS)
        with self.backend.begin() as tx:
            Registry(self.backend).add_layout(tx, Layout(AssayLayout(1, (Assay(ASSAY, (TARGET,)),)), 0))

    def close(self) -> None:
        """Let the next writer in."""
        self.ingest.close()
        self.backend.close()

    def drawn(self, window: int, *, tests: float, share: float) -> list[ReleaseRow]:
        """Every kiosk's release of a window: Poisson tests, binomial positives, and the noise of a release."""
        return [self.row(kiosk, window, *self._counts(tests, share)) for kiosk in KIOSKS]

    def row(
        self, kiosk: str, window: int, positives: int, valid: int, invalid: int = 0, *, late: bool = False
    ) -> ReleaseRow:
        """One release with given counts."""
        self._seq += 1
        return ReleaseRow(
            device=kiosk,
            zone=KIOSKS[kiosk],
            window_start_ns=START_NS + window * WINDOW_NS,
            window_s=DISTRICT.window_s,
            layout=1,
            counters={ASSAY: AssayCounts(valid, invalid, {TARGET: positives})},
            ob=7,
            seq=self._seq,
            received_ns=START_NS + (window + 1) * WINDOW_NS + MINUTE_NS,
            late=late,
        )

    def commit(self, rows: Sequence[ReleaseRow]) -> None:
        """As ingest does."""
        IngestState(self.ingest).commit(IngestBatch(releases=rows))

    def _counts(self, tests: float, share: float) -> tuple[int, int, int]:
        done = int(self._rng.poisson(tests))
        positives = int(self._rng.binomial(done, share)) + self._noise(1.0)
        return positives, done + self._noise(0.25), self._noise(0.25)

    def _noise(self, epsilon: float) -> int:
        p = 1 - math.exp(-epsilon)
        return int(self._rng.geometric(p) - self._rng.geometric(p))


class Analysis:
    """`gateway analyse` in this process: opens what bootstrap opens."""

    def __init__(self, state: str, series: TimeSeriesStore, clock: SetClock, *, public: bool = True) -> None:
        self.own: Database = open_for_writing(state, "analyse")
        self.clock = clock
        self._readers = [open_for_reading(state, "ingest"), open_for_reading(state, "backend")]
        self.analyst = Analyst(
            Sources(
                ingest=self._readers[0],
                backend=self._readers[1],
                own=self.own,
                series=series,
                table=thresholds(),
                clock=clock,
                public_baseline=public,
            )
        )

    def at_end_of(self, window: int, *, later_ns: int = MINUTE_NS) -> None:
        """Poll once, a little after a window's end."""
        self.clock.at_ns = START_NS + (window + 1) * WINDOW_NS + later_ns
        self.analyst.step()

    def close(self) -> None:
        """Give the lock back."""
        for database in (self.own, *self._readers):
            database.close()


Place = tuple[str, str, int]  # level, zone, start


def rows(store: TimeSeriesStore, measurement: str, fields: Collection[str]) -> dict[Place, dict[str, Value]]:
    """Every stored point of a measurement of bucket `released`, with those of the fields that it has."""
    found: dict[Place, dict[str, Value]] = {}
    for field in fields:
        question = SeriesQuery(
            bucket="released",
            measurement=measurement,
            field=field,
            function=None,
            every_s=None,
            group_by=("level", "zone"),
            start=datetime(2021, 1, 1, tzinfo=UTC),
            stop=datetime(2023, 1, 1, tzinfo=UTC),
            limit=100_000,
        )
        for one in store.query(question):
            for at, value in zip(one.times_ns, one.values, strict=True):
                found.setdefault((one.tags["level"], one.tags["zone"], at), {})[field] = value
    return found


TESTING = (
    "positives",
    "valid",
    "invalid",
    "positivity",
    "lower",
    "upper",
    "noise_sd",
    "noise_sd_valid",
    "kiosks_reporting",
    "kiosks_expected",
    "status",
    "late",
    "positives_shown",
    "valid_shown",
)


def released_numbers(store: TimeSeriesStore) -> Mapping[Place, dict[str, Value]]:
    """All released numbers."""
    return rows(store, "testing", TESTING)
