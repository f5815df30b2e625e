"""Whether an agreement covers what is asked for, on the day it is asked. Pure.

1 there is such an agreement · 2 it has begun · 3 it has not ended · 4 the period is whole days that are over · 5 all
of them days of the agreement · 6 levels, targets and measures are some of its own
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace

from backend.devices.agreements import Agreement
from backend.errors import AgreementError
from contracts.windows import DAY_S, NS, Calendar, to_datetime, to_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What an operator asks to share; an empty tuple is all that the agreement covers."""

    agreement: str
    first_day: datetime.date
    last_day: datetime.date
    levels: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """A request that its agreement covers, with nothing left open."""

    agreement: Agreement
    request: Request

    def bounds_ns(self, calendar: Calendar) -> tuple[int, int]:
        """Return the period as instants, half-open: from 00:00 of the first day to 00:00 after the last."""
        return day_start_ns(self.request.first_day, calendar), day_start_ns(_next(self.request.last_day), calendar)


def find(agreements: Sequence[Agreement], name: str) -> Agreement:
    """Return the agreement of a name; AgreementError when there is none."""
    found = next((agreement for agreement in agreements if agreement.name == name), None)
    if found is None:
        raise AgreementError("district.toml has no [[agreement]] named %(name)s.", name=name)
    return found


def grant(agreements: Sequence[Agreement], request: Request, today: datetime.date) -> Grant:
    """Return the request as far as the agreement covers it; AgreementError says what it does not cover."""
    agreement = find(agreements, request.agreement)  # 1
    _check_day(agreement, today)  # 2, 3
    _check_period(agreement, request, today)  # 4, 5
    return Grant(
        agreement,
        replace(
            request,
            levels=_covered(agreement, "levels", request.levels, agreement.levels),  # 6
            targets=_covered(agreement, "targets", request.targets, agreement.targets),
            environment=_covered(agreement, "environment", request.environment, agreement.environment),
        ),
    )


def district_day(ns: int, calendar: Calendar) -> datetime.date:
    """Return the date of an instant in the district."""
    return to_datetime(ns + calendar.utc_offset_s * NS).date()


def day_start_ns(day: datetime.date, calendar: Calendar) -> int:
    """Return the first instant of a district's day."""
    return to_ns(datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.UTC)) - calendar.utc_offset_s * NS


def length_of(level: str, calendar: Calendar) -> int:
    """Return how many seconds a span of a level lasts."""
    return {"window": calendar.window_s, "day": DAY_S, "week": 7 * DAY_S}[level.partition("_")[2]]


def iso(ns: int, utc_offset_s: int) -> str:
    """Return an instant as ISO 8601 with the district's offset, to the second."""
    sign, rest = ("-", -utc_offset_s) if utc_offset_s < 0 else ("+", utc_offset_s)
    local = to_datetime(ns + utc_offset_s * NS).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{local}{sign}{rest // 3600:02}:{rest // 60 % 60:02}"


def _check_day(agreement: Agreement, today: datetime.date) -> None:
    if today < agreement.valid_from:
        raise AgreementError("Agreement %(name)s begins on %(day)s.", name=agreement.name, day=agreement.valid_from)
    if today > agreement.valid_until:
        raise AgreementError("Agreement %(name)s ended on %(day)s.", name=agreement.name, day=agreement.valid_until)


def _check_period(agreement: Agreement, request: Request, today: datetime.date) -> None:
    first, last = request.first_day, request.last_day
    if last < first:
        raise AgreementError("The last day lies before the first.")
    if last >= today:
        raise AgreementError("%(day)s is not over in the district: whole days are shared.", day=last)
    if first < agreement.valid_from or last > agreement.valid_until:
        raise AgreementError(
            "Agreement %(name)s covers the days from %(start)s to %(stop)s only.",
            name=agreement.name,
            start=agreement.valid_from,
            stop=agreement.valid_until,
        )


def _covered(agreement: Agreement, key: str, asked: tuple[str, ...], covered: tuple[str, ...]) -> tuple[str, ...]:
    for word in asked:
        if word not in covered:
            raise AgreementError(
                "Agreement %(name)s does not cover %(word)s: its %(key)s: %(covered)s.",
                name=agreement.name,
                word=word,
                key=key,
                covered=", ".join(covered) or "none",
            )
    return asked or covered


def _next(day: datetime.date) -> datetime.date:
    return day + datetime.timedelta(days=1)
