"""Two officers open the bucket `restricted` together, for a stated time and reason; every step is in the audit log.

The rules, in this order: 1 an officer asks, with a reason, a length and a fresh password · 2 another officer, another
account, confirms with a fresh password within fifteen minutes · 3 until the length is over, these two may read, and
nobody else · 4 it ends by itself, by either of them, or when one of them is an officer no more. One at a time. Real
time, as sessions: a simulated district's hours pass in seconds.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from backend.accounts.audit import SYSTEM, AuditLog
from backend.accounts.roles import Permission
from backend.accounts.service import AccountService
from backend.errors import ConflictError, InputError, NotAllowedError
from backend.web.viewer import Viewer
from backend.web.words import N_
from contracts.clock import Clock
from stores.state.database import Database, Transaction
from stores.state.openings import OpeningRow, Openings

MIN_MINUTES: Final = 5
MAX_MINUTES: Final = 240
REQUEST_LIFE_S: Final = 15 * 60  # two people who work together answer at once; an old request is nobody's intention
MIN_REASON_CHARS: Final = 10
MAX_REASON_CHARS: Final = 300

NOT_OPEN: Final = N_("This bucket is not open to you: two officers open it together.")
_OVER: Final = N_("This request is over. Look again.")


class OpeningService:
    """All that happens to openings."""

    def __init__(
        self,
        database: Database,
        *,
        accounts: AccountService,
        audit: AuditLog,
        clock: Clock,
        wall_s: Callable[[], int],
    ) -> None:
        self._database = database
        self._openings = Openings(database)
        self._accounts = accounts
        self._audit = audit
        self._clock = clock
        self._wall_s = wall_s

    def current(self) -> OpeningRow | None:
        """Return the request or opening that is alive now."""
        row = self._openings.current()
        return row if row is not None and self._alive(row) else None

    def left_s(self, row: OpeningRow) -> int:
        """Return for how many real seconds it lives on."""
        return max(0, self._end_s(row) - self._wall_s())

    def request(self, viewer: Viewer, *, reason: str, minutes: int, password: str, address: str) -> int:
        """Rule 1; return the request's number."""
        if not MIN_REASON_CHARS <= len(reason) <= MAX_REASON_CHARS:
            raise InputError(
                N_("Say why in %(least)s to %(most)s characters."), least=MIN_REASON_CHARS, most=MAX_REASON_CHARS
            )
        if not MIN_MINUTES <= minutes <= MAX_MINUTES:
            raise InputError(N_("%(least)s to %(most)s minutes."), least=MIN_MINUTES, most=MAX_MINUTES)
        self._accounts.prove(viewer, password, address)
        row = OpeningRow(requested_by=viewer.name, reason=reason, length_s=minutes * 60, requested_s=self._wall_s())
        with self._database.begin() as tx:
            if self._current_in(tx) is not None:
                raise ConflictError(N_("There is a request or an opening already: look again."))
            number = self._openings.add(tx, row)
            self._note(tx, viewer.name, "restricted_requested", number, reason=reason, minutes=str(minutes))
        return number

    def confirm(self, viewer: Viewer, number: int, *, password: str, address: str) -> None:
        """Rule 2."""
        self._accounts.prove(viewer, password, address)
        with self._database.begin() as tx:
            row = self._alive_in(tx, number)
            if row.confirmed_s is not None:
                raise ConflictError(_OVER)
            if row.requested_by == viewer.name:
                raise NotAllowedError(N_("Another officer confirms what you asked for."))
            if not self._is_officer(row.requested_by):
                raise ConflictError(_OVER)
            now_s, now_ns = self._wall_s(), self._clock.now_ns()
            self._openings.save(tx, replace(row, confirmed_by=viewer.name, confirmed_s=now_s, confirmed_ns=now_ns))
            self._note(tx, viewer.name, "restricted_confirmed", number, minutes=str(row.length_s // 60))

    def refuse(self, viewer: Viewer, number: int) -> None:
        """Refuse another officer's request, or withdraw one's own."""
        with self._database.begin() as tx:
            row = self._alive_in(tx, number)
            if row.confirmed_s is not None:
                raise ConflictError(_OVER)
            own = row.requested_by == viewer.name
            self._end(tx, row, viewer.name, "restricted_withdrawn" if own else "restricted_refused")

    def close(self, viewer: Viewer, number: int) -> None:
        """Rule 4: either of the two ends it before its time."""
        with self._database.begin() as tx:
            row = self._alive_in(tx, number)
            if row.confirmed_s is None or viewer.name not in {row.requested_by, row.confirmed_by}:
                raise NotAllowedError(NOT_OPEN)
            self._end(tx, row, viewer.name, "restricted_closed")

    def admit(self, viewer: Viewer, what: str) -> OpeningRow:
        """Rule 3: note a read before it is made; NotAllowedError where nothing is open to this person."""
        with self._database.begin() as tx:
            row = self._current_in(tx)
            if row is None or row.confirmed_s is None or viewer.name not in {row.requested_by, row.confirmed_by}:
                raise NotAllowedError(NOT_OPEN)
            self._note(tx, viewer.name, "restricted_read", row.id, what=what)
        return row

    def advance(self) -> int:
        """End what is over, by time or because one of the two is an officer no more; return how many."""
        row = self._openings.current()
        if row is None or self._alive(row):
            return 0
        with self._database.begin() as tx:
            found = self._openings.current_in(tx)
            if found is None or self._alive(found):
                return 0
            self._end(tx, found, SYSTEM, "restricted_lapsed" if found.confirmed_s is None else "restricted_ended")
        return 1

    # --- below -----------------------------------------------------------------------------------------

    def _current_in(self, tx: Transaction) -> OpeningRow | None:
        """Return the one that is alive; one that is over is ended here, so that nothing waits for the loop."""
        row = self._openings.current_in(tx)
        if row is None or self._alive(row):
            return row
        self._end(tx, row, SYSTEM, "restricted_lapsed" if row.confirmed_s is None else "restricted_ended")
        return None

    def _alive_in(self, tx: Transaction, number: int) -> OpeningRow:
        row = self._openings.current_in(tx)
        if row is None or row.id != number or not self._alive(row):
            raise ConflictError(_OVER)
        return row

    def _alive(self, row: OpeningRow) -> bool:
        people = (row.requested_by, row.confirmed_by)
        return self._wall_s() < self._end_s(row) and all(self._is_officer(name) for name in people if name is not None)

    @staticmethod
    def _end_s(row: OpeningRow) -> int:
        return row.requested_s + REQUEST_LIFE_S if row.ends_s is None else row.ends_s

    def _is_officer(self, name: str) -> bool:
        return self._accounts.may(name, Permission.OPEN_RESTRICTED)

    def _end(self, tx: Transaction, row: OpeningRow, actor: str, action: str) -> None:
        self._openings.save(tx, replace(row, ended_s=self._wall_s()))
        self._note(tx, actor, action, row.id)

    def _note(self, tx: Transaction, actor: str, action: str, number: int, **detail: str) -> None:
        self._audit.note(tx, actor, action, f"opening {number}", **detail)
