"""The state of ingest: journal, dedupe marks, dead letters, and all that is committed with them in one transaction.

The commit of an `IngestBatch` is the durable write of the whole system (contract rule C16). Several ingests may share a
PostgreSQL: their commits take turns, and a batch judged by marks that another has moved since is a ConflictError.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select

from contracts.rows import DeviceReport, Mark, MarkKey, ReleaseRow
from contracts.signals import Signal
from stores.errors import ConflictError
from stores.state.cursors import read_cursor, write_cursors
from stores.state.database import Database, take_turn
from stores.state.releases import append_releases, has_release
from stores.state.reports import load_reports, save_reports
from stores.state.rows import upsert
from stores.state.signals import add_signals, newest_signals
from stores.state.tables import COUNTS, DEAD_LETTERS, INGEST_CURSORS, JOURNAL, MARKS

PROJECTED: Final = "series"  # the cursor of the projection to the series store
MAX_PRUNED: Final = 10_000  # rows a call, so that a clean-up never holds up a batch for long
MAX_DEAD_LETTERS: Final = 1000
_CONTENDED: Final = "postgresql"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """Records `seq + skip` … `seq + skip + n - 1` of one message, whose payload is as it was on the wire."""

    id: int
    device: str
    ob: int
    stream: str
    seq: int
    n: int
    skip: int
    received_ns: int
    content_type: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """What could not be taken, and why; the payload only where it may be kept."""

    device: str | None
    topic: str
    stream: str | None = None
    ob: int | None = None
    seq: int | None = None
    reason: str
    received_ns: int
    size_bytes: int
    content_type: str | None = None
    sig: str | None = None
    payload: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestBatch:
    """What one commit makes durable. Entries get numbers in the order given; their `id` is not looked at."""

    entries: Sequence[JournalEntry] = ()
    marks: Sequence[Mark] = ()
    dead_letters: Sequence[DeadLetter] = ()
    releases: Sequence[ReleaseRow] = ()
    signals: Sequence[Signal] = ()
    reports: Sequence[DeviceReport] = ()
    counts: Mapping[str, int] = field(default_factory=dict)  # reason -> how many more
    cursors: Mapping[str, int] = field(default_factory=dict)
    redriven: Sequence[int] = ()  # dead letters that this batch judges anew


class IngestState:
    """One door to the state of ingest: `commit` for its writer, the rest for readers too."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[MarkKey, Mark] = {}  # marks as last seen in the store
        self._last_id: int | None = None

    # --- writing ------------------------------------------------------------------------------------

    def commit(self, batch: IngestBatch) -> int:
        """Make a batch durable, whole or not at all; return the newest journal number.

        ConflictError: another ingest judged records of these streams first, or a release exists; nothing is stored.
        """
        with self._database.begin() as connection:
            take_turn(connection, "ingest")
            self._check_marks(connection, batch.marks)
            last_id = self._append(connection, batch.entries)
            upsert(connection, MARKS, [_mark_row(mark) for mark in batch.marks])
            if batch.dead_letters:
                connection.execute(insert(DEAD_LETTERS), [asdict(letter) for letter in batch.dead_letters])
            append_releases(connection, batch.releases)
            add_signals(connection, "ingest", batch.signals)
            save_reports(connection, batch.reports)
            self._count(connection, batch.counts)
            write_cursors(connection, INGEST_CURSORS, dict(batch.cursors))
            if batch.redriven:
                connection.execute(delete(DEAD_LETTERS).where(DEAD_LETTERS.c.id.in_(batch.redriven)))
        self._known.update((mark.key, mark) for mark in batch.marks)
        self._last_id = last_id
        return last_id

    def _check_marks(self, connection: Connection, marks: Sequence[Mark]) -> None:
        """On a server that several ingests share: every mark is still as this one last saw it."""
        if connection.dialect.name != _CONTENDED:
            return
        for mark in marks:
            row = connection.execute(select(MARKS.c.hi, MARKS.c.also).where(_same_stream(mark.key))).first()
            now = None if row is None else Mark(*mark.key, row.hi, _ranges(row.also))
            if now != self._known.get(mark.key):
                raise ConflictError("another ingest judged records of the same stream")

    def _append(self, connection: Connection, entries: Sequence[JournalEntry]) -> int:
        last_id = self._last_id
        if last_id is None or connection.dialect.name == _CONTENDED:
            newest = connection.execute(select(func.max(JOURNAL.c.id))).scalar()
            last_id = max(newest or 0, read_cursor(connection, INGEST_CURSORS, PROJECTED))  # a pruned journal is empty
        if entries:
            rows = [
                {
                    "id": number,
                    "device": entry.device,
                    "ob": entry.ob,
                    "stream": entry.stream,
                    "seq": entry.seq,
                    "n": entry.n,
                    "skip": entry.skip,
                    "received_ns": entry.received_ns,
                    "content_type": entry.content_type,
                    "payload": entry.payload,
                }
                for number, entry in enumerate(entries, start=last_id + 1)
            ]
            connection.execute(insert(JOURNAL), rows)
        return last_id + len(entries)

    def _count(self, connection: Connection, more: Mapping[str, int]) -> None:
        if not more:
            return
        rows = connection.execute(select(COUNTS).where(COUNTS.c.reason.in_(list(more))))
        before = {row.reason: row.value for row in rows}
        upsert(connection, COUNTS, [{"reason": key, "value": before.get(key, 0) + n} for key, n in more.items()])

    def set_cursor(self, name: str, value: int) -> None:
        """Remember how far a reader has come."""
        with self._database.begin() as connection:
            write_cursors(connection, INGEST_CURSORS, {name: value})

    def prune(self, before_ns: int, max_bytes: int) -> int:
        """Remove the oldest projected entries that are too old or too many bytes; return how many (C20)."""
        with self._database.begin() as connection:
            projected = read_cursor(connection, INGEST_CURSORS, PROJECTED)
            surplus = _bytes_where(connection, JOURNAL.c.id > 0) - max_bytes
            size, old = func.length(JOURNAL.c.payload), []
            wanted = select(JOURNAL.c.id, JOURNAL.c.received_ns, size).where(JOURNAL.c.id <= projected)
            for number, received_ns, length in connection.execute(wanted.order_by(JOURNAL.c.id).limit(MAX_PRUNED)):
                if received_ns >= before_ns and surplus <= 0:
                    break
                old.append(number)
                surplus -= length
            if old:
                connection.execute(delete(JOURNAL).where(JOURNAL.c.id <= old[-1]))
            return len(old)

    # --- reading ------------------------------------------------------------------------------------

    def load_marks(self) -> dict[MarkKey, Mark]:
        """Return every mark, and judge the next commits by them."""
        with self._database.read() as connection:
            rows = connection.execute(select(MARKS))
            marks = [Mark(row.device, row.ob, row.stream, row.hi, _ranges(row.also)) for row in rows]
        self._known = {mark.key: mark for mark in marks}
        return dict(self._known)

    def entries_after(self, after_id: int, limit: int) -> list[JournalEntry]:
        """Return entries newer than a number, oldest first."""
        wanted = select(JOURNAL).where(JOURNAL.c.id > after_id).order_by(JOURNAL.c.id).limit(limit)
        with self._database.read() as connection:
            return [JournalEntry(*row) for row in connection.execute(wanted)]

    def last_entry_id(self) -> int:
        """Return the newest journal number, 0 for an empty journal."""
        with self._database.read() as connection:
            return connection.execute(select(func.max(JOURNAL.c.id))).scalar() or 0

    def cursor(self, name: str) -> int:
        """Return a cursor, 0 before it was first set."""
        with self._database.read() as connection:
            return read_cursor(connection, INGEST_CURSORS, name)

    def journal_bytes(self) -> tuple[int, int]:
        """Return the bytes of all payloads, and of those not yet projected."""
        with self._database.read() as connection:
            projected = read_cursor(connection, INGEST_CURSORS, PROJECTED)
            waiting = _bytes_where(connection, JOURNAL.c.id > projected)
            return _bytes_where(connection, JOURNAL.c.id <= projected) + waiting, waiting

    def dead_letters(self, after_id: int = 0, limit: int = MAX_DEAD_LETTERS) -> list[tuple[int, DeadLetter]]:
        """Return dead letters newer than a number, oldest first, with their numbers."""
        wanted = select(DEAD_LETTERS).where(DEAD_LETTERS.c.id > after_id).order_by(DEAD_LETTERS.c.id).limit(limit)
        with self._database.read() as connection:
            rows = [row._asdict() for row in connection.execute(wanted)]
        return [(row.pop("id"), DeadLetter(**row)) for row in rows]

    def counts(self) -> dict[str, int]:
        """Return how often each reason occurred."""
        with self._database.read() as connection:
            return {row.reason: row.value for row in connection.execute(select(COUNTS))}

    def reports(self) -> list[DeviceReport]:
        """Return what each device last said."""
        return load_reports(self._database)

    def has_release(self, device: str, window_start_ns: int) -> bool:
        """Tell whether the release of a (device, window) is stored."""
        return has_release(self._database, device, window_start_ns)

    def signal_states(self) -> dict[tuple[str, str], Signal]:
        """Return the newest safety signal of each (rule, subject)."""
        return newest_signals(self._database)


def _same_stream(key: MarkKey) -> ColumnElement[bool]:
    device, ob, stream = key
    return (MARKS.c.device == device) & (MARKS.c.ob == ob) & (MARKS.c.stream == stream)


def _mark_row(mark: Mark) -> dict[str, Any]:
    also = json.dumps(mark.also).encode()
    return {"device": mark.device, "ob": mark.ob, "stream": mark.stream, "hi": mark.hi, "also": also}


def _ranges(also: bytes) -> tuple[tuple[int, int], ...]:
    return tuple((first, last) for first, last in json.loads(bytes(also)))


def _bytes_where(connection: Connection, condition: ColumnElement[bool]) -> int:
    return connection.execute(select(func.sum(func.length(JOURNAL.c.payload))).where(condition)).scalar() or 0
