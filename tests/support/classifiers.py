"""Two attackers who learn from examples: logistic regression and gradient boosting over trees, on numpy alone.

Both take features scaled to 0..255 (uint8). They are checked on data with planted differences (`test_dump_attack.py`):
an attacker who learns nothing proves nothing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Features = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]
Learner = Callable[[Features, Labels, Features], Scores]

STEPS, RATE, MOMENTUM, RIDGE = 60, 0.5, 0.9, 1e-3
TREES, DEPTH, SHRINKAGE, LEAST_IN_LEAF, BINS = 40, 3, 0.3, 20, 32
COLUMN_SHARE = 0.25  # of the features are looked at by each tree


@dataclass(frozen=True)
class Auc:
    """How well scores tell two classes apart, with the range in which 0.5 would lie by chance."""

    value: float
    sd_of_chance: float

    def within(self, sds: float) -> bool:
        """Whether chance alone gives it."""
        return abs(self.value - 0.5) <= sds * self.sd_of_chance


def auc(scores: Scores, labels: Labels) -> Auc:
    """Mann and Whitney's U as a share, ties at their mean rank; its deviation when nothing is there to be learnt."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    positives, negatives = int(labels.sum()), int((~labels).sum())
    u = mean_rank[inverse][labels].sum() - positives * (positives + 1) / 2
    sd = math.sqrt((positives + negatives + 1) / (12 * positives * negatives))
    return Auc(float(u / (positives * negatives)), sd)


def logistic_regression(train: Features, labels: Labels, test: Features) -> Scores:
    """Accelerated gradient descent on standardised features, with a little ridge."""
    x = train.astype(np.float32)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale == 0] = 1
    x = (x - mean) / scale
    weights, speed = np.zeros(x.shape[1], np.float32), np.zeros(x.shape[1], np.float32)
    y, bias = labels.astype(np.float32), float(np.log(labels.mean() / (1 - labels.mean())))
    step = np.float32(RATE * 4 / (1 + x.shape[1] / len(x)) ** 2 / 4)
    for _ in range(STEPS):
        ahead = weights + MOMENTUM * speed
        error = y - 1 / (1 + np.exp(-(x @ ahead + bias)))
        speed = MOMENTUM * speed + step * (error @ x / len(x) - RIDGE * ahead)
        weights = weights + speed
    return np.asarray((test.astype(np.float32) - mean) / scale @ weights, np.float64)


def gradient_boosting(train: Features, labels: Labels, test: Features) -> Scores:
    """Trees of depth 3 on histograms, Newton's step in each leaf (logistic loss)."""
    chance = np.random.default_rng(1)
    binned, tested = np.asfortranarray(train // (256 // BINS)), np.asfortranarray(test // (256 // BINS))
    score = np.full(len(train), np.log(labels.mean() / (1 - labels.mean())))
    found = np.full(len(test), score[0])
    y = labels.astype(np.float64)
    for _ in range(TREES):
        p = 1 / (1 + np.exp(-score))
        columns = np.flatnonzero(chance.random(train.shape[1]) < COLUMN_SHARE)
        at, at_test = np.zeros(len(train), np.int64), np.zeros(len(test), np.int64)
        gradient, curvature = y - p, p * (1 - p)
        for depth in range(DEPTH):
            chosen = _splits(binned, columns, at, gradient, curvature, 2**depth)
            at = _down(binned, at, chosen)
            at_test = _down(tested, at_test, chosen)
        leaves = _leaves(at, gradient, curvature)
        score += leaves[at]
        found += leaves[at_test]
    return found


Splits = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Of each node: column, and the highest bin that goes left."""


def _splits(
    binned: Features,
    columns: npt.NDArray[np.int64],
    at: npt.NDArray[np.int64],
    gradient: Scores,
    curvature: Scores,
    nodes: int,
) -> Splits:
    best = np.full(nodes, -1.0)
    column, cut = np.zeros(nodes, np.int64), np.full(nodes, BINS, np.int64)  # all go left unless something is gained
    for candidate in columns:
        cell = at * BINS + binned[:, candidate]
        g = np.bincount(cell, gradient, nodes * BINS).reshape(nodes, BINS).cumsum(axis=1)
        h = np.bincount(cell, curvature, nodes * BINS).reshape(nodes, BINS).cumsum(axis=1)
        right_g, right_h = g[:, -1:] - g, h[:, -1:] - h
        gain = g**2 / (h + 1) + right_g**2 / (right_h + 1)
        gain[(h < LEAST_IN_LEAF / 4) | (right_h < LEAST_IN_LEAF / 4)] = -1
        here = gain.argmax(axis=1)
        value = gain[np.arange(nodes), here]
        better = value > best
        best[better], column[better], cut[better] = value[better], candidate, here[better]
    return column, cut


def _down(binned: Features, at: npt.NDArray[np.int64], splits: Splits) -> npt.NDArray[np.int64]:
    column, cut = splits
    return 2 * at + (binned[np.arange(len(at)), column[at]] > cut[at])


def _leaves(at: npt.NDArray[np.int64], gradient: Scores, curvature: Scores) -> Scores:
    g, h = np.bincount(at, gradient, 2**DEPTH), np.bincount(at, curvature, 2**DEPTH)
    return np.asarray(SHRINKAGE * g / (h + 1))


LEARNERS: dict[str, Learner] = {
    "logistic regression": logistic_regression,
    "gradient boosting": gradient_boosting,
}
