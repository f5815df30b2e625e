"""Space-time scan: which neighbouring places together have had too many cases, and for how long?

Expectation-based Poisson scan statistic (Neill et al. 2005): over every zone and every duration that ends now, C counts
against B expected score C log(C/B) + B - C where C > B. The p-value compares with the highest scores of simulated
quiet districts (Kulldorff 1997 for secondary clusters: the same highest scores). Not done here: choosing zones, or
baselines (a wrong baseline is found as a cluster).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import MOST_COUNTED, Array, positive, series, whole

_AT_ONCE = 2_000_000  # scores of replicates held in memory
_LEAST_EXPECTED = 1e-100  # cases of one place and time that float64 can divide by
_MOST_SIMULATIONS = 1_000_000


@dataclass(frozen=True, slots=True)
class Cluster:
    """Places with more cases than expected over the last `duration` times."""

    places: tuple[int, ...]
    duration: int
    score: float  # log likelihood ratio
    relative_risk: float  # C / B
    p: float  # NaN without simulations


def spacetime_poisson(
    counts: npt.ArrayLike,
    baselines: npt.ArrayLike,
    zones: Sequence[tuple[int, ...]],
    *,
    simulations: int = 999,
    rng: np.random.Generator,
) -> list[Cluster]:
    """The most likely cluster, then others that share no place with those before; empty when nothing is above expected.

    `counts` and `baselines` (expected counts, above 0) are (time, place), the last row is now; a zone is a tuple of
    place indices. p = (1 + replicates whose highest score reaches the cluster's) / (simulations + 1).

    Raises:
        SurveillanceError: bad counts, zones or parameters; the message names the parameter.
    """
    observed, expected = series("counts", counts), positive("baselines", baselines)
    if observed.ndim != 2 or observed.size == 0:  # noqa: PLR2004 - time and place
        raise SurveillanceError("counts: not a table of times and places")
    if expected.shape != observed.shape:
        raise SurveillanceError(f"baselines: shape {expected.shape} for counts of shape {observed.shape}")
    if expected.min() < _LEAST_EXPECTED or expected.max() > MOST_COUNTED:
        raise SurveillanceError(f"baselines: must lie from {_LEAST_EXPECTED:g} to {MOST_COUNTED:g}")
    member = _membership(zones, observed.shape[1])
    if not isinstance(rng, np.random.Generator):
        raise SurveillanceError("rng: not a numpy random Generator")
    replicates = whole("simulations", simulations, 0, _MOST_SIMULATIONS)
    base = _by_zone(expected, member)
    cases = _by_zone(observed, member)
    scores = _scores(cases, base)
    highest = np.concatenate([np.zeros(0), *_highest(expected, member, base, replicates, rng)])
    clusters = []
    for duration, zone in _disjoint(scores, zones):
        score = float(scores[duration, zone])
        clusters.append(
            Cluster(
                places=tuple(int(place) for place in zones[zone]),
                duration=duration + 1,
                score=score,
                relative_risk=float(cases[duration, zone] / base[duration, zone]),
                p=(1 + int((highest >= score).sum())) / (replicates + 1) if replicates else math.nan,
            )
        )
    return clusters


def _membership(zones: Sequence[tuple[int, ...]], places: int) -> Array:
    """(place, zone): 1 where the place belongs to the zone."""
    if not zones:
        raise SurveillanceError("zones: there is none")
    member = np.zeros((places, len(zones)))
    for number, zone in enumerate(zones):
        chosen = [whole("zones", place, 0, places - 1) for place in zone]
        if not chosen:
            raise SurveillanceError(f"zones: zone {number} has no place")
        if len(set(chosen)) < len(chosen):
            raise SurveillanceError(f"zones: zone {number} names a place twice")
        member[chosen, number] = 1.0
    return member


def _by_zone(table: Array, member: Array) -> Array:
    """(..., time, place) to (..., duration, zone): sums over the last 1, 2, ... times."""
    summed: Array = np.cumsum(table[..., ::-1, :], axis=-2) @ member
    return summed


def _scores(cases: Array, base: Array) -> Array:
    """C log(C/B) + B - C where C > B, else 0."""
    ratio = cases / base
    above = np.maximum(ratio, 1.0)
    return np.asarray(base * (above * np.log(above) + 1 - above))


def _highest(expected: Array, member: Array, base: Array, replicates: int, rng: np.random.Generator) -> Iterator[Array]:
    """The highest score of each simulated quiet district, in blocks that fit into memory."""
    block = max(1, _AT_ONCE // base.size)
    for start in range(0, replicates, block):
        drawn = rng.poisson(expected, size=(min(block, replicates - start), *expected.shape)).astype(np.float64)
        yield _scores(_by_zone(drawn, member), base).max(axis=(-2, -1))


def _disjoint(scores: Array, zones: Sequence[tuple[int, ...]]) -> Iterator[tuple[int, int]]:
    """(duration index, zone) from the highest score above 0 down, each without a place that was named before.

    Equal scores: the shorter duration first, then the zone that was given first.
    """
    taken: set[int] = set()
    for flat in np.argsort(-scores, axis=None, kind="stable"):
        duration, zone = divmod(int(flat), scores.shape[1])
        if scores[duration, zone] <= 0:
            return
        if taken.isdisjoint(zones[zone]):
            taken.update(zones[zone])
            yield duration, zone
