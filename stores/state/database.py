"""The door to a state: one SQLite file or one PostgreSQL schema for each owner, one writer, any number of readers.

`spec` is "sqlite:FOLDER" or "postgresql+psycopg://…". The writer holds a lease for as long as it has the database open:
an flock beside the file, or an advisory lock that the writing connection itself holds, so that a server that went away
and came back is written only by who gets the lock anew. It migrates the schema (a SQLite file after a copy of it) and
is the only one that checkpoints; its transactions take turns. Readers cannot write, and what they read between two
commits is one state. `cohorts` forgets: what is deleted there is overwritten, and nothing keeps a copy of it.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from stores.errors import (
    ConflictError,
    SpecError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
    WriterLockedError,
)
from stores.lease import FileLease, file_identity
from stores.state.migrations.runner import migrate

Owner = Literal["ingest", "analyse", "backend", "cohorts"]  # their locks are numbered: a new one comes last
OWNERS: Final[tuple[Owner, ...]] = ("ingest", "analyse", "backend", "cohorts")
Transaction = Connection

BUSY_TIMEOUT_S: Final = 5.0
LEASE_WAIT_S: Final = 1.0
_LEASE_POLL_S: Final = 0.05
_READERS: Final = 8
# One lock number an owner, in a class of its own so that no other use of the server meets it.
_LOCK_CLASS: Final = 0x6B77  # "kw"
_LOCKS: Final[dict[Owner, int]] = {owner: number for number, owner in enumerate(OWNERS, start=1)}
_LASTING: Final = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")
# No WAL, in which deleted pages would live on, and no copy before an update: nothing expires in a copy.
_FORGETTING: Final = ("journal_mode = TRUNCATE", "secure_delete = ON", "temp_store = MEMORY", "synchronous = FULL")
_FORGETFUL: Final[frozenset[Owner]] = frozenset({"cohorts"})
_PRIMARY_CODE: Final = 0xFF  # an extended SQLite result code keeps the primary one in its low byte
_FULL: Final = frozenset({sqlite3.SQLITE_FULL})
_UNAVAILABLE: Final = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY}
)
# Any other constraint is a defect, and no retry mends it.
_CONFLICT: Final = frozenset({"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"})
_PG_FULL: Final = ("53100",)
_PG_CONFLICT: Final = ("23505", "40001", "40P01")


class Database:
    """An open state; made by `open_for_writing` and `open_for_reading`, closed by its opener."""

    def __init__(
        self,
        owner: Owner,
        readers: Engine,
        writer: Engine | None = None,
        lease: FileLease | None = None,
    ) -> None:
        self.owner = owner
        self._readers = readers
        self._writer = writer
        self._lease = lease

    @property
    def dialect(self) -> str:
        """What it runs on: sqlite or postgresql."""
        return self._readers.dialect.name

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """Open a transaction that is durable when the block ends, and undone when it raises."""
        if self._writer is None:
            raise StoreError(f"this process only reads the state of {self.owner}")
        with translated(self.owner), self._writer.begin() as transaction:
            yield transaction

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a view of what was last committed."""
        with translated(self.owner), self._readers.connect() as connection:
            yield connection

    def close(self) -> None:
        """Let go of every connection and of the lease."""
        self._readers.dispose()
        if self._writer is not None:
            self._writer.dispose()
        if self._lease is not None:
            self._lease.release()

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def take_turn(connection: Connection, owner: Owner) -> None:
    """Wait until no other transaction of this owner's writers is under way (SQLite's take turns by themselves)."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock_class, -:lock)"), _lock(owner))


def _lock(owner: Owner) -> dict[str, int]:
    return {"lock_class": _LOCK_CLASS, "lock": _LOCKS[owner]}


def open_for_writing(spec: str, owner: Owner, *, shared: bool = False) -> Database:
    """Open a state as its only writer, with the newest schema; `shared` (PostgreSQL only) admits more like this one.

    WriterLockedError, SchemaTooNewError and SpecError stop the start; StoreUnavailableError may pass.
    """
    folder = _sqlite_folder(spec)
    if folder is None:
        return _open_server(spec, owner, shared=shared)
    if shared:
        raise SpecError("several writers need PostgreSQL; SQLite has one")
    return _open_file(folder, owner)


def open_for_reading(spec: str, owner: Owner) -> Database:
    """Open another owner's state; StoreUnavailableError while it does not exist yet."""
    folder = _sqlite_folder(spec)
    if folder is not None:
        file = folder / f"{owner}.db"
        if not file.is_file():
            raise StoreUnavailableError(f"{file} does not exist (yet): its writer makes it when it starts")
        return Database(owner, _file_readers(file))
    database = Database(owner, _server_readers(spec, owner))
    try:
        with database.read() as connection:
            known = text("SELECT 1 FROM information_schema.schemata WHERE schema_name = :name")
            if connection.execute(known, {"name": owner}).scalar() is None:
                raise StoreUnavailableError(
                    f"the schema {owner} does not exist (yet): its writer makes it when it starts"
                )
    except StoreError:
        database.close()
        raise
    return database


def state_file(spec: str, owner: Owner) -> Path | None:
    """Return where a SQLite state lies; None for PostgreSQL."""
    folder = _sqlite_folder(spec)
    return None if folder is None else folder / f"{owner}.db"


def _sqlite_folder(spec: str) -> Path | None:
    kind, _, place = spec.partition(":")
    if kind == "sqlite" and place:
        return Path(place)
    if kind == "postgresql+psycopg" and place:
        return None
    raise SpecError("state is sqlite:FOLDER or postgresql+psycopg://USER@HOST/DATABASE")


