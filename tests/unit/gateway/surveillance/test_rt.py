"""Rt against EpiEstim's own saved results, and against loops straight from Cori et al. 2013."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from gateway.errors import SurveillanceError
from gateway.surveillance.rt import cori, serial_interval

# EpiEstim, data Flu2009 and tests/testthat/_snaps/estimate_R.md of mrc-ide/EpiEstim@2ca76bb.
FLU_2009 = [
    *(1, 1, 0, 2, 5, 3, 3, 3, 6, 2, 5, 9, 13, 12, 13, 11),
    *(12, 6, 6, 6, 3, 1, 0, 2, 0, 0, 0, 0, 2, 0, 2, 0),
]
FLU_INTERVAL = [0.0, 0.233, 0.359, 0.198, 0.103, 0.053, 0.027, 0.014, 0.007, 0.003, 0.002, 0.001]


def test_epiestims_results_with_a_given_interval_are_met_to_their_last_digit() -> None:
    """Example 1: by the last day of the window, mean, sd, 2.5 and 97.5 %."""
    rt = cori(FLU_2009, FLU_INTERVAL)
    saved = {
        8: (1.7356089, 0.40908694, 1.02863184, 2.6244959),
        9: (1.7490494, 0.36470202, 1.10874730, 2.5329479),
        15: (1.6156800, 0.20686663, 1.23586721, 2.0456070),
        20: (0.9369319, 0.11446445, 0.72610935, 1.1742159),
        28: (0.2400240, 0.12001200, 0.06539846, 0.5260890),
        32: (1.0040161, 0.44900963, 0.32600128, 2.0565439),
    }
    for day, expected in saved.items():
        got = [field[day - 1] for field in (rt.mean, rt.sd, rt.lower, rt.upper)]
        np.testing.assert_allclose(got, expected, rtol=1e-7)
    assert np.isnan(rt.mean[:7]).all()
    assert not np.isnan(rt.mean[7:]).any()


def test_epiestims_results_with_a_parametric_interval_are_met_to_their_last_digit() -> None:
    """Example 3: mean 2.6, sd 1.5 days."""
    rt = cori(FLU_2009, serial_interval(2.6, 1.5, length=32))
    saved = {
        8: (1.7357977, 0.40913143),
        14: (1.6639845, 0.23300443),
        25: (0.4729631, 0.10850519),
        32: (0.9975352, 0.44611130),
    }
    for day, expected in saved.items():
        np.testing.assert_allclose([rt.mean[day - 1], rt.sd[day - 1]], expected, rtol=1e-7)


def test_the_serial_interval_is_epiestims() -> None:
    """Example 2 of the same file: discr_si of mean 2.6 and sd 1.5."""
    saved = [
        0,
        0.2331721,
        0.3585794,
        0.1981108,
        0.1033427,
        0.05290518,
        0.02682146,
        0.01351620,
        0.006783438,
        0.003394351,
    ]
    np.testing.assert_allclose(serial_interval(2.6, 1.5, length=10), saved, rtol=5e-7)  # seven digits are printed


@pytest.mark.parametrize(("mean", "sd"), [(2.6, 1.5), (4.8, 2.3), (7.5, 3.4), (1.2, 0.9)])
def test_the_serial_interval_is_a_gamma_seen_through_days(mean: float, sd: float) -> None:
    """w_k = integral of (1 - |x|) f(k - 1 + x) dx over -1 .. 1: a delay from an even moment of one day to another."""
    gamma = stats.gamma(((mean - 1) / sd) ** 2, scale=sd**2 / (mean - 1))
    got = serial_interval(mean, sd, length=30)
    for k in range(1, 30):
        through = integrate.quad(lambda u, at=k - 1: gamma.cdf(at + u) - gamma.cdf(at + u - 1), 0, 1, epsabs=1e-12)[0]
        assert got[k] == pytest.approx(through, abs=1e-7)
    assert got[0] == 0


def test_it_is_not_renormalised() -> None:
    assert serial_interval(7.5, 3.4, length=4).sum() < 0.3
    assert serial_interval(7.5, 3.4, length=90).sum() == pytest.approx(1)
    assert (serial_interval(7.5, 3.4, length=90) * np.arange(90)).sum() == pytest.approx(7.5, abs=1e-6)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.integers(1, 10), st.floats(1.1, 12.0))
def test_every_window_is_the_papers(cases: list[int], window: int, mean_days: float) -> None:
    interval = serial_interval(mean_days, 2.0, length=25)
    rt = cori(cases, interval, window=window, prior_mean=2.0, prior_sd=1.0)
    mean_si = float((interval * np.arange(25)).sum())
    for day in range(len(cases)):  # the last day of the window, from 0
        if day < window or day + 1 <= mean_si:
            assert math.isnan(rt.mean[day])
            continue
        days = range(day - window + 1, day + 1)
        infectivity = sum(interval[k] * cases[t - k] for t in days for k in range(1, min(t, 24) + 1))
        posterior = stats.gamma(4.0 + sum(cases[t] for t in days), scale=1 / (2.0 + infectivity))
        expected = (posterior.mean(), posterior.std(), posterior.ppf(0.025), posterior.ppf(0.975))
        got = [field[day] for field in (rt.mean, rt.sd, rt.lower, rt.upper)]
        np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_streams_stand_beside_each_other() -> None:
    both = cori(np.stack([FLU_2009, FLU_2009[::-1]], axis=1), FLU_INTERVAL)
    for column, cases in enumerate((FLU_2009, FLU_2009[::-1])):
        np.testing.assert_array_equal(both.upper[:, column], cori(cases, FLU_INTERVAL).upper)


@pytest.mark.parametrize(
    ("named", "change"),
    [
        ("incidence", {"incidence": [1, -1]}),
        ("incidence", {"incidence": 3}),
        ("interval", {"interval": []}),
        ("interval", {"interval": [0.1, 0.9]}),
        ("interval", {"interval": [0, -0.1, 1.1]}),
        ("interval", {"interval": [0, 0]}),
        ("interval", {"interval": [0, 2.0]}),
        ("interval", {"interval": [[0, 1.0]]}),
        ("window", {"window": 0}),
        ("prior_mean", {"prior_mean": 0.0}),
        ("prior_sd", {"prior_sd": math.nan}),
    ],
)
def test_bad_input_is_refused_by_the_parameters_name(named: str, change: dict[str, Any]) -> None:
    given_: dict[str, Any] = {"incidence": FLU_2009, "interval": FLU_INTERVAL} | change
    with pytest.raises(SurveillanceError, match=named):
        cori(**given_)


@pytest.mark.parametrize(
    ("named", "mean", "sd", "length"),
    [("mean_days", 1.0, 1.0, 5), ("mean_days", math.inf, 1.0, 5), ("sd_days", 3.0, 0.0, 5), ("length", 3.0, 1.0, 0)],
)
def test_an_impossible_interval_is_refused(named: str, mean: float, sd: float, length: int) -> None:
    with pytest.raises(SurveillanceError, match=named):
        serial_interval(mean, sd, length=length)
