"""The promise of one false alarm a fortnight, measured in simulated quiet weeks by the shipped code and thresholds."""

import numpy as np
import pytest
from scipy import stats

from gateway.analyse.detect import Baseline, baseline_from_history, follow, learnt, learnt_baseline, news
from gateway.surveillance.budget import FALSE_ALARM_EVERY_DAYS, stream_run_length
from tests.support.seeds import SEED
from tests.unit.gateway.analyse.quiet_world import CALENDAR, START_NS, TABLE, ZONES, stream, together, zone_releases

STREAMS = len(ZONES) + 1
RUN_LENGTH = stream_run_length(STREAMS, 4)
WINDOWS_A_WEEK = 28
WEEKLY_TESTS = 1400
SHARE = 0.02


def raised(windows: int, rng: np.random.Generator, history: int | None) -> int:
    """Signals raised in one quiet district; `history` = public weekly tests a zone, None = it learns."""
    zones = [zone_releases(rng, windows, [WEEKLY_TESTS], [SHARE]) for _ in ZONES]
    tests = [history] * len(zones) + [len(zones) * history] if history is not None else [0] * STREAMS
    count = 0
    streams = [stream(releases) for releases in [*zones, together(zones)]]
    learned = [found for rows in streams if (found := learnt(rows, CALENDAR))]
    for number, (rows, weekly) in enumerate(zip(streams, tests, strict=True)):
        baseline: Baseline | None
        if history is None:
            baseline = learnt_baseline(learned[number], learned[:-1] if number < len(zones) else ())
        else:
            eight_weeks = 8 * weekly
            baseline = baseline_from_history(rng.binomial(eight_weeks, SHARE), eight_weeks, from_ns=START_NS)
        assert baseline is not None
        path = follow(rows, baseline, table=TABLE, run_length=RUN_LENGTH, calendar=CALENDAR)
        count += sum(turn.phase == "raised" for turn in news(path, []))
    return count


@pytest.mark.simulation
def test_200_quiet_weeks_raise_one_false_alarm_a_fortnight() -> None:
    weeks = 200
    count = raised(weeks * WINDOWS_A_WEEK, np.random.default_rng(SEED), history=2000)
    budget = weeks * 7 / FALSE_ALARM_EVERY_DAYS
    low, high = stats.poisson.interval(0.99, budget)
    assert low <= count <= high, f"{count} false alarms in {weeks} quiet weeks for {budget:.0f} (seed {SEED})"


@pytest.mark.simulation
def test_districts_that_learn_their_baseline_keep_the_budget_on_average() -> None:
    districts, weeks = 14, 8
    count = sum(
        raised((weeks + 4) * WINDOWS_A_WEEK, np.random.default_rng([SEED, district]), history=None)
        for district in range(districts)
    )
    budget = districts * weeks * 7 / FALSE_ALARM_EVERY_DAYS
    # A district's own error in p0 lasts all its weeks, so counts vary more than Poisson's.
    assert 0.5 * budget <= count <= 1.5 * budget, f"{count} false alarms for {budget:.0f} (seed {SEED})"
