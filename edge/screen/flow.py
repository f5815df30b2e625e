"""Which screen stands when: from what the desk shows and what this visitor has done here. Pure.

Nothing here may depend on what a test said or on when the analyser was done. It cannot: a DeskView does not hold it
(edge.service.desk), and a visitor's own steps end when the cartridge is in.

    start -> info -> (check-in) -> insert -> done      at any time: back to the start, and after 60 s of silence
    info -> busy, wait or a fault, each its own screen      insert -> lapsed, when no cartridge came
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

from edge.service.desk import CheckedIn, DeskView, TurnedAway

Name = Literal[
    "start",
    "info",
    "wait",
    "busy",
    "paper",
    "printer",
    "analyser",
    "control",
    "door",
    "clock",
    "store",
    "internal",
    "insert",
    "done",
    "lapsed",
]
WITHOUT_PAPER: Final = frozenset({"paper", "printer"})  # faults that leave a code to be shown on the screen


@dataclass(frozen=True, slots=True)
class Sitting:
    """One visitor at the screen, from the choice of a language to the way back. Dropped then; never kept."""

    language: str
    outcome: CheckedIn | TurnedAway | None = None  # of the check-in
    over: Literal["done", "lapsed"] | None = None


@dataclass(frozen=True, slots=True)
class Screen:
    """What stands on the glass. `key` changes whenever it would have to be drawn anew."""

    name: Name
    key: str


def before_check_in(view: DeskView) -> Screen:
    """Return the screen behind the choice of a language."""
    if view.fault is not None:
        return Screen(view.fault, view.fault)
    if view.stage == "issuing":
        return Screen("wait", "wait")
    if view.free_modules <= 0 or view.stage == "insert":  # one cartridge is awaited at a time
        return Screen("busy", f"busy:{view.next_free_ns}")
    return Screen("info", "info")


def advanced(sitting: Sitting, view: DeskView) -> Sitting:
    """Return the sitting as the desk's view leaves it: once over, it stays over."""
    if not isinstance(sitting.outcome, CheckedIn) or sitting.over is not None or view.stage == "insert":
        return sitting
    return replace(sitting, over="done" if view.now_ns < sitting.outcome.insert_until_ns else "lapsed")


def in_visit(sitting: Sitting, view: DeskView) -> Screen:
    """Return the screen behind the check-in."""
    match sitting.outcome:
        case None | TurnedAway("busy"):  # turned away by a hair: as soon as there is a place, the visitor may ask again
            return before_check_in(view)
        case TurnedAway(reason):
            return Screen(reason, reason)
        case CheckedIn():
            name: Name = sitting.over or "insert"
            return Screen(name, name)
