"""A handler of mqttlink that keeps what it hears, in order, and can be waited for."""

import threading
import time
from collections.abc import Callable

from mqttlink.session import Session
from mqttlink.types import Message, Outcome

TIMEOUT_S = 10.0


class Listener:
    """Implements mqttlink's Handler; `session` may be set so that it acknowledges by itself."""

    def __init__(self, *, acknowledges: bool = False) -> None:
        self.acknowledges = acknowledges
        self.session: Session | None = None
        self.messages: list[Message] = []
        self.outcomes: dict[int, list[Outcome]] = {}
        self.sessions_present: list[bool] = []
        self.reasons: list[str] = []
        self.failing: type[Exception] | None = None  # raised by every callback while set
        self._changed = threading.Condition()

    def on_connected(self, session_present: bool) -> None:
        with self._changed:
            self.sessions_present.append(session_present)
            self._heard()

    def on_disconnected(self, reason: str) -> None:
        with self._changed:
            self.reasons.append(reason)
            self._heard()

    def on_message(self, message: Message) -> None:
        with self._changed:
            self.messages.append(message)
            self._heard()
        if self.acknowledges and self.session is not None:
            self.session.ack(message.ack)

    def on_published(self, token: int, outcome: Outcome) -> None:
        with self._changed:
            self.outcomes.setdefault(token, []).append(outcome)
            self._heard()

    def until(self, holds: Callable[[], bool], what: str, timeout_s: float = TIMEOUT_S) -> None:
        """Return once it holds; TimeoutError naming `what`."""
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while not holds():
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError(f"{what}: not within {timeout_s} s")
                self._changed.wait(left_s)

    def payloads(self) -> list[bytes]:
        """What came, in order, with what came again."""
        return [message.payload for message in self.messages]

    def _heard(self) -> None:
        self._changed.notify_all()
        if self.failing is not None:
            raise self.failing("a defect of the handler")
