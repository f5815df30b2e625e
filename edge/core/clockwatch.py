"""How far this machine's clock may be trusted (C10: `tq`). Pure: sees two clocks side by side, reads none.

A jump is a change of the wall clock that the monotonic clock does not share. After one, times are called jumped until
the clock has run evenly for a minute and is synchronised again. Windows, ticks and starts wait for a good clock: a
jump ahead would release windows that have not been.
"""

from dataclasses import dataclass

from contracts.messages import TQ_DISCIPLINED, TQ_FREE, TQ_JUMPED, TQ_UNKNOWN
from contracts.windows import NS

JUMP_S = 2.0  # slewing stays below 0.5 ms a second (adjtime); a loop that sleeps long is no jump
EVEN_S = 60.0


@dataclass(slots=True)
class ClockWatch:
    """The state of one clock."""

    quality: int = TQ_UNKNOWN
    _offset_s: float | None = None
    _even_since_s: float = 0.0
    _jumped: bool = False

    def observe(self, wall_ns: int, monotonic_s: float, synchronised: bool | None) -> int:
        """Take one look at both clocks and at what the system says of its synchronisation; return the quality."""
        offset_s = wall_ns / NS - monotonic_s
        if self._offset_s is not None and abs(offset_s - self._offset_s) > JUMP_S:
            self._jumped, self._even_since_s = True, monotonic_s
        self._offset_s = offset_s
        if self._jumped and monotonic_s - self._even_since_s >= EVEN_S:
            self._jumped = False
        self.quality = self._judge(synchronised)
        return self.quality

    def _judge(self, synchronised: bool | None) -> int:
        if self._jumped:
            return TQ_JUMPED
        if synchronised is None:
            return TQ_UNKNOWN
        return TQ_DISCIPLINED if synchronised else TQ_FREE
