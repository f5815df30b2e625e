"""Sealed ticks: what each kiosk published in each tick, as it came (DESIGN §6). A store of its own, for it forgets.

Nothing here tells a result from a dummy, and nothing is finer than the tick: no time of arrival, no order of arrival.
Written before the mark that judges the tick, so that a crash between the two leaves a tick that comes again and
changes nothing: (device, tick) is unique.

What is deleted shall be gone. On SQLite: no WAL and a rollback journal that is emptied at each commit, freed pages are
overwritten with zeros (`secure_delete`), and no copy is kept before an update of the schema. What the file system
itself keeps of freed blocks is for the disk's encryption; on PostgreSQL likewise for VACUUM, the write-ahead log and
whoever archives it.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import delete, func, select

from contracts.cohorts import cohort_of
from contracts.sealed import RECORD_BYTES
from stores.state.database import Database
from stores.state.rows import insert_new
from stores.state.tables import SEALED_TICKS

_row = SEALED_TICKS.c
MAX_DELETED: Final = 5_000  # rows a call, of 1 KiB each, so that a clean-up never holds up a batch for long


class SealedTick(NamedTuple):
    """The records of one kiosk and tick, one after another."""

    device: str
    tick: int
    body: bytes


class CohortStore:
    """One door to the sealed ticks: `add` and `forget` for ingest, the rest for the result page too."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, ticks: Sequence[SealedTick]) -> None:
        """Make ticks durable; one that is there already stays as it is."""
        if not ticks:
            return
        rows = [
            {**tick._asdict(), "cohort": cohort_of(tick.tick), "records": len(tick.body) // RECORD_BYTES}
            for tick in ticks
        ]
        with self._database.begin() as connection:
            insert_new(connection, SEALED_TICKS, rows)

    def body_of(self, device: str, tick: int) -> bytes | None:
        """Return what a kiosk published in a tick; None when it is not here."""
        with self._database.read() as connection:
            body = connection.execute(select(_row.body).where(_row.device == device, _row.tick == tick)).scalar()
        return None if body is None else bytes(body)

    def forget(self, before_cohort: int) -> int:
        """Delete the ticks of older cohorts, as many as one call may; return how many."""
        oldest = (
            select(_row.device, _row.tick).where(_row.cohort < before_cohort).order_by(_row.tick).limit(MAX_DELETED)
        )
        with self._database.read() as connection:
            found = [row.tick for row in connection.execute(oldest)]
        if not found:
            return 0
        with self._database.begin() as connection:
            gone = delete(SEALED_TICKS).where(_row.cohort < before_cohort, _row.tick <= found[-1])
            return connection.execute(gone).rowcount

    def sizes(self, complete: int) -> dict[int, int]:
        """Return how many records each cohort has of the ticks up to `complete`: it changes when a cohort does."""
        total = func.sum(_row.records).label("total")
        wanted = select(_row.cohort, total).where(_row.tick <= complete).group_by(_row.cohort)
        with self._database.read() as connection:
            return {row.cohort: int(row.total) for row in connection.execute(wanted)}

    def records(self, cohort: int, complete: int) -> list[bytes]:
        """Return the records of a cohort of the ticks up to `complete`."""
        wanted = select(_row.body).where(_row.cohort == cohort, _row.tick <= complete)
        with self._database.read() as connection:
            bodies = [bytes(row.body) for row in connection.execute(wanted)]
        return [body[at : at + RECORD_BYTES] for body in bodies for at in range(0, len(body), RECORD_BYTES)]
