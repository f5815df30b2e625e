"""The kiosk's screen and the agent: what a screen may know, and the one thing that it may ask for.

Pure; edge.service.counter joins the two threads. Nothing that a screen is told depends on what a test said or on when
the analyser was done: a module is busy until start + T_max (DESIGN section 6).
"""

from dataclasses import dataclass
from typing import Literal, Protocol

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
