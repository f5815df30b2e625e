"""Released numbers of windows, days and weeks as lines of bucket `released`. Pure.

A number that may not be shown is left out, not zero. A point is overwritten field by field, so one that was shown
before a late release took it below its limit is written again, fresh: an old value must not stay.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal, get_args

from contracts.windows import DAY_S, NS, WEEK_S, Calendar
from gateway.analyse.rollup import RollUp, limits
from stores.series.lines import Point, Value

MEASUREMENT: Final = "testing"
Length = Literal["window", "day", "week"]
LENGTHS: Final[tuple[Length, ...]] = get_args(Length)
REPLACED: Final = ("positivity", "valid_shown")  # fields that a row may lose: each stands for what is shown with it
# Every field that a line may have, in the order in which it has them.
FIELDS: Final = (
    "positives",
    "valid",
    "invalid",
    "noise_sd",
    "noise_sd_valid",
    "kiosks_reporting",
    "kiosks_expected",
    "status",
    "late",
    "positives_shown",
    "valid_shown",
    "positivity",
    "lower",
    "upper",
)
ShownKey = tuple[str, str, str, str, int]  # field of REPLACED, level, zone ("" = district), target, start


@dataclass(frozen=True, slots=True)
class Span:
    """A window, day or week that starts at an instant, of a zone (None = the district) and a target."""

    length: Length
    zone: str | None
    target: str
    start_ns: int

    @property
    def level(self) -> str:
        """The tag that tells sums of different size apart."""
        return f"{'district' if self.zone is None else 'zone'}_{self.length}"

    def shown(self, field: str) -> ShownKey:
        """One of its fields in the store."""
        return (field, self.level, self.zone or "", self.target, self.start_ns)


def spans_of(window_ns: int, zone: str, target: str, calendar: Calendar) -> list[Span]:
    """The six spans that a zone's window belongs to."""
    starts = {
        "window": window_ns,
        "day": calendar.day_start_ns(window_ns),
        "week": calendar.week_start_ns(window_ns),
    }
    return [Span(length, place, target, starts[length]) for length in LENGTHS for place in (zone, None)]


def windows_of(span: Span, calendar: Calendar, *, until_ns: int) -> range:
    """The starts of a span's windows that are over at `until_ns`."""
    lengths_s = {"window": calendar.window_s, "day": DAY_S, "week": WEEK_S}
    stop_ns = min(span.start_ns + lengths_s[span.length] * NS, until_ns - calendar.window_ns + 1)
    return range(span.start_ns, max(stop_ns, span.start_ns), calendar.window_ns)


def tags(district: str, zone: str | None, target: str, level: str) -> dict[str, str]:
    """The tags of released numbers; without a zone it is the district's."""
    named = {"district": district, "target": target, "level": level}
    return named if zone is None else named | {"zone": zone}


def point(span: Span, rolled: RollUp, *, late: int, district: str, shown_before: Collection[ShownKey]) -> Point:
    """The line of a span; `shown_before` are the fields that stand in the store already."""
    values: dict[str, Value] = {
        "positives": rolled.positives,
        "valid": rolled.valid,
        "invalid": rolled.invalid,
        "noise_sd": rolled.noise_sd,
        "noise_sd_valid": rolled.noise_sd_valid,
        "kiosks_reporting": rolled.kiosks_reporting,
        "kiosks_expected": rolled.kiosks_expected,
        "status": rolled.status,
        "late": late,
    }
    if rolled.status == "shown" or span.shown("valid_shown") in shown_before:
        values |= {"positives_shown": rolled.positives, "valid_shown": rolled.valid}
    if not math.isnan(rolled.positivity):
        values |= {"positivity": rolled.positivity, "lower": rolled.lower, "upper": rolled.upper}
    elif span.shown("positivity") in shown_before:
        lower, upper = limits(rolled.positives, rolled.valid, rolled.noise_sd, rolled.noise_sd_valid)
        values |= {"positivity": rolled.positives / max(rolled.valid, 1), "lower": lower, "upper": upper}
    return Point(MEASUREMENT, tags(district, span.zone, span.target, span.level), values, span.start_ns)
