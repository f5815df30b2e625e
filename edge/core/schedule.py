"""Fixed times: instants that repeat with a period, the same whatever happens in between. Pure."""

import hashlib
from dataclasses import dataclass

from contracts.windows import NS


@dataclass(frozen=True, slots=True)
class Schedule:
    """The instants phase + k x period of district time."""

    period_s: int
    phase_s: int = 0

    def __post_init__(self) -> None:
        """Refuse a period that no clock can keep."""
        if self.period_s <= 0 or not 0 <= self.phase_s < self.period_s:
            raise ValueError("period_s must be above 0 and phase_s within it")

    def next_after_ns(self, now_ns: int) -> int:
        """Return the first instant later than `now_ns`."""
        period_ns, phase_ns = self.period_s * NS, self.phase_s * NS
        return ((now_ns - phase_ns) // period_ns + 1) * period_ns + phase_ns


def phase_of(device: str, within_s: int) -> int:
    """Return a device's own fixed phase, so that a district's devices do not all speak in the same second."""
    return int.from_bytes(hashlib.sha256(device.encode()).digest()[:8]) % within_s
