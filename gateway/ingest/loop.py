"""The loop of ingest: take, judge, commit, acknowledge; and between batches retention, counters and back-pressure.

While one batch is judged and committed, the signatures of the next are checked: so two are in hand, never more.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final, NamedTuple

from contracts.clock import Clock
from contracts.windows import DAY_S, NS
from gateway.ingest.counters import Counters
from gateway.ingest.inbox import Inbox
from gateway.ingest.projector import Projector
from gateway.ingest.service import MAX_BATCH, Begun, IngestService
from mqttlink.types import Message
from stores.errors import StoreError, WriterLockedError
from stores.state.journal import MAX_PRUNED, IngestState

_LOG = logging.getLogger(__name__)

IDLE_S: Final = 0.05
RETRY_S: Final = 0.5  # real time between two tries to commit a batch that the store could not take
ROOM_S: Final = 0.05  # a batch; while the series store is away this is what it costs, and nothing more
LOOK_AFTER_S: Final = 10.0  # real time between two looks at retention
RESUME_AT: Final = 0.9  # of the cap: reading goes on when this much is waiting for the projection, not the cap itself


class _InHand(NamedTuple):
    messages: list[Message]
    begun: Begun


class IngestLoop:
    """Runs until `stop`; StoreErrors are waited out with the batch in hand."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        service: IngestService,
        state: IngestState,
        projector: Projector,
        clock: Clock,
        retention: tuple[int, int],
        counters: Counters,
    ) -> None:
        """`retention` is (days, bytes) that the journal keeps."""
        self._inbox = inbox
        self._service = service
        self._state = state
        self._projector = projector
        self._clock = clock
        self._journal_days, self._journal_max_bytes = retention
        self._counters = counters
        self._looked_s = float("-inf")
        self._stop = threading.Event()
        self.held = False

    def stop(self) -> None:
        """End after the batch at hand; what was not committed the broker sends again. Safe in a signal handler."""
        self._stop.set()

    def run(self, on_ready: Callable[[], None]) -> None:
        """Work until `stop`; `on_ready` is called once, when the broker has accepted."""
        ready, in_hand = False, None
        while not self._stop.is_set():
            if self._inbox.connected and not ready:
                ready = True
                on_ready()
            messages = self._inbox.take(MAX_BATCH, IDLE_S if in_hand is None else 0.0)
            ahead = _InHand(messages, self._service.begin(self._inbox.received(messages))) if messages else None
            if in_hand is not None:
                self._commit(in_hand)
            in_hand = ahead
            self._inbox.send_due()
            self._service.handover.wait_for_room(ROOM_S)
            self._look_after()
            if self._projector.failure is not None:
                raise self._projector.failure  # the supervisor starts ingest anew

    def _commit(self, in_hand: _InHand) -> None:
        failing = False
        while not self._stop.is_set():
            try:
                judged = self._service.finish(in_hand.begun)
            except WriterLockedError:
                raise  # somebody else writes: not to be waited out
            except StoreError as exc:
                if not failing:
                    _LOG.error("journal: %s; nothing is acknowledged until it works again", exc)
                    self._inbox.hold(held=True)
                failing = True
                self._stop.wait(RETRY_S)
                continue
            if failing:
                _LOG.warning("journal: works again")
                self._inbox.hold(held=self.held)
            self._inbox.committed(in_hand.messages, judged)
            self._counters.add(judged.counts)
            return

    def _look_after(self) -> None:
        """Retention (C20, C26): rows not yet projected stay, and when they alone fill the cap reading stops."""
        now_s = self._clock.real_s()
        if now_s - self._looked_s < LOOK_AFTER_S and not self.held:
            return
        self._looked_s = now_s
        before_ns = self._clock.now_ns() - self._journal_days * DAY_S * NS
        try:
            if self._state.prune(before_ns, self._journal_max_bytes) == MAX_PRUNED:
                self._looked_s = float("-inf")  # there is more: look again after the next batch
            self._state.prune_letters(before_ns)
            if self._service.forget_expired():
                self._looked_s = float("-inf")  # likewise
            _, waiting = self._state.journal_bytes()
        except StoreError as exc:
            _LOG.warning("journal retention: %s; tried again later", exc)
            return
        limit = self._journal_max_bytes * (RESUME_AT if self.held else 1.0)
        if (waiting >= limit) != self.held:
            self.held = not self.held
            self._inbox.hold(held=self.held)
            said = "stops reading: rows not yet projected fill the journal" if self.held else "reads again"
            _LOG.error("ingest %s (%d bytes waiting, cap %d)", said, waiting, self._journal_max_bytes)
