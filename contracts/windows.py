"""Ticks, windows, days and weeks: pure arithmetic on integers (DESIGN §2, §14). No clock.

Windows, days and weeks are aligned to 00:00 of the district's standard time, a fixed offset without daylight
saving, so every day has 24 hours and every window the same length. Instants are nanoseconds UTC.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from contracts.errors import ClockError

NS: Final = 1_000_000_000
TICK_S: Final = 600
DAY_S: Final = 86_400
WEEK_S: Final = 7 * DAY_S
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WINDOW_LENGTHS_S: Final = (6 * 3600, 12 * 3600, DAY_S)  # each divides the day, so parents are sums of children

_EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday


def tick_of(ns: int) -> int:
    """Return the tick an instant lies in."""
    return ns // (TICK_S * NS)


def tick_start_ns(tick: int) -> int:
    """Return the first instant of a tick."""
    return tick * TICK_S * NS


def to_datetime(ns: int) -> datetime:
    """Return an instant as an aware datetime, cut to microseconds."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1000)


def to_ns(instant: datetime) -> int:
    """Return an aware datetime as nanoseconds; ClockError for one without an offset."""
    if instant.tzinfo is None:
        raise ClockError("a time without its offset from UTC")
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


@dataclass(frozen=True, slots=True)
class Calendar:
    """The district's windows, days and weeks."""

    window_s: int
    utc_offset_s: int
    week_start: int  # 0 = Monday

    def __post_init__(self) -> None:
        if self.window_s not in WINDOW_LENGTHS_S:
            raise ClockError(f"a window is one of {WINDOW_LENGTHS_S} seconds, not {self.window_s}")
        if abs(self.utc_offset_s) > 14 * 3600 or self.utc_offset_s % 900:
            raise ClockError("the offset from UTC is a multiple of 15 minutes within 14 hours")
        if self.week_start not in range(len(WEEKDAYS)):
            raise ClockError("a week starts on day 0 (Monday) to 6 (Sunday)")

    @property
    def window_ns(self) -> int:
        """How long a window is."""
        return self.window_s * NS

    def _floor(self, ns: int, length_s: int, shift_s: int = 0) -> int:
        shift = (self.utc_offset_s + shift_s) * NS
        return (ns + shift) // (length_s * NS) * length_s * NS - shift

    def window_start_ns(self, ns: int) -> int:
        """Return the start of the window an instant lies in."""
        return self._floor(ns, self.window_s)

    def is_window_start(self, ns: int) -> bool:
        """Tell whether a window starts at this instant."""
        return self.window_start_ns(ns) == ns

    def day_start_ns(self, ns: int) -> int:
        """Return the start of the district's day an instant lies in."""
        return self._floor(ns, DAY_S)

    def week_start_ns(self, ns: int) -> int:
        """Return the start of the district's week an instant lies in."""
        return self._floor(ns, WEEK_S, (_EPOCH_WEEKDAY - self.week_start) * DAY_S)

    def windows_between(self, start_ns: int, stop_ns: int) -> range:
        """Return the starts of the windows that begin in [start, stop)."""
        first = self.window_start_ns(start_ns)
        if first < start_ns:
            first += self.window_ns
        return range(first, stop_ns, self.window_ns)
