"""Safety rules on ingest: tables of readings, by the readings' own time, and what a restart remembers."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.messages import TQ_JUMPED, Reading
from contracts.registry import Rule
from contracts.signals import Signal
from gateway.ingest.safety import Watch, WatchKey, evaluate, resume
from tests.support.registry import CO2, COLD, STUCK, device_of, world
from tests.support.speaker import START_NS, Speaker, reading

AIR, ROOM, KIOSK = Speaker("air-1"), Speaker("room-1"), Speaker("kiosk-1")
S = 10**9
LATER_NS = START_NS + 100 * 3600 * S


def told(
    rules: Sequence[Rule],
    readings: Sequence[Reading],
    *,
    speaker: Speaker = AIR,
    watches: dict[WatchKey, Watch] | None = None,
    now_ns: int = LATER_NS,
) -> list[Signal]:
    """The signals of a row of readings."""
    kept: dict[WatchKey, Watch] = {} if watches is None else watches
    signals: list[Signal] = []
    for one in readings:
        changed, found = evaluate(kept, [one], device_of(speaker), world(AIR, ROOM, KIOSK, rules=rules), now_ns)
        kept.update(changed)
        signals += found
    return signals


def co2(*minutes_and_values: tuple[float, float]) -> list[Reading]:
    return [reading(60 * minute, co2_ppm=value) for minute, value in minutes_and_values]


def shape(signals: Sequence[Signal]) -> list[tuple[str, float, float]]:
    """Phase, minute of onset, minutes held."""
    return [
        (signal.phase, (signal.onset_ns - START_NS) / S / 60, float(signal.facts["held_s"]) / 60) for signal in signals
    ]


# The limit is 1500 for 30 minutes, clear below 1200: minutes and ppm, then (phase, onset, held).
@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([(0, 1600), (10, 1600), (20, 1600), (29, 1600)], []),
        ([(0, 1600), (10, 1600), (20, 1600), (30, 1501)], [("raised", 0, 30)]),
        ([(0, 1600), (30, 1500)], []),  # at the limit is not beyond it
        ([(0, 1600), (20, 1499), (40, 1600), (60, 1600)], []),  # a good reading starts the time anew
        ([(0, 1600), (20, 1499), (25, 1600), (60, 1600)], [("raised", 25, 35)]),
        ([(0, 1600), (30, 1600), (40, 1300), (50, 1600)], [("raised", 0, 30)]),  # between clear and limit: still raised
        ([(0, 1600), (30, 1600), (40, 1200)], [("raised", 0, 30)]),  # at clear is not past it
        ([(0, 1600), (30, 1600), (40, 1199)], [("raised", 0, 30), ("cleared", 0, 40)]),
        (
            [(0, 1600), (30, 1600), (40, 1100), (41, 1600), (60, 1600), (71, 1600)],
            [("raised", 0, 30), ("cleared", 0, 40), ("raised", 41, 30)],  # the hold time counts again, from anew
        ),
        ([(0, 1600), (300, 1600)], [("raised", 0, 300)]),  # nobody said that it was over
    ],
)
def test_a_limit_holds_for_its_time_and_clears_with_hysteresis(
    readings: list[tuple[float, float]], expected: list[tuple[str, float, float]]
) -> None:
    assert shape(told([CO2], co2(*readings))) == expected


def test_a_limit_below_without_hold_time_raises_at_once() -> None:
    rows = [reading(60 * minute, temperature_c=value) for minute, value in enumerate([6, 4.9, 7.9, 8.0, 8.1, 3])]
    assert shape(told([COLD], rows)) == [("raised", 1, 0), ("cleared", 1, 3), ("raised", 5, 0)]


def test_a_sensor_is_stuck_after_so_many_equal_readings_and_free_at_the_first_other() -> None:
    rows = co2((0, 600), (1, 600), (2, 600), (3, 601), (4, 601), (5, 601), (6, 601), (7, 601), (8, 602), (9, 602))
    assert shape(told([STUCK], rows)) == [("raised", 3, 3), ("cleared", 3, 5)]


def test_a_signal_says_what_an_alert_must_explain() -> None:
    (raised,) = told([CO2], co2((0, 1600), (30, 1712.5)))
    assert (raised.rule, raised.subject, raised.zone, raised.severity) == ("co2", "air-1", "z10017", "warning")
    assert raised.found_ns == LATER_NS
    assert dict(raised.facts) == {
        "metric": "co2_ppm",
        "device": "air-1",
        "site": "hall",
        "held_s": 1800,
        "value": 1712.5,
        "limit": 1500.0,
        "clear": 1200.0,
        "hold_s": 1800,
    }


def test_of_a_restricted_place_the_alarm_gets_out_and_no_value() -> None:
    signals = told([CO2, STUCK], co2(*((10 * n, 1600.0) for n in range(5))), speaker=ROOM)
    assert [signal.rule for signal in signals] == ["co2", "stuck"]
    for signal in signals:
        assert set(signal.facts) == {"metric", "device", "site", "held_s"}


def test_a_rule_holds_only_where_it_is_meant_to() -> None:
    assert told([replace(CO2, site_kinds=("kiosk",))], co2((0, 1600), (30, 1600))) == []
    assert told([CO2], [reading(60 * minute, humidity_pct=99) for minute in (0, 30, 60)]) == []


# --- time -----------------------------------------------------------------------------------------------------


def test_readings_sent_again_and_a_backlog_that_comes_late_change_nothing() -> None:
    watches: dict[WatchKey, Watch] = {}
    rows = co2((0, 1600), (15, 1600))
    assert told([CO2], [*rows, *rows, *co2((30, 1600))], watches=watches) != []
    assert told([CO2], co2((5, 400), (10, 400), (30, 400)), watches=watches) == [], "older than what is known"
    assert shape(told([CO2], co2((31, 400)), watches=watches)) == [("cleared", 0, 31)]


def test_a_jumped_clock_says_nothing_about_how_long() -> None:
    rows = [reading(60 * minute, TQ_JUMPED, co2_ppm=1600) for minute in (0, 30, 60)]
    assert told([CO2], rows) == []


def test_a_clock_that_runs_ahead_does_not_blind_the_rule_when_it_is_mended() -> None:
    watches: dict[WatchKey, Watch] = {}
    now_ns = START_NS + 3600 * S
    ahead = co2((60 * 23, 900))
    assert told([CO2], ahead, watches=watches, now_ns=now_ns) == []
    signals: list[Signal] = []
    for minute in range(61, 100, 5):
        signals += told([CO2], co2((minute, 1700)), watches=watches, now_ns=now_ns + (minute - 60) * 60 * S)
    assert [(signal.phase, signal.facts["held_s"]) for signal in signals] == [("raised", 1800)]


# --- restart ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", range(1, 12))
@pytest.mark.parametrize("rules", [[CO2], [STUCK], [CO2, STUCK]], ids=["limit", "stuck", "both"])
def test_a_restart_at_any_reading_changes_no_signal(cut: int, rules: list[Rule]) -> None:
    values = [1600, 1600, 1600, 1600, 1300, 1300, 1300, 1300, 1100, 1600, 1600, 1700]
    rows = co2(*((10.0 * n, float(value)) for n, value in enumerate(values)))
    whole = told(rules, rows)
    assert len(whole) >= 2
    before = told(rules, rows[:cut])
    newest = {(signal.rule, signal.subject): signal for signal in before}
    air = device_of(AIR)
    watches = resume(newest.values(), [(air, row) for row in rows[:cut]], world(AIR, rules=rules), LATER_NS)
    assert before + told(rules, rows[cut:], watches=watches) == whole


def test_without_a_journal_to_read_what_is_raised_stays_raised() -> None:
    raised = told([CO2, STUCK], co2(*((10 * n, 1600.0) for n in range(5))))
    watches = resume(raised, [], world(AIR), LATER_NS)
    assert {key for key, watch in watches.items() if watch.raised} == {("co2", "air-1"), ("stuck", "air-1")}
    assert told([CO2, STUCK], co2((50, 1600), (60, 1600)), watches=watches) == [], "nothing is told twice"
    over = told([CO2, STUCK], co2((70, 700)), watches=watches)
    assert shape(over) == [("cleared", 0, 70), ("cleared", 0, 70)]


def test_a_rule_that_is_new_raises_by_the_next_reading_not_silently_by_the_journals() -> None:
    rows = co2(*((10 * n, 1600.0 + n) for n in range(5)))
    watches = resume([], [(device_of(AIR), row) for row in rows], world(AIR, rules=[CO2]), LATER_NS)
    assert shape(told([CO2], co2((50, 1600)), watches=watches)) == [("raised", 0, 50)]


@given(st.lists(st.tuples(st.integers(0, 300), st.floats(0, 40_000), st.integers(0, 3)), max_size=40))
def test_signals_of_a_subject_take_turns_and_no_key_comes_twice(rows: list[tuple[int, float, int]]) -> None:
    signals = told([CO2, STUCK], [reading(60 * minute, tq, co2_ppm=value) for minute, value, tq in rows])
    for rule in ("co2", "stuck"):
        phases = [signal.phase for signal in signals if signal.rule == rule]
        assert phases == (["raised", "cleared"] * len(phases))[: len(phases)]
    keys = [(signal.rule, signal.subject, signal.onset_ns, signal.phase) for signal in signals]
    assert len(keys) == len(set(keys)), "a repeated key would be swallowed by the store"
