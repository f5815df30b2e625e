"""The bars of the back-test, measured: what is held, what is missed, and where ours is later. Pure."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from scipy.stats import norm

from gateway.backtest.methods import OURS
from gateway.backtest.run import CALIBRATED, TEXTBOOK, DelayRow, FalseRow, Results
from gateway.backtest.scoring import Z95

Scenario: TypeAlias = tuple[str, int, int, int]  # kind, volume, factor, days

BUDGET: Final = 1.0  # false signals a fortnight in the district
RIVALS: Final = ("c1", "c2", "c3", "essence")
TOLD: Final = ("c1-floor", "c2-floor", "c3-floor", "essence-floor")
MOST_OF_C3: Final = 0.25
LEAST_SHARE_OF_SCENARIOS: Final = 0.75


@dataclass(frozen=True, slots=True)
class Earlier:
    """A scenario in which a rival's median is earlier."""

    scenario: Scenario
    rival: str
    ours: float
    theirs: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours against some rivals over all scenarios, everyone calibrated."""

    scenarios: int
    held: int
    unseen: int  # of the held ones: in which neither ours nor any rival has a median
    earlier: list[Earlier]

    @property
    def met(self) -> bool:
        """The bar."""
        return self.held >= LEAST_SHARE_OF_SCENARIOS * self.scenarios


@dataclass(frozen=True, slots=True)
class Budget:
    """False signals a fortnight over all worlds of one noise setting."""

    mean: float
    low: float
    high: float
    worlds_within: int
    worlds: int

    @property
    def met(self) -> bool:
        """The budget lies within the interval of what was measured."""
        return self.low <= BUDGET <= self.high


def false_rows(results: Results, setting: str, *, noise: bool, method: str = OURS) -> list[FalseRow]:
    """One method's worlds."""
    return [r for r in results.false if r.setting == setting and r.noise == noise and r.method == method]


def budget(results: Results, *, noise: bool) -> Budget:
    """Ours at its shipped thresholds. Worlds are independent, so their variances add."""
    rates = [row.signals for row in false_rows(results, TEXTBOOK, noise=noise)]
    mean = sum(rate.mean for rate in rates) / len(rates)
    variance = sum(((rate.high - rate.low) / (2 * Z95)) ** 2 for rate in rates) / len(rates) ** 2
    half = float(norm.ppf(0.975)) * math.sqrt(variance)
    within = sum(rate.low <= BUDGET <= rate.high for rate in rates)
    return Budget(mean, mean - half, mean + half, within, len(rates))


def ratio_to_c3(results: Results, of: Callable[[FalseRow], float], *, noise: bool) -> dict[tuple[str, int], float]:
    """Ours over C3, both at textbook thresholds, of each world."""
    theirs = {(r.kind, r.volume): of(r) for r in false_rows(results, TEXTBOOK, noise=noise, method="c3")}
    ours = {(r.kind, r.volume): of(r) for r in false_rows(results, TEXTBOOK, noise=noise)}
    return {world: ours[world] / theirs[world] for world in ours}


def compare(results: Results, rivals: Iterable[str], *, noise: bool) -> Comparison:
    """Median delays at the same measured false-alarm rate; equal, and both missed, holds."""
    medians: dict[Scenario, dict[str, float]] = {}
    for row in results.delays:
        if row.setting == CALIBRATED and row.noise == noise:
            medians.setdefault(scenario(row), {})[row.method] = row.delay.median
    found: list[Earlier] = []
    held = unseen = 0
    for key, by in medians.items():
        if OURS not in by:
            continue
        others = {name: by[name] for name in rivals if name in by}
        sooner = [Earlier(key, name, by[OURS], theirs) for name, theirs in others.items() if theirs < by[OURS]]
        found += sooner
        held += not sooner
        unseen += all(math.isinf(value) for value in [by[OURS], *others.values()])
    return Comparison(sum(OURS in by for by in medians.values()), held, unseen, found)


def scenario(row: DelayRow) -> Scenario:
    """What a delay was measured in."""
    return row.kind, row.volume, row.factor, row.days
