"""Wilcoxon's signed-rank test for pairs, exact: of two samples taken side by side, does one lie higher?

Frank Wilcoxon, Individual comparisons by ranking methods, Biometrics Bulletin 1 (1945). Its null distribution is that
of fair coins that decide which of a pair is called first: where coins did decide it, the test is a randomisation test
and holds whatever else the two have in common or apart.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def p_value(differences: Sequence[float]) -> float:
    """Return the two-sided p of differences within pairs; equal ones share their ranks, zeros keep theirs."""
    if not differences:
        raise ValueError("no pairs")
    given = np.asarray(differences, dtype=float)
    ranks = _ranks(np.abs(given))
    seen = abs(float(np.sign(given) @ ranks))
    return float(np.mean(_null(tuple(sorted(ranks.tolist()))) >= seen - 1e-9))


@lru_cache(maxsize=64)
def _null(ranks: tuple[float, ...]) -> Floats:
    """The sums of ranks under all assignments of signs, without their own signs."""
    sums = np.zeros(1)
    for rank in ranks:
        sums = np.concatenate((sums - rank, sums + rank))
    return np.abs(sums)


def _ranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share their mean."""
    below = (values[:, None] > values[None, :]).sum(axis=1)
    upto = (values[:, None] >= values[None, :]).sum(axis=1)
    ranks: Floats = (below + 1 + upto) / 2.0
    return ranks
