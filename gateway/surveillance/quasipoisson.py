"""Quasi-Poisson regression with a log link, by iteratively reweighted least squares. No data handling.

Start, weights, floor and stopping rule are the customary ones (McCullagh and Nelder 1989, 2.5; R's `glm` documents the
same): mu = y + 0.1; stop when the deviance changes by less than 1e-8 of itself + 0.1; at most 25 steps. A level without
cases sends its coefficient towards minus infinity, and the stopping rule then decides how far.
"""

from dataclasses import dataclass

import numpy as np

from gateway.surveillance.arrays import Array

_MOST_STEPS = 25
_STOP = 1e-8
_LEAST_MEAN = float(np.finfo(np.float64).eps)
_DEPENDENT = 1e-11  # a column whose part of its own is smaller, relative to its length, says nothing new


@dataclass(frozen=True, slots=True)
class Fit:
    """A converged fit of n counts on p columns."""

    coefficients: Array  # (p,)
    mean: Array  # (n,)
    leverage: Array  # (n,): the hat matrix's diagonal
    dispersion: float  # Pearson's X2 / (n - p), not floored
    unscaled: Array  # (p, p): covariance of the coefficients / dispersion
    freedom: int  # n - p


def fit(design: Array, counts: Array, *, offset: Array, weights: Array) -> Fit | None:
    """Fit (n, p) `design`; None when it does not converge, columns depend on each other, or n <= p."""
    n, p = design.shape
    if n <= p:
        return None
    mean = counts + 0.1
    eta, deviance = np.log(mean), _deviance(counts, mean, weights)
    for _ in range(_MOST_STEPS):
        root = np.sqrt(weights * mean)
        scaled = design * root[:, None]
        q, r = np.linalg.qr(scaled)
        if (np.abs(np.diag(r)) <= _DEPENDENT * np.linalg.norm(scaled, axis=0)).any():
            return None
        working = eta - offset + (counts - mean) / mean
        coefficients = np.linalg.solve(r, q.T @ (root * working))
        eta = design @ coefficients + offset
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.maximum(np.exp(eta), _LEAST_MEAN)
            before, deviance = deviance, _deviance(counts, mean, weights)
        if not np.isfinite(deviance):
            return None
        if abs(deviance - before) < _STOP * (abs(deviance) + 0.1):
            inverse = np.linalg.inv(r)
            pearson = float(np.sum(weights * (counts - mean) ** 2 / mean))
            return Fit(
                coefficients, mean, np.sum(q**2, axis=1), pearson / (n - p), np.asarray(inverse @ inverse.T), n - p
            )
    return None


def _deviance(counts: Array, mean: Array, weights: Array) -> float:
    ratio = np.where(counts > 0, counts, mean) / mean
    return float(2 * np.sum(weights * (counts * np.log(ratio) - (counts - mean))))
