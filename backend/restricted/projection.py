"""Draws openings into bucket `alerts`, so that boards show how often the restricted bucket was opened, and how long.

Not who, not why: those are in the audit log. The rows are the truth; written again without harm after a kill.
"""

from collections.abc import Callable
from typing import Final

from stores.series.lines import Point, encode
from stores.series.port import TimeSeriesStore
from stores.state.alerts import AlertState
from stores.state.database import Database
from stores.state.openings import OpeningRow, Openings

BUCKET: Final = "alerts"
MEASUREMENT: Final = "openings"
CURSOR: Final = "openings"
BATCH: Final = 500
_SLOTS: Final = 1000


class OpeningProjection:
    """Writes what is new; called in turns by a thread of its own."""

    def __init__(self, database: Database, store: TimeSeriesStore, district: Callable[[], str]) -> None:
        self._database = database
        self._openings = Openings(database)
        self._cursors = AlertState(database)
        self._store = store
        self._district = district

    def advance(self) -> int:
        """Write the next openings; return how many. StoreError when the series store cannot take them now."""
        found = self._openings.confirmed_after(self._cursors.cursor(CURSOR), BATCH)
        if not found:
            return 0
        self._store.write(BUCKET, b"\n".join(encode(point(row, self._district())) for row in found))
        with self._database.begin() as tx:
            self._cursors.set_cursor(tx, CURSOR, found[-1].id)
        return len(found)


def point(row: OpeningRow, district: str) -> Point:
    """Return an opening as a point, at its confirmation."""
    at_ns = (row.confirmed_ns or 0) // _SLOTS * _SLOTS + row.id % _SLOTS
    return Point(MEASUREMENT, {"district": district}, {"opened": 1, "minutes": row.length_s // 60}, at_ns)
