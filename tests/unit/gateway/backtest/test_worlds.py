import numpy as np
import pytest

from gateway.backtest.worlds import (
    CALIBRATION,
    DAYS,
    EVALUATION,
    GROWTH,
    KIOSKS,
    OUTBREAKS,
    P0,
    VOLUMES,
    WEEK,
    WORLDS,
    ZONES,
    Outbreak,
    World,
    height,
    laplace_sd,
    profile,
    simulate,
)
from gateway.errors import BacktestError

SEEDS = range(40)
WEEKS_D = DAYS // 7 * 7


@pytest.mark.parametrize("volume", VOLUMES)
def test_a_zone_has_its_volume_and_its_weekday_pattern(volume: int) -> None:
    tests = simulate(World("weekday", volume), EVALUATION, SEEDS).tests[:WEEKS_D]
    assert tests.mean() == pytest.approx(volume, rel=0.02)
    by_weekday = tests.reshape(-1, 7, *tests.shape[1:]).mean(axis=(0, 2, 3))
    assert by_weekday / by_weekday.mean() == pytest.approx(WEEK, rel=0.05)


def test_closed_zones_have_no_test_on_sundays_nor_on_some_other_days_and_keep_their_volume() -> None:
    tests = simulate(World("closed", 60), EVALUATION, SEEDS).tests[:WEEKS_D]
    days = np.arange(WEEKS_D) % 7
    assert (tests[days == 0] == 0).all()
    assert (tests[days != 0] == 0).mean() == pytest.approx(0.03, abs=0.006)
    assert tests.mean() == pytest.approx(60, rel=0.03)


def test_growing_zones_end_with_four_times_the_tests_that_they_began_with() -> None:
    mean = profile(World("growing", 200))
    assert mean[DAYS - 1] / mean[0] == pytest.approx(GROWTH * WEEK[(DAYS - 1) % 7] / WEEK[0])
    assert mean[[56, 57]].mean() == pytest.approx(200 * WEEK[[0, 1]].mean(), rel=0.02)


def test_an_outbreak_stands_half_as_high_on_its_first_and_last_day() -> None:
    assert height(4, np.array([-1, 0, 1, 2, 3, 4])).tolist() == [0, 0.5, 1, 1, 0.5, 0]


def test_an_outbreak_multiplies_the_share_of_its_zone_alone() -> None:
    world = simulate(World("weekday", 200), EVALUATION, range(200))
    quiet, sick = world.counts(noise=False), world.with_outbreak(Outbreak(3, 14), noise=False)
    changed = quiet.positives != sick.positives
    assert not changed[:, :, 1:ZONES].any()
    assert (sick.positives - quiet.positives)[:, :, 0] == pytest.approx((sick.positives - quiet.positives)[:, :, -1])
    since = np.arange(DAYS)[:, None] - world.onset
    full, edge, outside = (since > 0) & (since < 13), (since == 0) | (since == 13), (since < 0) | (since > 13)
    for days, factor in ((full, 3.0), (edge, 2.0), (outside, 1.0)):
        share = sick.positives[:, :, 0][days].sum() / sick.tests[:, :, 0][days].sum()
        assert share == pytest.approx(factor * P0, rel=0.06)


def test_a_larger_factor_never_gives_fewer_positives() -> None:
    world = simulate(World("weekday", 60), EVALUATION, SEEDS)
    by_factor = [world.with_outbreak(Outbreak(factor, 7), noise=True).positives for factor in (2, 3, 4)]
    assert (by_factor[0] <= by_factor[1]).all()
    assert (by_factor[1] <= by_factor[2]).all()


def test_the_district_is_the_sum_of_its_zones_noise_included() -> None:
    counts = simulate(World("weekday", 20), EVALUATION, SEEDS).counts(noise=True)
    assert (counts.positives[:, :, -1] == counts.positives[:, :, :ZONES].sum(axis=2)).all()
    assert counts.noise_sd[-1] == pytest.approx(counts.noise_sd[0] * ZONES**0.5)


@pytest.mark.parametrize("volume", VOLUMES)
def test_the_noise_has_the_spread_that_detectors_are_told(volume: int) -> None:
    world = simulate(World("weekday", volume), EVALUATION, SEEDS)
    noisy, exact = world.counts(noise=True), world.counts(noise=False)
    assert (noisy.positives - exact.positives)[:, :, 0].std() == pytest.approx(noisy.noise_sd[0], rel=0.05)
    assert (noisy.tests - exact.tests)[:, :, 0].std() == pytest.approx(noisy.noise_sd_valid[0], rel=0.05)
    assert noisy.noise_sd[0] == pytest.approx(1.357 * KIOSKS[volume] ** 0.5, abs=0.002)
    assert (exact.noise_sd == 0).all()


def test_the_two_standard_deviations_are_the_designs() -> None:
    assert laplace_sd(1.0) == pytest.approx(1.357, abs=5e-4)
    assert laplace_sd(0.25) == pytest.approx(5.642, abs=5e-4)


def test_a_seed_has_its_numbers_whichever_seeds_stand_beside_it() -> None:
    world = World("closed", 20)
    alone, among = simulate(world, EVALUATION, range(7, 8)), simulate(world, EVALUATION, range(10))
    assert (alone.positives[:, 0] == among.positives[:, 7]).all()
    assert (alone.noise[:, 0] == among.noise[:, 7]).all()
    assert alone.onset[0] == among.onset[7]


def test_calibration_and_evaluation_share_no_numbers_nor_do_two_worlds() -> None:
    first = simulate(WORLDS[0], CALIBRATION, SEEDS)
    assert (first.shares != simulate(WORLDS[0], EVALUATION, SEEDS).shares).all()
    assert (first.shares != simulate(WORLDS[1], CALIBRATION, SEEDS).shares).all()


def test_what_a_delay_needs_ends_after_the_last_outbreak_and_keeps_zone_and_district() -> None:
    world = simulate(WORLDS[0], EVALUATION, SEEDS)
    whole = world.with_outbreak(OUTBREAKS[-1], noise=True)
    part = whole.where_it_breaks_out()
    assert part.positives.shape[1:] == (len(SEEDS), 2)
    assert (part.positives == whole.positives[: len(part.positives)][:, :, [0, -1]]).all()
    assert len(part.positives) >= world.onset.max() + 14 + 7


def test_an_unknown_world_is_refused() -> None:
    with pytest.raises(BacktestError, match="no world lunar of 20"):
        World("lunar", 20)
