"""Renews the certificate at two thirds of its life, beside the loop: the backend may be slow or away for days."""

import logging
import queue
import threading
from collections.abc import Callable
from typing import Final, Protocol

from contracts.clock import Clock
from edge.core.backoff import Backoff
from edge.core.enrolment import Enrolment
from edge.errors import EnrolmentError

_LOG = logging.getLogger(__name__)
CHECK_EVERY_S: Final = 3600.0  # real time


class Renewer(Protocol):
    """The part of an enroller that renews."""

    def renewal_due(self) -> bool:
        """Tell whether it is time."""

    def renew(self) -> Enrolment:
        """Ask for the next certificate, and keep it; EnrolmentError."""


class RenewalTask:
    """Looks now and then; asks in a thread of its own; what comes back is taken by the loop."""

    def __init__(
        self, renewer: Renewer, *, clock: Clock, backoff: Backoff, renewed: Callable[[Enrolment], None]
    ) -> None:
        self._renewer = renewer
        self._clock = clock
        self._backoff = backoff
        self._renewed = renewed
        self._look_s = 0.0
        self._thread: threading.Thread | None = None
        self._answers: queue.SimpleQueue[Enrolment | EnrolmentError] = queue.SimpleQueue()

    def step(self) -> None:
        """Take an answer, or begin to ask when it is time."""
        self._take_answer()
        now_s = self._clock.real_s()
        if self._thread is not None or now_s < self._look_s:
            return
        self._look_s = now_s + CHECK_EVERY_S
        if self._renewer.renewal_due():
            self._thread = threading.Thread(target=self._ask, name="certificate renewal", daemon=True)
            self._thread.start()

    def deadline_ns(self) -> int | None:
        """Real time drives it: the loop's longest sleep is short enough."""
        return None

    def _ask(self) -> None:
        try:
            self._answers.put(self._renewer.renew())
        except EnrolmentError as exc:
            self._answers.put(exc)

    def _take_answer(self) -> None:
        try:
            answer = self._answers.get_nowait()
        except queue.Empty:
            return
        self._thread = None
        if isinstance(answer, EnrolmentError):
            _LOG.warning("the certificate is not renewed: %s", answer)
            self._look_s = self._clock.real_s() + self._backoff.wait_s()
            return
        _LOG.info("the certificate is renewed; the next connection uses it")
        self._backoff.reset()
        self._renewed(answer)
