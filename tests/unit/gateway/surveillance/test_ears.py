"""EARS against hand-made numbers, the published check of R `surveillance`, and loops straight from the definition."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array
from gateway.surveillance.ears import Ears, c1, c2, c3
from tests.support.seeds import SEED

WEEK_THEN_NINE = [1, 2, 3, 2, 1, 2, 3, 9]


def by_the_definition(y: Array, baseline: int, guard: int, min_sd: float) -> list[float]:
    """C1 or C2 of one stream, a day after the other, from statistics of Python lists."""
    values = []
    for day in range(len(y)):
        past = [float(v) for v in y[max(0, day - guard - baseline) : max(0, day - guard)]]
        if len(past) < baseline:
            values.append(math.nan)
            continue
        mean = sum(past) / baseline
        sd = math.sqrt(sum((v - mean) ** 2 for v in past) / (baseline - 1))
        values.append((float(y[day]) - mean) / max(sd, min_sd))
    return values


@pytest.fixture(scope="module")
def streams() -> Array:
    rng = np.random.default_rng(SEED)
    counts = rng.negative_binomial(3, 0.4, (120, 3)).astype(float)
    counts[:, 2] = 0.0  # nobody came
    return counts


def test_the_published_check_gives_its_digits() -> None:
    """Reference page 1.1: mean 2, s 0.816497, C1 8.573214."""
    ears = c1(WEEK_THEN_NINE, min_sd=0)
    assert (ears.mean[-1], ears.sd[-1], ears.value[-1]) == pytest.approx((2, 0.816497, 8.573214), abs=1e-6)
    assert np.isnan(ears.value[:-1]).all()


def test_c1_and_c2_are_the_definition_day_by_day(streams: Array) -> None:
    for got, baseline, guard in ((c1(streams), 7, 0), (c2(streams), 7, 2), (c2(streams, baseline=28, guard=3), 28, 3)):
        for column in range(streams.shape[1]):
            expected = by_the_definition(streams[:, column], baseline, guard, 0.5)
            np.testing.assert_allclose(got.value[:, column], expected, rtol=1e-12)


def test_c3_adds_todays_excess_to_the_two_days_before(streams: Array) -> None:
    second, third = c2(streams), c3(streams)
    for day in range(len(streams)):
        excess = [np.maximum(0, second.value[d] - 1) for d in range(day - 2, day + 1)]
        expected = sum(excess) if day >= 2 else np.full(3, np.nan)
        np.testing.assert_allclose(third.value[day], expected, rtol=1e-12)
    np.testing.assert_array_equal(third.sd, second.sd)


def test_c3_alarms_where_the_r_packages_code_does_not() -> None:
    """Reference page 1.2: salmonella.agona of R surveillance, week 241 and the eleven before it.

    C2 = 2.62 and C3 = 2.80 are an alarm by the definition; the package's code leaves the week's own excess out.
    """
    weeks = [1, 2, 5, 4, 0, 2, 1, 1, 3, 6, 1, 7]
    assert c2(weeks, min_sd=0).value[-1] == pytest.approx(2.61981781)
    assert c3(weeks, min_sd=0).value[-1] == pytest.approx(2.79553982)
    assert c3(weeks, min_sd=0).value[-1] - max(0, c2(weeks, min_sd=0).value[-1] - 1) < 2


def test_the_first_usable_days_are_those_of_the_definition() -> None:
    for ears, first in ((c1(np.arange(20.0)), 7), (c2(np.arange(20.0)), 9), (c3(np.arange(20.0)), 11)):
        assert np.isnan(ears.value[:first]).all()
        assert not np.isnan(ears.value[first:]).any()


def test_without_a_floor_a_constant_baseline_gives_infinity_or_nan() -> None:
    assert c1([0.1] * 7 + [0.2], min_sd=0).value[-1] == math.inf
    assert math.isnan(c1([0.1] * 8, min_sd=0).value[-1])
    assert c1([2.0] * 7 + [1.0], min_sd=0).value[-1] == -math.inf
    assert c1([2.0] * 7 + [1.0]).value[-1] == pytest.approx(-2)


def test_the_r_packages_own_bounds_are_met() -> None:
    """Reference page 1.1: salmNewport of R surveillance, first weeks of 2011 and the seven before.

    The package's test expects the bounds m + z(.95) s of C1; C2's with a floor of 0.5 and z(.999) were computed with
    version 1.20.3.
    """
    weeks = [1, 1, 1, 3, 3, 1, 2, 1, 0, 3, 3, 1, 0]
    first = c1(weeks, min_sd=0)
    bounds = first.mean + stats.norm.ppf(0.95) * first.sd
    np.testing.assert_allclose(bounds[7:11], [3.278854, 3.278854, 3.436517, 3.855617], atol=5e-7)
    second = c2(weeks)
    bounds = second.mean + stats.norm.ppf(0.999) * second.sd
    np.testing.assert_allclose(bounds[9:], [4.653682951, 4.653682951, 5.075422647, 5.611731205], atol=5e-9)


@pytest.mark.parametrize("detector", [c1, c2, c3])
@pytest.mark.parametrize("length", range(13))
def test_short_series_have_nothing_to_say(detector: Callable[..., Ears], length: int) -> None:
    ears = detector(np.ones(length))
    assert ears.value.shape == ears.mean.shape == ears.sd.shape == (length,)


@pytest.mark.parametrize(
    ("named", "change"),
    [
        ("y", {"y": [1, math.nan]}),
        ("y", {"y": [1, -1]}),
        ("y", {"y": [1, 1e300]}),
        ("y", {"y": 4}),
        ("y", {"y": [1, 10**400]}),
        ("y", {"y": np.array([1j])}),
        ("baseline", {"baseline": 1}),
        ("baseline", {"baseline": 7.5}),
        ("guard", {"guard": -1}),
        ("min_sd", {"min_sd": -0.1}),
        ("min_sd", {"min_sd": math.nan}),
    ],
)
def test_bad_input_is_refused_by_the_parameters_name(named: str, change: dict[str, Any]) -> None:
    given: dict[str, Any] = {"y": WEEK_THEN_NINE} | change
    with pytest.raises(SurveillanceError, match=named):
        c2(**given)


def test_a_floor_may_differ_by_day_and_stream() -> None:
    y = np.random.default_rng(4).poisson(5, (30, 2)).astype(float)
    floors = np.linspace(0.5, 6, 60).reshape(30, 2)
    got = c2(y, min_sd=floors)
    for day in range(9, 30):
        for stream in range(2):
            alone = c2(y[:, stream], min_sd=floors[day, stream])
            assert got.value[day, stream] == alone.value[day]
            assert got.sd[day, stream] >= floors[day, stream]
    assert (c2(y, min_sd=[1.0, 9.0]).sd[9:, 1] == 9).all()
    with pytest.raises(SurveillanceError, match="min_sd"):
        c2(y, min_sd=[1.0, 2.0, 3.0])
