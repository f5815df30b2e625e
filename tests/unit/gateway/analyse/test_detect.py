import math
from dataclasses import replace

import numpy as np
import pytest

from contracts.windows import DAY_S, NS
from gateway.analyse.detect import (
    CLEAR_DAYS,
    LEARNING_DAYS,
    Baseline,
    Judged,
    Learnt,
    ReleasedWindow,
    Turn,
    Written,
    baseline_from_history,
    facts,
    follow,
    learnt_baseline,
    news,
    turns,
)
from gateway.analyse.rollup import Release
from gateway.surveillance.released import LEAST_P0
from tests.support.seeds import SEED
from tests.unit.gateway.analyse.quiet_world import CALENDAR, START_NS, TABLE, learn_baseline, stream, zone_releases

WINDOW_NS = CALENDAR.window_s * NS
DAY_NS = DAY_S * NS
RUN_LENGTH = 392.0


def judged(at: int, *, alarm: bool = False) -> Judged:
    window = ReleasedWindow(START_NS + at * WINDOW_NS, 3, 50, 2.35, 9.77, math.nan, math.nan, math.nan, 3, 3)
    return Judged(window=window, s=4.2 if alarm else 0.5, threshold=3.9, alarm=alarm, cases_needed=7)


def path(pattern: str) -> list[Judged]:
    return [judged(at, alarm=mark == "!") for at, mark in enumerate(pattern)]


