"""One bucket's SQLite file and its only writer. SQL of the query side is in `sql`.

A series is one field of one set of tags; a point is (series, time, value), stored in the order of the primary key,
so that a chart of a device reads neighbouring pages. Exactly one connection writes a file, under its lease, and
alone checkpoints it; every other opens `mode=ro` (SQLite before 3.51.3 can damage a WAL file that two connections
write or checkpoint at once: sqlite.org/wal.html#walresetbug). synchronous=FULL: `write` returns after the fsync.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

from stores.errors import (
    LineError,
    LinesRefusedError,
    SchemaTooNewError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from stores.lease import FileLease
from stores.series import lines
from stores.series.lines import Value
from stores.series.sql import FieldType

SCHEMA_VERSION: Final = 1
BUSY_TIMEOUT_S: Final = 5.0
_DELETE_BATCH: Final = 20_000  # points a transaction, so that a large clean-up never holds up a write for long
_MAX_HEADS: Final = 100_000  # known heads kept in memory; a district has thousands of series

_SCHEMA = """
CREATE TABLE field (measurement TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL
    CHECK (type IN ('float', 'int', 'str', 'bool')), PRIMARY KEY (measurement, name)) STRICT, WITHOUT ROWID;
CREATE TABLE series (sid INTEGER PRIMARY KEY, measurement TEXT NOT NULL, field TEXT NOT NULL, head TEXT NOT NULL,
    tags TEXT NOT NULL, UNIQUE (measurement, field, head)) STRICT;
CREATE TABLE point (sid INTEGER NOT NULL, ts INTEGER NOT NULL, value ANY NOT NULL, PRIMARY KEY (sid, ts))
    STRICT, WITHOUT ROWID;
"""
_INSERT_POINT = "INSERT INTO point (sid, ts, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
_TYPES: Final[dict[type, FieldType]] = {float: "float", int: "int", str: "str", bool: "bool"}
_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_TOOBIG})
_UNAVAILABLE = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY}
)
_PRIMARY_CODE = 0xFF  # an extended result code keeps the primary one in its low byte


@contextmanager
def translated(file: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours; they name the file and the kind of trouble, never a value."""
    try:
        yield
    except sqlite3.Error as exc:
        code = getattr(exc, "sqlite_errorcode", 0) & _PRIMARY_CODE
        name = getattr(exc, "sqlite_errorname", type(exc).__name__)
        if code in _FULL:
            raise StoreFullError(f"{file}: no room left ({name})") from exc
        if code in _UNAVAILABLE:
            raise StoreUnavailableError(f"{file}: cannot be used now ({name})") from exc
        raise StoreError(f"{file}: {name}; restore it from a backup if it is damaged") from exc


def open_reader(file: Path) -> sqlite3.Connection:
    """Return a connection that can neither write nor checkpoint."""
    connection = sqlite3.connect(
        f"{file.absolute().as_uri()}?mode=ro",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )
    _check_version(connection, file)
    return connection


def _check_version(connection: sqlite3.Connection, file: Path) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        connection.close()
        raise SchemaTooNewError(f"{file} was written by a newer kioskwatch: update this one")
    return cast("int", version)


class BucketWriter:
    """Holds the lease and the one writing connection of a file; its methods may be called from any thread."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._lease = FileLease(file)
        try:
            with translated(file):
                self._connection = _open(file)
        except StoreError:
            self._lease.release()
            raise
        self._types: dict[tuple[str, str], FieldType] = {}
        self._series: dict[str, dict[str, int]] = {}  # head -> field -> sid
        self._load()

    def _load(self) -> None:
        with translated(self._file):
            for measurement, name, kind in self._connection.execute("SELECT measurement, name, type FROM field"):
                self._types[measurement, name] = kind
            for head, field, sid in self._connection.execute("SELECT head, field, sid FROM series"):
                self._series.setdefault(head, {})[field] = sid

    def write(self, body: bytes) -> None:
        """Store the lines that can be; LinesRefusedError names the others, after the commit."""
        with self._lock:
            bad: list[tuple[int, str]] = []
            with self._transaction():
                points = list(self._points(body, bad))
                self._connection.executemany(_INSERT_POINT, points)
        if bad:
            raise LinesRefusedError(bad)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with translated(self._file):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                self._types.clear()  # ids made in the lost transaction must not be used again
                self._series.clear()
                self._load()
                raise

    def _points(self, body: bytes, bad: list[tuple[int, str]]) -> Iterator[tuple[int, int, Value]]:
        for index, line in enumerate(body.split(b"\n")):
            if not line:
                continue
            try:
                head, text, ts_ns = lines.split(line)
                fields = lines.parse_fields(text)
                sids = self._sids(head, fields)
            except LineError as exc:
                bad.append((index, str(exc)))
                continue
            for name, value in fields.items():
                yield sids[name], ts_ns, value

    def _sids(self, head: str, fields: dict[str, Value]) -> dict[str, int]:
        """Return the ids of this head's series, made where they are new; LineError on a field of another type."""
        known = self._series.get(head)
        measurement = head.partition(",")[0]
        for name, value in fields.items():
            kind = self._types.get((measurement, name))
            if kind is not None and kind != _TYPES[type(value)]:
                raise LineError(f"field {name} of {measurement} is {kind}, not {_TYPES[type(value)]}")
        if known is None or not fields.keys() <= known.keys():
            known = self._new_series(head, fields)
        return known

    def _new_series(self, head: str, fields: dict[str, Value]) -> dict[str, int]:
        measurement, tags = lines.parse_head(head)
        canonical = lines.escaped_head(measurement, tags).decode()
        if len(self._series) > _MAX_HEADS:
            self._series.clear()
        sids = self._series.setdefault(canonical, {})
        for name, value in fields.items():
            self._connection.execute(
                "INSERT INTO field (measurement, name, type) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (measurement, name, _TYPES[type(value)]),
            )
            self._types.setdefault((measurement, name), _TYPES[type(value)])
            sids[name] = self._sid(measurement, name, canonical, tags)
        self._series[head] = sids
        return sids

    def _sid(self, measurement: str, field: str, head: str, tags: dict[str, str]) -> int:
        key = (measurement, field, head)
        self._connection.execute(
            "INSERT INTO series (measurement, field, head, tags) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (*key, json.dumps(tags, sort_keys=True)),
        )
        found = self._connection.execute("SELECT sid FROM series WHERE (measurement, field, head) = (?, ?, ?)", key)
        (sid,) = found.fetchone()
        return cast("int", sid)

    def delete_before(self, ns: int) -> None:
        """Forget every point older than `ns`, a bounded number a transaction."""
        with translated(self._file):
            sids = [sid for (sid,) in self._connection.execute("SELECT sid FROM series").fetchall()]
        for sid in sids:
            while self._delete_some(sid, ns) == _DELETE_BATCH:
                continue

    def _delete_some(self, sid: int, ns: int) -> int:
        with self._lock, self._transaction():
            old = "SELECT ts FROM point WHERE sid = ? AND ts < ? ORDER BY ts LIMIT ?"
            done = self._connection.execute(
                f"DELETE FROM point WHERE sid = ? AND ts IN ({old})", (sid, sid, ns, _DELETE_BATCH)
            )
            return done.rowcount

    def close(self) -> None:
        """Checkpoint and let go of the file."""
        with self._lock:
            self._connection.close()
            self._lease.release()


def _open(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    version = _check_version(connection, file)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    if version == 0:
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    return connection
