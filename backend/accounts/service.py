"""Accounts and sessions: who may sign in, as whom, for how long; every change leaves a row in the audit chain.

Sessions live in real time: 12 hours at most, 2 hours without a request. The browser holds 32 random bytes, the store
their hash. The backend is the only writer, so what it has read once it may keep in memory until it changes it.
"""

import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from backend.accounts.audit import SYSTEM, AuditLog
from backend.accounts.passwords import Passwords, check_new_password, random_password
from backend.accounts.roles import GRANTS, ROLE_NAMES, ROLES, Permission, Role
from backend.errors import ConflictError, InputError, NotFoundError, NotSignedInError
from backend.web.security import SIGN_IN, SIGN_IN_REFUSED, RateLimits
from backend.web.viewer import Viewer
from backend.web.words import N_
from contracts.clock import Clock
from contracts.errors import TopicError
from contracts.topics import check_name
from stores.state.accounts import Account, Accounts, Session
from stores.state.database import Database

SESSION_LIFE_S: Final = 12 * 3600  # a shift
SESSION_IDLE_S: Final = 2 * 3600
TOUCH_EVERY_S: Final = 300  # how exact "idle" is; not a write for every request
TOKEN_BYTES: Final = 32
MAX_ACCOUNTS: Final = 1000
FIRST_ADMIN: Final = "admin"

_WRONG: Final = N_("Name or password is wrong.")
_UNKNOWN: Final = N_("There is no account of that name.")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A fresh session: the cookie's value is given out once, here."""

    token: str
    viewer: Viewer


@dataclass(slots=True)
class _Kept:
    """A session as memory holds it."""

    viewer: Viewer
    last_seen_s: int
    expires_s: int
    written_s: int


