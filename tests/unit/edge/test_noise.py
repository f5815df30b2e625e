"""The sampler against the closed formula (exactly, by walking its decision tree) and against OpenDP's."""

import math
import random
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from typing import cast

import opendp.prelude as dp
import pytest

from edge.errors import ReleaseError
from edge.release.noise import discrete_laplace, noise_sd

LEAST_PATH = Fraction(1, 100_000)


class _Undecided:
    """A uniform number on 0..below-1 that is decided only as far as the sampler looks: one branch a look."""

    def __init__(self, below: int, tape: "_Tape") -> None:
        self._below = below
        self._tape = tape
        self._value: int | None = None

    def __lt__(self, other: "int | _Undecided") -> bool:
        bound = other.value() if isinstance(other, _Undecided) else other
        inside = Fraction(min(bound, self._below), self._below)
        return self._tape.choose([inside, 1 - inside]) == 0

    def __eq__(self, other: object) -> bool:
        return self.value() == other

    __hash__ = object.__hash__

    def __add__(self, other: int) -> int:
        return self.value() + other

    def value(self) -> int:
        if self._value is None:
            self._value = self._tape.choose([Fraction(1, self._below)] * self._below)
        return self._value


class _BranchError(Exception):
    """The tape has ended: the sampler goes on in these ways with these probabilities."""

    def __init__(self, ways: list[Fraction]) -> None:
        super().__init__(ways)
        self.ways = ways


class _Tape:
    def __init__(self, choices: tuple[int, ...]) -> None:
        self._choices = iter(choices)

    def choose(self, ways: list[Fraction]) -> int:
        for choice in self._choices:
            return choice
        raise _BranchError(ways)

    def randbelow(self, below: int) -> int:
        return cast("int", _Undecided(below, self))


def _exact_lower_bounds(epsilon: Fraction, least_path: Fraction) -> tuple[dict[int, Fraction], Fraction]:
    """Walk the sampler's decision tree: result -> proved probability, and what was too improbable to follow."""
    proved: dict[int, Fraction] = {}
    unproved = Fraction(0)
    waiting: list[tuple[tuple[int, ...], Fraction]] = [((), Fraction(1))]
    while waiting:
        choices, probability = waiting.pop()
        if probability < least_path:
            unproved += probability
            continue
        try:
            value = discrete_laplace(epsilon, _Tape(choices).randbelow)
        except _BranchError as branch:
            waiting.extend(((*choices, n), probability * way) for n, way in enumerate(branch.ways) if way)
        else:
            proved[value] = proved.get(value, Fraction(0)) + probability
    return proved, unproved


def _mass(value: int, epsilon: Fraction) -> float:
    q = math.exp(-epsilon)
    return (1 - q) / (1 + q) * q ** abs(value)


@pytest.mark.parametrize("epsilon", [Fraction(1), Fraction(1, 2), Fraction(1, 4)])
def test_every_mass_lies_between_what_the_decision_tree_proves_and_what_it_leaves_open(epsilon: Fraction) -> None:
    proved, unproved = _exact_lower_bounds(epsilon, LEAST_PATH)
    assert unproved < Fraction(7, 100), float(unproved)
    for value in range(-4, 5):
        low = float(proved.get(value, Fraction(0)))
        assert low - 1e-12 <= _mass(value, epsilon) <= low + float(unproved) + 1e-12, value


def test_the_decision_tree_tells_a_wrong_sampler_from_a_right_one() -> None:
    proved, unproved = _exact_lower_bounds(Fraction(1), LEAST_PATH)
    for wrong in (Fraction(1, 2), Fraction(9, 10), Fraction(11, 10)):
        fits = (float(proved[v]) - 1e-12 <= _mass(v, wrong) <= float(proved[v] + unproved) for v in range(-4, 5))
        assert not all(fits), wrong


def test_positive_and_negative_noise_are_exactly_equally_likely() -> None:
    proved, _ = _exact_lower_bounds(Fraction(1, 2), LEAST_PATH)
    assert all(proved.get(v) == proved.get(-v) for v in range(1, 4))


@pytest.mark.simulation
@pytest.mark.parametrize("epsilon", [Fraction(1), Fraction(1, 3), Fraction(1, 4)])
def test_opendp_draws_the_same_distribution(epsilon: Fraction) -> None:
    dp.enable_features("contrib")
    oracle = dp.m.make_laplace(dp.atom_domain(T=int), dp.absolute_distance(T=int), scale=float(1 / epsilon))
    draws, edge = 8_000, 12
    generator = random.Random(20211212)
    ours = _histogram((discrete_laplace(epsilon, generator.randrange) for _ in range(draws)), edge)
    theirs = _histogram((oracle(0) for _ in range(draws)), edge)
    cells = [(ours[v], theirs[v]) for v in range(-edge, edge + 1) if ours[v] + theirs[v] >= 10]
    statistic = sum((a - b) ** 2 / (a + b) for a, b in cells)
    # Chi-square with len(cells) - 1 degrees of freedom: mean + 8 sd leaves an unseeded oracle no flaky run in practice.
    assert statistic < len(cells) + 8 * math.sqrt(2 * len(cells))


def _histogram(values: Iterable[int], edge: int) -> Counter[int]:
    return Counter(max(-edge, min(edge, value)) for value in values)


def test_the_standard_deviations_are_those_of_the_interface_page() -> None:
    assert noise_sd(Fraction(1)) == pytest.approx(1.357, abs=5e-4)
    assert noise_sd(Fraction(1, 4)) == pytest.approx(5.642, abs=5e-4)


def test_the_drawn_spread_is_the_stated_one() -> None:
    generator = random.Random(7)
    values = [discrete_laplace(Fraction(1, 4), generator.randrange) for _ in range(20_000)]
    measured = math.sqrt(sum(v * v for v in values) / len(values))
    assert measured == pytest.approx(noise_sd(Fraction(1, 4)), rel=0.05)
    assert abs(sum(values) / len(values)) < 0.25


@pytest.mark.parametrize("epsilon", [Fraction(0), Fraction(-1)])
def test_an_epsilon_that_protects_nothing_is_refused(epsilon: Fraction) -> None:
    with pytest.raises(ReleaseError):
        discrete_laplace(epsilon, random.Random(1).randrange)
    with pytest.raises(ReleaseError):
        noise_sd(epsilon)