# --- SQLite -----------------------------------------------------------------------------------------


def _open_file(folder: Path, owner: Owner) -> Database:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StoreUnavailableError(f"cannot make the folder {folder}: {exc.strerror}") from exc
    file = folder / f"{owner}.db"
    lease = FileLease(file)
    writer = _file_writer(file, _FORGETTING if owner in _FORGETFUL else _LASTING)
    try:
        with translated(owner):
            migrate(writer, owner, file=None if owner in _FORGETFUL else file)
    except StoreError:
        writer.dispose()
        lease.release()
        raise
    return Database(owner, _file_readers(file), writer, lease)


def _file_writer(file: Path, pragmas: tuple[str, ...]) -> Engine:
    engine = create_engine(
        f"sqlite:///{file}",
        hide_parameters=True,
        poolclass=QueuePool,
        pool_size=1,  # one connection: transactions of several threads take turns at the pool
        max_overflow=0,
        pool_timeout=60,
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 -- a DBAPI connection
        connection.isolation_level = None  # BEGIN is ours, see below: pysqlite's own would come too late
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _file_readers(file: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///file:{quote(str(file.absolute()))}?mode=ro&uri=true",
        hide_parameters=True,
        poolclass=QueuePool,
        pool_size=_READERS,
        max_overflow=_READERS,
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: Any) -> None:  # noqa: ANN401 -- a DBAPI connection
        connection.isolation_level = None
        record.info["file"] = file_identity(file)

    @event.listens_for(engine, "checkout")
    def _look(_connection: object, record: Any, _proxy: object) -> None:  # noqa: ANN401 -- SQLAlchemy's own
        if record.info["file"] != file_identity(file):
            raise DisconnectionError("the file was replaced")  # the pool opens the new one

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")  # pysqlite would let each SELECT see a state of its own

    return engine


# --- PostgreSQL ---------------------------------------------------------------------------------------


def _open_server(spec: str, owner: Owner, *, shared: bool) -> Database:
    writer = _server_writer(spec, owner, shared=shared)
    try:
        with translated(owner), writer.begin() as connection:
            take_turn(connection, owner)  # two first starts of a shared owner would both make the schema
            connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{owner}"'))
            migrate(connection, owner)
    except StoreError:
        writer.dispose()
        raise
    return Database(owner, _server_readers(spec, owner), writer)


def _server_writer(spec: str, owner: Owner, *, shared: bool) -> Engine:
    engine = create_engine(
        spec,
        hide_parameters=True,
        pool_size=1,  # one connection, as with a file: it is the lease too
        max_overflow=0,
        pool_timeout=60,
        pool_pre_ping=True,
        connect_args={"options": f"-csearch_path={owner}", "connect_timeout": int(BUSY_TIMEOUT_S)},
    )
    take = "pg_try_advisory_lock_shared" if shared else "pg_try_advisory_lock"

    @event.listens_for(engine, "connect")
    def _take_lease(connection: Any, _record: object) -> None:  # noqa: ANN401 -- a DBAPI connection
        try:
            _hold(connection, f"SELECT {take}({_LOCK_CLASS}, {_LOCKS[owner]})", owner)
        except BaseException:
            connection.close()
            raise

    return engine


def _hold(connection: Any, take: str, owner: Owner) -> None:  # noqa: ANN401 -- a DBAPI connection
    """Take the lock for this connection's life; the server may need a moment to see that a killed holder is gone."""
    deadline_s = time.monotonic() + LEASE_WAIT_S
    while True:
        (held,) = connection.execute(take).fetchone()
        connection.commit()
        if held:
            return
        if time.monotonic() >= deadline_s:
            raise WriterLockedError(f"another process writes the state of {owner}: stop it first")
        time.sleep(_LEASE_POLL_S)


def _server_readers(spec: str, owner: Owner) -> Engine:
    return create_engine(
        spec,
        hide_parameters=True,
        pool_size=_READERS,
        max_overflow=_READERS,
        pool_pre_ping=True,
        isolation_level="REPEATABLE READ",
        connect_args={
            "options": f"-csearch_path={owner} -cdefault_transaction_read_only=on",
            "connect_timeout": int(BUSY_TIMEOUT_S),
        },
    )


# --- errors -------------------------------------------------------------------------------------------


@contextmanager
def translated(owner: str) -> Iterator[None]:
    """Turn SQLAlchemy's and the drivers' errors into ours; they name the kind of trouble, never a value."""
    try:
        yield
    except DBAPIError as exc:
        raise _error_of(exc, owner) from None  # a server's own text quotes the row: no traceback may show it
    except (SQLAlchemyError, sqlite3.Error) as exc:
        raise StoreUnavailableError(f"state of {owner}: {type(exc).__name__}") from exc


def _error_of(exc: DBAPIError, owner: str) -> StoreError:
    code = getattr(exc.orig, "sqlite_errorcode", 0) & _PRIMARY_CODE
    name = getattr(exc.orig, "sqlite_errorname", type(exc.orig).__name__)
    sqlstate = getattr(exc.orig, "sqlstate", None)
    if code in _FULL or sqlstate in _PG_FULL:
        return StoreFullError(f"state of {owner}: no room left ({name})")
    if name in _CONFLICT or sqlstate in _PG_CONFLICT:
        return ConflictError(f"state of {owner}: {name}")
    if code in _UNAVAILABLE or exc.connection_invalidated or sqlstate is None or sqlstate[:2] in {"08", "53", "57"}:
        return StoreUnavailableError(f"state of {owner}: cannot be used now ({name})")
    return StoreError(f"state of {owner}: {name}")
