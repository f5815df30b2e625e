"""How this cabinet's two SQLite files are opened, and what their errors mean here."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edge.errors import StoreCorruptError, StoreError, StoreFullError, StoreTooNewError

_MEANING: Mapping[int, type[StoreError]] = {
    sqlite3.SQLITE_FULL: StoreFullError,
    sqlite3.SQLITE_IOERR: StoreFullError,  # EIO, or no room for a journal: nothing was written, try later
    sqlite3.SQLITE_READONLY: StoreFullError,
    sqlite3.SQLITE_CANTOPEN: StoreFullError,
    sqlite3.SQLITE_BUSY: StoreFullError,
    sqlite3.SQLITE_CORRUPT: StoreCorruptError,
    sqlite3.SQLITE_NOTADB: StoreCorruptError,
}
_PRIMARY = 0xFF  # the primary result code is the low byte of an extended one


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours; the text names the file and SQLite's reason, never a value."""
    try:
        yield
    except sqlite3.Error as exc:
        code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY
        raise _MEANING.get(code, StoreError)(f"{path.name}: {exc}") from exc


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Commit what happens inside, or nothing of it."""
    with translated(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.commit()  # a full disk often shows only here, and may leave the transaction open
        except BaseException:
            connection.rollback()
            raise


def open_database(path: Path, pragmas: Mapping[str, str], schema: str, version: int) -> sqlite3.Connection:
    """Open (or make) a file of this agent: the one connection that writes it.

    StoreTooNewError for a file of a newer program, StoreCorruptError for a damaged one, StoreError otherwise.
    """
    with translated(path):
        connection = sqlite3.connect(path, isolation_level=None, timeout=0.0)
    try:
        with translated(path):
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found > version:
                raise StoreTooNewError(f"{path.name} was written by a newer program (layout {found}, known {version})")
            for name, value in pragmas.items():
                connection.execute(f"PRAGMA {name}={value}")
            if connection.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                raise StoreCorruptError(f"{path.name} is damaged")
        if found == 0:
            with transaction(connection, path):
                for statement in schema.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version={version}")
    except BaseException:
        connection.close()
        raise
    path.chmod(0o600)
    return connection
