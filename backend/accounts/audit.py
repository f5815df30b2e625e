"""The audit log: who did what to what, when; each row hashes the one before it, so a gap or a change shows."""

from collections.abc import Callable

import msgspec

from contracts.clock import Clock
from stores.state.accounts import Audit, AuditRow
from stores.state.database import Database, Transaction

SYSTEM = "system"
PAGE_ROWS = 100


class AuditLog:
    """Writes rows inside the transaction of what they tell about; reads them for people."""

    def __init__(self, database: Database, *, clock: Clock, wall_s: Callable[[], int]) -> None:
        self._audit = Audit(database)
        self._clock = clock
        self._wall_s = wall_s

    def note(self, tx: Transaction, actor: str, action: str, subject: str, **detail: str) -> None:
        """Append a row; `detail` holds no secret and no free text of a stranger."""
        self._audit.append(
            tx,
            at_ns=self._clock.now_ns(),
            at_s=self._wall_s(),
            actor=actor,
            action=action,
            subject=subject,
            detail=msgspec.json.encode(detail).decode(),
        )

    def latest(self, before_id: int | None = None, *, action: str | None = None) -> list[AuditRow]:
        """Return the newest rows, of one action or of all, or those before a row."""
        return self._audit.latest(PAGE_ROWS, before_id, action=action)

    def broken_at(self) -> int | None:
        """Return the id of the first row that does not fit the chain; None = every row fits."""
        return self._audit.verify()
