import math
from dataclasses import replace

import numpy as np
import pytest

from contracts.windows import DAY_S, NS
from gateway.analyse.detect import Judged, ReleasedWindow, turns
from gateway.backtest.scoring import (
    calibrated,
    delays,
    false_signals,
    interval,
    median_delay,
    per_fortnight,
    signals,
)
from gateway.backtest.worlds import DAYS, FOLLOWED_D, STREAMS, WARM_UP_D, ZONES
from gateway.surveillance.arrays import BoolArray


def days(text: str) -> BoolArray:
    """A stream of one seed: x alarms."""
    return np.array([letter == "x" for letter in text])


@pytest.mark.parametrize(
    ("alarms", "raised"),
    [
        ("..x......", "..x......"),
        ("..xxx....", "..x......"),  # one signal, however long
        ("..x..x...", "..x......"),  # two days without an alarm do not clear it
        ("..x...x..", "..x...x.."),  # three do
        ("..x....x.", "..x....x."),
        ("x.......x", "x.......x"),
    ],
)
def test_a_signal_is_raised_by_an_alarm_after_three_days_without(alarms: str, raised: str) -> None:
    assert signals(days(alarms)).tolist() == days(raised).tolist()


def test_signals_are_those_that_the_gateway_would_raise() -> None:
    alarms = np.random.default_rng(3).random(400) < 0.15
    window = ReleasedWindow(0, 1, 50, 1.4, 5.6, 0.02, 0.0, 0.1, 1, 1)
    path = [Judged(replace(window, start_ns=day * DAY_S * NS), 0.0, 1.0, bool(on), 1) for day, on in enumerate(alarms)]
    raised = [turn.onset_ns // (DAY_S * NS) for turn in turns(path) if turn.phase == "raised"]
    assert raised == np.flatnonzero(signals(alarms)).tolist()


def test_false_signals_count_once_every_method_is_warm() -> None:
    alarms = np.zeros((DAYS, 2, STREAMS), dtype=np.bool_)
    alarms[WARM_UP_D - 10, 0, 0] = True  # before
    alarms[WARM_UP_D + 5 : WARM_UP_D + 9, 0, 0] = True  # one signal of four days
    alarms[WARM_UP_D + 40, 0, 6] = True
    counted = false_signals(alarms)
    assert counted.tolist() == [[1, 0, 0, 0, 0, 0, 1], [0] * STREAMS]
    rate = per_fortnight(counted.sum(axis=1))
    assert rate.mean == pytest.approx(1.0 * 14 / FOLLOWED_D)  # 2 and 0 of two seeds


def test_an_interval_is_the_normal_one_of_the_mean() -> None:
    rate = interval(np.array([1.0, 2.0, 3.0, 4.0]))
    half = 1.959963984540054 * math.sqrt(5 / 3) / 2
    assert (rate.mean, rate.low, rate.high) == pytest.approx((2.5, 2.5 - half, 2.5 + half))


def test_delays_run_from_the_first_day_of_the_outbreak_to_the_first_alarm_of_zone_or_district() -> None:
    alarms = np.zeros((40, 5, 2), dtype=np.bool_)
    onset = np.array([10, 10, 10, 12, 10])
    alarms[10, 0, 0] = True  # on its first day
    alarms[[9, 14], 1, 0] = True  # the day before is no success
    alarms[13, 1, 1] = True  # the district a day before the zone
    alarms[10 + 7 + 7, 2, 0] = True  # a week after its end: too late
    alarms[12 + 7 + 6, 3, 1] = True  # the last day that counts
    assert delays(alarms, onset, 7).tolist() == [0, 3, math.inf, 13, math.inf]


def test_a_median_is_missed_when_more_than_half_are() -> None:
    assert median_delay(np.array([1.0, 2.0, math.inf, math.inf])).median == 2
    assert median_delay(np.array([1.0, math.inf, math.inf])).median == math.inf
    assert median_delay(np.array([1.0, math.inf, math.inf])).found == pytest.approx(1 / 3)


def test_the_medians_limits_are_order_statistics() -> None:
    delay = median_delay(np.arange(100.0))
    assert (delay.low, delay.median, delay.high) == (40, 49, 60)


def test_a_calibrated_limit_keeps_the_budget_for_zones_and_for_the_district_apart() -> None:
    rng = np.random.default_rng(5)
    score = rng.normal(size=(DAYS, 50, STREAMS)) * np.array([1.0] * ZONES + [3.0])
    chosen = calibrated(lambda limit: score > limit, (0.1, 30.0))
    assert len(set(chosen[:ZONES])) == 1
    assert chosen[ZONES] > 2 * chosen[0]
    mean = false_signals(score > chosen).mean(axis=0)
    tolerated = FOLLOWED_D / 14 / STREAMS
    assert mean[:ZONES].mean() <= tolerated
    assert mean[ZONES] <= tolerated
    lower = false_signals(score > chosen * 0.93).mean(axis=0)
    assert lower[:ZONES].mean() > tolerated
    assert lower[ZONES] > tolerated
