"""Asks the time-series store what the pages and charts need, in district time, and hands the numbers on by place.

One question a field (`SeriesQuery` has one), grouped by place. No bucket `restricted`: two officers open that
together, by a door of its own (`backend.restricted`); the store in here does not have it (DESIGN §7).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from contracts.query import SeriesQuery
from contracts.windows import to_datetime
from stores.series.lines import Value
from stores.series.port import Series, TimeSeriesStore

Source = tuple[str, str]  # bucket, measurement
TESTING: Final[Source] = ("released", "testing")
DETECTOR: Final[Source] = ("released", "detector")
HISTORY: Final[Source] = ("history", "weekly")
IMPORTS: Final[Source] = ("history", "imports")
AIR: Final[Source] = ("environment", "air")

Points = dict[int, Value]  # time in ns -> value
Tags = Mapping[str, str]
NO_TAGS: Final[Tags] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open stretch of district time."""

    start_ns: int
    stop_ns: int

    @property
    def length_s(self) -> int:
        """How long it is."""
        return (self.stop_ns - self.start_ns) // 1_000_000_000


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads; translates nothing and decides nothing."""

    store: TimeSeriesStore
    district: str

    def ask(
        self,
        source: Source,
        field: str,
        span: Span,
        *,
        mean_every_s: int | None = None,
        group_by: tuple[str, ...] = (),
        tags: Tags = NO_TAGS,
    ) -> list[Series]:
        """Ask one question about this district: raw points, or means of so many seconds."""
        bucket, measurement = source
        return self.store.query(
            SeriesQuery(
                bucket=bucket,
                measurement=measurement,
                field=field,
                function=None if mean_every_s is None else "mean",
                every_s=mean_every_s,
                group_by=group_by,
                tags={"district": self.district, **tags},
                start=to_datetime(span.start_ns),
                stop=to_datetime(span.stop_ns),
            )
        )

    def released(self, field: str, level: str, target: str, span: Span, tags: Tags = NO_TAGS) -> Mapping[str, Points]:
        """Return a field of the released counts by zone; "" is the district itself."""
        asked = {"level": level, "target": target, **tags}
        return _by_zone(self.ask(TESTING, field, span, group_by=("zone",), tags=asked))

    def history(self, field: str, target: str, span: Span) -> Mapping[str, Points]:
        """Return a field of the imported public history by zone."""
        return _by_zone(self.ask(HISTORY, field, span, group_by=("zone",), tags={"target": target}))

    def expected(self, level: str, target: str, span: Span, tags: Tags = NO_TAGS) -> Mapping[str, Points]:
        """Return the share that the detector expects, by zone."""
        asked = {"level": level, "target": target, **tags}
        return _by_zone(self.ask(DETECTOR, "p0", span, group_by=("zone",), tags=asked))


def _by_zone(found: list[Series]) -> Mapping[str, Points]:
    return {series.tags["zone"]: points(series) for series in found}


def points(series: Series) -> Points:
    """Return a series as a table of times; of two values at one instant the later in the answer stays."""
    return dict(zip(series.times_ns, series.values, strict=True))


def number(value: Value | None) -> float | None:
    """Return a value as a number; None for what is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def numbers(table: Points | None) -> tuple[list[int], list[float]]:
    """Return times and numbers in order."""
    pairs = [(time, value) for time in sorted(table or {}) if (value := number((table or {})[time])) is not None]
    return [time for time, _ in pairs], [value for _, value in pairs]


def latest(table: Points | None) -> tuple[int, Value] | None:
    """Return the newest point."""
    if not table:
        return None
    newest = max(table)
    return newest, table[newest]
