"""How far an observation moves a guess: likelihood ratios of events, measured from draws of two worlds.

Clopper and Pearson's limits hold for any sample size; the level is divided over all events that are looked at
(Bonferroni), so the largest lower limit exceeds the true largest ratio in at most 1 of 1 000 measurements.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

LEVEL = 0.001
CUTS = 12  # of each output, where events are looked at
LIMITS_AN_EVENT = 4  # lower and upper, of both worlds
LEAST_SHIFT = 0.25  # of an output's mean that one test can have made
MOST_SHIFTED = 8

Outputs = npt.NDArray[np.float64]
"""One row a draw of a world, one column an output; NaN where an output is left out."""

Events = npt.NDArray[np.bool_]
"""One row a draw, one column an event."""


@dataclass(frozen=True)
class Moved:
    """The largest |log likelihood ratio|: what the counts say, and what is certain at 99.9 %."""

    estimate: float
    lower: float
    event: int


def threshold_events(one: Outputs, other: Outputs) -> tuple[Events, Events]:
    """`output <= cut` and its complement at cuts of the pooled values, and whether the output is there at all."""
    columns: list[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]] = []
    for a, b in zip(one.T, other.T, strict=True):
        both = np.concatenate([a, b])
        known = both[~np.isnan(both)]
        for cut in np.unique(np.quantile(known, np.linspace(0.01, 0.99, CUTS), method="lower")) if len(known) else ():
            columns += [(a <= cut, b <= cut), (a > cut, b > cut)]
        columns.append((np.isnan(a), np.isnan(b)))
    return np.stack([a for a, _ in columns], axis=1), np.stack([b for _, b in columns], axis=1)


def joint_events(one: Outputs, other: Outputs) -> tuple[Events, Events]:
    """Every subset of outputs that the worlds shift, all of them on one world's side: the best of guesses."""
    always = np.flatnonzero(~np.isnan(np.concatenate([one, other])).any(axis=0))
    a, b = one[:, always], other[:, always]
    shift = a.mean(axis=0) - b.mean(axis=0)
    shifted = np.flatnonzero(np.abs(shift) > LEAST_SHIFT)[:MOST_SHIFTED]
    middle, upwards = (np.median(a, axis=0) + np.median(b, axis=0)) / 2, shift > 0
    subsets = [
        np.array([column for n, column in enumerate(shifted) if subset >> n & 1], dtype=np.intp)
        for subset in range(1, 2 ** len(shifted))
    ]
    sides = [(chosen, upwards[chosen] == side) for chosen in subsets for side in (True, False)]
    return _joined(a, middle, sides), _joined(b, middle, sides)


def _joined(values: Outputs, middle: Outputs, sides: Sequence[tuple[npt.NDArray[np.intp], Events]]) -> Events:
    events = np.zeros((len(values), len(sides)), bool)
    for number, (chosen, above) in enumerate(sides):
        side = np.where(above, values[:, chosen] > middle[chosen], values[:, chosen] < middle[chosen])
        events[:, number] = side.all(axis=1)
    return events


def learnt_events(one: Outputs, other: Outputs) -> tuple[Events, Events]:
    """Scores of an attacker who learnt a line from the first half of the draws, on the second half."""
    half = len(one) // 2, len(other) // 2
    learnt = np.nan_to_num(np.concatenate([one[: half[0]], other[: half[1]]]), nan=-1.0)
    answers = np.repeat([1.0, -1.0], half)
    mean, scale = learnt.mean(axis=0), learnt.std(axis=0) + 1e-9
    line = np.linalg.lstsq((learnt - mean) / scale, answers, rcond=1e-6)[0]
    scores = [
        (np.nan_to_num(world[n:], nan=-1.0) - mean) / scale @ line for world, n in zip((one, other), half, strict=True)
    ]
    return threshold_events(scores[0][:, None], scores[1][:, None])


def largest(*events: tuple[Events, Events]) -> Moved:
    """The largest |log likelihood ratio| over all events."""
    number = sum(a.shape[1] for a, _ in events)
    found = [_measured(a, b, LEVEL / (number * LIMITS_AN_EVENT)) for a, b in events if a.shape[1]]
    estimates = np.concatenate([estimate for estimate, _ in found])
    lowers = np.concatenate([lower for _, lower in found])
    best = int(lowers.argmax())
    return Moved(float(estimates[best]), float(lowers[best]), best)


def moved(one: Outputs, other: Outputs) -> Moved:
    """What an attacker can be certain of who may use all outputs, alone, together, or as learnt."""
    return largest(threshold_events(one, other), joint_events(one, other), learnt_events(one, other))


def _measured(one: Events, other: Events, level: float) -> tuple[Outputs, Outputs]:
    a, b, n_a, n_b = one.sum(axis=0), other.sum(axis=0), len(one), len(other)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = np.abs(np.log(a / n_a) - np.log(b / n_b))
        forth = np.log(_low(a, n_a, level)) - np.log(_high(b, n_b, level))
        back = np.log(_low(b, n_b, level)) - np.log(_high(a, n_a, level))
    lower = np.nan_to_num(np.maximum(forth, back), nan=-math.inf)
    return np.nan_to_num(estimate, nan=0.0, posinf=math.inf), np.maximum(lower, 0.0)


def _low(hits: npt.NDArray[np.int64], n: int, level: float) -> Outputs:
    return np.asarray(np.where(hits == 0, 0.0, beta.ppf(level, hits, n - hits + 1)))


def _high(hits: npt.NDArray[np.int64], n: int, level: float) -> Outputs:
    return np.asarray(np.where(hits == n, 1.0, beta.ppf(1 - level, hits + 1, n - hits)))
