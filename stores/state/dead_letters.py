"""Dead letters: what could not be taken, with the reason; `redrive` may judge them anew after a repair."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from stores.state.database import Database
from stores.state.tables import DEAD_LETTERS

MAX_READ: Final = 1000
MAX_KEPT: Final = 50_000  # with payload, and as many without: forgeries must not push out what may be judged anew


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """What could not be taken, and why; the payload only where it may be kept.

    It stands for the records `seq` … `seq + n - 1` of the payload, or for a whole message when it names none.
    """

    device: str | None
    topic: str
    stream: str | None = None
    ob: int | None = None
    seq: int | None = None
    n: int | None = None
    reason: str
    received_ns: int
    size_bytes: int
    content_type: str | None = None
    sig: str | None = None
    payload: bytes | None = None


def add_letters(connection: Connection, letters: Sequence[DeadLetter]) -> None:
    """Insert dead letters."""
    if letters:
        connection.execute(insert(DEAD_LETTERS), [asdict(letter) for letter in letters])


def remove_letters(connection: Connection, numbers: Sequence[int]) -> None:
    """Remove letters that were judged anew."""
    if numbers:
        connection.execute(delete(DEAD_LETTERS).where(DEAD_LETTERS.c.id.in_(numbers)))


def forget_letters(connection: Connection, reason: str) -> None:
    """Remove every letter of a reason."""
    connection.execute(delete(DEAD_LETTERS).where(DEAD_LETTERS.c.reason == reason))


def load_letters(database: Database, after_id: int, limit: int) -> list[tuple[int, DeadLetter]]:
    """Return dead letters newer than a number, oldest first, with their numbers."""
    wanted = select(DEAD_LETTERS).where(DEAD_LETTERS.c.id > after_id).order_by(DEAD_LETTERS.c.id).limit(limit)
    with database.read() as connection:
        rows = [row._asdict() for row in connection.execute(wanted)]
    for row in rows:
        row["payload"] = None if row["payload"] is None else bytes(row["payload"])
    return [(row.pop("id"), DeadLetter(**row)) for row in rows]


def prune_letters(connection: Connection, before_ns: int, most: int) -> int:
    """Remove those received before an instant, and of each kind all but the newest `most`; return how many."""
    gone = connection.execute(delete(DEAD_LETTERS).where(DEAD_LETTERS.c.received_ns < before_ns)).rowcount
    kept = DEAD_LETTERS.c.payload.is_not(None)
    return gone + _surplus(connection, kept, most) + _surplus(connection, ~kept, most)


def _surplus(connection: Connection, kind: ColumnElement[bool], most: int) -> int:
    newest_gone = select(DEAD_LETTERS.c.id).where(kind).order_by(DEAD_LETTERS.c.id.desc()).offset(most).limit(1)
    number = connection.execute(newest_gone).scalar()
    if number is None:
        return 0
    return connection.execute(delete(DEAD_LETTERS).where(kind, DEAD_LETTERS.c.id <= number)).rowcount
