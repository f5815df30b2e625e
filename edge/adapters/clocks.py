"""The foreign clocks: the machine's, the kernel's word on its quality, and a simulated district's shared clock."""

import ctypes
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from contracts.clock import Clock, ScaledClock, WallClock, read_anchors
from contracts.errors import ClockError
from contracts.messages import TQ_DISCIPLINED
from edge.core.clockwatch import ClockWatch
from edge.errors import SettingsError

_TIMEX_BYTES: Final = 208  # struct timex on 64-bit Linux (adjtimex(2)); larger on none
_TIME_ERROR: Final = 5  # adjtimex(2): the clock is not synchronised
_LOOK_EVERY_S: Final = 5.0


def wall_clock() -> WallClock:
    """Return a real district's clock."""
    return WallClock(time.time_ns, time.monotonic_ns)  # noqa: TID251 -- handed to contracts.clock


def simulated_clock(time_file: Path) -> ScaledClock:
    """Return a simulated district's clock from its time.json; SettingsError when it is not there or damaged."""
    try:
        return ScaledClock(read_anchors(time_file.read_bytes()), time.monotonic_ns)
    except (OSError, ClockError) as exc:
        raise SettingsError(f"time_file {time_file}: {exc}") from exc


def real_now() -> datetime:
    """Return real UTC time, for certificates: they live in the real world also in a simulated district."""
    return datetime.now(UTC)  # noqa: TID251 -- one of the adapters that hand foreign clocks on


def synchronised() -> bool | None:
    """Tell whether the kernel calls its clock synchronised; None when it cannot be asked."""
    try:
        buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
        state = int(ctypes.CDLL(None, use_errno=True).adjtimex(buffer))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


class WatchedClock:
    """The quality of a real clock. Implements edge.ports.ClockQuality."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._watch = ClockWatch()
        self._synchronised: bool | None = None
        self._look_at_s = 0.0

    def now(self) -> int:
        """Return the `tq` of this moment."""
        now_s = self._clock.real_s()
        if now_s >= self._look_at_s:
            self._synchronised, self._look_at_s = synchronised(), now_s + _LOOK_EVERY_S
        return self._watch.observe(self._clock.now_ns(), now_s, self._synchronised)


class SharedClock:
    """The quality of a simulated district's clock: it is the district's, by definition."""

    def now(self) -> int:
        """Return the `tq` of this moment."""
        return TQ_DISCIPLINED


def disk_used_pct(folder: Path) -> float:
    """Return how full the disk under a folder is, in percent; 100 when it cannot be asked."""
    try:
        stat = os.statvfs(folder)
    except OSError:
        return 100.0
    return 100.0 * (1 - stat.f_bavail / stat.f_blocks) if stat.f_blocks else 0.0