def marks(found: list[Turn]) -> list[tuple[str, int, int]]:
    return [
        (turn.phase, (turn.onset_ns - START_NS) // WINDOW_NS, (turn.at.window.start_ns - START_NS) // WINDOW_NS)
        for turn in found
    ]


QUIET = "." * (4 * CLEAR_DAYS)


def test_a_rise_raises_one_signal_however_often_it_alarms_and_quiet_days_clear_it() -> None:
    assert marks(turns(path("..!.!!..!" + QUIET + "..!"))) == [("raised", 2, 2), ("cleared", 2, 20), ("raised", 23, 23)]


def test_nothing_is_told_twice() -> None:
    rows = path("..!..!" + QUIET + "...!")
    told: list[Written] = []
    for end in range(1, len(rows) + 1):
        fresh = news(rows[:end], told)
        told += [Written(turn.phase, turn.onset_ns, turn.at.window.start_ns) for turn in fresh]
        assert news(rows[:end], told) == []
    assert [(row.phase, (row.onset_ns - START_NS) // WINDOW_NS) for row in told] == [
        ("raised", 2),
        ("cleared", 2),
        ("raised", 21),
    ]


@pytest.mark.parametrize("onset_now", ["!.....", "....!."])
def test_a_late_release_that_moves_an_onset_raises_nothing_twice(onset_now: str) -> None:
    told = [Written("raised", START_NS + 2 * WINDOW_NS, START_NS + 2 * WINDOW_NS)]
    assert news(path(onset_now), told) == []
    (cleared,) = news(path(onset_now + QUIET), told)
    assert (cleared.phase, cleared.onset_ns) == ("cleared", told[0].onset_ns)


def test_an_alarm_that_a_late_release_took_back_is_cleared() -> None:
    told = [Written("raised", START_NS + 2 * WINDOW_NS, START_NS + 2 * WINDOW_NS)]
    assert news(path("....." + QUIET[:-3]), told) == []
    (cleared,) = news(path("..." + QUIET), told)
    assert (cleared.phase, cleared.onset_ns) == ("cleared", told[0].onset_ns)


def quiet_zone(windows: int, share: float = 0.02, seed: int = 0) -> list[ReleasedWindow]:
    return stream(zone_releases(np.random.default_rng([SEED, seed]), windows, [1400], [share]))


def test_a_zone_learns_from_its_first_28_released_days_and_judges_from_the_next() -> None:
    windows = quiet_zone(4 * LEARNING_DAYS + 4)
    assert learn_baseline(windows[: 4 * LEARNING_DAYS], CALENDAR) is None
    baseline = learn_baseline(windows, CALENDAR)
    assert baseline is not None
    assert baseline.from_ns == START_NS + LEARNING_DAYS * DAY_NS
    # 5600 tests, noise of 336 kiosk windows: one standard error is 0.5 %, and a part of one is added.
    assert baseline.p0 == pytest.approx(0.02 + 0.0019, abs=3 * 0.005)
    first = follow(windows, baseline, table=TABLE, run_length=RUN_LENGTH, calendar=CALENDAR)[0]
    assert first.window.start_ns == baseline.from_ns


def test_a_zones_share_is_drawn_towards_its_peers_of_the_time_and_no_later_zone_moves_it() -> None:
    own = Learnt(positives=30, tests=600, noise_variance=50.0, from_ns=START_NS)
    peers = [Learnt(12, 600, 50.0, START_NS), Learnt(10, 600, 50.0, START_NS - DAY_NS)]
    alone, among = learnt_baseline(own), learnt_baseline(own, peers)
    assert 17 / 600 < among.p0 < alone.p0
    assert among.from_ns == START_NS
    later = [Learnt(1, 60_000, 50.0, START_NS + DAY_NS), own]
    assert learnt_baseline(own, [*later, *peers]) == among
    assert learnt_baseline(own, later) == alone


def test_days_without_a_release_are_not_days_of_learning() -> None:
    windows = quiet_zone(4 * LEARNING_DAYS + 4)
    silent = [
        replace(window, positives=0, valid=0, kiosks_reporting=0) if 8 <= at < 16 else window
        for at, window in enumerate(windows)
    ]
    assert learn_baseline(silent, CALENDAR) is None


def test_a_baseline_that_noise_made_negative_is_the_least_there_is() -> None:
    windows = [replace(window, positives=-1) for window in quiet_zone(4 * LEARNING_DAYS + 4)]
    baseline = learn_baseline(windows, CALENDAR)
    assert baseline is not None
    assert LEAST_P0 <= baseline.p0 < 0.01
    from_history = baseline_from_history(0, 5000, from_ns=START_NS)
    assert from_history == Baseline(LEAST_P0, START_NS)
    assert baseline_from_history(0, 0, from_ns=START_NS) is None


def test_a_district_where_nobody_came_learns_nothing_and_alarms_never() -> None:
    nobody = stream([[Release(0, 0, 0, 1)] * 3 for _ in range(4 * 40)])
    assert learn_baseline(nobody, CALENDAR) is None
    silent = follow(nobody, Baseline(0.02, START_NS), table=TABLE, run_length=RUN_LENGTH, calendar=CALENDAR)
    assert not any(row.alarm for row in silent)
    assert {row.s for row in silent} == {0.0}
    assert follow([], Baseline(0.02, START_NS), table=TABLE, run_length=RUN_LENGTH, calendar=CALENDAR) == []


def test_a_missing_window_changes_no_state_and_a_late_one_is_judged_as_if_in_time() -> None:
    windows = quiet_zone(60, share=0.06, seed=1)
    baseline = Baseline(0.02, START_NS)

    def judge(rows: list[ReleasedWindow]) -> list[Judged]:
        return follow(rows, baseline, table=TABLE, run_length=RUN_LENGTH, calendar=CALENDAR)

    whole = judge(windows)
    empty = [
        replace(w, positives=0, valid=0, noise_sd=0.0, noise_sd_valid=0.0) if i == 7 else w
        for i, w in enumerate(windows)
    ]
    holed = judge(empty)
    before = holed[6]
    assert holed[7].s == (0.0 if before.alarm else before.s)
    assert judge(windows) == whole


def test_the_facts_are_the_released_numbers_and_leave_out_what_is_not_shown() -> None:
    turn = Turn("raised", START_NS, judged(0, alarm=True))
    told = facts(turn, Baseline(0.0197, START_NS), level="zone_window", calendar=CALENDAR)
    assert told["positives"] == 3
    assert told["cases_needed"] == 7
    assert told["level"] == "zone_window"
    assert "positivity" not in told
    shown = replace(turn.at, window=replace(turn.at.window, positivity=0.06, lower=0.01, upper=0.13))
    told = facts(replace(turn, at=shown), Baseline(0.0197, START_NS), level="zone_window", calendar=CALENDAR)
    assert (told["positivity"], told["lower"], told["upper"]) == (0.06, 0.01, 0.13)
