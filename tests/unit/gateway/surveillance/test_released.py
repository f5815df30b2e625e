"""What `prepare` says about noisy, clipped windows is held to windows that are really drawn and clipped."""

import math

import numpy as np
import pytest

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array
from gateway.surveillance.released import (
    CORRELATION,
    LEARNT_UP_SD,
    LEAST_P0,
    LEAST_SD,
    MOST_P0,
    counted,
    learnt_share,
    pooled_shares,
    possible_share,
    prepare,
)
from tests.support.seeds import SEED

SD_1, SD_QUARTER = 1.3570, 5.6424


def noise(rng: np.random.Generator, epsilon: float, kiosks: int, size: int) -> Array:
    p = 1 - math.exp(-epsilon)
    drawn: Array = (rng.geometric(p, (kiosks, size)) - rng.geometric(p, (kiosks, size))).sum(axis=0).astype(float)
    return drawn


@pytest.mark.parametrize("p0", [0.005, 0.02, 0.1])
@pytest.mark.parametrize(("kiosks", "tests"), [(3, 50), (18, 300), (3, 200)])
def test_share_and_dispersion_are_those_of_drawn_and_clipped_windows(kiosks: int, tests: int, p0: float) -> None:
    rng, size = np.random.default_rng([SEED, kiosks, tests]), 200_000
    precision = 1 / CORRELATION - 1
    true = rng.binomial(tests, rng.beta(p0 * precision, (1 - p0) * precision, size))
    drawn = np.clip(true + noise(rng, 1.0, kiosks, size), 0, tests)
    ready = prepare(
        [0.0], [float(tests)], p0=p0, noise_sd=SD_1 * math.sqrt(kiosks), noise_sd_valid=SD_QUARTER * math.sqrt(kiosks)
    )
    assert ready.p0[0] * tests == pytest.approx(drawn.mean(), rel=0.08)  # three draws are not quite normal
    sigma, share = ready.dispersion[0], ready.p0[0]
    variance = tests * share * (1 - share) * (1 + (tests - 1) * sigma / (1 + sigma))
    # The noise of valid enters drawn/valid, not drawn: its p0^2 sd^2 is in the variance that `prepare` gives.
    assert variance == pytest.approx(drawn.var() + (p0 * SD_QUARTER) ** 2 * kiosks, rel=0.1)


def test_values_are_clipped_into_what_a_detector_takes() -> None:
    ready = prepare([-4, 9, 3, 2], [30, 5, -8, 1], p0=0.02, noise_sd=2.35, noise_sd_valid=9.8)
    assert ready.positives.tolist() == [0, 5, 0, 0]
    assert ready.tests.tolist() == [30, 5, 0, 0]
    assert ((ready.p0 > 0) & (ready.p0 <= 0.5)).all()
    assert (ready.dispersion > 0).all()


def test_without_noise_the_share_is_p0_and_the_dispersion_the_natural_one() -> None:
    ready = prepare([20.0], [10_000.0], p0=0.3, noise_sd=0.0, noise_sd_valid=0.0)
    assert ready.p0[0] == pytest.approx(0.3, rel=1e-9)
    assert ready.dispersion[0] == pytest.approx(CORRELATION / (1 - CORRELATION), rel=1e-6)


@pytest.mark.parametrize(
    ("named", "change"),
    [
        ("positives", {"positives": [math.nan]}),
        ("valid", {"valid": [1.0, 2.0]}),
        ("p0", {"p0": 0.0}),
        ("noise_sd", {"noise_sd": -1.0}),
        ("noise_sd_valid", {"noise_sd_valid": math.nan}),
    ],
)
def test_bad_input_is_refused_by_the_parameters_name(named: str, change: dict[str, object]) -> None:
    given: dict[str, object] = {"p0": 0.02, "noise_sd": 1.0, "noise_sd_valid": 1.0, "positives": [1.0], "valid": [9.0]}
    given |= change
    with pytest.raises(SurveillanceError, match=named):
        prepare(given.pop("positives"), given.pop("valid"), **given)  # type: ignore[arg-type]


