"""Goldens: R `surveillance` 1.20.3, `farringtonFlexible`, run on the series that `series_of_r` writes down.

The limits of `muan` and `delta` are not the package's, whose standard error after reweighting is wrong (its own are 63
and 59.07 for the first week): they are R's `glm` and `predict` on the same rows. Where R can be installed,
`scripts/oracle.py` compares live, on the package's own data.
"""

import math
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from scipy import optimize

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array
from gateway.surveillance.farrington import count_quantile, flexible, residual_weights, transformed_limit
from gateway.surveillance.quasipoisson import fit
from tests.support.seeds import SEED

MONDAY = date(2010, 1, 4)
AT = [269, 270, 279, 291, 292, 293, 309, 324, 329]


def series_of_r() -> tuple[list[float], list[str], list[float]]:
    t = np.arange(330)
    noise = (t * 7919 % 23) * 1.2
    counts = np.floor(18 + 0.03 * t + 7 * np.sin(2 * np.pi * t / 52) + noise + np.where(t % 97 < 3, 25, 0))
    assert counts.sum() == 12139
    weeks = [(MONDAY + timedelta(weeks=int(k))).isoformat() for k in t]
    return counts.tolist(), weeks, (400.0 + t * 37 % 150).tolist()


R_GOLDENS: list[tuple[str, dict[str, Any], list[float], list[float], list[float]]] = [
    (
        "ten periods",
        {},
        [44.8961931, 46.6379883, 43.7771265, 33.9961541, 34.2581462, 34.6064416, 38.0259125, 49.5922468, 48.2016574],
        [62, 64, 60, 49, 49, 49, 53, 67, 65],
        [2.08856018, 2.22810654, 2.10929267, 2.1647273, 2.03212198, 2.05998318, 2.01510701, 2.02185651, 2.06151669],
    ),
    (
        "windows alone, five years",
        {"periods": 1, "years_back": 5, "half_window": 2},
        [45.6500168, 48.161261, 46.8025223, 31.6876166, 35.1408399, 37.0884734, 41.3569276, 45.1175643, 49.8630899],
        [61, 65, 63, 44, 52, 55, 60, 58, 67],
        [1.70148457, 1.89730957, 1.90337567, 1.67212123, 2.51433735, 2.77609178, 2.74861511, 1.2854682, 1.89978731],
    ),
    (
        "out of tests",
        {"tests": series_of_r()[2], "alpha": 0.005},
        [43.4782712, 48.4951654, 47.8892527, 36.6899376, 28.5271254, 31.7603753, 34.726125, 56.1007481, 43.0648025],
        [73, 80, 78, 65, 53, 58, 61, 89, 72],
        [2.33945429, 2.47272103, 2.32554817, 2.45191507, 2.40041334, 2.43423086, 2.26572636, 2.32709599, 2.34905774],
    ),
    (
        "two years, so no trend",
        {"years_back": 2},
        [42.5, 43.4285714, 41.5, 32.8571429, 32.7857143, 32.7142857, 34.3571429, 45.7142857, 43.8571429],
        [58, 59, 57, 48, 47, 47, 48, 62, 60],
        [1.90131232, 1.94890956, 2.02918901, 2.28730844, 2.09736894, 2.01917387, 1.76074896, 1.99778914, 2.06296301],
    ),
    (
        "upper mean",
        {"method": "muan"},
        [44.8961931, 46.6379883, 43.7771265, 33.9961541, 34.2581462, 34.6064416, 38.0259125, 49.5922468, 48.2016574],
        [67, 70, 66, 54, 53, 54, 58, 73, 71],
        [2.08856018, 2.22810654, 2.10929267, 2.1647273, 2.03212198, 2.05998318, 2.01510701, 2.02185651, 2.06151669],
    ),
    (
        "delta",
        {"method": "delta", "periods": 1},
        [44.075713, 44.7974657, 42.5628177, 33.9682841, 33.752984, 33.5753552, 32.5707151, 49.5110378, 44.8273851],
        [60.7009646, 60.5716714, 59.3508388, 50.9712472, 50.797712, 50.7026232, 51.225592, 66.9598648, 60.5257321],
        [1.69347948, 1.51116885, 1.78233432, 2.22635035, 2.24993031, 2.28175388, 2.80479077, 1.66221207, 1.50252995],
    ),
]


