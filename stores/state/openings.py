"""Who opened the bucket `restricted` together, why and until when: the backend's alone. Instants `_s` are real time.

At most one row has not ended. A row that was never confirmed is a request that was refused, withdrawn or lapsed.
"""

from dataclasses import asdict, dataclass

from sqlalchemy import insert, select, update

from stores.state.database import Database, Transaction
from stores.state.tables import OPENINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningRow:
    """A request, and what became of it."""

    id: int = 0
    requested_by: str
    reason: str
    length_s: int
    requested_s: int
    confirmed_by: str | None = None
    confirmed_s: int | None = None
    confirmed_ns: int | None = None  # district time, for the boards
    ended_s: int | None = None

    @property
    def ends_s(self) -> int | None:
        """When it closes by itself; None for a request."""
        return None if self.confirmed_s is None else self.confirmed_s + self.length_s


class Openings:
    """One door to them; what changes takes the open transaction, with the audit row of the same."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def current(self) -> OpeningRow | None:
        """Return the one that has not ended."""
        with self._database.read() as connection:
            return self.current_in(connection)

    def current_in(self, connection: Transaction) -> OpeningRow | None:
        """Return the one that has not ended, as a transaction sees it."""
        wanted = select(OPENINGS).where(OPENINGS.c.ended_s.is_(None)).order_by(OPENINGS.c.id.desc()).limit(1)
        row = connection.execute(wanted).first()
        return None if row is None else OpeningRow(**row._asdict())

    def add(self, tx: Transaction, row: OpeningRow) -> int:
        """Insert a request; return its number."""
        values = asdict(row)
        del values["id"]
        return int(tx.execute(insert(OPENINGS).returning(OPENINGS.c.id), values).scalar_one())

    def save(self, tx: Transaction, row: OpeningRow) -> None:
        """Replace a row."""
        tx.execute(update(OPENINGS).where(OPENINGS.c.id == row.id).values(asdict(row)))

    def confirmed_after(self, number: int, limit: int) -> list[OpeningRow]:
        """Return the next rows that were confirmed, oldest first."""
        wanted = select(OPENINGS).where((OPENINGS.c.id > number) & OPENINGS.c.confirmed_s.is_not(None))
        with self._database.read() as connection:
            return [
                OpeningRow(**row._asdict()) for row in connection.execute(wanted.order_by(OPENINGS.c.id).limit(limit))
            ]
