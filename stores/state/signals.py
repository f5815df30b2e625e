"""Signals as committed rows: safety rules' in the state of ingest, detectors' in that of analyse."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from sqlalchemy import Connection, Row, Table, select

from contracts.signals import Phase, Severity, Signal
from stores.state.database import Database, Owner
from stores.state.rows import insert_new
from stores.state.tables import ANALYSE_SIGNALS, INGEST_SIGNALS

MAX_ROWS: Final = 1000
_TABLES: Final[dict[Owner, Table]] = {"ingest": INGEST_SIGNALS, "analyse": ANALYSE_SIGNALS}


@dataclass(frozen=True, slots=True)
class SignalRow:
    """A signal and its number; numbers grow in the order of commits."""

    id: int
    signal: Signal


def add_signals(connection: Connection, owner: Owner, signals: Sequence[Signal]) -> None:
    """Insert signals; one that is there already changes nothing."""
    insert_new(connection, _TABLES[owner], [_row(signal) for signal in signals])


def signals_after(database: Database, after_id: int, limit: int = MAX_ROWS) -> list[SignalRow]:
    """Return signals newer than a number, oldest first."""
    table = _TABLES[database.owner]
    wanted = select(table).where(table.c.id > after_id).order_by(table.c.id).limit(limit)
    with database.read() as connection:
        return [_signal(row) for row in connection.execute(wanted)]


def newest_signals(database: Database) -> dict[tuple[str, str], Signal]:
    """Return the newest signal of each (rule, subject): what is raised now, after a restart."""
    table = _TABLES[database.owner]
    with database.read() as connection:
        rows = connection.execute(select(table).order_by(table.c.id))
        return {(found.signal.rule, found.signal.subject): found.signal for found in map(_signal, rows)}


def _row(signal: Signal) -> dict[str, Any]:
    return {
        "rule": signal.rule,
        "subject": signal.subject,
        "zone": signal.zone,
        "target": signal.target,
        "severity": signal.severity,
        "phase": signal.phase,
        "onset_ns": signal.onset_ns,
        "found_ns": signal.found_ns,
        "facts": json.dumps(dict(signal.facts), sort_keys=True, ensure_ascii=False),
    }


def _signal(row: Row[Any]) -> SignalRow:
    return SignalRow(
        row.id,
        Signal(
            rule=row.rule,
            subject=row.subject,
            zone=row.zone,
            target=row.target,
            severity=cast("Severity", row.severity),
            phase=cast("Phase", row.phase),
            onset_ns=row.onset_ns,
            found_ns=row.found_ns,
            facts=json.loads(row.facts),
        ),
    )