@pytest.mark.parametrize(("_", "settings", "expected", "upper", "dispersion"), R_GOLDENS, ids=[g[0] for g in R_GOLDENS])
def test_expected_limit_and_dispersion_are_those_of_r(
    _: str, settings: dict[str, Any], expected: list[float], upper: list[float], dispersion: list[float]
) -> None:
    counts, weeks, _tests = series_of_r()
    got = flexible(counts, weeks, AT, **settings)
    np.testing.assert_allclose(got.expected, expected, rtol=1e-5)
    np.testing.assert_allclose(got.dispersion, dispersion, rtol=1e-4)
    np.testing.assert_allclose(got.upper, upper, rtol=1e-6)
    np.testing.assert_array_equal(got.alarm, np.array(counts)[AT] > np.array(upper))


@pytest.mark.parametrize(
    ("power", "lower", "upper"),
    [(1.0, 1.3073128, 8.6926872), (1 / 2, 1.9891097, 9.3744842), (2 / 3, 1.8084477, 9.1154825)],
)
def test_the_transformed_limits_are_those_of_the_packages_own_tests(power: float, lower: float, upper: float) -> None:
    z = 1.6448536269514722
    assert transformed_limit(5, 0.2, 1, -z, power=power) == pytest.approx(lower, abs=1e-6)
    assert transformed_limit(5, 0.2, 1, z, power=power) == pytest.approx(upper, abs=1e-6)


@pytest.mark.parametrize(("dispersion", "low", "high"), [(1.5, 1, 10), (1.0, 2, 9)])
def test_the_plug_in_quantiles_are_those_of_the_packages_own_tests(dispersion: float, low: int, high: int) -> None:
    assert (count_quantile(5, dispersion, 0.05), count_quantile(5, dispersion, 0.95)) == (low, high)
    # muan: the mean's upper limit, eta = log 5 + z log 2
    upper_mean = 5 * 2**1.6448536269514722
    muan = {1.5: (8, 24), 1.0: (9, 22)}[dispersion]
    assert (count_quantile(upper_mean, dispersion, 0.05), count_quantile(upper_mean, dispersion, 0.95)) == muan


def test_residual_weights_are_those_of_the_packages_own_tests() -> None:
    np.testing.assert_array_equal(residual_weights(np.zeros(10), 0), np.ones(10))
    np.testing.assert_allclose(residual_weights(np.repeat([0.0, 2.0], 5), 0), np.repeat([1.6, 0.4], 5))


def test_reference_weeks_are_the_mondays_nearest_to_the_same_day_of_past_years() -> None:
    # The package's test has Thursdays: 2013-06-06 goes with 2012-06-07, 2011-06-09, 2010-06-03. The Mondays of these
    # weeks carry seven cases each in a series of zeros; with no half window they are all the fit sees.
    weeks = [date(2009, 1, 5) + timedelta(weeks=k) for k in range(240)]
    at = weeks.index(date(2013, 6, 3))
    counts = np.zeros(len(weeks))
    counts[[weeks.index(day) for day in (date(2012, 6, 4), date(2011, 6, 6), date(2010, 5, 31))]] = [7, 7, 7]
    got = flexible(counts, weeks, [at], years_back=3, half_window=0, periods=1, min_cases=(0, 1))
    assert got.expected == pytest.approx(7)


def test_the_regression_is_the_minimum_of_the_poisson_deviance() -> None:
    rng = np.random.default_rng(SEED)
    design = np.column_stack([np.ones(60), np.linspace(-1, 1, 60), rng.random(60) > 0.5])
    counts, offset, weights = rng.poisson(9, 60).astype(float), rng.random(60), rng.random(60) + 0.5

    def negative_log_likelihood(beta: Array) -> float:
        eta = design @ beta + offset
        return float(np.sum(weights * (np.exp(eta) - counts * eta)))

    best = optimize.minimize(negative_log_likelihood, np.zeros(3), method="BFGS", options={"gtol": 1e-7}).x
    got = fit(design, counts, offset=offset, weights=weights)
    assert got is not None
    np.testing.assert_allclose(got.coefficients, best, atol=1e-6)
    mean = np.exp(design @ best + offset)
    covariance = np.linalg.inv(design.T @ (design * (weights * mean)[:, None]))
    np.testing.assert_allclose(got.unscaled, covariance, rtol=1e-4)
    leverage = np.einsum("ij,jk,ik->i", design, covariance, design) * weights * mean
    np.testing.assert_allclose(got.leverage, leverage, rtol=1e-3)  # of the last step but one


def test_too_little_history_too_few_cases_and_no_tests_give_nan_and_no_alarm() -> None:
    counts, weeks, tests = series_of_r()
    early = flexible(counts, weeks, [0, 100, 210])
    assert np.isnan(early.expected).all()
    assert not early.alarm.any()
    quiet = np.minimum(np.arange(330) % 2, 1)  # two cases in four weeks
    few = flexible(quiet, weeks, [329])
    assert np.isnan(few.upper).all()
    assert few.dispersion >= 1
    assert not few.alarm.any()
    tests[329], counts[329] = 0, 0
    closed = flexible(counts, weeks, [329], tests=tests)
    assert np.isnan(closed.expected).all()


