"""How long to wait before the next attempt. Pure.

Full jitter (uniform between nothing and a bound that doubles) keeps a district of devices from coming back in step
after an outage of the broker.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Delays of one session; `uniform(a, b)` is the source of chance."""

    min_s: float
    max_s: float
    uniform: Callable[[float, float], float]
    failures: int = 0

    def failed(self) -> float:
        """Count one failure and return the seconds to wait."""
        bound_s = min(self.max_s, self.min_s * 2 ** min(self.failures, 30))
        self.failures += 1
        return self.uniform(0.0, bound_s)

    def held(self) -> None:
        """Forget the failures: a connection held long enough to be called stable."""
        self.failures = 0
