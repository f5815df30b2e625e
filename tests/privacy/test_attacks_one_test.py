"""D1 and D2: somebody who knows every test but one, and sees everything published, learns no more than was promised.

`make privacy-audit` measures the same with more draws. Each mutant must be caught by the same measurement.
"""

import random
import secrets
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import opendp.prelude as dp
import pytest

from contracts.layout import EPSILON_INVALID, EPSILON_POSITIVES, EPSILON_VALID, Assay, AssayLayout
from edge.release.noise import discrete_laplace
from tests.support.odds import Moved, largest, moved, threshold_events
from tests.support.release_path import (
    MUTANTS,
    PAIRS,
    PANEL,
    SINGLE,
    Experiment,
    OneLook,
    ReleasePath,
    words,
)
from tests.support.seeds import seeded

DRAWS = 4_000
SAMPLER_DRAWS = 20_000


class Worlds:
    """What the attacker sees of each world of one experiment; each drawn once."""

    def __init__(self, path: ReleasePath, layout: AssayLayout) -> None:
        self._experiment, self._words = Experiment(path, layout), words(layout)
        self._drawn: dict[str, np.typing.NDArray[np.float64]] = {}
        self._name = f"{type(path).__name__} {layout.number}"

    def __getitem__(self, word: str) -> np.typing.NDArray[np.float64]:
        if word not in self._drawn:
            self._drawn[word] = self._experiment.outputs(self._words[word], DRAWS, seeded(f"{self._name} {word}"))
        return self._drawn[word]

    def moved(self, one: str, other: str) -> Moved:
        return moved(self[one], self[other])


@pytest.fixture(scope="module", params=[SINGLE, PANEL], ids=["one target", "panel of four"])
def worlds(request: pytest.FixtureRequest) -> Worlds:
    return Worlds(OneLook(), request.param)


@pytest.mark.parametrize("pair", list(PAIRS), ids="-".join)
def test_one_test_moves_a_guess_by_no_more_than_was_promised(worlds: Worlds, pair: tuple[str, str]) -> None:
    found = worlds.moved(*pair)
    assert found.lower <= PAIRS[pair], found


def test_the_measurement_comes_close_to_what_is_allowed_so_it_would_see_more() -> None:
    worlds = Worlds(ReleasePath(), SINGLE)
    assert worlds.moved("positive", "negative").lower > 0.7
    assert worlds.moved("positive", "absent").lower > 0.8
    assert worlds.moved("positive", "invalid").lower > 0.9


@pytest.mark.parametrize("name", list(MUTANTS))
def test_a_mistake_in_the_way_of_a_count_is_seen(name: str) -> None:
    path, pair = MUTANTS[name]
    found = Worlds(path, SINGLE).moved(*pair)
    assert found.lower > PAIRS[pair], found


def test_the_promised_bounds_follow_from_the_epsilons() -> None:
    panel = Assay("X", ("a", "b", "c"))
    assert len(panel.targets) * panel.epsilon_positives == EPSILON_POSITIVES == 1
    assert Fraction(5, 4) == EPSILON_POSITIVES + EPSILON_VALID
    assert Fraction(3, 2) == EPSILON_POSITIVES + EPSILON_VALID + EPSILON_INVALID


# --- D2: the sampler; its exact masses are in tests/unit/edge/test_noise.py --------------------------------------

Sampler = Callable[[], int]


def audited(sampler: Sampler, draws: int = SAMPLER_DRAWS) -> Moved:
    """How well draws tell a count from the count beside it."""
    one, other = (np.array([[float(sampler() + shift)] for _ in range(draws)]) for shift in (0, 1))
    return largest(threshold_events(one, other))


@pytest.mark.parametrize("epsilon", [Fraction(1), Fraction(1, 4)])
def test_20_000_draws_a_side_of_the_production_source_stay_within_epsilon(epsilon: Fraction) -> None:
    found = audited(lambda: discrete_laplace(epsilon, secrets.randbelow))
    assert float(epsilon) * 0.6 < found.lower <= float(epsilon), found


def test_opendps_draws_are_judged_alike_and_a_wider_step_is_seen() -> None:
    dp.enable_features("contrib")
    oracle = dp.m.make_laplace(dp.atom_domain(T=int), dp.absolute_distance(T=int), scale=1.0)
    assert 0.6 < audited(lambda: int(oracle(0))).lower <= 1.0
    generator = random.Random(20211212)
    assert audited(lambda: discrete_laplace(Fraction(2), generator.randrange)).lower > 1.0