def test_counts_are_clipped_at_zero_and_come_with_the_deviation_of_their_noise() -> None:
    told = counted([[-3, 0], [4, 7]], noise_sd=[0.0, 1.36])
    assert told.counts.tolist() == [[0, 0], [4, 7]]
    assert told.least_sd.tolist() == [[LEAST_SD, 1.36]] * 2
    with pytest.raises(SurveillanceError, match="noise_sd"):
        counted([1.0, 2.0], noise_sd=[1.0, 1.0, 1.0])


def test_a_learnt_share_stands_a_part_of_its_standard_error_above_what_was_seen() -> None:
    # 40 of 1000 with noise of variance 50: standard error sqrt(1000 0.04 0.96 + 50)/1000.
    expected = 0.04 + LEARNT_UP_SD * math.sqrt(38.4 + 50) / 1000
    assert learnt_share([40.0], [1000.0], noise_variance=50.0)[0] == pytest.approx(expected)


def test_a_learnt_share_is_a_possible_one_and_without_tests_there_is_none() -> None:
    low, high, none = learnt_share([-9.0, 900.0, 1.0], [1000.0, 1000.0, 0.0], noise_variance=1.0)
    assert LEAST_P0 <= low < 0.01
    assert high == MOST_P0
    assert math.isnan(none)
    assert possible_share([-1.0, 0.02, 2.0]).tolist() == [LEAST_P0, 0.02, MOST_P0]
    with pytest.raises(SurveillanceError, match="noise_variance"):
        learnt_share([1.0], [10.0], noise_variance=-1.0)


def test_one_zone_alone_keeps_its_own_share() -> None:
    alone = pooled_shares([[40.0]], [[1000.0]], noise_variance=50.0)
    assert alone[0, 0] == pytest.approx(learnt_share(40.0, 1000.0, noise_variance=50.0).item())


def test_zones_that_chance_may_explain_share_one_and_zones_apart_keep_theirs() -> None:
    alike = pooled_shares([20.0, 24.0, 16.0], [1000.0] * 3, noise_variance=10.0)
    error = math.sqrt((3000 * 0.02 * 0.98 + 30.0) / 3000**2)
    assert alike.tolist() == pytest.approx([0.02 + LEARNT_UP_SD * error] * 3)
    apart = pooled_shares([2_000.0, 10_000.0, 30_000.0], [100_000.0] * 3, noise_variance=10.0)
    assert apart.tolist() == pytest.approx([0.02, 0.1, 0.3], rel=0.03)


def test_a_share_drawn_towards_all_is_nearer_the_truth_than_its_own() -> None:
    rng = np.random.default_rng(SEED)
    truth = 0.02 * np.exp(rng.normal(0, 0.2, (2000, 6)))
    noisy = rng.binomial(560, truth) + rng.normal(0, math.sqrt(51), truth.shape)
    own, drawn = (of(noisy, np.full(truth.shape, 560.0), noise_variance=51.0) for of in (learnt_share, pooled_shares))
    assert ((drawn - truth) ** 2).mean() < 0.5 * ((own - truth) ** 2).mean()


def test_zones_without_tests_have_no_share_and_move_nobodys() -> None:
    with_one = pooled_shares([30.0, 10.0, 99.0], [1000.0, 1000.0, 0.0], noise_variance=5.0)
    assert math.isnan(with_one[2])
    assert with_one[:2].tolist() == pytest.approx(
        pooled_shares([30.0, 10.0], [1000.0] * 2, noise_variance=5.0).tolist()
    )
    assert np.isnan(pooled_shares([1.0, 1.0], [0.0, 0.0], noise_variance=5.0)).all()
    with pytest.raises(SurveillanceError, match="positives: one number"):
        pooled_shares(1.0, 10.0, noise_variance=1.0)
