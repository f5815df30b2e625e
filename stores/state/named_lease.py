"""A lease by name, for what writes a store of others' and has no state of its own: one at a time, wherever it runs.

On SQLite an flock in the state's folder, on PostgreSQL an advisory lock of a connection of its own. Who dies lets go.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from stores.errors import WriterLockedError
from stores.lease import FileLease
from stores.state.database import BUSY_TIMEOUT_S, state_file, translated

# Lock numbers behind those of the owners' states (`database`): one a name, given once.
_LOCK_CLASS: Final = 0x6B77  # "kw"
_LOCKS: Final = {"history": 101}


@contextmanager
def named_lease(spec: str, name: str) -> Iterator[None]:
    """Hold the lease while the block runs; WriterLockedError when another holds it."""
    file = state_file(spec, "ingest")
    if file is not None:
        lease = FileLease(file.with_name(name))
        try:
            yield
        finally:
            lease.release()
        return
    engine = create_engine(spec, poolclass=NullPool, connect_args={"connect_timeout": int(BUSY_TIMEOUT_S)})
    try:
        with translated(name), engine.connect() as connection:
            take = text("SELECT pg_try_advisory_lock(:lock_class, :lock)")
            held = connection.execute(take, {"lock_class": _LOCK_CLASS, "lock": _LOCKS[name]}).scalar()
            connection.commit()  # no transaction stays open meanwhile; the lock is the connection's
            if not held:
                raise WriterLockedError(f"another process holds {name}: wait until it has ended")
            yield
    finally:
        engine.dispose()