class AccountService:
    """All that happens to accounts."""

    def __init__(
        self,
        database: Database,
        *,
        audit: AuditLog,
        clock: Clock,
        wall_s: Callable[[], int],
        passwords: Passwords,
        limits: RateLimits,
    ) -> None:
        self._database = database
        self._accounts = Accounts(database)
        self._audit = audit
        self._clock = clock
        self._wall_s = wall_s
        self._passwords = passwords
        self._limits = limits
        self._kept: dict[bytes, _Kept] = {}
        self._lock = threading.Lock()

    # --- signing in ------------------------------------------------------------------------------

    def sign_in(self, name: str, password: str, address: str) -> SignedIn:
        """Open a session; NotSignedInError for a wrong name or password, TooManyError after too many attempts.

        A wrong name takes as long as a wrong password, and neither says which it was.
        """
        who = f"account:{name[:64]}"
        self._limits.hit(SIGN_IN, address)
        for guesser in (address, who):
            self._limits.check(SIGN_IN_REFUSED, guesser)
        account = self._accounts.account(name) if is_account_name(name) else None
        right = self._passwords.fits(password, account.password_hash if account is not None else None)
        if account is None or not right or account.disabled:
            for guesser in (address, who):
                self._limits.count(SIGN_IN_REFUSED, guesser)
            with self._database.begin() as tx:
                self._audit.note(tx, SYSTEM, "sign_in_refused", account.name if account is not None else "unknown")
            raise NotSignedInError(_WRONG)
        return self._open(account)

    def _open(self, account: Account) -> SignedIn:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        now_s = self._wall_s()
        session = Session(
            token_hash=_hash(token),
            account=account.name,
            csrf=secrets.token_urlsafe(TOKEN_BYTES),
            created_s=now_s,
            last_seen_s=now_s,
            expires_s=now_s + SESSION_LIFE_S,
        )
        with self._database.begin() as tx:
            self._accounts.add_session(tx, session)
            self._audit.note(tx, account.name, "sign_in", account.name)
        self._accounts.prune_sessions(now_s)
        return SignedIn(token, self._keep(session, account).viewer)

    def sign_out(self, viewer: Viewer) -> None:
        """End the viewer's session."""
        self._forget(lambda kept: kept.viewer.session == viewer.session)
        with self._database.begin() as tx:
            self._accounts.end_session(tx, viewer.session)
            self._audit.note(tx, viewer.name, "sign_out", viewer.name)

    def kept(self, token: str) -> Viewer | None:
        """Return who a token stands for as far as memory knows; None = ask `viewer`, which may read the store."""
        kept = self._kept.get(_hash(token))
        now_s = self._wall_s()
        if kept is None or not _alive(kept, now_s) or now_s - kept.written_s >= TOUCH_EVERY_S:
            return None
        kept.last_seen_s = now_s
        return kept.viewer

    def viewer(self, token: str) -> Viewer | None:
        """Return who a token stands for; None when the session ended."""
        token_hash, now_s = _hash(token), self._wall_s()
        kept = self._kept.get(token_hash)
        if kept is None:
            session = self._accounts.session(token_hash)
            account = self._accounts.account(session.account) if session is not None else None
            if session is None or account is None or account.disabled:
                return None
            kept = self._keep(session, account)
        if not _alive(kept, now_s):
            self._forget(lambda other: other is kept)
            return None
        kept.last_seen_s = kept.written_s = now_s
        self._accounts.touch_session(token_hash, now_s)
        return kept.viewer

    def signed_in(self, viewer: Viewer) -> bool:
        """Tell whether a session still lasts; for streams that outlive their request."""
        kept = self._kept.get(viewer.session)
        return kept is not None and _alive(kept, self._wall_s())

    def _keep(self, session: Session, account: Account) -> _Kept:
        kept = _Kept(viewer_for(account, session), session.last_seen_s, session.expires_s, session.last_seen_s)
        with self._lock:
            now_s = self._wall_s()
            self._kept = {key: one for key, one in self._kept.items() if _alive(one, now_s)}
            self._kept[session.token_hash] = kept
        return kept

    def _forget(self, which: Callable[[_Kept], bool]) -> None:
        with self._lock:
            self._kept = {key: kept for key, kept in self._kept.items() if not which(kept)}

    # --- passwords and accounts --------------------------------------------------------------------

    def first_start(self) -> str | None:
        """Make the first administrator where there is no account at all; return the password, else None."""
        if self._accounts.accounts():
            return None
        return self.add(FIRST_ADMIN, "admin", actor=SYSTEM)

    def change_password(self, viewer: Viewer, *, old: str, new: str, address: str) -> None:
        """Change one's own password; other sessions of the account end."""
        account = self._proven(viewer, old, address, N_("The old password is wrong."))
        check_new_password(new, account=account.name, old=old)
        changed = replace(
            account,
            password_hash=self._passwords.hashed(new),
            must_change=False,
            password_changed_ns=self._clock.now_ns(),
        )
        with self._database.begin() as tx:
            self._accounts.save(tx, changed)
            self._accounts.end_sessions_of(tx, account.name, but=viewer.session)
            self._audit.note(tx, account.name, "password_changed", account.name)
        self._forget(lambda kept: kept.viewer.name == account.name)

    def prove(self, viewer: Viewer, password: str, address: str) -> None:
        """Ask a person who is signed in for the password once more; InputError when it is wrong."""
        self._proven(viewer, password, address, N_("The password is wrong."))

    def _proven(self, viewer: Viewer, password: str, address: str, sentence: str) -> Account:
        self._limits.hit(SIGN_IN, address)
        self._limits.check(SIGN_IN_REFUSED, address)
        account = self._known(viewer.name)
        if not self._passwords.fits(password, account.password_hash):
            self._limits.count(SIGN_IN_REFUSED, address)
            raise InputError(sentence)
        return account

    def may(self, name: str, permission: Permission) -> bool:
        """Tell whether an account is open and its role grants it, now."""
        account = self._accounts.account(name)
        return account is not None and not account.disabled and permission in GRANTS[check_role(account.role)]

    def accounts(self) -> list[Account]:
        """Return all accounts, by name."""
        return sorted(self._accounts.accounts(), key=lambda account: account.name)

    def add(self, name: str, role: str, *, actor: str) -> str:
        """Make an account; return its first password, which must be changed at the first sign-in."""
        if not is_account_name(name):
            raise InputError(N_("A name is 1 to 63 of a-z, 0-9 and '-'."))
        existing = self._accounts.accounts()
        if any(account.name == name for account in existing):
            raise ConflictError(N_("There is an account of that name already."))
        if len(existing) >= MAX_ACCOUNTS:
            raise ConflictError(N_("There are too many accounts. Disabled ones count as well."))
        password = random_password()
        account = Account(
            name=name,
            role=check_role(role),
            password_hash=self._passwords.hashed(password),
            must_change=True,
            disabled=False,
            language=None,
            created_ns=self._clock.now_ns(),
            password_changed_ns=None,
        )
        self._save(account, actor, "account_added", role=role)
        return password

    def reset(self, name: str, *, actor: str) -> str:
        """Give an account a new first password; its sessions end."""
        password = random_password()
        account = replace(self._known(name), password_hash=self._passwords.hashed(password), must_change=True)
        self._save(account, actor, "password_reset")
        return password

    def set_disabled(self, name: str, disabled: bool, *, actor: str) -> None:
        """Close or open an account; closing ends its sessions."""
        account = self._known(name)
        if disabled and self._is_last_admin(account):
            raise ConflictError(N_("This is the last administrator: make another one first."))
        self._save(replace(account, disabled=disabled), actor, "account_disabled" if disabled else "account_enabled")

    def set_role(self, name: str, role: str, *, actor: str) -> None:
        """Give an account another role; its sessions end."""
        account = self._known(name)
        if check_role(role) != "admin" and self._is_last_admin(account):
            raise ConflictError(N_("This is the last administrator: make another one first."))
        self._save(replace(account, role=check_role(role)), actor, "role_changed", role=role)

    def _save(self, account: Account, actor: str, action: str, **detail: str) -> None:
        with self._database.begin() as tx:
            self._accounts.save(tx, account)
            self._accounts.end_sessions_of(tx, account.name)
            self._audit.note(tx, actor, action, account.name, **detail)
        self._forget(lambda kept: kept.viewer.name == account.name)

    def _is_last_admin(self, account: Account) -> bool:
        others = (one for one in self._accounts.accounts() if one.role == "admin" and not one.disabled)
        return account.role == "admin" and all(one.name == account.name for one in others)

    def _known(self, name: str) -> Account:
        account = self._accounts.account(name) if is_account_name(name) else None
        if account is None:
            raise NotFoundError(_UNKNOWN)
        return account


def viewer_for(account: Account, session: Session) -> Viewer:
    """Return what pages may know of a person signed in."""
    return Viewer(
        name=account.name,
        role=account.role,
        role_name=ROLE_NAMES[check_role(account.role)],
        permissions=frozenset(str(permission) for permission in GRANTS[check_role(account.role)]),
        must_change=account.must_change,
        csrf=session.csrf,
        session=session.token_hash,
    )


def check_role(role: str) -> Role:
    """Return the role; InputError when there is none of that name."""
    for known in ROLES:
        if role == known:
            return known
    raise InputError(N_("There is no role of that name."))


def is_account_name(name: str) -> bool:
    """Tell whether an account may have this name."""
    try:
        check_name(name)
    except TopicError:
        return False
    return True


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()


def _alive(kept: _Kept, now_s: int) -> bool:
    return now_s < kept.expires_s and now_s - kept.last_seen_s < SESSION_IDLE_S
