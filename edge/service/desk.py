"""The kiosk's screen and the agent: what a screen may know, and the one thing that it may ask for.

The screen works in a thread of its own. Nothing that it is told depends on what a test said or on when the analyser
was done: a module is busy until start + T_max (DESIGN section 6).
"""

import queue
import threading
from dataclasses import dataclass
from typing import Literal, Protocol

from contracts.clock import Clock
from edge.ports import Waiter

Fault = Literal["analyser", "control", "door", "clock", "printer", "paper", "store"]
Stage = Literal["open", "issuing", "insert"]
Refusal = Fault | Literal["busy", "internal"]


@dataclass(frozen=True, slots=True)
class DeskView:
    """What the screen shows. Instants are district time, UTC ns."""

    now_ns: int
    fault: Fault | None  # no test starts; "printer" and "paper" alone leave a check-in without paper
    free_modules: int
    next_free_ns: int | None  # when somebody could check in next; None: now
    stage: Stage
    insert_until_ns: int | None  # stage "insert": until when the cartridge is awaited
    ready_ns: int | None  # stage "insert": when the result can be read
    expires_ns: int | None
    code_url: str | None  # stage "insert", no paper: the page that shows the code


@dataclass(frozen=True, slots=True)
class CheckedIn:
    """A place is reserved and a code handed out: insert the cartridge."""

    ready_ns: int
    expires_ns: int
    insert_until_ns: int
    code_url: str | None


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """Nothing was reserved, handed out or counted."""

    reason: Refusal


class Desk(Protocol):
    """The agent as its screen sees it. Every method may be called from any thread."""

    def view(self) -> DeskView:
        """Return what to show now; immediate."""

    def check_in(self, language: str, *, paper: bool, timeout_s: float) -> CheckedIn | TurnedAway:
        """Reserve a place, hand out a code (printed, or shown when not `paper`); blocks up to `timeout_s`, real."""

    def leave(self) -> None:
        """The visitor has gone: a code that is shown is shown no more. A place without cartridge lapses by itself."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the agent's thread says of itself; what only time changes is worked out when somebody looks."""

    fault: Fault | None = None
    modules: int = 0
    busy_until_ns: tuple[int, ...] = ()  # ascending; of every module that is taken
    issuing: bool = False
    expected: CheckedIn | None = None  # whose cartridge is awaited

    def seen_at(self, now_ns: int) -> DeskView:
        """Return the view of this moment."""
        busy = [until_ns for until_ns in self.busy_until_ns if until_ns > now_ns]
        free = max(0, self.modules - len(busy))
        expected = self.expected if self.expected is not None and self.expected.insert_until_ns > now_ns else None
        next_free_ns = None if free or not busy else busy[len(busy) - self.modules]
        return DeskView(
            now_ns=now_ns,
            fault=self.fault,
            free_modules=free,
            next_free_ns=expected.insert_until_ns if expected else next_free_ns,
            stage="issuing" if self.issuing else "insert" if expected else "open",
            insert_until_ns=expected.insert_until_ns if expected else None,
            ready_ns=expected.ready_ns if expected else None,
            expires_ns=expected.expires_ns if expected else None,
            code_url=expected.code_url if expected else None,
        )


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
