"""Journalled entries on their way to the projection, still decoded: spares reading and decoding them again.

Bounded: what does not fit is left out, and the projection reads it from the journal. Entries are handed over in the
order of their numbers; after a gap the projection comes back here once it has caught up.
"""

import threading
from collections import deque
from collections.abc import Sequence
from itertools import count, islice
from typing import Final, NamedTuple

from gateway.ingest.steps import Content
from stores.state.journal import JournalEntry

MAX_RECORDS: Final = 20_000  # of some hundred bytes each


class Handed(NamedTuple):
    """One entry, its number in the journal, and its message's content; None when it can be read no more."""

    id: int
    entry: JournalEntry
    content: Content | None


class Handover:
    """One thread puts, another takes."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._waiting: deque[Handed] = deque()
        self._records = 0

    def put(self, first_id: int, entries: Sequence[JournalEntry], contents: Sequence[Content]) -> None:
        """Leave entries that were committed under consecutive numbers; all or none."""
        records = sum(entry.n for entry in entries)
        with self._lock:
            if self._waiting and self._waiting[-1].id + 1 != first_id:
                self._waiting.clear()
                self._records = 0
            if not entries or self._records + records > MAX_RECORDS:
                return
            self._waiting.extend(map(Handed, count(first_id), entries, contents))
            self._records += records

    def wait_for_room(self, most_s: float) -> None:
        """Wait until another batch will probably fit: decoding it a second time costs more than this pause."""
        with self._lock:
            self._lock.wait_for(lambda: self._records < MAX_RECORDS // 2, most_s)

    def take(self, after_id: int, limit: int) -> list[Handed]:
        """Return up to `limit` entries that follow `after_id` without a gap; none when they are not here."""
        with self._lock:
            while self._waiting and self._waiting[0].id <= after_id:
                self._records -= self._waiting.popleft().entry.n
            self._lock.notify()
            if not self._waiting or self._waiting[0].id != after_id + 1:
                return []
            return list(islice(self._waiting, limit))
