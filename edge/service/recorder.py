"""From tasks to the outbox: collects records of one turn, commits them together, and holds back when there is no room.

Between `add` and `flush` a record is in memory only: whoever must not lose it (an analyser's answer) does not go this
way. When nothing can be written the recorder is `full`: sensors are not asked meanwhile, so nothing waits in memory
beyond one turn.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from edge.core.readings import event
from edge.core.sending import Sending
from edge.errors import RecordError, StoreFullError
from edge.store_ports import NewRecord, Outbox, Thinned

_LOG = logging.getLogger(__name__)
MAX_WAITING: Final = 256  # records of one turn, and of the turn in which the disk filled up


class Recorder:
    """The one writer of the outbox."""

    def __init__(self, outbox: Outbox, sending: Sending, now: Callable[[], tuple[int, int]]) -> None:
        self._outbox = outbox
        self._sending = sending
        self._now = now  # district time in ns, and its quality
        self._waiting: list[NewRecord] = []
        self.full = False
        self.refused = 0

    def add(self, stream: str, body: bytes) -> None:
        """Take a record for the next commit; counted and given up when too many wait already."""
        if len(self._waiting) >= MAX_WAITING:
            self.refused += 1
        else:
            self._waiting.append(NewRecord(stream, body))

    def event(self, code: str, state: str) -> None:
        """Take an event that happens now."""
        now_ns, tq = self._now()
        try:
            self.add("event", event(now_ns, tq, code, state))
        except RecordError:
            self.refused += 1

    def flush(self) -> None:
        """Commit what waits; what finds no room waits on."""
        records, self._waiting = self._waiting, []  # a commit may add records of its own: what it had to give up
        if records and not self._commit(records):
            self._waiting = records + self._waiting

    def commit(self, record: NewRecord) -> bool:
        """Commit one record now; False when there is no room."""
        return self._commit([record])

    def _commit(self, records: Sequence[NewRecord]) -> bool:
        try:
            appended = self._outbox.append(records, self._now()[0])
        except StoreFullError as exc:
            if not self.full:
                _LOG.warning("outbox: no room, instruments are held back: %s", exc)
                self.full = True
            return False
        for thinned in appended.thinned:
            self._sending.gone(thinned.stream, thinned.first, thinned.last)
        for stream, seq in appended.records:
            self._sending.committed(stream, seq)
        self._tell(appended.thinned)
        return True

    def _tell(self, thinned: Sequence[Thinned]) -> None:
        """Say once that room was found again, and which records were given up for it."""
        if self.full:
            self.full = False
            self.event("outbox", "drained")
        for one in thinned:
            _LOG.warning("outbox: gave up records %d to %d of %s", one.first, one.last, one.stream)
        if any(one.stream != "event" for one in thinned):
            self.event("outbox", "thinned")
