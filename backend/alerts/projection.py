"""Draws the alerts' history into bucket `alerts`, so that Grafana shows their states. Events in, lines out.

The state is the truth; the bucket is a projection by a persisted cursor, written again without harm after a kill.
An outage of the series store delays the lines and nothing else.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Final

from contracts.signals import SEVERITIES
from stores.errors import LinesRefusedError
from stores.series.lines import Point, Value, encode
from stores.series.port import TimeSeriesStore
from stores.state.alerts import AlertEventRow, AlertRow, AlertState
from stores.state.database import Database

log = logging.getLogger(__name__)

BUCKET: Final = "alerts"
CURSOR: Final = "series"
BATCH: Final = 500
# What Grafana shows after each step; a note changes no state.
STATES: Final = {
    "fired": "firing",
    "again": "raised again",
    "cleared": "over",
    "acknowledged": "acknowledged",
    "resolved": "resolved",
}
_SLOTS: Final = 1000  # the last three digits of a time stamp keep events of one instant apart, as for readings (C10)


class AlertProjection:
    """Writes what is new; called in turns by a thread of its own."""

    def __init__(self, database: Database, store: TimeSeriesStore) -> None:
        self._database = database
        self._state = AlertState(database)
        self._store = store

    def advance(self) -> int:
        """Write the next events; return how many. StoreError when the series store cannot take them now."""
        found = self._state.events_after(self._state.cursor(CURSOR), BATCH)
        if not found:
            return 0
        still_open = Counter((row.rule, row.zone, row.severity) for row in self._state.open_alerts())
        drawn = [point for event, alert in found if event.event in STATES for point in points(event, alert, still_open)]
        if drawn:
            self._write(drawn)
        with self._database.begin() as tx:
            self._state.set_cursor(tx, CURSOR, found[-1][0].id)
        return len(found)

    def _write(self, drawn: list[Point]) -> None:
        try:
            self._store.write(BUCKET, b"\n".join(encode(point) for point in drawn))
        except LinesRefusedError as exc:
            log.error("bucket alerts refused %d lines: %s", len(exc.bad), exc)


def points(event: AlertEventRow, alert: AlertRow, still_open: Mapping[tuple[str, str | None, str], int]) -> list[Point]:
    """Return an event as points: how many alerts of this rule and zone are open now, at each severity.

    A repeated alert may have changed its severity and so its line: then every line is told, one of them with `state`.
    """
    drawn = []
    for severity in SEVERITIES if event.event == "again" else (alert.severity,):
        tags = {"district": alert.district, "zone": alert.zone, "rule": alert.rule, "level": severity}
        state = {"state": STATES[event.event]} if severity == alert.severity else {}
        fields: dict[str, Value] = {"open": still_open.get((alert.rule, alert.zone, severity), 0), **state}
        present = {name: value for name, value in tags.items() if value is not None}
        drawn.append(Point("alert", present, fields, event.at_ns // _SLOTS * _SLOTS + event.id % _SLOTS))
    return drawn
