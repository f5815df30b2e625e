r"""The life of an alert: a table of (state, event), and one function that reads it. No I/O, no clock, no text.

    (none) --raised--> firing --acknowledged--> acknowledged --resolved--> resolved
                         ^ \--raised: count + 1      |
                         '--raised again, after it was over or with a higher severity

There is one open alert for each (rule, subject). "Over" (`cleared`) is what the rule says, resolved is what a person
says: an alert that went over by itself stays in the list until somebody has looked at it. What is already resolved
stays as it is; a later signal opens a new alert. Source: iot-edge.md §2b, after ISA-18.2 and ThingsBoard.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

from contracts.signals import SEVERITIES, Severity

State = Literal["firing", "acknowledged", "resolved"]
Event = Literal["raised", "cleared", "acknowledged", "note", "resolved"]
# What the alert's history then says; None = nothing happened, and nothing is written.
Entry = Literal["fired", "again", "cleared", "acknowledged", "note", "resolved"]


class LifeCycleError(ValueError):
    """A person asked for a step that this state does not have: show the alert as it is now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the life cycle knows of one alert."""

    state: State
    severity: Severity
    cleared: bool = False
    count: int = 1

    def __post_init__(self) -> None:
        if self.count < 1 or self.severity not in SEVERITIES:
            raise ValueError("an alert was raised at least once, with a known severity")


@dataclass(frozen=True, slots=True)
class Step:
    """The alert after an event, and what its history says of it."""

    standing: Standing
    entry: Entry | None


_Row = tuple[State, Entry | None]

# Each state's answer to each event. What is missing is not allowed; `None` as entry is allowed and changes nothing.
TABLE: Final[dict[tuple[State, Event], _Row]] = {
    ("firing", "raised"): ("firing", "again"),
    ("firing", "cleared"): ("firing", "cleared"),
    ("firing", "acknowledged"): ("acknowledged", "acknowledged"),
    ("firing", "note"): ("firing", "note"),
    ("acknowledged", "raised"): ("acknowledged", "again"),
    ("acknowledged", "cleared"): ("acknowledged", "cleared"),
    ("acknowledged", "note"): ("acknowledged", "note"),
    ("acknowledged", "resolved"): ("resolved", "resolved"),
    ("resolved", "cleared"): ("resolved", None),
}


def opened(severity: Severity) -> Step:
    """Return the alert that a first signal opens."""
    return Step(Standing(state="firing", severity=severity), "fired")


def step(standing: Standing, event: Event, *, severity: Severity | None = None) -> Step:
    """Return what an event makes of an alert; `severity` is that of a raised signal.

    Raises:
        LifeCycleError: the table has no such step.
    """
    row = TABLE.get((standing.state, event))
    if row is None:
        raise LifeCycleError(f"an alert that is {standing.state} cannot be {event}")
    state, entry = row
    if event == "raised":
        return _raised(standing, state, severity or standing.severity)
    if event == "cleared":
        return Step(replace(standing, cleared=True), None if standing.cleared else entry)
    return Step(replace(standing, state=state), entry)


def _raised(standing: Standing, state: State, severity: Severity) -> Step:
    worse = SEVERITIES.index(severity) > SEVERITIES.index(standing.severity)
    needs_a_look_again = standing.cleared or worse
    after = replace(
        standing,
        state="firing" if needs_a_look_again else state,
        severity=severity if needs_a_look_again else standing.severity,
        cleared=False,
        count=standing.count + 1,
    )
    return Step(after, "again")
