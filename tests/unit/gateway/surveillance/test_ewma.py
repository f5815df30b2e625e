"""ESSENCE's EWMA against a slow loop straight from CDC's description, with SciPy's t distribution."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array
from gateway.surveillance.ewma import essence, essence_of_released
from tests.support.seeds import SEED


def slow(y: list[float], weights: tuple[float, ...], longest: int, guard: int) -> list[tuple[float, float, float]]:
    """Expected, statistic and p by day: one stream, one weight and one day after the other."""
    if y and max(y) < 1 and any(y):
        scale = float(np.median([v for v in y if v > 0]))
        y = [v / scale for v in y]
    days: list[tuple[float, float, float]] = [(math.nan, math.nan, math.nan)] * len(y)
    z = [y[0]] * len(weights)
    for day in range(1, len(y)):
        z = [w * y[day] + (1 - w) * before for w, before in zip(weights, z, strict=True)]
        if day < 7 + guard:
            continue
        m = min(longest, day - guard)
        past = y[day - guard - m : day - guard]
        mean, sd = float(np.mean(past)), float(np.std(past, ddof=1))
        alert, warning = (round(float(stats.t.ppf(1 - p, m - 1)), 5) for p in (0.01, 0.05))
        best: tuple[float, float] | None = None
        for which, w in enumerate(weights):
            correction = math.sqrt(w / (2 - w) + 1 / m - 2 * (1 - w) ** (guard + 1) * (1 - (1 - w) ** m) / m)
            floor = (w / warning) * (0.01 + 0.05 * (1 - w) ** 2)
            constant = (0.1289 - (0.2414 - 0.1826 * (1 - w) ** 4) * math.log(10 * 0.05)) * (w / warning)
            sigma = max(floor, sd * correction + constant)
            statistic = (z[which] - mean) / sigma
            if abs(statistic) > alert:
                z[which] = mean + math.copysign(alert * sigma, statistic)
            p = 1 - float(stats.t.cdf(statistic, m - 1))
            if best is None or p <= best[0]:
                best = (p, statistic)
        assert best is not None
        days[day] = (mean, best[1], best[0])
    return days


def assert_same(y: Array, *, weights: tuple[float, ...] = (0.4, 0.9), baseline: int = 28, guard: int = 2) -> None:
    got = essence(y, weights=weights, baseline=baseline, guard=guard)
    expected = np.array(slow(y.tolist(), weights, baseline, guard))
    np.testing.assert_allclose(got.expected, expected[:, 0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(got.statistic, expected[:, 1], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(got.p_value, expected[:, 2], atol=1e-12)


def test_r_gives_the_same_digits() -> None:
    """Rnssp's ewma_loop, run in R 4.2.2 on EpiEstim's Flu2009: mean, statistic and p by day from 1."""
    school = [1, 1, 0, 2, 5, 3, 3, 3, 6, 2, 5, 9, 13, 12, 13, 11, 12, 6, 6, 6, 3, 1, 0, 2, 0, 0, 0, 0, 2, 0, 2, 0]
    computed = {
        10: (2.14285714285714, 1.125740586090366, 0.151639687234930376),
        12: (2.66666666666667, 2.938946534237419, 0.009369910416560989),
        14: (2.81818181818182, 4.886521089748157, 0.000317875304543525),
        20: (5.94117647058824, 0.365369210246508, 0.359810486657127671),
        31: (4.46428571428571, -0.631276881584134, 0.733416081537231146),
        32: (4.5, -1.035907272540863, 0.845282633784948834),
    }
    result = essence(school)
    for day, expected in computed.items():
        got = [field[day - 1] for field in (result.expected, result.statistic, result.p_value)]
        np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.fixture(scope="module")
def counts() -> Array:
    rng = np.random.default_rng(SEED)
    y: Array = rng.poisson(6.0 + 2 * np.sin(np.arange(90) * 2 * np.pi / 7)).astype(float)
    y[60:66] += [3, 8, 15, 30, 12, 2]
    return y


def test_every_day_is_the_definitions(counts: Array) -> None:
    assert_same(counts)
    assert_same(counts, weights=(0.2,), baseline=7, guard=0)
    assert_same(counts, weights=(0.3, 0.5, 1.0), baseline=14, guard=5)


def test_sparse_counts_and_shares_are_the_definitions_too(counts: Array) -> None:
    assert_same(np.where(np.arange(60) % 11 == 10, 1.0, 0.0))
    assert_same(counts / (counts.max() + 1))


def test_streams_stand_beside_each_other(counts: Array) -> None:
    both = essence(np.stack([counts, counts[::-1], np.zeros(len(counts)), counts / 99], axis=1))
    for column, y in enumerate((counts, counts[::-1], np.zeros(len(counts)), counts / 99)):
        one = essence(y)
        np.testing.assert_array_equal(both.statistic[:, column], one.statistic)
        np.testing.assert_array_equal(both.expected[:, column], one.expected)
        assert tuple(row[column] for row in both.level) == one.level


def test_the_first_result_comes_after_seven_days_and_the_guard_band() -> None:
    result = essence(np.arange(12.0))
    assert result.level[:9] == ("grey",) * 9
    assert np.isnan(result.p_value[:9]).all()
    assert not np.isnan(result.p_value[9:]).any()
    assert result.expected[9] == 3.0  # mean of 0 .. 6


def test_levels_are_cut_at_one_and_five_percent(counts: Array) -> None:
    result = essence(counts)
    assert {"grey", "red", "yellow", "blue"} == set(result.level)
    for p, word in zip(result.p_value, result.level, strict=True):
        expected = "grey" if math.isnan(p) else "red" if p < 0.01 else "yellow" if p < 0.05 else "blue"
        assert word == expected


def test_a_series_of_zeros_is_not_rescaled_and_never_alarms() -> None:
    result = essence(np.zeros(40))
    assert (result.expected[9:] == 0).all()
    assert (result.statistic[9:] == 0).all()
    assert set(result.level[9:]) == {"blue"}


def test_one_outlier_does_not_echo_for_days() -> None:
    y = np.full(60, 5.0)
    y[::2] = 6.0
    y[40] = 500.0
    level = essence(y).level
    assert level[40] == "red"
    assert "red" not in level[43:]


def test_where_both_p_values_are_beyond_float64_the_later_weight_is_reported() -> None:
    """Five cases after a month of none: both of Rnssp's 1 - pt() are 0, and its comparison then takes w2."""
    result = essence([0.0] * 30 + [5.0])
    w, warning = 0.9, 1.70329
    sigma = (0.1289 - (0.2414 - 0.1826 * 0.1**4) * math.log(0.5)) * w / warning
    assert result.statistic[-1] == pytest.approx(w * 5 / sigma, rel=1e-5)
    assert 0 < result.p_value[-1] < 1e-16


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=50),
    st.sampled_from([(0.4, 0.9), (0.9, 0.4), (1.0,)]),
    st.integers(7, 30),
    st.integers(0, 4),
)
def test_any_series_is_the_definitions(y: list[int], weights: tuple[float, ...], baseline: int, guard: int) -> None:
    assert_same(np.array(y, dtype=float), weights=weights, baseline=baseline, guard=guard)


