"""The one door to the bucket `restricted`: it opens for one of two officers, notes the read, and then reads.

Nothing is kept: no cache, no line in a log, nothing written anywhere. The store in here has no other reader.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from backend.errors import NotAllowedError
from backend.restricted.service import NOT_OPEN, OpeningService
from backend.web.viewer import Viewer
from contracts.clock import Clock
from contracts.metrics import METRICS
from contracts.query import SeriesQuery
from contracts.windows import DAY_S, NS, to_datetime
from stores.series.port import Series, TimeSeriesStore
from stores.state.openings import OpeningRow

BUCKET: Final = "restricted"
SHOWN_S: Final = DAY_S
EVERY_S: Final = 600
# The metrics whose readings are restricted at some places, as `gateway.ingest.points` sends them.
FIELDS: Final = tuple((row.measurement, row.name) for row in METRICS.values() if row.bucket == "environment")
PLACE: Final = ("zone", "site", "device")


@dataclass(frozen=True, slots=True)
class Shown:
    """One device's ten-minute means of one metric over the last day."""

    metric: str
    zone: str
    site: str
    device: str
    times_ns: Sequence[int]
    values: Sequence[float]


class RestrictedDoor:
    """Reads for one of the two; NotAllowedError for anybody else."""

    def __init__(
        self, store: TimeSeriesStore, openings: OpeningService, *, clock: Clock, district: Callable[[], str]
    ) -> None:
        self._store = store
        self._openings = openings
        self._clock = clock
        self._district = district

    def ask(self, viewer: Viewer, query: SeriesQuery) -> list[Series]:
        """Answer one question to the bucket."""
        if query.bucket != BUCKET:
            raise NotAllowedError(NOT_OPEN)
        self._openings.admit(viewer, f"{query.measurement}/{query.field}")
        return self._store.query(query)

    def last_day(self, viewer: Viewer) -> tuple[OpeningRow, list[Shown], int]:
        """Return the opening, what the bucket holds of the last day, and that day's end."""
        opening = self._openings.admit(viewer, "last day")
        stop_ns = self._clock.now_ns() + 1
        return opening, [shown for one in FIELDS for shown in self._of(*one, stop_ns)], stop_ns

    def _of(self, measurement: str, metric: str, stop_ns: int) -> list[Shown]:
        found = self._store.query(
            SeriesQuery(
                bucket=BUCKET,
                measurement=measurement,
                field=metric,
                function="mean",
                every_s=EVERY_S,
                group_by=PLACE,
                tags={"district": self._district()},
                start=to_datetime(stop_ns - SHOWN_S * NS),
                stop=to_datetime(stop_ns),
            )
        )
        return [_shown(metric, series) for series in found]


def _shown(metric: str, series: Series) -> Shown:
    pairs = [(time, float(value)) for time, value in zip(series.times_ns, series.values, strict=True)]
    tags = series.tags
    times, values = [time for time, _ in pairs], [value for _, value in pairs]
    return Shown(metric, tags["zone"], tags["site"], tags["device"], times, values)
