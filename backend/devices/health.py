"""What is wrong with a device and what mends it: a table over what the device itself reports. Pure.

Only what the allow-list of `contracts.metrics` lets a device say is looked at, so nothing here can tell about a
visitor: "instrument does not answer" is about the instrument, never about a run that ended in error.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from backend.web.words import N_
from contracts.signals import SEVERITIES, Severity

SILENT_S: Final = 3 * 3600  # three missed hourly health records, district time
CERTIFICATE_LATE_DAYS: Final = 8  # a device renews with 10 of its 30 days left
OUTBOX_PCT: Final = 70
DISK_PCT: Final = 90
CLOCK_DISCIPLINED: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What is known of a device."""

    enrolled: bool
    revoked: bool = False
    online: bool | None = None  # what it last said itself; None = nothing yet
    silent_s: float | None = None  # district seconds since anything came; None = never
    certificate_days: float | None = None
    readings: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def reads(self, metric: str, otherwise: float) -> float:
        """Return the newest value of a health metric."""
        return self.readings.get(metric, otherwise)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and what mends it."""

    severity: Severity
    sentence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class _Check:
    problem: Problem
    applies: Callable[[Condition], bool]


def _check(severity: Severity, applies: Callable[[Condition], bool], sentence: str, remedy: str) -> _Check:
    return _Check(Problem(severity, sentence, remedy), applies)


# The first of these that applies says it all: the rest would only follow from it.
_FIRST: Final = (
    _check(
        "critical",
        lambda c: c.revoked,
        N_("Its certificate was withdrawn: nothing that it sends is taken."),
        N_("If that was right, take it down. If not, make a new token and enrol it again."),
    ),
    _check(
        "info",
        lambda c: not c.enrolled,
        N_("It is in the district file but has not enrolled yet."),
        N_("Make a token on this page, put it into cabinet.toml, start the agent."),
    ),
    _check(
        "warning",
        lambda c: c.silent_s is None,
        N_("It has enrolled but nothing has come from it yet."),
        N_("Check its network and that the agent runs; `kioskwatch doctor` on the device says more."),
    ),
    _check(
        "critical",
        lambda c: (c.certificate_days or 0.0) <= 0,
        N_("Its certificate has run out: the broker refuses it."),
        N_("Make a token on this page and enrol it again. What it measured meanwhile is in its outbox and will come."),
    ),
    _check(
        "critical",
        lambda c: c.online is False,
        N_("It went offline."),
        N_("Check power and network at the site. What it measures meanwhile waits in its outbox."),
    ),
    _check(
        "critical",
        lambda c: (c.silent_s or 0.0) > SILENT_S,
        N_("Nothing has come from it for more than three hours."),
        N_(
            "Check power and network at the site, then the agent's log. What it measures meanwhile waits in its outbox."
        ),
    ),
)
_THEN: Final = (
    _check(
        "critical",
        lambda c: c.reads("instrument_ok", 1) < 1,
        N_("Its instrument does not answer."),
        N_("Check the instrument's power and cable, then switch it off and on."),
    ),
    _check(
        "critical",
        lambda c: c.reads("control_ok", 1) < 1,
        N_("A control failed: the kiosk starts no tests."),
        N_("Run a control from a new lot. If that fails too, exchange the module and call the manufacturer."),
    ),
    _check(
        "warning",
        lambda c: (c.certificate_days or 0.0) < CERTIFICATE_LATE_DAYS,
        N_("Its certificate should have renewed itself and has not."),
        N_("Check that the device reaches the console's address; it tries again by itself."),
    ),
    _check(
        "warning",
        lambda c: c.reads("outbox_pct", 0) >= OUTBOX_PCT,
        N_("Its outbox fills up: messages leave more slowly than they come."),
        N_("Check the network. When it is full the oldest telemetry is thinned; releases are never given up."),
    ),
    _check(
        "warning",
        lambda c: c.reads("disk_pct", 0) >= DISK_PCT,
        N_("Its disk is nearly full."),
        N_("Remove old logs, or exchange the disk."),
    ),
    _check(
        "warning",
        lambda c: c.reads("clock_quality", CLOCK_DISCIPLINED) != CLOCK_DISCIPLINED,
        N_("Its clock is not kept by a time server."),
        N_("Check that it reaches its time server. A kiosk starts no tests while its clock is not good."),
    ),
    _check(
        "warning",
        lambda c: c.reads("lots_level", 2) < 1,
        N_("It has no cartridges left."),
        N_("Bring cartridges."),
    ),
    _check(
        "info",
        lambda c: c.reads("lots_level", 2) == 1,
        N_("Cartridges run low."),
        N_("Bring cartridges with the next visit."),
    ),
    _check(
        "warning",
        lambda c: c.reads("paper_level", 2) < 1,
        N_("It has no paper left: no slip, no test."),
        N_("Put in a new roll."),
    ),
    _check(
        "info",
        lambda c: c.reads("paper_level", 2) == 1,
        N_("Paper runs low."),
        N_("Bring a roll with the next visit."),
    ),
    _check(
        "info",
        lambda c: c.reads("thinned_records", 0) > 0,
        N_("It gave up old telemetry while it was cut off."),
        N_("Nothing to do: the gap stays visible in its curves. Releases were kept."),
    ),
)


def judge(condition: Condition) -> tuple[Problem, ...]:
    """Return what is wrong, worst first; nothing when the device is well."""
    for check in _FIRST:
        if check.applies(condition):
            return (check.problem,)
    found = [check.problem for check in _THEN if check.applies(condition)]
    return tuple(sorted(found, key=lambda problem: -SEVERITIES.index(problem.severity)))
