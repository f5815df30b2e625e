"""Keeps the line to an instrument open: opens it, hears that it is gone, waits and opens it again."""

from dataclasses import dataclass
from typing import Literal

from edge.core.backoff import Backoff
from edge.errors import LinkError
from edge.ports import Link

OPEN_TIMEOUT_S = 5.0

_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Step:
    """What one step brought: bytes, and whether the line came up or went."""

    data: bytes = b""
    change: Literal["up", "down"] | None = None


class Line:
    """One line and its state: closed (until a time), opening (until a time), or up."""

    def __init__(self, link: Link, backoff: Backoff) -> None:
        self._link = link
        self._backoff = backoff
        self._state: Literal["closed", "opening", "up"] = "closed"
        self._until_s = 0.0

    @property
    def up(self) -> bool:
        """Whether bytes can be sent."""
        return self._state == "up"

    def fileno(self) -> int:
        """The descriptor to wait on; -1 while there is none."""
        return -1 if self._state == "closed" else self._link.fileno()

    def wants_write(self) -> bool:
        """Whether to wait for writing too."""
        return self._state != "closed" and self._link.wants_write()

    def deadline_s(self) -> float:
        """When `step` is wanted at the latest."""
        return _NEVER if self.up else self._until_s

    def step(self, now_s: float) -> Step:
        """Read what has come, write what waits, open what is closed."""
        try:
            return self._step(now_s)
        except LinkError:
            return self._gone(now_s)

    def send(self, data: bytes, now_s: float) -> Step:
        """Send bytes; the step says if that ended the line. Bytes for a line that is not up are dropped."""
        if not self.up or not data:
            return Step()
        try:
            self._link.send(data)
        except LinkError:
            return self._gone(now_s)
        return Step()

    def close(self) -> None:
        """Let the line go."""
        self._link.close()
        self._state, self._until_s = "closed", _NEVER

    def _step(self, now_s: float) -> Step:
        if self._state == "closed":
            if now_s < self._until_s:
                return Step()
            self._state, self._until_s = "opening", now_s + OPEN_TIMEOUT_S
            self._link.open()
        if self._state == "opening":
            if self._link.established():
                self._state = "up"
                self._backoff.reset()
                return Step(change="up")
            if now_s >= self._until_s:
                raise LinkError("the line did not open in time")
            return Step()
        self._link.flush()
        return Step(self._link.receive())

    def _gone(self, now_s: float) -> Step:
        was_up = self.up
        self._link.close()
        self._state, self._until_s = "closed", now_s + self._backoff.wait_s()
        return Step(change="down" if was_up else None)
