"""Run lengths are held to a full enumeration, to simulation and to the textbook's normal CUSUM."""

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
from scipy import stats

from gateway.errors import SurveillanceError
from gateway.surveillance.cusum import (
    _absorbed_by_day,
    _Steps,
    betabinomial_lr,
    binomial_lr,
    run_length_cdf,
    threshold_for_arl,
)
from tests.support.seeds import SEED

pytestmark = pytest.mark.simulation


def enumerated(days: int, tests: int, p0: float, odds: float, threshold: float, sigma: float, p: float) -> list[float]:
    """Every value that S can reach, none merged but equal ones: exact for a few tests and days."""
    counts = range(tests + 1)
    probability = [float(stats.betabinom.pmf(x, tests, p / sigma, (1 - p) / sigma)) for x in counts]
    gain = [
        float(betabinomial_lr([x], [tests], p0=p0, odds_ratio=odds, dispersion=sigma, threshold=1e9).s[0])
        if x
        else math.nan
        for x in counts
    ]
    p1 = odds * p0 / (1 + p0 * (odds - 1))
    for x in counts:  # a fall is clipped to 0 in the path, so the gain comes from SciPy here
        high, low = (stats.betabinom.logpmf(x, tests, q / sigma, (1 - q) / sigma) for q in (p1, p0))
        gain[x] = float(high - low)
    alive, alarmed, cdf = {0.0: 1.0}, 0.0, []
    for _ in range(days):
        reached: defaultdict[float, float] = defaultdict(float)
        for (s, mass), x in itertools.product(alive.items(), counts):
            value = max(0.0, s + gain[x])
            if value > threshold:
                alarmed += mass * probability[x]
            else:
                reached[round(value, 10)] += mass * probability[x]
        alive = dict(reached)
        cdf.append(alarmed)
    return cdf


@pytest.mark.parametrize("p_true", [0.1, 0.25])
def test_few_tests_a_day_are_followed_exactly(p_true: float) -> None:
    cdf = run_length_cdf(12, tests=3, p0=0.1, odds_ratio=2.0, threshold=1.5, dispersion=0.05, p_true=p_true)
    np.testing.assert_allclose(cdf, enumerated(12, 3, 0.1, 2.0, 1.5, 0.05, p_true), atol=1e-9)


@pytest.mark.parametrize(
    ("tests", "p0", "odds", "threshold", "dispersion", "p_true"),
    [(50, 0.02, 2.0, 3.0, None, 0.02), (50, 0.02, 2.0, 3.0, None, 0.05), (200, 0.02, 2.0, 3.0, 0.01, 0.02)],
)
def test_the_cdf_is_what_simulated_days_do(
    tests: int, p0: float, odds: float, threshold: float, dispersion: float | None, p_true: float
) -> None:
    rng, runs, days = np.random.default_rng(SEED), 12_000, 24
    shape = (days, runs)
    if dispersion is None:
        path = binomial_lr(
            rng.binomial(tests, p_true, shape), np.full(shape, tests), p0=p0, odds_ratio=odds, threshold=threshold
        )
    else:
        share = rng.beta(p_true / dispersion, (1 - p_true) / dispersion, shape)
        path = betabinomial_lr(
            rng.binomial(tests, share),
            np.full(shape, tests),
            p0=p0,
            odds_ratio=odds,
            dispersion=dispersion,
            threshold=threshold,
        )
    simulated = np.maximum.accumulate(path.alarm, axis=0).mean(axis=1)
    cdf = run_length_cdf(
        days, tests=tests, p0=p0, odds_ratio=odds, threshold=threshold, dispersion=dispersion, p_true=p_true
    )
    assert (np.diff(cdf) >= 0).all()
    # 4.5 standard errors of a simulated share, over two dozen dependent days: a false refusal in some 10 000 seeds.
    np.testing.assert_allclose(simulated, cdf, atol=4.5 * math.sqrt(0.25 / runs))


def test_more_states_change_the_cdf_by_less_than_a_thousandth() -> None:
    rough, fine = (
        run_length_cdf(200, tests=200, p0=0.02, odds_ratio=2.0, threshold=4.0, dispersion=0.002, states=states)
        for states in (2000, 16_000)
    )
    np.testing.assert_allclose(rough, fine, atol=1e-3)


