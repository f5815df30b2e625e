"""A thread that takes the same short turn again and again, and does not die of one that fails."""

import logging
import threading
from collections.abc import Callable
from typing import Final

from stores.errors import StoreError

log = logging.getLogger(__name__)

MAX_PAUSE_S: Final = 10.0
FULL_SPEED: Final = 0.0


class Loop:
    """Turns of `step`, which returns how much it did; after work the next turn follows at once.

    A store that does not answer is normal and only lengthens the pause; anything else is a bug: counted, logged by
    its name and place, and the loop goes on.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], int],
        *,
        every_s: float,
        real_s: Callable[[], float],
        failed: Callable[[], None],
    ) -> None:
        self.name = name
        self._step = step
        self._every_s = every_s
        self._real_s = real_s
        self._failed = failed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._last_good_s = real_s()

    @property
    def silent_s(self) -> float:
        """Seconds since a turn last went well."""
        return self._real_s() - self._last_good_s

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, *, timeout_s: float = 5.0) -> None:
        """End after the turn that is under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def check(self, *, most_s: float) -> None:
        """Raise TimeoutError when no turn went well for so long."""
        if self.silent_s > most_s:
            raise TimeoutError(self.name)

    def _run(self) -> None:
        pause_s = self._every_s
        while not self._stop.wait(pause_s):
            done, good = self._turn()
            if good:
                self._last_good_s = self._real_s()
                pause_s = FULL_SPEED if done else self._every_s
            else:
                pause_s = min(MAX_PAUSE_S, max(self._every_s, pause_s * 2))

    def _turn(self) -> tuple[int, bool]:
        try:
            return self._step(), True
        except StoreError as exc:
            log.warning("%s: %s", self.name, exc)
        except Exception as exc:  # noqa: BLE001 - the edge of the loop: counted and logged without its text
            self._failed()
            log.error("%s met %s", self.name, type(exc).__name__, exc_info=False)
        return 0, False