def test_weeks_without_tests_are_left_out_of_the_fit() -> None:
    counts, weeks, tests = series_of_r()
    gap = list(range(150, 156))
    emptied = [0.0 if k in gap else value for k, value in enumerate(counts)]
    closed = [0.0 if k in gap else value for k, value in enumerate(tests)]
    shown = flexible(counts, weeks, [329], tests=tests)
    assert flexible(emptied, weeks, [329], tests=closed).expected == pytest.approx(shown.expected, rel=0.05)
    assert flexible(emptied, weeks, [329], tests=tests).expected != pytest.approx(shown.expected, rel=1e-3)


def test_without_trend_seasons_and_weights_the_expected_value_is_the_mean_of_the_reference_windows() -> None:
    counts, weeks, _tests = series_of_r()
    plain: dict[str, Any] = {"periods": 1, "reweight_above": math.inf, "keep_trend_below": 0.0}
    got = flexible(counts, weeks, [329], **plain)
    # 2016-04-25 with the Mondays 52, 104, 157 and 209 weeks before it, and three weeks on each side.
    assert weeks[329] == "2016-04-25"
    windows = np.concatenate([np.array(counts)[329 - lag - 3 : 329 - lag + 4] for lag in (52, 104, 157, 209)])
    np.testing.assert_allclose(got.expected, windows.mean())
    np.testing.assert_allclose(got.dispersion, np.sum((windows - windows.mean()) ** 2 / windows.mean()) / 27)
    assert flexible(counts, weeks, [329], **(plain | {"keep_trend_below": 1.0})).expected != got.expected


def test_five_cases_in_four_weeks_are_judged_and_four_are_not() -> None:
    _, weeks, _tests = series_of_r()
    counts = np.ones(330)
    counts[326:] = [1, 1, 1, 2]
    assert flexible(counts, weeks, [329]).expected > 0
    counts[329] = 1
    assert np.isnan(flexible(counts, weeks, [329]).expected)


def test_a_constant_series_is_expected_to_stay_and_needs_more_than_its_poisson_quantile_to_alarm() -> None:
    _, weeks, _tests = series_of_r()
    got = flexible(np.full(330, 12.0), weeks, [329])
    assert got.expected == pytest.approx(12)
    assert got.upper == count_quantile(12, 1, 0.95)
    assert got.dispersion == 1


def test_a_rise_that_the_trend_would_carry_beyond_all_that_was_seen_is_predicted_without_it() -> None:
    _, weeks, _tests = series_of_r()
    rising = np.round(20 * np.exp(np.arange(330) / 100))
    got = flexible(rising, weeks, [329])
    assert got.expected < rising[:303].max()


BAD: list[tuple[str, dict[str, Any]]] = [
    ("counts", {"counts": [-1.0] * 330}),
    ("counts", {"counts": [math.nan] * 330}),
    ("counts", {"counts": [[1.0]] * 330}),
    ("weeks", {"weeks": [MONDAY] * 330}),
    ("weeks", {"weeks": [MONDAY + timedelta(days=7 * k + 1) for k in range(330)]}),
    ("weeks", {"weeks": ["soon"] * 330}),
    ("weeks", {"weeks": [MONDAY + timedelta(weeks=k) for k in range(329)]}),
    ("at", {"at": [330]}),
    ("at", {"at": [-1]}),
    ("at", {"at": [0.5]}),
    ("counts", {"tests": [1.0] * 330}),
    ("tests", {"tests": [900.0] * 3}),
    ("alpha", {"alpha": 1.5}),
    ("alpha", {"alpha": math.nan}),
    ("method", {"method": "best"}),
    ("years_back", {"years_back": 0}),
    ("half_window", {"half_window": -1}),
    ("periods", {"periods": 60}),
    ("exclude_recent", {"exclude_recent": -1}),
    ("min_cases", {"min_cases": (5, 0)}),
    ("keep_trend_below", {"keep_trend_below": 2.0}),
]


@pytest.mark.parametrize(("named", "change"), BAD)
def test_bad_input_is_refused_by_the_parameters_name(named: str, change: dict[str, Any]) -> None:
    counts, weeks, _tests = series_of_r()
    given: dict[str, Any] = {"counts": counts, "weeks": weeks, "at": [329]} | change
    with pytest.raises(SurveillanceError, match=named):
        flexible(**given)