def normal_cusum_arl(shift: float, threshold: float) -> float:
    """Average run length of S = max(0, S + z - 0.5) with z normal, rounded to a lattice of 0.01."""
    grid = np.arange(-6.0, 6.0, 0.01)
    probability = stats.norm.cdf(grid + 0.005) - stats.norm.cdf(grid - 0.005)
    steps = _Steps(gain=grid + shift - 0.5, probability=probability / probability.sum())
    surviving, average, absorbed = 1.0, 0.0, 0.0
    for absorbed in itertools.islice(_absorbed_by_day(steps, threshold, 1000), 60):
        average += surviving
        surviving -= absorbed
    return average + (surviving * (surviving + absorbed) / absorbed if surviving > 1e-12 else 0.0)


@pytest.mark.parametrize(("shift", "textbook", "within"), [(0.0, 930.9, 0.5), (0.5, 38.0, 0.1), (1.0, 10.4, 0.05)])
def test_the_same_chain_gives_the_textbooks_normal_cusum(shift: float, textbook: float, within: float) -> None:
    """One-sided, k = 0.5, h = 5: average run lengths 930.9, 38.0 and 10.4 at shifts 0, 0.5 and 1."""
    # On the lattice "S > 5" and "S >= 5" differ by one step of 0.01: the continuous detector lies midway.
    at_five, over_five = (normal_cusum_arl(shift, threshold) for threshold in (4.995, 5.005))
    assert at_five < over_five
    assert (at_five + over_five) / 2 == pytest.approx(textbook, abs=within)


@pytest.mark.parametrize("dispersion", [None, 0.01])
def test_the_threshold_is_the_smallest_that_keeps_the_budget(dispersion: float | None) -> None:
    arl, tests, p0 = 98.0, 40, 0.03
    threshold = threshold_for_arl(arl, tests=tests, p0=p0, odds_ratio=2.0, dispersion=dispersion)

    def average(at: float) -> float:
        surviving = 1 - run_length_cdf(150, tests=tests, p0=p0, odds_ratio=2.0, threshold=at, dispersion=dispersion)
        lasting = surviving[-1] / surviving[-2]  # from here on each day is survived alike
        return float(1 + surviving.sum() + surviving[-1] * lasting / (1 - lasting))

    assert average(threshold) >= arl - 0.01
    assert average(threshold - 0.0011) < arl
    assert threshold == round(threshold, 3)


def test_a_budget_of_one_day_needs_no_threshold() -> None:
    assert threshold_for_arl(1.0, tests=10, p0=0.1, odds_ratio=2.0) == 0.0


def test_a_hazard_that_never_settles_still_ends_the_search() -> None:
    """One test a day at 50 %: S moves on a lattice, and all is over before the hazard is steady."""
    threshold = threshold_for_arl(59.9, tests=1, p0=0.5, odds_ratio=2.0)
    surviving = 1 - run_length_cdf(3000, tests=1, p0=0.5, odds_ratio=2.0, threshold=threshold)
    assert 1 + surviving.sum() >= 59.9
    surviving = 1 - run_length_cdf(3000, tests=1, p0=0.5, odds_ratio=2.0, threshold=threshold - 0.001)
    assert 1 + surviving.sum() < 59.9


def test_without_tests_there_is_never_an_alarm() -> None:
    np.testing.assert_array_equal(run_length_cdf(5, tests=0, p0=0.1, odds_ratio=2.0, threshold=0.0), 0.0)
    with pytest.raises(SurveillanceError, match="tests"):
        threshold_for_arl(10.0, tests=0, p0=0.1, odds_ratio=2.0)


@pytest.mark.parametrize(
    ("named", "change"),
    [
        ("days", {"days": -1}),
        ("tests", {"tests": -1}),
        ("p_true", {"p_true": 1.5}),
        ("states", {"states": 0}),
        ("tests", {"tests": 10**9}),
        ("tests", {"tests": 2.5}),
        ("states", {"states": 10**9}),
    ],
)
def test_impossible_parameters_are_refused_by_name(named: str, change: dict[str, float]) -> None:
    given: dict[str, float] = {"days": 5, "tests": 10, "p0": 0.1, "odds_ratio": 2.0, "threshold": 2.0} | change
    days = int(given.pop("days"))
    with pytest.raises(SurveillanceError, match=named):
        run_length_cdf(days, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("arl", [0.5, math.inf, math.nan])
def test_an_impossible_budget_is_refused(arl: float) -> None:
    with pytest.raises(SurveillanceError, match="arl"):
        threshold_for_arl(arl, tests=10, p0=0.1, odds_ratio=2.0)


@pytest.mark.parametrize("days", [10**9, 1.5])
def test_days_without_end_are_refused(days: int) -> None:
    with pytest.raises(SurveillanceError, match="days"):
        run_length_cdf(days, tests=10, p0=0.1, odds_ratio=2.0, threshold=2.0)
