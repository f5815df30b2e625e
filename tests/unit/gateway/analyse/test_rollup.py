"""Sums by hand; limits by the rule they claim, at their edges, and by how often they hold the truth."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.analyse.rollup import Release, RollUp, roll_up
from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import IntArray
from tests.support.seeds import SEED

SD_1, SD_QUARTER = 1.3570, 5.6424  # sqrt(2q)/(1-q), q = e^-1 and e^-1/4


def kiosk(positives: int, valid: int, invalid: int = 0, targets: int = 1) -> Release:
    return Release(positives=positives, valid=valid, invalid=invalid, targets=targets)


def test_three_kiosks_add_up_and_their_noise_by_variance() -> None:
    rolled = roll_up([kiosk(3, 70, 2), kiosk(-1, 55, -4), kiosk(6, 61, 1)], expected=4)
    assert (rolled.positives, rolled.valid, rolled.invalid) == (8, 186, -1)
    assert rolled.positivity == 8 / 186
    assert rolled.noise_sd == pytest.approx(SD_1 * math.sqrt(3), abs=1e-3)
    assert rolled.noise_sd_valid == pytest.approx(SD_QUARTER * math.sqrt(3), abs=1e-3)
    assert (rolled.kiosks_reporting, rolled.kiosks_expected, rolled.status) == (3, 4, "shown")


def test_a_panel_divides_epsilon_so_its_positives_are_noisier_and_its_valid_are_not() -> None:
    one, panel = roll_up([kiosk(3, 70)], expected=1), roll_up([kiosk(3, 70, targets=4)], expected=1)
    assert panel.noise_sd == pytest.approx(SD_QUARTER, abs=1e-3)
    assert one.noise_sd == pytest.approx(SD_1, abs=1e-3)
    assert panel.noise_sd_valid == one.noise_sd_valid


def test_no_release_is_none_and_not_zero() -> None:
    rolled = roll_up([], expected=3)
    assert rolled.status == "none"
    assert (rolled.kiosks_reporting, rolled.kiosks_expected) == (0, 3)
    assert math.isnan(rolled.positivity)
    assert math.isnan(rolled.lower)
    assert math.isnan(rolled.upper)


# One kiosk: 4 sd of valid are 22.6, 8 sd are 45.1, so 20 is below and 50 above. Three kiosks: 39.1 and 78.2.
@pytest.mark.parametrize(
    ("kiosks", "valid", "status", "has_positivity"),
    [
        (1, 22, "few", False),
        (1, 23, "shown", False),
        (1, 49, "shown", False),
        (1, 50, "shown", True),
        (3, 39, "few", False),
        (3, 40, "shown", False),
        (3, 78, "shown", False),
        (3, 79, "shown", True),
        (3, -30, "few", False),
    ],
)
def test_the_display_limits_stand_where_the_design_puts_them(
    kiosks: int, valid: int, status: str, has_positivity: bool
) -> None:
    rolled = roll_up([kiosk(1, valid), *[kiosk(0, 0)] * (kiosks - 1)], expected=kiosks)
    assert rolled.status == status
    assert math.isnan(rolled.positivity) is not has_positivity
    assert math.isnan(rolled.lower) is math.isnan(rolled.upper) is not has_positivity


def test_the_limits_are_the_shares_that_a_five_per_cent_test_keeps() -> None:
    rolled = roll_up([kiosk(4, 80), kiosk(9, 95), kiosk(2, 71)], expected=3)

    def distance(p: float) -> float:
        """(x - n p) in standard deviations, noise included."""
        own = rolled.valid * p * (1 - p)
        return (rolled.positives - rolled.valid * p) / math.sqrt(
            own + rolled.noise_sd**2 + (p * rolled.noise_sd_valid) ** 2
        )

    assert distance(rolled.lower) == pytest.approx(1.95996, abs=1e-5)
    assert distance(rolled.upper) == pytest.approx(-1.95996, abs=1e-5)


@pytest.mark.parametrize("positives", [-40, -3, 0, 240, 260])
def test_counts_that_noise_drove_out_of_range_still_give_limits_within_it(positives: int) -> None:
    rolled = roll_up([kiosk(positives, 240)], expected=1)
    assert rolled.positivity == positives / 240  # as drawn
    assert 0 <= rolled.lower < rolled.upper <= 1


def _noise(rng: np.random.Generator, epsilon: float, kiosks: int, size: int) -> IntArray:
    p = 1 - math.exp(-epsilon)
    drawn: IntArray = (rng.geometric(p, (kiosks, size)) - rng.geometric(p, (kiosks, size))).sum(axis=0)
    return drawn


@pytest.mark.parametrize("share", [0.002, 0.02, 0.12, 0.5, 0.98])
@pytest.mark.parametrize(("kiosks", "tests"), [(1, 100), (3, 150), (12, 800), (18, 1200), (84, 5000)])
def test_the_limits_hold_the_true_share_in_some_95_of_100_noisy_worlds(kiosks: int, tests: int, share: float) -> None:
    rng, worlds = np.random.default_rng([SEED, kiosks, tests]), 1500
    positives = rng.binomial(tests, share, worlds) + _noise(rng, 1.0, kiosks, worlds)
    valid = tests + _noise(rng, 0.25, kiosks, worlds)
    rest = [kiosk(0, 0)] * (kiosks - 1)
    held = 0
    for x, n in zip(positives.tolist(), valid.tolist(), strict=True):
        rolled = roll_up([kiosk(x, n), *rest], expected=kiosks)
        held += rolled.lower <= share <= rolled.upper
    # Near 0 and 1 one of the two limits is never wrong, so up to 97.5 % and a little; below 93 % is not allowed.
    assert 0.925 <= held / worlds <= 0.988


@given(
    st.lists(
        st.builds(
            Release,
            positives=st.integers(-(2**31), 2**31 - 1),
            valid=st.integers(-(2**31), 2**31 - 1),
            invalid=st.integers(-(2**31), 2**31 - 1),
            targets=st.integers(1, 8),
        ),
        max_size=40,
    ),
    st.integers(0, 100),
)
def test_whatever_32_bits_can_hold_rolls_up_to_a_row_that_keeps_its_promises(
    releases: list[Release], expected: int
) -> None:
    rolled: RollUp = roll_up(releases, expected=expected)
    assert rolled.positives == sum(r.positives for r in releases)
    assert rolled.kiosks_reporting == len(releases)
    if math.isnan(rolled.positivity):
        assert math.isnan(rolled.lower)
    else:
        assert rolled.status == "shown"
        assert 0 <= rolled.lower <= rolled.upper <= 1


def test_the_order_and_the_grouping_of_releases_do_not_matter() -> None:
    rows = [kiosk(i - 3, 20 * i, i, targets=1 + i % 3) for i in range(9)]
    assert roll_up(rows, expected=9) == roll_up(rows[::-1], expected=9)


def test_impossible_arguments_are_refused_by_name() -> None:
    with pytest.raises(SurveillanceError, match="expected"):
        roll_up([], expected=-1)
    with pytest.raises(SurveillanceError, match="targets"):
        kiosk(1, 1, targets=0)
