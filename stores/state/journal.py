"""The state of ingest: journal, dedupe marks, dead letters, and all that is committed with them in one transaction.

The commit of an `IngestBatch` is the durable write of the whole system (contract rule C16). Several ingests may share a
PostgreSQL: their commits take turns, and a batch judged by marks that another has moved since is a ConflictError.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, delete, func, select, tuple_

from contracts.rows import DeviceReport, Mark, MarkKey, ReleaseRow
from contracts.signals import Signal
from stores.errors import ConflictError
from stores.state.cursors import read_cursor, write_cursors
from stores.state.database import Database, take_turn
from stores.state.dead_letters import (
    MAX_KEPT,
    MAX_READ,
    DeadLetter,
    add_letters,
    forget_letters,
    load_letters,
    prune_letters,
    remove_letters,
)
from stores.state.releases import append_releases, has_release
from stores.state.reports import load_reports, save_reports
from stores.state.rows import upsert
from stores.state.signals import add_signals, newest_signals
from stores.state.tables import COUNTS, INGEST_CURSORS, JOURNAL, MARKS

PROJECTED: Final = "series"  # the cursor of the projection to the series store
MAX_PRUNED: Final = 10_000  # rows a call, so that a clean-up never holds up a batch for long
_CONTENDED: Final = "postgresql"
_PLACEHOLDER: Final = {"sqlite": "?", "postgresql": "%s"}
_BACKWARDS: Final = 500  # rows a read


class JournalEntry(NamedTuple):
    """Records `seq + skip` … `seq + skip + n - 1` of one message, whose payload is as it was on the wire.

    Kind, site, zone and whether it is restricted are the device's when it was received. The fields are the table's
    columns in their order.
    """

    id: int
    device: str
    kind: str
    site: str
    zone: str
    restricted: bool
    ob: int
    stream: str
    seq: int
    n: int
    skip: int
    received_ns: int
    content_type: str
    payload: bytes


_COLUMNS: Final = tuple(JOURNAL.c[name] for name in JournalEntry._fields)


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


class _End(NamedTuple):
    """The journal's newest number and its bytes since it began."""

    id: int
    bytes: int


