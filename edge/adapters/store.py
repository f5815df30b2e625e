"""The outbox: every record durable before anything is acknowledged, kept until the gateway has judged it.

SQLite, WAL, synchronous FULL, one connection for everything. An outbox row is one record's encoded bytes. The id `ob`
is random and lives in this file, so a replaced disk can never look like a duplicate (C9). Not for counters or visits:
a WAL keeps old pages (DESIGN section 7).
"""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from contracts.messages import MAX_ID
from contracts.topics import STREAMS
from edge.adapters.sqlite import open_database, transaction, translated
from edge.core.outbox import MAX_RECORD_BYTES, ROW_OVERHEAD_BYTES, RULES, bytes_to_free, fill_pct, row_bytes
from edge.core.ranges import Range
from edge.errors import RecordError, StoreCorruptError, StoreFullError
from edge.store_ports import Appended, NewRecord, Row, Thinned

_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE meta (ob INTEGER NOT NULL, boot INTEGER NOT NULL) STRICT;
CREATE TABLE streams (
    stream TEXT PRIMARY KEY, next_seq INTEGER NOT NULL, held_bytes INTEGER NOT NULL,
    last_start INTEGER NOT NULL, thinned INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE records (
    stream TEXT NOT NULL, seq INTEGER NOT NULL, start INTEGER, committed_ns INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (stream, seq)
) STRICT, WITHOUT ROWID
"""
_PRAGMAS: Final = {
    "journal_mode": "WAL",
    "synchronous": "FULL",
    "wal_autocheckpoint": "500",
    "journal_size_limit": "4194304",
    "cache_size": "-2048",
    "temp_store": "MEMORY",
}
_NEVER: Final = -1  # no frame was taken yet


class OutboxStore:
    """Implements edge.store_ports.Outbox."""

    def __init__(self, path: Path, *, budgets: Mapping[str, int] | None = None) -> None:
        self._path = path
        self._budgets = budgets or {stream: RULES[stream].budget_bytes for stream in STREAMS}
        self._connection = open_database(path, _PRAGMAS, _SCHEMA, _VERSION)
        with transaction(self._connection, path):
            self._ob, self._boot = self._begin()
        with translated(path):
            rows = self._connection.execute("SELECT stream, next_seq, held_bytes, thinned FROM streams")
            known: list[tuple[str, int, int, int]] = rows.fetchall()
        self._next_seq = {stream: seq for stream, seq, _, _ in known}
        self._held_bytes = {stream: held for stream, _, held, _ in known}
        self._thinned = sum(thinned for _, _, _, thinned in known)

    @property
    def ob(self) -> int:
        """The id made with this file."""
        return self._ob

    @property
    def boot(self) -> int:
        """How often it was opened."""
        return self._boot

    @property
    def thinned_records(self) -> int:
        """How many records were given up in this file's life."""
        return self._thinned

    def next_seq(self) -> Mapping[str, int]:
        """Return every stream's next seq."""
        return dict(self._next_seq)

    def fill_pct(self) -> float:
        """Return how full the fullest stream is."""
        return fill_pct(self._held_bytes, self._budgets)

    def append(self, records: Sequence[NewRecord], now_ns: int) -> Appended:
        """Make records durable in one commit; StoreFullError, and nothing of it, when a kept-for-ever class is full."""
        if any(len(record.body) > MAX_RECORD_BYTES for record in records):
            raise RecordError(f"a record has at most {MAX_RECORD_BYTES} bytes")
        next_seq, held_bytes = dict(self._next_seq), dict(self._held_bytes)
        added: list[tuple[str, int]] = []
        thinned: list[Thinned] = []
        with transaction(self._connection, self._path):
            for record in records:
                if record.start is not None and not self._take_start(record.stream, record.start):
                    continue
                given_up = self._make_room(record, held_bytes)
                thinned += given_up
                seq = next_seq[record.stream]
                self._connection.execute(
                    "INSERT INTO records VALUES (?, ?, ?, ?, ?)",
                    (record.stream, seq, record.start, now_ns, record.body),
                )
                next_seq[record.stream] = seq + 1
                held_bytes[record.stream] += row_bytes(record.body)
                added.append((record.stream, seq))
            for stream in {record.stream for record in records}:
                self._connection.execute(
                    "UPDATE streams SET next_seq = ?, held_bytes = ? WHERE stream = ?",
                    (next_seq[stream], held_bytes[stream], stream),
                )
        self._next_seq, self._held_bytes = next_seq, held_bytes
        self._thinned += sum(one.n for one in thinned)
        return Appended(tuple(added), tuple(thinned))

    def rows(self, stream: str, first: int, n: int) -> list[Row]:
        """Return up to n rows from a seq on."""
        with translated(self._path):
            found = self._connection.execute(
                "SELECT seq, start, committed_ns, body FROM records WHERE stream = ? AND seq >= ? ORDER BY seq LIMIT ?",
                (stream, first, n),
            )
            return [Row(*row) for row in found]

    def delete(self, stream: str, ranges: Sequence[Range]) -> None:
        """Delete acknowledged records, in one commit."""
        freed = 0
        with transaction(self._connection, self._path):
            for first, last in ranges:
                freed += self._delete_range(stream, first, last)
            self._connection.execute("UPDATE streams SET held_bytes = held_bytes - ? WHERE stream = ?", (freed, stream))
        self._held_bytes[stream] -= freed

    def last_start(self, stream: str) -> int | None:
        """Return the newest window start (s) or tick a stream of frames took; None before the first."""
        with translated(self._path):
            row = self._connection.execute("SELECT last_start FROM streams WHERE stream = ?", (stream,)).fetchone()
        return None if row is None or row[0] == _NEVER else int(row[0])

    def held(self) -> Mapping[str, list[Range]]:
        """Return what every stream holds, as ranges; reads every key once."""
        found: dict[str, list[Range]] = {stream: [] for stream in STREAMS}
        with translated(self._path):
            for stream, seq in self._connection.execute("SELECT stream, seq FROM records ORDER BY stream, seq"):
                ranges = found[stream]
                if ranges and ranges[-1][1] == seq - 1:
                    ranges[-1] = (ranges[-1][0], seq)
                else:
                    ranges.append((seq, seq))
        return found

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _begin(self) -> tuple[int, int]:
        row = self._connection.execute("SELECT ob, boot FROM meta").fetchone()
        ob, boot = row or (secrets.randbelow(MAX_ID) + 1, 0)
        if row is None:
            self._connection.execute("INSERT INTO meta VALUES (?, 0)", (ob,))
        self._connection.execute("UPDATE meta SET boot = ?", (boot + 1,))
        for stream in STREAMS:
            self._connection.execute("INSERT OR IGNORE INTO streams VALUES (?, 1, 0, ?, 0)", (stream, _NEVER))
        return ob, boot + 1

    def _take_start(self, stream: str, start: int) -> bool:
        """Move the stream's newest window start or tick on; False when this one is not later (C23)."""
        moved = self._connection.execute(
            "UPDATE streams SET last_start = ? WHERE stream = ? AND last_start < ?", (start, stream, start)
        )
        return moved.rowcount == 1

    def _make_room(self, record: NewRecord, held_bytes: dict[str, int]) -> list[Thinned]:
        stream = record.stream
        excess = bytes_to_free(held_bytes[stream], row_bytes(record.body), self._budgets[stream])
        if excess == 0:
            return []
        if not RULES[stream].thinned:
            raise StoreFullError(f"the outbox has no room for another record of {stream}")
        first = last = None
        freed = n = 0
        oldest = self._connection.execute(
            "SELECT seq, length(body) FROM records WHERE stream = ? ORDER BY seq", (stream,)
        )
        for seq, size in oldest:
            if freed >= excess:
                break
            first, last = seq if first is None else first, seq
            freed += size + ROW_OVERHEAD_BYTES
            n += 1
        if first is None or last is None:
            return []
        self._delete_range(stream, first, last)
        held_bytes[stream] -= freed
        self._connection.execute("UPDATE streams SET thinned = thinned + ? WHERE stream = ?", (n, stream))
        return [Thinned(stream, first, last, n)]

    def _delete_range(self, stream: str, first: int, last: int) -> int:
        where = "stream = ? AND seq BETWEEN ? AND ?"
        (bodies, n) = self._connection.execute(
            f"SELECT COALESCE(SUM(length(body)), 0), COUNT(*) FROM records WHERE {where}",  # noqa: S608 -- constant
            (stream, first, last),
        ).fetchone()
        self._connection.execute(f"DELETE FROM records WHERE {where}", (stream, first, last))  # noqa: S608 -- constant
        return int(bodies) + int(n) * ROW_OVERHEAD_BYTES


def open_outbox(path: Path) -> tuple[OutboxStore, bool]:
    """Open the outbox; a damaged file is put aside under another name and a new one begun (True).

    What was readable stays in the file that was put aside, for a technician; the new file's `ob` keeps the two apart.
    """
    try:
        return OutboxStore(path), False
    except StoreCorruptError:
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(part.with_name(f"{path.stem}.damaged-{secrets.token_hex(4)}{path.suffix}{suffix}"))
        return OutboxStore(path), True
