"""TimeSeriesStore on SQLite: a folder with one file a bucket. The embedded default (dependencies: none)."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contracts.query import BUCKETS, SeriesQuery
from stores.errors import StoreError, StoreUnavailableError
from stores.lease import file_identity
from stores.series.port import Series
from stores.series.sql import SERIES_OF_QUERY, check_function, compile_query
from stores.series.sqlite_file import BucketWriter, open_reader, translated

_Identity = tuple[int, int] | None


class SqliteSeries:
    """Reads every bucket of a folder; writes those it was told to, each under its own lease.

    WriterLockedError when another process writes one of them, SchemaTooNewError for a newer program's file.
    """

    def __init__(self, folder: Path, writes: frozenset[str] = frozenset()) -> None:
        self._folder = folder
        self._idle: dict[str, list[tuple[_Identity, sqlite3.Connection]]] = {}
        self._idle_lock = threading.Lock()
        self._closed = False
        self._writers: dict[str, BucketWriter] = {}
        if writes:
            _make(folder)
        try:
            for bucket in sorted(writes):
                self._writers[bucket] = BucketWriter(self._file(bucket))
        except StoreError:
            self.close()
            raise

    def _file(self, bucket: str) -> Path:
        if bucket not in BUCKETS:
            raise StoreError(f"no bucket of that name; there are {', '.join(BUCKETS)}")
        return self._folder / f"{bucket}.db"

    def write(self, bucket: str, lines: bytes) -> None:
        """As TimeSeriesStore; StoreError for a bucket that this instance does not write."""
        self._writer(bucket).write(lines)

    def _writer(self, bucket: str) -> BucketWriter:
        writer = self._writers.get(bucket)
        if writer is None:
            raise StoreError(f"this process does not write bucket {self._file(bucket).stem}")
        return writer

    def query(self, query: SeriesQuery) -> list[Series]:
        """As TimeSeriesStore."""
        file = self._file(query.bucket)
        self.health()
        if not file.exists():
            return []
        with self._reader(file) as connection:
            found = connection.execute(SERIES_OF_QUERY, (query.measurement, query.field)).fetchone()
            if found is None:
                return []
            check_function(query, found[0])
            statement = compile_query(query)
            rows = connection.execute(statement.sql, statement.parameters)
            truths = found[0] == "bool" and query.function != "count"
            return _series(query.group_by, rows, truths=truths)

    @contextmanager
    def _reader(self, file: Path) -> Iterator[sqlite3.Connection]:
        with translated(file):
            identity = file_identity(file)
            connection = self._take_idle(file.name, identity) or open_reader(file)
            try:
                yield connection
            finally:
                with self._idle_lock:
                    if self._closed:
                        connection.close()
                    else:
                        self._idle.setdefault(file.name, []).append((identity, connection))

    def _take_idle(self, name: str, identity: _Identity) -> sqlite3.Connection | None:
        """Return a connection that nobody uses; those to a file that was replaced are closed."""
        with self._idle_lock:
            idle = self._idle.get(name, [])
            while idle:
                opened, connection = idle.pop()
                if opened == identity:
                    return connection
                connection.close()
        return None

    def delete_before(self, bucket: str, ns: int) -> None:
        """As TimeSeriesStore; StoreError for a bucket that this instance does not write."""
        self._writer(bucket).delete_before(ns)

    def health(self) -> None:
        """As TimeSeriesStore: the folder is there."""
        if not self._folder.is_dir():
            raise StoreUnavailableError(f"{self._folder} does not exist (yet): its writers make it when they start")

    def close(self) -> None:
        """As TimeSeriesStore."""
        with self._idle_lock:
            self._closed = True
            for connections in self._idle.values():
                while connections:
                    connections.pop()[1].close()
        for writer in self._writers.values():
            writer.close()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise StoreUnavailableError(f"cannot make {folder}: {exc.strerror}") from exc


def _series(group_by: tuple[str, ...], rows: sqlite3.Cursor, *, truths: bool) -> list[Series]:
    answer: list[Series] = []
    last: tuple[str, ...] | None = None
    for *group, at, value in rows:
        key = tuple(group)
        if key != last:
            answer.append(Series(dict(zip(group_by, key, strict=True)), [], []))
            last = key
        answer[-1].times_ns.append(at)
        answer[-1].values.append(bool(value) if truths else value)
    return answer
