"""The clock every process shares (DESIGN §14): district time from a monotonic clock, by two anchors. Pure.

A simulated district runs `speed` times as fast as the world; `kioskwatch up` alone writes the anchors. A real
district has speed 1 and no file. The foreign clocks are handed in by bootstrap; nothing here reads one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import msgspec

from contracts.errors import ClockError
from contracts.windows import NS, to_datetime

MAX_SPEED: Final = 3600  # above it a 6 h window is shorter than a publish and its acknowledgement
RESTART_GAP_S: Final = 2  # how far after the last written instant a restart begins; the file is written each second

NanosecondSource = Callable[[], int]


class Clock(Protocol):
    """What code may know of time."""

    @property
    def speed(self) -> int:
        """District seconds in a real second."""

    def now_ns(self) -> int:
        """Return district time, UTC nanoseconds."""

    def now(self) -> datetime:
        """Return district time as an aware datetime."""

    def real_s(self) -> float:
        """Return real monotonic seconds: time-outs, back-off and rate limits only."""


class TimeAnchors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of time.json."""

    monotonic_anchor_ns: int
    simulated_anchor_ns: int
    speed: int
    last_simulated_ns: int

    def __post_init__(self) -> None:
        if not 1 <= self.speed <= MAX_SPEED:
            raise ClockError(f"speed is 1 to {MAX_SPEED}, not {self.speed}")

    def at(self, monotonic_ns: int) -> int:
        """Return district time at a monotonic instant."""
        return self.simulated_anchor_ns + (monotonic_ns - self.monotonic_anchor_ns) * self.speed

    def written_at(self, monotonic_ns: int) -> bytes:
        """Return the file as it reads now."""
        return msgspec.json.encode(msgspec.structs.replace(self, last_simulated_ns=self.at(monotonic_ns)))

    def restarted_at(self, monotonic_ns: int) -> "TimeAnchors":
        """Return new anchors after a stop: later than any instant the old ones can have given out."""
        instant = self.last_simulated_ns + self.speed * RESTART_GAP_S * NS
        return TimeAnchors(monotonic_ns, instant, self.speed, instant)


def first_anchors(monotonic_ns: int, start_ns: int, speed: int) -> TimeAnchors:
    """Return the anchors of a simulated district's very first start."""
    return TimeAnchors(monotonic_ns, start_ns, speed, start_ns)


def read_anchors(content: bytes) -> TimeAnchors:
    """Read time.json; ClockError when it is damaged."""
    try:
        return msgspec.json.decode(content, type=TimeAnchors)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise ClockError(f"time.json is damaged: {exc}") from exc


@dataclass(frozen=True, slots=True)
class ScaledClock:
    """District time of a simulated district."""

    anchors: TimeAnchors
    monotonic_ns: NanosecondSource

    @property
    def speed(self) -> int:
        """District seconds in a real second."""
        return self.anchors.speed

    def now_ns(self) -> int:
        """Return district time, UTC nanoseconds."""
        return self.anchors.at(self.monotonic_ns())

    def now(self) -> datetime:
        """Return district time as an aware datetime."""
        return to_datetime(self.now_ns())

    def real_s(self) -> float:
        """Return real monotonic seconds."""
        return self.monotonic_ns() / NS


@dataclass(frozen=True, slots=True)
class WallClock:
    """District time of a real district: the machine's own clock."""

    wall_ns: NanosecondSource
    monotonic_ns: NanosecondSource

    @property
    def speed(self) -> int:
        """Real time runs at its own speed."""
        return 1

    def now_ns(self) -> int:
        """Return UTC nanoseconds."""
        return self.wall_ns()

    def now(self) -> datetime:
        """Return the time as an aware datetime."""
        return to_datetime(self.wall_ns())

    def real_s(self) -> float:
        """Return real monotonic seconds."""
        return self.monotonic_ns() / NS
