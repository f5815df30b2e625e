"""How often the limits of a zone's share hold the truth (docs/METHODS.md, 1): 3 kiosks, 20, 60, 200 tests a day."""

import math

import numpy as np
import pytest

from contracts.layout import EPSILON_POSITIVES, EPSILON_VALID, noise_sd
from gateway.analyse.rollup import limits
from gateway.surveillance.arrays import IntArray
from tests.support.seeds import SEED
from tests.unit.gateway.analyse.quiet_world import KIOSKS, laplace

WORLDS = 8_000
LEAST = 0.94
SHARES = (0.005, 0.02, 0.05, 0.12, 0.3)


def _noise(rng: np.random.Generator, epsilon: float, draws: int) -> IntArray:
    added: IntArray = laplace(rng, epsilon, (draws, WORLDS)).sum(axis=0)
    return added


@pytest.mark.simulation
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("tests_a_day", [20, 60, 200])
@pytest.mark.parametrize(("days", "windows_a_day"), [(1, 1), (1, 4), (7, 1), (7, 4)])
def test_at_least_94_of_100_limits_hold_the_true_share(
    days: int, windows_a_day: int, tests_a_day: int, share: float
) -> None:
    rng = np.random.default_rng([SEED, days, windows_a_day, tests_a_day])
    draws = KIOSKS * days * windows_a_day
    tests = rng.poisson(tests_a_day * days, WORLDS)
    positives = rng.binomial(tests, share) + _noise(rng, float(EPSILON_POSITIVES), draws)
    valid = tests + _noise(rng, float(EPSILON_VALID), draws)
    sd, sd_valid = noise_sd(EPSILON_POSITIVES) * math.sqrt(draws), noise_sd(EPSILON_VALID) * math.sqrt(draws)
    found = [limits(x, n, sd, sd_valid) for x, n in zip(positives.tolist(), valid.tolist(), strict=True)]
    held = sum(lower <= share <= upper for lower, upper in found) / WORLDS
    assert held >= LEAST, held
