"""Trends against SciPy's regression, proportions by counting, the censored distribution against a direct maximum."""

import math
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array
from gateway.surveillance.wastewater import censored_lognormal, detection_proportion, trend
from tests.support.seeds import SEED

START = date(2024, 3, 1)


def days(*offsets: int) -> list[date]:
    return [START + timedelta(days=int(k)) for k in offsets]


def test_a_tenfold_rise_in_a_week_is_900_percent() -> None:
    got = trend([10, 100], days(0, 7), lod=1, samples=2)
    assert got.slope_log10_per_day == pytest.approx(1 / 7)
    assert got.percent_change == pytest.approx(900)
    assert math.isnan(got.p_value)
    assert got.n == 2


def test_the_trend_is_scipys_regression_of_the_last_samples() -> None:
    rng = np.random.default_rng(SEED)
    when = np.sort(rng.integers(0, 60, 25))
    c, lod = np.exp(rng.normal(6, 1, 25)), 250.0
    logs = np.log10(np.where(c < lod, lod / 2, c))
    for samples in (3, 5, 12, 25, 40):
        line = stats.linregress(when[-samples:], logs[-samples:])
        got = trend(c, days(*when), lod=lod, samples=samples)
        assert got.n == min(samples, 25)
        span = int(when[-samples:][-1] - when[-samples:][0])
        np.testing.assert_allclose(
            [got.slope_log10_per_day, got.p_value, got.percent_change],
            [line.slope, line.pvalue, 100 * (10 ** (line.slope * span) - 1)],
        )


def test_a_window_of_days_leaves_its_first_edge_out_and_extrapolates_over_its_length() -> None:
    c, when = [999, 10, 20, 40, 80], days(0, 5, 10, 15, 20)
    got = trend(c, when, lod=1, days=20)
    assert got.n == 4  # the sample 20 days ago is outside (last - 20, last]
    assert got.percent_change == pytest.approx(100 * (2**4 - 1))  # doubles in five days, over twenty


def test_constant_values_samples_of_one_day_and_one_sample_have_no_p_value() -> None:
    constant = trend([5, 3, 4], days(0, 1, 2), lod=10, samples=3)  # all below the limit
    assert (constant.slope_log10_per_day, constant.percent_change) == (0, 0)
    assert math.isnan(constant.p_value)
    assert math.isnan(trend([5, 30, 4], days(1, 1, 1), lod=1, samples=3).slope_log10_per_day)
    assert math.isnan(trend([5], days(1), lod=1, days=15).slope_log10_per_day)
    assert trend([], [], lod=1, days=15).n == 0


@given(
    st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=30).map(sorted),
    st.integers(1, 50),
)
def test_the_proportion_is_that_of_the_samples_counted_one_by_one(rows: list[tuple[int, bool]], length: int) -> None:
    got = detection_proportion([found for _, found in rows], days(*(k for k, _ in rows)), days=length)
    for k, (day, _) in enumerate(rows):
        inside = [found for other, found in rows if day - length < other <= day]
        assert got[k] == pytest.approx(100 * sum(inside) / len(inside))


def test_without_censored_values_the_distribution_is_the_sample_mean_and_the_sd_with_divisor_n() -> None:
    logs = np.random.default_rng(SEED).normal(7, 2, 50)
    got = censored_lognormal(np.exp(logs), 1e-9)
    assert got.n_censored == 0
    np.testing.assert_allclose([got.mean_log, got.sd_log], [logs.mean(), logs.std()])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_distribution_maximises_the_censored_likelihood(share: float) -> None:
    rng = np.random.default_rng(SEED)
    logs = rng.normal(7, 1.5, 120)
    lod = np.exp(np.quantile(logs, share) + rng.normal(0, 0.1, 120))
    c = np.exp(logs)
    censored = c < lod

    def negative(at: Array) -> float:
        known = stats.norm.logpdf(logs[~censored], at[0], np.exp(at[1])).sum()
        return -float(known + stats.norm.logcdf(np.log(lod[censored]), at[0], np.exp(at[1])).sum())

    best = optimize.minimize(negative, [6.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-10}).x
    got = censored_lognormal(np.where(censored, 0.0, c), lod)
    assert got.n_censored == censored.sum()
    np.testing.assert_allclose([got.mean_log, got.sd_log], [best[0], np.exp(best[1])], rtol=1e-5)


def test_half_censored_samples_recover_the_truth_where_half_the_limit_does_not() -> None:
    rng = np.random.default_rng(SEED)
    fits, halves = [], []
    for _ in range(200):
        c = np.exp(rng.normal(5, 1, 40))
        fits.append(censored_lognormal(c, math.exp(5)).sd_log)
        halves.append(np.log(np.where(c < math.exp(5), math.exp(5) / 2, c)).std())
    assert abs(np.mean(fits) - 1) < 0.06
    assert abs(np.mean(halves) - 1) > 0.1


@pytest.mark.parametrize(
    ("c", "lod"),
    [([], 1.0), ([5], 1.0), ([0, 0, 5], 1.0), ([5, 5, 5], 1.0), ([1, 1, 0], 1.0)],
    ids=["empty", "one", "one quantified", "constant", "all at the limit"],
)
def test_where_the_likelihood_has_no_maximum_there_is_no_number(c: list[float], lod: float) -> None:
    got = censored_lognormal(c, lod)
    assert math.isnan(got.mean_log)
    assert math.isnan(got.sd_log)


def test_equal_values_above_the_limit_of_others_still_have_a_maximum() -> None:
    got = censored_lognormal([5, 5, 0], 1.0)
    assert 0 < got.sd_log < 2
    assert got.mean_log < math.log(5)


@pytest.mark.parametrize(
    ("named", "change"),
    [
        ("concentration", {"concentration": [1.0, -1.0]}),
        ("dates", {"dates": days(1, 0)}),
        ("dates", {"dates": days(1)}),
        ("dates", {"dates": [1, 2]}),
        ("lod", {"lod": -1.0}),
        ("samples", {"samples": 0}),
        ("samples", {"samples": None}),
        ("samples", {"days": 5}),
        ("days", {"samples": None, "days": 0}),
        ("days", {"samples": None, "days": 10**9}),
    ],
)
def test_a_bad_trend_is_refused_by_the_parameters_name(named: str, change: dict[str, Any]) -> None:
    good: dict[str, Any] = {"concentration": [1.0, 2.0], "dates": days(0, 1), "lod": 1.0, "samples": 2}
    with pytest.raises(SurveillanceError, match=named):
        trend(**(good | change))


@pytest.mark.parametrize(
    ("named", "detected", "when"), [("detected", [2], 1), ("detected", [math.nan], 1), ("dates", [1], 2)]
)
def test_bad_detections_are_refused(named: str, detected: list[float], when: int) -> None:
    with pytest.raises(SurveillanceError, match=named):
        detection_proportion(detected, days(*range(when)))