@pytest.mark.parametrize(
    ("named", "change"),
    [
        ("y", {"y": [1, -1]}),
        ("y", {"y": [1, math.nan]}),
        ("weights", {"weights": ()}),
        ("weights", {"weights": (0.4, 0.0)}),
        ("weights", {"weights": (0.4, 1.1)}),
        ("weights", {"weights": 0.4}),
        ("baseline", {"baseline": 6}),
        ("guard", {"guard": -1}),
    ],
)
def test_bad_input_is_refused_by_the_parameters_name(named: str, change: dict[str, Any]) -> None:
    given_: dict[str, Any] = {"y": [1, 2, 3]} | change
    with pytest.raises(SurveillanceError, match=named):
        essence(**given_)


def test_released_counts_without_noise_are_judged_as_any_counts(counts: Array) -> None:
    got, expected = essence_of_released(counts, least_sd=0.0), essence(counts)
    np.testing.assert_array_equal(got.p_value, expected.p_value)
    assert got.level == expected.level


def test_a_baseline_quieter_than_the_noise_counts_as_noisy_as_that() -> None:
    y = np.array([3.0] * 40 + [6.0])
    assert essence(y).level[-1] == "red"
    told = essence_of_released(y, least_sd=4.0)
    assert told.level[-1] == "blue"
    # A floor below what the baseline shows changes nothing.
    wide = np.random.default_rng(2).poisson(50, 60).astype(float)
    np.testing.assert_array_equal(essence_of_released(wide, least_sd=0.1).statistic, essence(wide).statistic)


def test_a_floor_of_each_day_and_stream_is_used_on_its_day_and_stream() -> None:
    y = np.random.default_rng(2).poisson(3, (50, 2)).astype(float)
    floors = np.full((50, 2), 0.5)
    floors[:, 1] = 5.0
    both = essence_of_released(y, least_sd=floors)
    for stream, floor in enumerate((0.5, 5.0)):
        alone = essence_of_released(y[:, stream], least_sd=floor)
        np.testing.assert_array_equal(both.statistic[:, stream], alone.statistic)
    with pytest.raises(SurveillanceError, match="least_sd"):
        essence_of_released(y, least_sd=np.ones(3))
    with pytest.raises(SurveillanceError, match="least_sd"):
        essence_of_released(y, least_sd=-1.0)
