"""A backend's parts on a real state in a folder of the test's own, with clocks that stand where the test puts them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backend.accounts.audit import AuditLog
from backend.accounts.passwords import Passwords
from backend.accounts.service import AccountService
from backend.devices.authority import ensure_authority
from backend.devices.district_file import parse_district
from backend.devices.enrolment import BrokerAnswer, EnrolmentService
from backend.devices.registry import LiveRegistry
from backend.devices.visitors import VisitTerms
from backend.web.security import RateLimits
from contracts.notice import LANGUAGES
from contracts.windows import to_datetime
from stores.state.database import Database, open_for_writing
from tests.support.notices import NOTICE
from tests.unit.backend.test_district_file import GOOD

VISITORS = VisitTerms(
    results_origin="https://results.harbour.internal", page_hash="0123456789abcdef", languages=LANGUAGES, notice=NOTICE
)
NOW_NS = 1_640_271_600 * 10**9  # 2021-12-23T15:00:00Z
REAL = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@dataclass
class StandingClock:
    """contracts.clock.Clock whose times are set by hand."""

    ns: int = NOW_NS
    monotonic_s: float = 0.0
    speed: int = field(default=600, init=False)

    def now_ns(self) -> int:
        return self.ns

    def now(self) -> datetime:
        return to_datetime(self.ns)

    def real_s(self) -> float:
        return self.monotonic_s


@dataclass
class Parts:
    """What the services are made of."""

    database: Database
    clock: StandingClock
    audit: AuditLog
    registry: LiveRegistry
    accounts: AccountService
    enrolment: EnrolmentService
    folder: Path
    real: datetime = REAL

    def later(self, **span: float) -> None:
        """Move the real clock on."""
        self.real += timedelta(**span)

    def actions(self) -> list[tuple[str, str, str]]:
        """The audit log, oldest first."""
        return [(row.actor, row.action, row.subject) for row in reversed(self.audit.latest())]


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    with open_for_writing(f"sqlite:{tmp_path / 'state'}", "backend") as database:
        clock = StandingClock()
        made: list[Parts] = []

        def wall_s() -> int:
            return int(made[0].real.timestamp()) if made else int(REAL.timestamp())

        audit = AuditLog(database, clock=clock, wall_s=wall_s)
        limits = RateLimits(clock.real_s)
        registry = LiveRegistry(database, audit=audit, clock=clock)
        passwords = Passwords(memory_kib=64, passes=1, lanes=1)
        accounts = AccountService(database, audit=audit, clock=clock, wall_s=wall_s, passwords=passwords, limits=limits)
        enrolment = EnrolmentService(
            database,
            authority=ensure_authority(tmp_path / "ca", REAL),
            registry=registry,
            audit=audit,
            limits=limits,
            now=lambda: made[0].real,
            deployment_key="public-half",
            broker=BrokerAnswer("broker.example", 8883, tls=True),
            simulated=True,
        )
        registry.apply(parse_district(GOOD))
        enrolment.tell_visitors(VISITORS)
        made.append(Parts(database, clock, audit, registry, accounts, enrolment, tmp_path))
        yield made[0]
