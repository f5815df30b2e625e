"""Scores and p-values are held to the definition, written out as loops, and to the R package's own unit test."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array
from gateway.surveillance.scan import spacetime_poisson
from tests.support.seeds import SEED

ZONES: list[tuple[int, ...]] = [(0,), (1,), (2,), (3,), (0, 1), (2, 3), (1, 2), (0, 1, 2, 3)]


def log_poisson(count: float, mean: float) -> float:
    return float(count * math.log(mean) - mean - math.lgamma(count + 1))


def loops(counts: Array, baselines: Array) -> list[tuple[float, tuple[int, ...], int]]:
    """Likelihood ratios of Poisson probabilities, cell by cell: (score, zone, duration), the highest first."""
    found = []
    for zone in ZONES:
        for duration in range(1, len(counts) + 1):
            cells = [(t, place) for t in range(len(counts) - duration, len(counts)) for place in zone]
            c, b = sum(counts[cell] for cell in cells), sum(baselines[cell] for cell in cells)
            if c > b:
                parts = [
                    log_poisson(counts[cell], c / b * baselines[cell]) - log_poisson(counts[cell], baselines[cell])
                    for cell in cells
                ]
                found.append((float(sum(parts)), zone, duration))
    return sorted(found, key=lambda one: -one[0])


def made(rng: np.random.Generator) -> tuple[Array, Array]:
    baselines = rng.uniform(0.5, 6, (5, 4))
    counts = rng.poisson(baselines).astype(float)
    counts[-2:, 2:] += rng.poisson(4, (2, 2))
    return counts, baselines


def test_clusters_are_the_highest_likelihood_ratios_and_share_no_place() -> None:
    rng = np.random.default_rng(SEED)
    for _ in range(20):
        counts, baselines = made(rng)
        got = spacetime_poisson(counts, baselines, ZONES, simulations=0, rng=rng)
        expected, taken = [], set[int]()
        for score, zone, duration in loops(counts, baselines):
            if taken.isdisjoint(zone):
                taken |= set(zone)
                expected.append((zone, duration, score))
        assert [(one.places, one.duration) for one in got] == [one[:2] for one in expected]
        np.testing.assert_allclose([one.score for one in got], [one[2] for one in expected], rtol=1e-9)
        assert all(math.isnan(one.p) for one in got)


def test_the_scores_are_those_of_scanstatistics_own_unit_test() -> None:
    # cran/scanstatistics, tests/testthat/test_scan_eb_poisson.R: one time, counts 1 and 0, baselines 0.5 and 2.
    rng = np.random.default_rng(SEED)
    (one,) = spacetime_poisson([[1, 0]], [[0.5, 2]], [(0,), (1,), (0, 1)], simulations=0, rng=rng)
    assert (one.places, one.duration, one.relative_risk) == ((0,), 1, 2.0)
    assert one.score == pytest.approx(math.log(2) - 0.5)
    # Its second case has the newest time first: 20 cases of the second place three times ago, here in the first row.
    counts, baselines = [[0, 20], [2, 1], [1, 0]], [[0.5, 2]] * 3
    best = spacetime_poisson(counts, baselines, [(0,), (1,), (0, 1)], simulations=0, rng=rng)[0]
    assert (best.places, best.duration, best.relative_risk) == ((0, 1), 3, 24 / 7.5)
    assert best.score == pytest.approx(24 * math.log(24 / 7.5) + 7.5 - 24)


def test_p_counts_the_replicates_that_reach_the_score() -> None:
    rng = np.random.default_rng(SEED)
    counts, baselines = made(rng)
    got = spacetime_poisson(counts, baselines, ZONES, simulations=199, rng=np.random.default_rng(7))
    replicates = np.random.default_rng(7).poisson(baselines, size=(199, 5, 4)).astype(float)
    highest = [max([0.0, *(one[0] for one in loops(one_world, baselines))]) for one_world in replicates]
    for cluster in got:
        assert cluster.p == (1 + sum(top >= cluster.score - 1e-9 for top in highest)) / 200


def test_in_quiet_districts_the_p_value_of_the_best_cluster_is_as_likely_low_as_high() -> None:
    rng = np.random.default_rng(SEED)
    baselines = rng.uniform(0.5, 4, (4, 4))
    below = 0
    for _ in range(300):
        clusters = spacetime_poisson(rng.poisson(baselines), baselines, ZONES, simulations=99, rng=rng)
        below += bool(clusters) and clusters[0].p <= 0.1
    low, high = stats.binom.interval(0.999, 300, 0.1)
    assert low <= below <= high


def test_nothing_above_expected_is_no_cluster() -> None:
    rng = np.random.default_rng(SEED)
    baselines = np.full((3, 4), 2.5)
    assert spacetime_poisson(baselines, baselines, ZONES, rng=rng) == []
    assert spacetime_poisson(np.zeros((3, 4)), baselines, ZONES, rng=rng) == []


def test_the_same_seed_gives_the_same_clusters_however_many_blocks_the_replicates_need() -> None:
    rng = np.random.default_rng(SEED)
    counts, baselines = rng.poisson(3, (1000, 2)), np.full((1000, 2), 3.0)
    zones = [(0,), (1,), (0, 1)]
    one, two = (  # 3 000 scores a replicate: more than the two million that are held at once
        spacetime_poisson(counts, baselines, zones, simulations=700, rng=np.random.default_rng(3)) for _ in range(2)
    )
    assert one == two
    assert all(0 < cluster.p <= 1 for cluster in one)


@pytest.mark.parametrize(
    ("named", "change"),
    [
        ("counts", {"counts": [[-1.0, 1.0]]}),
        ("counts", {"counts": [1.0, 1.0]}),
        ("counts", {"counts": np.zeros((0, 2)), "baselines": np.zeros((0, 2))}),
        ("baselines", {"baselines": [[0.0, 1.0]]}),
        ("baselines", {"baselines": [[1.0]]}),
        ("baselines", {"baselines": [[1e-200, 1.0]]}),
        ("counts", {"counts": [[1e16, 1.0]]}),
        ("zones", {"zones": []}),
        ("zones", {"zones": [()]}),
        ("zones", {"zones": [(2,)]}),
        ("zones", {"zones": [(-1,)]}),
        ("zones", {"zones": [(0, 0)]}),
        ("zones", {"zones": [(0.5,)]}),
        ("simulations", {"simulations": -1}),
        ("rng", {"rng": 7}),
    ],
)
def test_bad_input_is_refused_by_the_parameters_name(named: str, change: dict[str, Any]) -> None:
    good: dict[str, Any] = {
        "counts": [[1.0, 1.0]],
        "baselines": [[1.0, 1.0]],
        "zones": [(0,), (1,)],
        "rng": np.random.default_rng(1),
    }
    with pytest.raises(SurveillanceError, match=named):
        spacetime_poisson(**(good | change))
