"""Who may be given what, and the register of what they took: rows of the audit log, chained like all of it."""

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from backend.accounts.audit import AuditLog
from backend.devices.agreements import Agreement
from backend.sharing.rules import Request, district_day, grant
from contracts.clock import Clock
from contracts.registry import RegistrySnapshot
from stores.state.accounts import AuditRow
from stores.state.database import Database

SHARED: Final = "shared"  # the action of such a row


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One package that was given."""

    row: int
    at_ns: int
    actor: str
    agreement: str
    first_day: str = ""
    last_day: str = ""
    operator: str = ""
    package: str = ""  # SHA-256 of the one file
    files: str = ""  # name=SHA-256, one a line


def taken_of(row: AuditRow) -> Taken:
    """Return an audit row of this action as what it tells."""
    told = json.loads(row.detail)
    known = {name: str(told.get(name, "")) for name in ("first_day", "last_day", "operator", "package", "files")}
    return Taken(row=row.id, at_ns=row.at_ns, actor=row.actor, agreement=row.subject, **known)


class SharingService:
    """One for the process; the agreements are those of district.toml as it was last applied."""

    def __init__(self, database: Database, *, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._agreements: tuple[Agreement, ...] = ()

    def agreements_are(self, agreements: Sequence[Agreement]) -> None:
        """Take the agreements of the district file."""
        self._agreements = tuple(agreements)

    def agreements(self) -> tuple[Agreement, ...]:
        """Return them, in the order of the file."""
        return self._agreements

    def today(self, registry: RegistrySnapshot) -> datetime.date:
        """Return the district's date."""
        return district_day(self._clock.now_ns(), registry.district.calendar)

    def register(
        self, request: Request, registry: RegistrySnapshot, *, actor: str, operator: str, package: str, files: str
    ) -> None:
        """Note that a package is given; AgreementError when no agreement covers it."""
        grant(self._agreements, request, self.today(registry))
        with self._database.begin() as tx:
            self._audit.note(
                tx,
                actor,
                SHARED,
                request.agreement,
                first_day=request.first_day.isoformat(),
                last_day=request.last_day.isoformat(),
                operator=operator,
                package=package,
                files=files,
            )

    def taken(self, before_id: int | None = None) -> list[Taken]:
        """Return the register, the newest first."""
        return [taken_of(row) for row in self._audit.latest(before_id, action=SHARED)]

    def broken_at(self) -> int | None:
        """Return the first row of the audit log that does not fit its chain; None when all do."""
        return self._audit.broken_at()
