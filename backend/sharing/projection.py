"""Draws the register into bucket `alerts`, the backend's own, so that boards show how much was given to whom.

The audit log is the truth; the bucket is a projection by a persisted cursor, written again without harm after a kill.
"""

import datetime
from collections.abc import Callable
from typing import Final

from backend.sharing.service import SHARED, Taken, taken_of
from stores.series.lines import Point, Value, encode
from stores.series.port import TimeSeriesStore
from stores.state.accounts import Audit
from stores.state.alerts import AlertState
from stores.state.database import Database

BUCKET: Final = "alerts"
MEASUREMENT: Final = "sharing"
CURSOR: Final = "sharing"
BATCH: Final = 500
_SLOTS: Final = 1000  # the last three digits of a time stamp keep rows of one instant apart, as for readings (C10)


class SharingProjection:
    """Writes what is new; called in turns by a thread of its own."""

    def __init__(self, database: Database, store: TimeSeriesStore, district: Callable[[], str]) -> None:
        self._database = database
        self._audit = Audit(database)
        self._cursors = AlertState(database)
        self._store = store
        self._district = district

    def advance(self) -> int:
        """Write the next packages; return how many. StoreError when the series store cannot take them now."""
        found = [taken_of(row) for row in self._audit.after(self._cursors.cursor(CURSOR), BATCH, action=SHARED)]
        if not found:
            return 0
        self._store.write(BUCKET, b"\n".join(encode(point(taken, self._district())) for taken in found))
        with self._database.begin() as tx:
            self._cursors.set_cursor(tx, CURSOR, found[-1].row)
        return len(found)


def point(taken: Taken, district: str) -> Point:
    """Return a package as a point; an agreement is the rule by which it was given."""
    first, last = (datetime.date.fromisoformat(day) for day in (taken.first_day, taken.last_day))
    fields: dict[str, Value] = {"packages": 1, "days": (last - first).days + 1}
    tags = {"district": district, "rule": taken.agreement}
    return Point(MEASUREMENT, tags, fields, taken.at_ns // _SLOTS * _SLOTS + taken.row % _SLOTS)