class IngestState:
    """One door to the state of ingest: `commit` for its writer, the rest for readers too."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[MarkKey, Mark] = {}  # marks as last seen in the store
        self._end: _End | None = None

    # --- writing ------------------------------------------------------------------------------------

    def commit(self, batch: IngestBatch) -> int:
        """Make a batch durable, whole or not at all; return the newest journal number.

        ConflictError: another ingest judged records of these streams first, or a release exists; nothing is stored.
        """
        with self._database.begin() as connection:
            take_turn(connection, "ingest")
            self._check_marks(connection, batch.marks)
            end = self._append(connection, batch.entries)
            upsert(connection, MARKS, [_mark_row(mark) for mark in batch.marks])
            add_letters(connection, batch.dead_letters)
            append_releases(connection, batch.releases)
            add_signals(connection, "ingest", batch.signals)
            save_reports(connection, batch.reports)
            _count(connection, batch.counts)
            write_cursors(connection, INGEST_CURSORS, dict(batch.cursors))
            remove_letters(connection, batch.redriven)
        self._known.update((mark.key, mark) for mark in batch.marks)
        self._end = end
        return end.id

    def _check_marks(self, connection: Connection, marks: Sequence[Mark]) -> None:
        """On a server that several ingests share: every mark is still as this one last saw it."""
        if connection.dialect.name != _CONTENDED or not marks:
            return
        keys = [mark.key for mark in marks]
        same = tuple_(MARKS.c.device, MARKS.c.ob, MARKS.c.stream).in_(keys)
        now = {mark.key: mark for mark in _marks(connection, select(MARKS).where(same))}
        if any(now.get(key) != self._known.get(key) for key in keys):
            raise ConflictError("another ingest judged records of the same stream")

    def _append(self, connection: Connection, entries: Sequence[JournalEntry]) -> _End:
        end = self._end
        if end is None or connection.dialect.name == _CONTENDED:
            end = _end_of(connection)
        if not entries:
            return end
        rows, size_bytes = [], end.bytes
        for number, entry in enumerate(entries, start=end.id + 1):
            size_bytes += len(entry.payload)
            rows.append((number, *entry[1:], size_bytes))
        connection.exec_driver_sql(_insert(connection), rows)
        return _End(end.id + len(entries), size_bytes)

    def set_cursor(self, name: str, value: int) -> None:
        """Remember how far a reader has come."""
        with self._database.begin() as connection:
            write_cursors(connection, INGEST_CURSORS, {name: value})

    def prune(self, before_ns: int, max_bytes: int) -> int:
        """Remove the oldest projected entries that are too old or too many bytes; return how many (C20)."""
        with self._database.begin() as connection:
            before_bytes, end = _start_bytes(connection), _end_of(connection)
            oldest = select(JOURNAL.c.id, JOURNAL.c.received_ns, JOURNAL.c.end_bytes).order_by(JOURNAL.c.id)
            projected = JOURNAL.c.id <= read_cursor(connection, INGEST_CURSORS, PROJECTED)
            gone = last = 0
            with connection.execute(oldest.where(projected).limit(MAX_PRUNED)).yield_per(_BACKWARDS) as rows:
                for number, received_ns, end_bytes in rows:
                    if received_ns >= before_ns and end.bytes - before_bytes <= max_bytes:
                        break
                    gone, last, before_bytes = gone + 1, number, end_bytes
            connection.execute(delete(JOURNAL).where(JOURNAL.c.id <= last))
            return gone

    def prune_letters(self, before_ns: int, most: int = MAX_KEPT) -> int:
        """Remove dead letters that are too old or too many; return how many, which is counted as well."""
        with self._database.begin() as connection:
            gone = prune_letters(connection, before_ns, most)
            _count(connection, {"letters_expired": gone} if gone else {})
            return gone

    def forget_letters(self, reason: str) -> None:
        """Remove every dead letter of a reason: what it stands for is about to be judged anew."""
        with self._database.begin() as connection:
            forget_letters(connection, reason)

    # --- reading ------------------------------------------------------------------------------------

    def load_marks(self) -> dict[MarkKey, Mark]:
        """Return every mark, and judge the next commits by them."""
        with self._database.read() as connection:
            self._known = {mark.key: mark for mark in _marks(connection, select(MARKS))}
        return dict(self._known)

    def entries_after(self, after_id: int, limit: int) -> list[JournalEntry]:
        """Return entries newer than a number, oldest first."""
        wanted = select(*_COLUMNS).where(JOURNAL.c.id > after_id).order_by(JOURNAL.c.id).limit(limit)
        with self._database.read() as connection:
            return [JournalEntry(*row) for row in connection.execute(wanted)]

    def newest_first(self, stream: str) -> Iterator[JournalEntry]:
        """Give the entries of a stream, the newest first."""
        below = None
        while True:
            wanted = select(*_COLUMNS).where(JOURNAL.c.stream == stream).order_by(JOURNAL.c.id.desc())
            with self._database.read() as connection:
                limited = (wanted if below is None else wanted.where(JOURNAL.c.id < below)).limit(_BACKWARDS)
                entries = [JournalEntry(*row) for row in connection.execute(limited)]
            yield from entries
            if len(entries) < _BACKWARDS:
                return
            below = entries[-1].id

    def last_entry_id(self) -> int:
        """Return the newest journal number, 0 for an empty journal."""
        with self._database.read() as connection:
            return connection.execute(select(func.max(JOURNAL.c.id))).scalar() or 0

    def cursor(self, name: str) -> int:
        """Return a cursor, 0 before it was first set."""
        with self._database.read() as connection:
            return read_cursor(connection, INGEST_CURSORS, name)

    def journal_bytes(self) -> tuple[int, int]:
        """Return the bytes of all payloads, and of those not yet projected; no scan, whatever the journal's size."""
        with self._database.read() as connection:
            end_bytes, start_bytes = _end_of(connection).bytes, _start_bytes(connection)
            projected = JOURNAL.c.id <= read_cursor(connection, INGEST_CURSORS, PROJECTED)
            done = select(JOURNAL.c.end_bytes).where(projected).order_by(JOURNAL.c.id.desc()).limit(1)
            done_bytes = connection.execute(done).scalar()
            return end_bytes - start_bytes, end_bytes - (start_bytes if done_bytes is None else done_bytes)

    def dead_letters(self, after_id: int = 0, limit: int = MAX_READ) -> list[tuple[int, DeadLetter]]:
        """Return dead letters newer than a number, oldest first, with their numbers."""
        return load_letters(self._database, after_id, limit)

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


def _insert(connection: Connection) -> str:
    """Return plain SQL: rows of a hot path, a third of what the expression language costs."""
    names = [*JournalEntry._fields, "end_bytes"]
    places = ", ".join([_PLACEHOLDER[connection.dialect.name]] * len(names))
    return f"INSERT INTO journal ({', '.join(names)}) VALUES ({places})"  # noqa: S608 -- names of our own columns


def _end_of(connection: Connection) -> _End:
    newest = connection.execute(
        select(JOURNAL.c.id, JOURNAL.c.end_bytes).order_by(JOURNAL.c.id.desc()).limit(1)
    ).first()
    if newest is None:  # never written, or pruned to the last row: numbers go on
        return _End(read_cursor(connection, INGEST_CURSORS, PROJECTED), 0)
    return _End(newest.id, newest.end_bytes)


def _start_bytes(connection: Connection) -> int:
    """Return what `end_bytes` was in front of the oldest row."""
    before = JOURNAL.c.end_bytes - func.length(JOURNAL.c.payload)
    return connection.execute(select(before).order_by(JOURNAL.c.id).limit(1)).scalar() or 0


def _count(connection: Connection, more: Mapping[str, int]) -> None:
    if not more:
        return
    rows = connection.execute(select(COUNTS).where(COUNTS.c.reason.in_(list(more))))
    before = {row.reason: row.value for row in rows}
    upsert(connection, COUNTS, [{"reason": key, "value": before.get(key, 0) + n} for key, n in more.items()])


def _marks(connection: Connection, wanted: Select[Any]) -> Iterator[Mark]:
    for row in connection.execute(wanted):
        also = tuple((first, last) for first, last in json.loads(bytes(row.also)))
        yield Mark(row.device, row.ob, row.stream, row.hi, also)


def _mark_row(mark: Mark) -> dict[str, Any]:
    also = json.dumps(mark.also).encode()
    return {"device": mark.device, "ob": mark.ob, "stream": mark.stream, "hi": mark.hi, "also": also}
