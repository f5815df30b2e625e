"""How long to wait before trying again. Pure: the source of chance is handed in."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Waits that double from `first_s` to `most_s`, with jitter over their upper half."""

    first_s: float
    most_s: float
    uniform: Callable[[float, float], float]
    _next_s: float = 0.0

    def wait_s(self) -> float:
        """Return the next wait."""
        bound_s = self._next_s or self.first_s
        self._next_s = min(self.most_s, 2 * bound_s)
        return bound_s * self.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin again with the shortest wait."""
        self._next_s = 0.0
