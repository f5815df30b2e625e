"""Paths are held to SciPy's distributions term by term, an implementation that shares no formula with ours."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array
from gateway.surveillance.cusum import CusumPath, betabinomial_lr, binomial_lr, negbinomial_lr, poisson_lr
from tests.support.seeds import SEED

P0, ODDS, DISPERSION, THRESHOLD = 0.05, 2.0, 0.01, 3.0
P1 = 1 / (1 + math.exp(-(math.log(P0 / (1 - P0)) + math.log(ODDS))))

Gain = Callable[[int, int], float]


def binomial_gain(x: int, n: int) -> float:
    return float(stats.binom.logpmf(x, n, P1) - stats.binom.logpmf(x, n, P0))


def betabinomial_gain(x: int, n: int) -> float:
    def log_pmf(pi: float) -> float:
        return float(stats.betabinom.logpmf(x, n, pi / DISPERSION, (1 - pi) / DISPERSION))

    return log_pmf(P1) - log_pmf(P0)


def walked(x: list[int], n: list[int], gain: Gain, most: Callable[[int], int] = lambda n: n) -> CusumPath:
    """The definition, one day after the other, with `cases_needed` by trying every count."""
    s, alarm, needed, held = [], [], [], 0.0
    for day_x, day_n in zip(x, n, strict=True):
        counts = range(most(day_n) + 1)
        needed.append(next((k for k in counts if max(0.0, held + gain(k, day_n)) > THRESHOLD), -1))
        s.append(max(0.0, held + gain(day_x, day_n)))
        alarm.append(s[-1] > THRESHOLD)
        held = 0.0 if alarm[-1] else s[-1]
    return CusumPath(s=np.array(s), alarm=np.array(alarm), cases_needed=np.array(needed))


def assert_same(got: CusumPath, expected: CusumPath) -> None:
    np.testing.assert_allclose(got.s, expected.s, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(got.alarm, expected.alarm)
    np.testing.assert_array_equal(got.cases_needed, expected.cases_needed)


@pytest.fixture(scope="module")
def outcomes() -> tuple[list[int], list[int]]:
    rng = np.random.default_rng(SEED)
    tests = rng.integers(0, 60, 80)
    tests[[3, 17, 18]] = 0
    positives = rng.binomial(tests, np.where(np.arange(80) < 40, P0, 0.12))
    return positives.tolist(), tests.tolist()


def test_the_binomial_path_is_scipys_likelihood_ratio_summed_by_hand(outcomes: tuple[list[int], list[int]]) -> None:
    path = binomial_lr(*outcomes, p0=P0, odds_ratio=ODDS, threshold=THRESHOLD)
    assert path.alarm.any()
    assert_same(path, walked(*outcomes, gain=binomial_gain))


def test_the_betabinomial_path_is_scipys_likelihood_ratio_summed_by_hand(
    outcomes: tuple[list[int], list[int]],
) -> None:
    path = betabinomial_lr(*outcomes, p0=P0, odds_ratio=ODDS, dispersion=DISPERSION, threshold=THRESHOLD)
    assert path.alarm.any()
    assert_same(path, walked(*outcomes, gain=betabinomial_gain))


def test_the_poisson_and_negative_binomial_paths_are_scipys_likelihood_ratios_summed_by_hand() -> None:
    rng = np.random.default_rng(SEED + 1)
    mean, ratio, alpha = 6.0, 2.0, 0.15
    counts = rng.poisson(np.where(np.arange(60) < 30, mean, 11.0)).tolist()

    def poisson_gain(x: int, _: int) -> float:
        return float(stats.poisson.logpmf(x, ratio * mean) - stats.poisson.logpmf(x, mean))

    def negbinomial_gain(x: int, _: int) -> float:
        def log_pmf(m: float) -> float:
            return float(stats.nbinom.logpmf(x, 1 / alpha, 1 / (1 + alpha * m)))

        return log_pmf(ratio * mean) - log_pmf(mean)

    means = [round(mean)] * 60
    for path, gain in (
        (poisson_lr(counts, mean, ratio=ratio, threshold=THRESHOLD), poisson_gain),
        (negbinomial_lr(counts, mean, ratio=ratio, alpha=alpha, threshold=THRESHOLD), negbinomial_gain),
    ):
        assert path.alarm.any()
        assert_same(path, walked(counts, means, gain, most=lambda _: 200))


def test_a_detector_of_falls_needs_no_case_or_cannot_alarm() -> None:
    path = binomial_lr([0] * 12, [40] * 12, p0=0.1, odds_ratio=0.25, threshold=6.0)
    alarmed = int(path.alarm.argmax())
    assert path.alarm[alarmed]
    np.testing.assert_array_equal(path.cases_needed[:alarmed], -1)
    assert path.cases_needed[alarmed] >= 0


def test_after_an_alarm_the_sum_starts_from_zero_and_the_path_shows_what_alarmed() -> None:
    one = binomial_lr([6, 6], [10, 10], p0=P0, odds_ratio=ODDS, threshold=3.0)
    gain = binomial_gain(6, 10)
    np.testing.assert_allclose(one.s, [gain, gain])
    assert one.alarm.tolist() == [True, True]


def test_the_threshold_itself_is_no_alarm() -> None:
    reached = float(binomial_lr([4], [10], p0=P0, odds_ratio=ODDS, threshold=9.0).s[0])
    assert not binomial_lr([4], [10], p0=P0, odds_ratio=ODDS, threshold=reached).alarm[0]
    assert binomial_lr([4], [10], p0=P0, odds_ratio=ODDS, threshold=np.nextafter(reached, 0)).alarm[0]


def test_days_without_tests_add_nothing_and_cannot_alarm() -> None:
    path = betabinomial_lr([3, 0, 0], [20, 0, 0], p0=P0, odds_ratio=ODDS, dispersion=DISPERSION, threshold=THRESHOLD)
    assert path.s[0] > 0
    np.testing.assert_array_equal(path.s, path.s[0])
    np.testing.assert_array_equal(path.cases_needed[1:], -1)


def test_a_huge_precision_is_the_binomial_to_twelve_digits() -> None:
    rng = np.random.default_rng(SEED + 2)
    tests = rng.integers(1, 400, 50)
    positives = rng.binomial(tests, P0)
    plain = binomial_lr(positives, tests, p0=P0, odds_ratio=ODDS, threshold=1e9)
    nearly = betabinomial_lr(positives, tests, p0=P0, odds_ratio=ODDS, dispersion=1e-15, threshold=1e9)
    np.testing.assert_allclose(nearly.s, plain.s, rtol=1e-10, atol=1e-10)
    # alpha x mean below what float64 can add to 1 is Poisson.
    counts = rng.poisson(4.0, 50)
    np.testing.assert_allclose(
        negbinomial_lr(counts, 4.0, ratio=2.0, alpha=1e-12, threshold=1e9).s,
        poisson_lr(counts, 4.0, ratio=2.0, threshold=1e9).s,
        atol=1e-9,
    )


def test_whole_and_broken_counts_columns_and_changing_baselines_go_through_the_same_recursion() -> None:
    tests = np.array([[50.0, 30.5], [20.25, 0.0], [60.0, 12.0]])
    positives = np.array([[4.5, 2.0], [0.25, 0.0], [9.0, 3.5]])
    p0 = np.array([[0.02, 0.05], [0.03, 0.05], [0.02, 0.06]])
    both = betabinomial_lr(positives, tests, p0=p0, odds_ratio=2, dispersion=0.01, threshold=1.0)
    for column in range(2):
        one = betabinomial_lr(
            positives[:, column], tests[:, column], p0=p0[:, column], odds_ratio=2, dispersion=0.01, threshold=1.0
        )
        np.testing.assert_array_equal(both.s[:, column], one.s)
        np.testing.assert_array_equal(both.cases_needed[:, column], one.cases_needed)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.floats(0, 1)), min_size=1, max_size=12),
    st.floats(0.001, 0.9),
    st.sampled_from([0.3, 0.5, 2.0, 5.0]),
    st.floats(1e-6, 0.5),
)
def test_cases_needed_is_the_edge_of_the_alarm(
    days: list[tuple[int, float]], p0: float, odds: float, dispersion: float
) -> None:
    tests = np.array([n for n, _ in days], dtype=float)
    positives = np.floor(tests * [share for _, share in days])
    settings: dict[str, Any] = {"p0": p0, "odds_ratio": odds, "dispersion": dispersion, "threshold": 2.0}
    path = betabinomial_lr(positives, tests, **settings)
    for day, needed in enumerate(path.cases_needed.tolist()):

        def alarms(count: float, at: int = day) -> bool:
            changed: Array = positives.copy()
            changed[at] = count
            return bool(betabinomial_lr(changed[: at + 1], tests[: at + 1], **settings).alarm[at])

        if needed < 0:
            assert not alarms(0)
            assert not alarms(tests[day])
        else:
            assert alarms(needed)
            assert needed == 0 or not alarms(needed - 1)


def test_one_number_of_tests_stands_for_every_day() -> None:
    settings: dict[str, Any] = {"p0": P0, "odds_ratio": ODDS, "threshold": THRESHOLD}
    np.testing.assert_array_equal(
        binomial_lr([1, 4, 0], 30, **settings).s, binomial_lr([1, 4, 0], [30, 30, 30], **settings).s
    )
    with pytest.raises(SurveillanceError, match="positives"):
        binomial_lr(1, 30, **settings)


def test_a_vanishing_dispersion_is_the_binomial() -> None:
    settings: dict[str, Any] = {"p0": P0, "odds_ratio": ODDS, "threshold": THRESHOLD}
    np.testing.assert_allclose(
        betabinomial_lr([1, 4, 0], 30, dispersion=1e-320, **settings).s, binomial_lr([1, 4, 0], 30, **settings).s
    )


BAD: list[tuple[str, dict[str, Any]]] = [
    ("positives", {"positives": [3, -1]}),
    ("positives", {"positives": [11, 1]}),
    ("positives", {"positives": [3, 1, 1]}),
    ("positives", {"positives": [math.nan, 1]}),
    ("positives", {"positives": ["many", 1]}),
    ("positives", {"positives": [math.inf, 1]}),
    ("tests", {"tests": [10, -10]}),
    ("tests", {"tests": [10, math.nan]}),
    ("p0", {"p0": 0.0}),
    ("p0", {"p0": 1.0}),
    ("p0", {"p0": [0.1, 0.1, 0.1]}),
    ("odds_ratio", {"odds_ratio": 0.0}),
    ("odds_ratio", {"odds_ratio": 1.0}),
    ("odds_ratio", {"odds_ratio": math.inf}),
    ("dispersion", {"dispersion": 0.0}),
    ("dispersion", {"dispersion": -0.1}),
    ("threshold", {"threshold": -1.0}),
    ("threshold", {"threshold": math.nan}),
]


@pytest.mark.parametrize(("named", "change"), BAD)
def test_bad_input_is_refused_by_the_parameters_name(named: str, change: dict[str, Any]) -> None:
    given_: dict[str, Any] = {
        "positives": [3, 1],
        "tests": [10, 10],
        "p0": P0,
        "odds_ratio": ODDS,
        "dispersion": DISPERSION,
        "threshold": THRESHOLD,
    } | change
    with pytest.raises(SurveillanceError, match=named):
        betabinomial_lr(**given_)


@pytest.mark.parametrize(
    ("named", "counts", "mean", "alpha"),
    [
        ("mean", [1, 2], [1, -2], 0.1),
        ("counts", [1, 2], [1, 0], 0.1),
        ("alpha", [1, 2], 1, -0.1),
        ("counts", 3, 1, 0.1),
    ],
)
def test_bad_counts_are_refused_by_the_parameters_name(
    named: str, counts: npt.ArrayLike, mean: npt.ArrayLike, alpha: float
) -> None:
    with pytest.raises(SurveillanceError, match=named):
        negbinomial_lr(counts, mean, ratio=2.0, alpha=alpha, threshold=THRESHOLD)
