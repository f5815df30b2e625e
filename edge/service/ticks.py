"""Publishes a kiosk's ticks: one record of constant size each, whoever came (DESIGN section 6).

The order that loses and doubles nothing: the outbox takes the tick (and never an earlier one again), then the rows
that it stood for are freed. A crash in between leaves rows that the next tick frees.
"""

from dataclasses import dataclass
from typing import Final

from edge.core.ticks import Dummy, Shuffle, next_tick, publish_ns, tick_body
from edge.errors import StoreFullError
from edge.service.recorder import Recorder
from edge.store_ports import NewRecord, VisitStore

STREAM: Final = "sealed"
TICKS_A_TURN: Final = 16  # after an outage the loop goes on hearing its instruments


@dataclass(frozen=True, slots=True, kw_only=True)
class TickRules:
    """How this kiosk's ticks are made. `offset_ns`: the device's own delay after a tick's start."""

    places: int
    offset_ns: int
    dummy: Dummy
    shuffle: Shuffle


class TickWriter:
    """One kiosk's ticks. `last_start`: the newest tick that the outbox took, None for a new one."""

    def __init__(self, visits: VisitStore, recorder: Recorder, rules: TickRules, *, last_start: int | None) -> None:
        self._visits = visits
        self._recorder = recorder
        self._rules = rules
        self._last = visits.last_tick if last_start is None else max(last_start, visits.last_tick)

    def step(self, now_ns: int) -> None:
        """Put every tick that is due into the outbox; StoreFullError when there is no room, and it stays due.

        A tick waits for the runs that have a place in it: all of them are overdue by then and being sealed.
        """
        for _ in range(TICKS_A_TURN):
            tick = next_tick(self._last, now_ns, self._rules.offset_ns)
            if tick is None or self._visits.awaits(tick):
                return
            rules = self._rules
            body = tick_body(self._visits.records(tick), rules.places, rules.dummy, rules.shuffle)
            if not self._recorder.commit(NewRecord(STREAM, body, start=tick)):
                raise StoreFullError("a tick waits for room in the outbox")
            self._last = tick
            self._visits.tick(tick)

    def deadline_ns(self) -> int | None:
        """District time at which `step` is wanted at the latest; None while a run is awaited."""
        following = self._last + 1
        return None if self._visits.awaits(following) else publish_ns(following, self._rules.offset_ns)
