"""Alerts and their history: the backend's alone. At most one alert of a (rule, subject) is not resolved."""

from dataclasses import asdict, dataclass, replace
from typing import Final

from sqlalchemy import ColumnElement, func, insert, select, update

from stores.state.cursors import read_cursor, write_cursors
from stores.state.database import Database, Transaction
from stores.state.tables import ALERT_EVENTS, ALERTS, BACKEND_CURSORS

RESOLVED: Final = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """One alert; `id` 0 = not saved yet. `evidence` is the newest signal's facts as JSON."""

    id: int = 0
    rule: str
    subject: str
    district: str
    zone: str | None
    site: str | None
    device: str | None
    severity: str
    state: str
    cleared: bool
    count: int
    opened_ns: int
    last_ns: int
    cleared_ns: int | None
    acknowledged_ns: int | None
    acknowledged_by: str | None
    resolved_ns: int | None
    resolved_by: str | None
    signal_key: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEventRow:
    """One step in an alert's life: by a signal, or by a person with a note."""

    id: int = 0
    alert_id: int
    at_ns: int
    event: str
    actor: str | None
    note: str
    evidence: str


class AlertState:
    """One door to alerts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def alert(self, number: int) -> AlertRow | None:
        """Return an alert."""
        found = self._alerts(ALERTS.c.id == number, limit=1)
        return found[0] if found else None

    def open_alert(self, rule: str, subject: str) -> AlertRow | None:
        """Return the alert of a (rule, subject) that is not resolved."""
        same = (ALERTS.c.rule == rule) & (ALERTS.c.subject == subject) & (ALERTS.c.state != RESOLVED)
        found = self._alerts(same, limit=1)
        return found[0] if found else None

    def open_alerts(self) -> list[AlertRow]:
        """Return every alert that is not resolved, newest first."""
        return self._alerts(ALERTS.c.state != RESOLVED, limit=None)

    def alerts(
        self,
        *,
        state: str | None,
        zone: str | None = None,
        device: str | None = None,
        limit: int,
        before_id: int | None = None,
    ) -> list[AlertRow]:
        """Return alerts, newest first."""
        wanted = ALERTS.c.id > 0
        for column, value in ((ALERTS.c.state, state), (ALERTS.c.zone, zone), (ALERTS.c.device, device)):
            if value is not None:
                wanted &= column == value
        if before_id is not None:
            wanted &= ALERTS.c.id < before_id
        return self._alerts(wanted, limit=limit)

    def counts(self) -> dict[str, int]:
        """Return how many alerts are in each state."""
        with self._database.read() as connection:
            rows = connection.execute(select(ALERTS.c.state, func.count()).group_by(ALERTS.c.state)).all()
        return {row[0]: row[1] for row in rows}

    def events(self, alert_id: int) -> list[AlertEventRow]:
        """Return an alert's history, oldest first."""
        wanted = select(ALERT_EVENTS).where(ALERT_EVENTS.c.alert_id == alert_id).order_by(ALERT_EVENTS.c.id)
        with self._database.read() as connection:
            return [AlertEventRow(**row._asdict()) for row in connection.execute(wanted)]

    def events_about(self, rule: str, subject: str) -> list[AlertEventRow]:
        """Return the history of every alert of a (rule, subject), oldest first."""
        about = select(ALERTS.c.id).where((ALERTS.c.rule == rule) & (ALERTS.c.subject == subject))
        wanted = select(ALERT_EVENTS).where(ALERT_EVENTS.c.alert_id.in_(about)).order_by(ALERT_EVENTS.c.id)
        with self._database.read() as connection:
            return [AlertEventRow(**row._asdict()) for row in connection.execute(wanted)]

    def events_after(self, after_id: int, limit: int) -> list[tuple[AlertEventRow, AlertRow]]:
        """Return events newer than a number, oldest first, each with its alert as it is now."""
        wanted = select(ALERT_EVENTS).where(ALERT_EVENTS.c.id > after_id).order_by(ALERT_EVENTS.c.id).limit(limit)
        with self._database.read() as connection:
            events = [AlertEventRow(**row._asdict()) for row in connection.execute(wanted)]
            numbers = {event.alert_id for event in events}
            rows = connection.execute(select(ALERTS).where(ALERTS.c.id.in_(numbers)))
            alerts = {row.id: AlertRow(**row._asdict()) for row in rows}
        return [(event, alerts[event.alert_id]) for event in events]

    def save(self, tx: Transaction, alert: AlertRow) -> AlertRow:
        """Insert an alert whose id is 0, else update it; return it with its id.

        ConflictError when another alert of the same (rule, subject) is open.
        """
        values = asdict(alert)
        del values["id"]
        if alert.id == 0:
            return replace(alert, id=tx.execute(insert(ALERTS).returning(ALERTS.c.id), values).scalar_one())
        tx.execute(update(ALERTS).where(ALERTS.c.id == alert.id).values(**values))
        return alert

    def add_event(self, tx: Transaction, event: AlertEventRow) -> int:
        """Insert an event; return its number."""
        values = asdict(event)
        del values["id"]
        return int(tx.execute(insert(ALERT_EVENTS).returning(ALERT_EVENTS.c.id), values).scalar_one())

    def cursor(self, name: str) -> int:
        """Return how far a poller has come, 0 before it started."""
        with self._database.read() as connection:
            return read_cursor(connection, BACKEND_CURSORS, name)

    def set_cursor(self, tx: Transaction, name: str, value: int) -> None:
        """Remember how far a poller has come."""
        write_cursors(tx, BACKEND_CURSORS, {name: value})

    def _alerts(self, condition: ColumnElement[bool], *, limit: int | None) -> list[AlertRow]:
        wanted = select(ALERTS).where(condition).order_by(ALERTS.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            return [AlertRow(**row._asdict()) for row in connection.execute(wanted)]
