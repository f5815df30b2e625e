"""Where a screen's thread and the agent's meet: wishes go in, answers and facts come out. Implements Desk."""

import queue
import threading
from typing import Literal

from contracts.clock import Clock
from edge.ports import Waiter
from edge.service.desk import CheckedIn, DeskView, Facts, TurnedAway


class CheckIn:
    """One visitor's wish, between the screen's thread that waits and the agent's that answers."""

    def __init__(self, language: str, *, paper: bool) -> None:
        self.language = language
        self.paper = paper
        self._lock = threading.Lock()
        self._answered = threading.Event()
        self._answer: CheckedIn | TurnedAway | None = None
        self._given_up = False

    @property
    def given_up(self) -> bool:
        """Whether nobody waits for the answer any more."""
        with self._lock:
            return self._given_up

    def answer(self, answer: CheckedIn | TurnedAway) -> None:
        """Say how it went."""
        with self._lock:
            self._answer = answer
        self._answered.set()

    def wait(self, timeout_s: float) -> CheckedIn | TurnedAway:
        """Return the answer; what comes after the time is given back by the agent, or lapses."""
        self._answered.wait(timeout_s)
        with self._lock:
            self._given_up = self._answer is None
            return self._answer or TurnedAway("internal")


class Counter:
    """Implements Desk for one agent: its thread calls `show`, `take` and `left`, the screen's everything else."""

    def __init__(self, clock: Clock, waiter: Waiter) -> None:
        self._clock = clock
        self._waiter = waiter
        self._facts = Facts()
        self._wishes: queue.SimpleQueue[CheckIn] = queue.SimpleQueue()
        self._left = threading.Event()
        self._printer: Literal["printer", "paper"] | None = None

    # --- the screen's side --------------------------------------------------------------------------------

    def view(self) -> DeskView:
        """Return what to show now; immediate."""
        return self._facts.seen_at(self._clock.now_ns())

    def check_in(self, language: str, *, paper: bool, timeout_s: float) -> CheckedIn | TurnedAway:
        """Reserve a place, hand out a code (printed, or shown when not `paper`); blocks up to `timeout_s`, real."""
        wish = CheckIn(language, paper=paper)
        self._wishes.put(wish)
        self._waiter.wake()
        return wish.wait(timeout_s)

    def leave(self) -> None:
        """The visitor has gone: a code that is shown is shown no more. A place without cartridge lapses by itself."""
        self._left.set()
        self._waiter.wake()

    def printer_said(self, fault: Literal["printer", "paper"] | None) -> None:
        """Take the printer's state from whoever asks it; None: it can print."""
        self._printer = fault

    # --- the agent's side ---------------------------------------------------------------------------------

    @property
    def printer_fault(self) -> Literal["printer", "paper"] | None:
        """What is known of the printer."""
        return self._printer

    def show(self, facts: Facts) -> None:
        """Take the facts of this turn."""
        self._facts = facts

    def take(self) -> CheckIn | None:
        """Return the oldest wish; None when there is none."""
        try:
            return self._wishes.get_nowait()
        except queue.Empty:
            return None

    def left(self) -> bool:
        """Tell whether the visitor has gone since the last question."""
        if not self._left.is_set():
            return False
        self._left.clear()
        return True
