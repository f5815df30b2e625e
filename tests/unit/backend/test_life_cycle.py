"""The life of an alert: a table written by hand from iot-edge.md §2b, and that no order of events breaks it."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.alerts.life_cycle import Event, LifeCycleError, Standing, State, opened, step
from contracts.signals import SEVERITIES, Severity

FIRING = Standing(state="firing", severity="warning")
FIRING_OVER = Standing(state="firing", severity="warning", cleared=True)
TAKEN = Standing(state="acknowledged", severity="warning")
TAKEN_OVER = Standing(state="acknowledged", severity="warning", cleared=True)
DONE = Standing(state="resolved", severity="warning")

# before, event, severity of the signal -> state, cleared, count, severity, entry in the history
STEPS: list[tuple[Standing, Event, Severity | None, tuple[object, ...]]] = [
    (FIRING, "raised", "warning", ("firing", False, 2, "warning", "again")),
    (FIRING, "raised", "info", ("firing", False, 2, "warning", "again")),
    (FIRING, "raised", "critical", ("firing", False, 2, "critical", "again")),
    (FIRING, "cleared", None, ("firing", True, 1, "warning", "cleared")),
    (FIRING, "acknowledged", None, ("acknowledged", False, 1, "warning", "acknowledged")),
    (FIRING, "note", None, ("firing", False, 1, "warning", "note")),
    (FIRING_OVER, "cleared", None, ("firing", True, 1, "warning", None)),
    (FIRING_OVER, "raised", "info", ("firing", False, 2, "info", "again")),
    (FIRING_OVER, "acknowledged", None, ("acknowledged", True, 1, "warning", "acknowledged")),
    (TAKEN, "raised", "warning", ("acknowledged", False, 2, "warning", "again")),
    (TAKEN, "raised", "critical", ("firing", False, 2, "critical", "again")),
    (TAKEN, "cleared", None, ("acknowledged", True, 1, "warning", "cleared")),
    (TAKEN, "note", None, ("acknowledged", False, 1, "warning", "note")),
    (TAKEN, "resolved", None, ("resolved", False, 1, "warning", "resolved")),
    (TAKEN_OVER, "raised", "warning", ("firing", False, 2, "warning", "again")),
    (TAKEN_OVER, "resolved", None, ("resolved", True, 1, "warning", "resolved")),
    (DONE, "cleared", None, ("resolved", True, 1, "warning", None)),
]
REFUSED: list[tuple[Standing, Event]] = [
    (FIRING, "resolved"),
    (TAKEN, "acknowledged"),
    (DONE, "raised"),
    (DONE, "acknowledged"),
    (DONE, "note"),
    (DONE, "resolved"),
]


@pytest.mark.parametrize(("before", "event", "severity", "after"), STEPS)
def test_each_allowed_step_leads_where_the_table_says(
    before: Standing, event: Event, severity: Severity | None, after: tuple[object, ...]
) -> None:
    done = step(before, event, severity=severity)
    now = done.standing
    assert (now.state, now.cleared, now.count, now.severity, done.entry) == after


@pytest.mark.parametrize(("before", "event"), REFUSED)
def test_every_other_step_is_refused(before: Standing, event: Event) -> None:
    with pytest.raises(LifeCycleError):
        step(before, event)


def test_steps_and_refusals_together_cover_every_state_and_event() -> None:
    tried = {(row[0].state, row[1]) for row in STEPS} | {(row[0].state, row[1]) for row in REFUSED}
    assert tried == {(state, event) for state in get_args(State) for event in get_args(Event)}


def test_a_first_signal_opens_a_firing_alert() -> None:
    first = opened("critical")
    assert (first.standing.state, first.standing.count, first.entry) == ("firing", 1, "fired")


@given(st.lists(st.tuples(st.sampled_from(get_args(Event)), st.sampled_from(SEVERITIES)), max_size=40))
def test_in_any_order_of_events_triggers_are_counted_and_a_person_alone_ends_it(
    events: list[tuple[Event, Severity]],
) -> None:
    standing, raised = opened("info").standing, 1
    for event, severity in events:
        try:
            after = step(standing, event, severity=severity).standing
        except LifeCycleError:
            continue
        raised += event == "raised"
        if after.state == "resolved" and standing.state != "resolved":
            assert (standing.state, event) == ("acknowledged", "resolved")
        if after.cleared and not standing.cleared:
            assert event == "cleared"
        standing = after
    assert standing.count == raised
