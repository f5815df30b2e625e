"""The gateway's foreign clocks: the machine's, or a simulated district's shared one (DESIGN §14)."""

import time
from pathlib import Path

from contracts.clock import Clock, ScaledClock, WallClock, read_anchors
from contracts.errors import ClockError
from gateway.errors import SettingsError


def district_clock(time_file: Path | None) -> Clock:
    """Return the district's clock; SettingsError when a simulated district's time.json is not there or damaged."""
    if time_file is None:
        return WallClock(time.time_ns, time.monotonic_ns)  # noqa: TID251 -- handed to contracts.clock
    try:
        return ScaledClock(read_anchors(time_file.read_bytes()), time.monotonic_ns)
    except (OSError, ClockError) as exc:
        raise SettingsError(f"time_file {time_file}: {exc}") from exc
