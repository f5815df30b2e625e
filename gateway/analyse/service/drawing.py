"""Writes lines to bucket `released`: what changed, until the store has it."""

import logging
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from contracts.query import MAX_ROWS, SeriesQuery
from contracts.windows import DAY_S, NS, to_datetime
from gateway.analyse.service import spans
from gateway.analyse.service.spans import ShownKey
from stores.errors import LinesRefusedError
from stores.series.lines import Point, encode, escaped_head
from stores.series.port import TimeSeriesStore

log = logging.getLogger(__name__)

BUCKET: Final = "released"
LINES_A_WRITE: Final = 5000
_PAGE_NS: Final = 90 * DAY_S * NS  # 100 zones' windows of 6 h stay below the rows that one answer may have

Place = tuple[bytes, int]  # measurement with tags, and time: a line of that place replaces another


class Drawer:
    """Holds what is not yet written, at most one line a place; remembers what is, so as not to write it again."""

    def __init__(self, series: TimeSeriesStore) -> None:
        self._series = series
        self._waiting: dict[Place, bytes] = {}
        self._written: dict[Place, int] = {}  # hash of the line that stands there
        self._shown: set[ShownKey] | None = None

    def put(self, points: Iterable[Point]) -> None:
        """Take points; what stands in the store already is left out."""
        for point in points:
            place, line = (escaped_head(point.measurement, point.tags), point.ts_ns), encode(point)
            if self._written.get(place) == hash(line):
                self._waiting.pop(place, None)
            else:
                self._waiting[place] = line

    def draw(self) -> None:
        """Write all that waits; what a StoreError leaves unwritten waits on."""
        while self._waiting:
            batch = dict(islice(self._waiting.items(), LINES_A_WRITE))
            self._write(list(batch.values()))
            for place, line in batch.items():
                self._written[place] = hash(line)
                del self._waiting[place]

    def _write(self, lines: Sequence[bytes]) -> None:
        try:
            self._series.write(BUCKET, b"\n".join(lines))
        except LinesRefusedError as exc:
            log.error("bucket %s refuses %d of our lines for ever: %s", BUCKET, len(exc.bad), exc)

    def shown(self, first_ns: int, now_ns: int) -> set[ShownKey]:
        """The fields that a row may have lost since they were written: by this process, or by one before it."""
        if self._shown is None:
            found: set[ShownKey] = set()
            for field in spans.REPLACED:
                for start in range(first_ns - 7 * DAY_S * NS, now_ns + 1, _PAGE_NS):
                    found |= self._shown_between(field, start, min(start + _PAGE_NS, now_ns + 1))
            self._shown = found
        return self._shown

    def _shown_between(self, field: str, start_ns: int, stop_ns: int) -> set[ShownKey]:
        question = SeriesQuery(
            bucket=BUCKET,
            measurement=spans.MEASUREMENT,
            field=field,
            function=None,
            every_s=None,
            group_by=("level", "zone", "target"),
            start=to_datetime(start_ns),
            stop=to_datetime(stop_ns),
            limit=MAX_ROWS,
        )
        return {
            (field, one.tags["level"], one.tags["zone"], one.tags["target"], at)
            for one in self._series.query(question)
            for at in one.times_ns
        }
