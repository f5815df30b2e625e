"""The backend's foreign clocks: the machine's, or a simulated district's shared one (DESIGN §14)."""

import time
from pathlib import Path

from backend.errors import OperatorError
from contracts.clock import Clock, ScaledClock, WallClock, read_anchors
from contracts.errors import ClockError


def district_clock(time_file: Path | None) -> Clock:
    """Return the district's clock; OperatorError when a simulated district's time.json is not there or damaged."""
    if time_file is None:
        return WallClock(wall_ns, time.monotonic_ns)
    try:
        return ScaledClock(read_anchors(time_file.read_bytes()), time.monotonic_ns)
    except OSError as exc:
        raise OperatorError("%(path)s cannot be read: start the district again.", path=time_file) from exc
    except ClockError as exc:
        raise OperatorError("%(path)s: %(reason)s.", path=time_file, reason=exc) from exc


def wall_ns() -> int:
    """Return the real time; handed on to what lives in real time: sessions, tokens, certificates."""
    return time.time_ns()  # noqa: TID251 - handed to contracts.clock
