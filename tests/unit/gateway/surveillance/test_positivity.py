"""Intervals and limits against SciPy's own, the published example, and sums of SciPy's probabilities."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gateway.errors import SurveillanceError
from gateway.surveillance.positivity import true_prevalence, upper_limit, wilson


@pytest.mark.parametrize(("x", "n"), [(0, 10), (5, 500), (10, 10), (3, 7), (1, 1), (0, 1), (47, 1000)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.999])
def test_wilson_is_scipys_score_interval(x: int, n: int, level: float) -> None:
    expected = stats.binomtest(x, n).proportion_ci(level, method="wilson")
    low, high = wilson(x, n, level=level)
    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_knows_nothing_without_tests_and_everything_at_the_ends() -> None:
    low, high = wilson([0, 0, 10], [0, 10, 10])
    np.testing.assert_array_equal(np.isnan(low), [True, False, False])
    np.testing.assert_array_equal(np.isnan(high), [True, False, False])
    assert (low[1], high[2]) == (0.0, 1.0)


@given(st.integers(0, 200), st.integers(0, 200))
def test_wilson_holds_the_observed_share(a: int, b: int) -> None:
    x, n = min(a, b), max(a, b)
    low, high = wilson(x, n)
    assert n == 0 or 0 <= float(low) <= x / n <= float(high) <= 1


def test_the_binomial_limit_is_scipys_quantile() -> None:
    tests = np.array([0, 1, 20, 60, 200, 10**9])
    for level in (0.99, 0.999):
        np.testing.assert_array_equal(upper_limit(tests, p0=0.02, level=level), stats.binom.ppf(level, tests, 0.02))


@given(st.integers(1, 120), st.floats(0.001, 0.6), st.sampled_from([0.9, 0.99, 0.999]), st.floats(1e-6, 0.7))
def test_the_betabinomial_limit_is_the_first_count_whose_probability_suffices(
    tests: int, p0: float, level: float, rho: float
) -> None:
    a, b = p0 * (1 - rho) / rho, (1 - p0) * (1 - rho) / rho
    reached = np.cumsum(stats.betabinom.pmf(np.arange(tests + 1), tests, a, b))
    if np.abs(reached - level).min() < 1e-9:
        return  # a tie that rounding decides
    limit = upper_limit(tests, p0=p0, level=level, correlation=rho)
    assert int(limit) == int((reached >= level).argmax())


def test_many_streams_and_volumes_go_through_one_table() -> None:
    tests = np.array([[0, 30, 30], [400, 5, 30]])
    p0 = np.array([0.02, 0.05, 0.02])
    together = upper_limit(tests, p0=p0, level=0.99, correlation=0.01)
    for place in np.ndindex(tests.shape):
        one = upper_limit(int(tests[place]), p0=p0[place[1]], level=0.99, correlation=0.01)
        assert together[place] == float(one)


def test_correlation_widens_the_limit_and_a_vanishing_one_does_not() -> None:
    plain = upper_limit([50, 500, 5000], p0=0.02, level=0.999)
    np.testing.assert_array_equal(upper_limit([50, 500, 5000], p0=0.02, level=0.999, correlation=1e-14), plain)
    assert (upper_limit([50, 500, 5000], p0=0.02, level=0.999, correlation=0.02) > plain).all()


def test_cusums_dispersion_is_the_same_model() -> None:
    """The interface's sigma = rho/(1 - rho), a = p0/sigma."""
    rho, p0, n = 0.02, 0.05, 80
    sigma = rho / (1 - rho)
    expected = stats.betabinom.ppf(0.99, n, p0 / sigma, (1 - p0) / sigma)
    assert float(upper_limit(n, p0=p0, level=0.99, correlation=rho)) == expected


def test_rogan_and_gladen_by_hand() -> None:
    """(0.01 + 0.995 - 1)/(0.95 + 0.995 - 1); reference page 1.5: raw values below 0 occur and are clipped."""
    assert float(true_prevalence(5, 500, sensitivity=0.95, specificity=0.995)) == pytest.approx(0.005 / 0.945)
    low, _ = wilson(5, 500)
    assert (float(low) + 0.995 - 1) / 0.945 < 0
    assert float(true_prevalence(float(low) * 500, 500, sensitivity=0.95, specificity=0.995)) == 0.0
    assert float(true_prevalence(500, 500, sensitivity=0.95, specificity=0.995)) == 1.0
    assert math.isnan(float(true_prevalence(0, 0, sensitivity=0.95, specificity=0.995)))


@given(st.floats(0, 1), st.floats(0.5, 1), st.floats(0.51, 1))
def test_a_true_share_is_found_again(share: float, sensitivity: float, specificity: float) -> None:
    apparent = share * sensitivity + (1 - share) * (1 - specificity)
    found = true_prevalence(apparent * 1000, 1000, sensitivity=sensitivity, specificity=specificity)
    assert float(found) == pytest.approx(share, abs=1e-9)


@pytest.mark.parametrize(
    ("named", "call"),
    [
        ("positives", lambda: wilson(5, 4)),
        ("positives", lambda: wilson([1, 2], [3, 4, 5])),
        ("tests", lambda: wilson(0, -1)),
        ("level", lambda: wilson(1, 4, level=1.0)),
        ("level", lambda: wilson([1, 1], [4, 4], level=[0.9, 0.9, 0.9])),
        ("tests", lambda: upper_limit([math.nan], p0=0.1, level=0.9)),
        ("tests", lambda: upper_limit(10**9, p0=0.1, level=0.9, correlation=0.1)),
        ("p0", lambda: upper_limit(4, p0=0.0, level=0.9)),
        ("correlation", lambda: upper_limit(4, p0=0.1, level=0.9, correlation=1.0)),
        ("correlation", lambda: upper_limit(4, p0=0.1, level=0.9, correlation=-0.1)),
        ("sensitivity", lambda: true_prevalence(1, 2, sensitivity=1.1, specificity=0.9)),
        ("specificity", lambda: true_prevalence(1, 2, sensitivity=0.5, specificity=0.5)),
        ("positives", lambda: true_prevalence(3, 2, sensitivity=0.9, specificity=0.9)),
    ],
)
def test_bad_input_is_refused_by_the_parameters_name(named: str, call: Callable[[], object]) -> None:
    with pytest.raises(SurveillanceError, match=named):
        call()
