"""Accounts, sessions and the audit log: the backend's alone. Passwords are here as Argon2id hashes only.

Methods that write take the open transaction, so that a change and its audit row are committed together.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, Select, delete, insert, select, update

from stores.state.database import Database, Transaction
from stores.state.rows import upsert
from stores.state.tables import ACCOUNTS, AUDIT, SESSIONS

GENESIS: Final = bytes(32)
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person who may sign in."""

    name: str
    role: str
    password_hash: str
    must_change: bool
    disabled: bool
    language: str | None
    created_ns: int
    password_changed_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A sign-in that lasts; the browser holds what `token_hash` is the SHA-256 of."""

    token_hash: bytes
    account: str
    csrf: str
    created_s: int
    last_seen_s: int
    expires_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """Who did what to what, when; hashed together with the row before."""

    id: int = 0
    at_ns: int
    at_s: int
    actor: str
    action: str
    subject: str
    detail: str
    prev_hash: bytes = b""
    hash: bytes = b""


class Accounts:
    """One door to accounts and their sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def account(self, name: str) -> Account | None:
        """Return the account of a name."""
        with self._database.read() as connection:
            row = connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.name == name)).first()
        return None if row is None else Account(**row._asdict())

    def accounts(self) -> list[Account]:
        """Return all accounts, by name."""
        with self._database.read() as connection:
            rows = connection.execute(select(ACCOUNTS).order_by(ACCOUNTS.c.name)).all()
        return [Account(**row._asdict()) for row in rows]

    def save(self, tx: Transaction, account: Account) -> None:
        """Insert an account or replace the one of its name."""
        upsert(tx, ACCOUNTS, [asdict(account)])

    def session(self, token_hash: bytes) -> Session | None:
        """Return the session of a token's hash."""
        with self._database.read() as connection:
            row = connection.execute(select(SESSIONS).where(SESSIONS.c.token_hash == token_hash)).first()
        return None if row is None else Session(**row._asdict() | {"token_hash": bytes(row.token_hash)})

    def add_session(self, tx: Transaction, session: Session) -> None:
        """Insert a session."""
        tx.execute(insert(SESSIONS), [asdict(session)])

    def touch_session(self, token_hash: bytes, last_seen_s: int) -> None:
        """Remember that a session was used."""
        with self._database.begin() as tx:
            tx.execute(update(SESSIONS).where(SESSIONS.c.token_hash == token_hash).values(last_seen_s=last_seen_s))

    def end_session(self, tx: Transaction, token_hash: bytes) -> None:
        """Forget a session."""
        tx.execute(delete(SESSIONS).where(SESSIONS.c.token_hash == token_hash))

    def end_sessions_of(self, tx: Transaction, account: str, but: bytes | None = None) -> None:
        """Forget an account's sessions, all or all but one."""
        ended = delete(SESSIONS).where(SESSIONS.c.account == account)
        tx.execute(ended if but is None else ended.where(SESSIONS.c.token_hash != but))

    def prune_sessions(self, before_s: int) -> None:
        """Forget the sessions that ended before an instant."""
        with self._database.begin() as tx:
            tx.execute(delete(SESSIONS).where(SESSIONS.c.expires_s <= before_s))


class Audit:
    """One door to the audit log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(
        self, tx: Transaction, *, at_ns: int, at_s: int, actor: str, action: str, subject: str, detail: str
    ) -> AuditRow:
        """Chain and insert a row."""
        last = tx.execute(select(AUDIT.c.hash).order_by(AUDIT.c.id.desc()).limit(1)).scalar()
        previous = GENESIS if last is None else bytes(last)
        row = AuditRow(
            at_ns=at_ns, at_s=at_s, actor=actor, action=action, subject=subject, detail=detail, prev_hash=previous
        )
        row = replace(row, hash=chain_hash(row))
        values = asdict(row)
        del values["id"]
        number = tx.execute(insert(AUDIT).returning(AUDIT.c.id), values).scalar_one()
        return replace(row, id=number)

    def latest(self, limit: int, before_id: int | None = None, *, action: str | None = None) -> list[AuditRow]:
        """Return the newest rows, of one action or of all, or those before a row, newest first."""
        wanted = select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
        if action is not None:
            wanted = wanted.where(AUDIT.c.action == action)
        with self._database.read() as connection:
            return _rows(connection, wanted if before_id is None else wanted.where(AUDIT.c.id < before_id))

    def after(self, after_id: int, limit: int, *, action: str) -> list[AuditRow]:
        """Return the next rows of an action, oldest first."""
        wanted = select(AUDIT).where((AUDIT.c.id > after_id) & (AUDIT.c.action == action))
        with self._database.read() as connection:
            return _rows(connection, wanted.order_by(AUDIT.c.id).limit(limit))

    def verify(self) -> int | None:
        """Return the number of the first row that breaks the chain; None when every row fits."""
        previous, after_id = GENESIS, 0
        with self._database.read() as connection:
            while rows := _rows(
                connection, select(AUDIT).where(AUDIT.c.id > after_id).order_by(AUDIT.c.id).limit(_PAGE)
            ):
                for row in rows:
                    if row.prev_hash != previous or row.hash != chain_hash(row):
                        return row.id
                    previous, after_id = row.hash, row.id
        return None


def chain_hash(row: AuditRow) -> bytes:
    """Return the hash of a row behind the one whose hash is its `prev_hash`."""
    told = [row.at_ns, row.at_s, row.actor, row.action, row.subject, row.detail]
    return hashlib.sha256(row.prev_hash + json.dumps(told, ensure_ascii=False).encode()).digest()


def _rows(connection: Connection, wanted: Select[Any]) -> list[AuditRow]:
    return [
        AuditRow(**row._asdict() | {"prev_hash": bytes(row.prev_hash), "hash": bytes(row.hash)})
        for row in connection.execute(wanted)
    ]
