"""Brings an owner's schema to this program's version with Alembic, a SQLite file after a copy of it."""

import logging
import sqlite3
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine

from stores.errors import SchemaTooNewError, StoreFullError

logging.getLogger("alembic").setLevel(logging.WARNING)  # its plugins introduce themselves at every start

_HERE: Final = Path(__file__).parent


def config(owner: str) -> Config:
    """Return Alembic's configuration of an owner's migrations."""
    made = Config()
    made.set_main_option("script_location", str(_HERE))
    made.set_main_option("version_locations", str(_HERE / owner))
    made.set_main_option("path_separator", "os")
    return made


def head(owner: str) -> str:
    """Return the newest revision that this program knows."""
    revision = ScriptDirectory.from_config(config(owner)).get_current_head()
    if revision is None:
        raise LookupError(f"no migration of {owner}")
    return revision


def knows(owner: str, revision: str) -> bool:
    """Tell whether this program can read a state at that revision."""
    try:
        return ScriptDirectory.from_config(config(owner)).get_revision(revision) is not None
    except CommandError:
        return False


def migrate(target: Engine | Connection, owner: str, *, file: Path | None = None) -> None:
    """Upgrade to the newest revision; SchemaTooNewError when it is at one that this program does not know."""
    if isinstance(target, Connection):
        _upgrade(target, owner)
        return
    with target.connect() as connection:
        current = _current(connection)
        connection.rollback()
    if current is not None and current != head(owner) and file is not None:
        _refuse_newer(current, owner)
        keep_copy(file, current)
    with target.begin() as connection:
        _upgrade(connection, owner)


def _upgrade(connection: Connection, owner: str) -> None:
    current = _current(connection)
    if current == head(owner):
        return
    if current is not None:
        _refuse_newer(current, owner)
    settings = config(owner)
    settings.attributes["connection"] = connection
    command.upgrade(settings, "head")


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(current: str, owner: str) -> None:
    if not knows(owner, current):
        raise SchemaTooNewError(f"the state of {owner} was written by a newer kioskwatch: update this one")


def keep_copy(file: Path, revision: str) -> None:
    """Keep the file as it was, beside it, by SQLite's own backup: it sees the WAL too."""
    kept = file.with_name(f"{file.name}.before-{revision}")
    source, copy = sqlite3.connect(file), sqlite3.connect(kept)
    try:
        source.backup(copy)
    except sqlite3.Error as exc:
        raise StoreFullError(f"cannot keep a copy of {file} before its update: {exc.sqlite_errorname}") from exc
    finally:
        source.close()
        copy.close()
