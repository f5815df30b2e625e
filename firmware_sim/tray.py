"""The tray of one simulated printer: its newest slip, for the person who stands there. Memory only, and not for long.

A slip holds a code. Only the kiosk at which a real person takes a simulated test has a tray; what lies in it is seen on
that person's own screen, is replaced by the next slip, and is gone after the time in which one takes it.
"""

from collections.abc import Callable

TAKEN_AFTER_S = 120.0  # real: as long as a result stays on a page


class Tray:
    """`now_s` is any monotonic clock in real seconds."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._slip: bytes | None = None
        self._until_s = 0.0

    def lay(self, slip: bytes) -> None:
        """A slip comes out; whatever lay there is gone."""
        self._slip, self._until_s = slip, self._now_s() + TAKEN_AFTER_S

    @property
    def slip(self) -> bytes | None:
        """The slip as a PNG; None when nothing lies there."""
        if self._slip is not None and self._now_s() >= self._until_s:
            self._slip = None
        return self._slip
