"""District time for simulators: two anchors and a speed, read once.

In: time.json `{"monotonic_anchor_ns", "simulated_anchor_ns", "speed", "last_simulated_ns"}`, which the launcher
replaces each second; its anchors hold for one start, so one read is enough. Out: now, and waiting until an instant.
Only this file of the package looks at the machine's clocks. Protocol time-outs are real and use the event loop's.
"""

import asyncio
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from firmware_sim.errors import ConfigError

NS_PER_S = 1_000_000_000
MAX_SPEED = 100_000  # beyond it one event loop turn is minutes long and the order of events means nothing


@dataclass(frozen=True, slots=True)
class DistrictClock:
    """simulated now = simulated anchor + (monotonic now - monotonic anchor) x speed; all ns, the first UTC."""

    monotonic_anchor_ns: int
    simulated_anchor_ns: int
    speed: int

    def __post_init__(self) -> None:
        if not 1 <= self.speed <= MAX_SPEED:
            raise ConfigError(f"the clock's speed is {self.speed}; it must be 1 to {MAX_SPEED}")

    def now_ns(self) -> int:
        """Simulated UTC nanoseconds since 1970."""
        return self.simulated_anchor_ns + (time.monotonic_ns() - self.monotonic_anchor_ns) * self.speed

    def real_s(self, simulated_s: float) -> float:
        """How long a simulated span lasts on the wall."""
        return simulated_s / self.speed

    async def sleep_until(self, at_ns: int) -> None:
        """Return at the simulated instant, at once when it is past."""
        await asyncio.sleep(max(0.0, (at_ns - self.now_ns()) / NS_PER_S / self.speed))

    async def sleep(self, simulated_s: float) -> None:
        """Let a simulated span pass."""
        await asyncio.sleep(max(0.0, simulated_s / self.speed))


def clock_from_now(*, speed: int = 1, start_ns: int | None = None) -> DistrictClock:
    """A clock that starts at `start_ns` (default: the machine's own time) and runs at `speed`."""
    start = time.time_ns() if start_ns is None else start_ns  # noqa: TID251 - the adapter that reads the machine's clock
    return DistrictClock(time.monotonic_ns(), start, speed)


def clock_from_file(path: Path) -> DistrictClock:
    """Read the launcher's time.json.

    Raises:
        ConfigError: the file cannot be read or is not what the launcher writes.
    """
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as exc:
        raise ConfigError(f"cannot read the clock file {path}: {exc}; start the district with `kioskwatch up`") from exc
    if not isinstance(document, dict):
        raise ConfigError(f"the clock file {path} is not a JSON object")
    names = ("monotonic_anchor_ns", "simulated_anchor_ns", "speed")
    values = [document.get(name) for name in names]
    for name, value in zip(names, values, strict=True):
        if not isinstance(value, int) or isinstance(value, bool):
            raise ConfigError(f"the clock file {path} has no whole number {name}")
    return DistrictClock(*(int(value) for value in values if value is not None))


def local_time(at_ns: int, utc_offset_s: int) -> datetime:
    """The instant on a wall clock of the district (fixed offset, no daylight saving)."""
    zone = timezone(timedelta(seconds=utc_offset_s))
    return datetime.fromtimestamp(at_ns // NS_PER_S, tz=UTC).astimezone(zone)
