"""Shares of positive tests: an interval, an upper limit for a day, and what imperfect tests say of the true share.

In: counts >= 0 of any shape; one number stands for many. Not done here: the noise of releases (`rollup`, `released`).
"""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import binom

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array, finite_counts, outcomes, share, within

_MOST_CORRELATED_TESTS = 1_000_000.0  # its distribution is summed count by count
_NO_CORRELATION = 1e-15  # below it float64 cannot tell the beta-binomial from the binomial
_CELLS_AT_ONCE = 1 << 20  # of the table of probabilities: 8 MB


def wilson(positives: npt.ArrayLike, tests: npt.ArrayLike, *, level: npt.ArrayLike = 0.95) -> tuple[Array, Array]:
    """Wilson's score interval (1927) of the share; NaN where tests = 0.

    Raises:
        SurveillanceError: bad counts or impossible parameters; the message names the parameter.
    """
    x, n = outcomes(positives, tests)
    z = ndtri((1 + share("level", level)) / 2)
    x, n, z = _together(positives=x, tests=n, level=z)
    total = np.where(n > 0, n, np.nan)
    centre = x + z**2 / 2
    half = z * np.sqrt(x * (total - x) / total + z**2 / 4)
    below, above = (np.clip((centre + side) / (total + z**2), 0.0, 1.0) for side in (-half, half))
    # At the ends the limit is exact, which rounding would blur.
    return np.where((x == 0) & (n > 0), 0.0, below), np.where((x == n) & (n > 0), 1.0, above)


def upper_limit(
    tests: npt.ArrayLike, *, p0: npt.ArrayLike, level: npt.ArrayLike, correlation: npt.ArrayLike = 0.0
) -> Array:
    """Most positives among `tests` that a quiet day explains: the smallest k with P(X <= k) >= level.

    X is binomial, or beta-binomial with intra-class correlation rho = 1/(a + b + 1), a = p0 (1 - rho)/rho. Tests that
    are not whole are rounded up. Compare with >: a day at its limit is still explained. 0 where tests = 0.

    Raises:
        SurveillanceError: bad counts or impossible parameters; the message names the parameter.
    """
    rho = within("correlation", correlation, 0.0, 1.0)
    if (rho == 1).any():
        raise SurveillanceError("correlation: must be below 1")
    n, p, q, rho = _together(
        tests=np.ceil(finite_counts("tests", tests)), p0=share("p0", p0), level=share("level", level), correlation=rho
    )
    limit = np.zeros(n.shape)
    plain = (rho < _NO_CORRELATION) & (n > 0)
    limit[plain] = binom.ppf(q[plain], n[plain], p[plain])
    clustered = (rho >= _NO_CORRELATION) & (n > 0)
    if (n[clustered] > _MOST_CORRELATED_TESTS).any():
        raise SurveillanceError(f"tests: above {_MOST_CORRELATED_TESTS:g} with a correlation")
    limit[clustered] = _betabinomial_quantile(np.stack([n, p, q, rho], axis=-1)[clustered])
    return limit


def true_prevalence(
    positives: npt.ArrayLike, tests: npt.ArrayLike, *, sensitivity: npt.ArrayLike, specificity: npt.ArrayLike
) -> Array:
    """Rogan and Gladen (1978): (share + specificity - 1)/(sensitivity + specificity - 1), clipped to [0, 1].

    NaN where tests = 0. Below 1 - specificity the positives are all explained by false ones, and the result is 0.

    Raises:
        SurveillanceError: bad counts or impossible parameters; the message names the parameter.
    """
    x, n = outcomes(positives, tests)
    sens, spec = within("sensitivity", sensitivity, 0.0, 1.0), within("specificity", specificity, 0.0, 1.0)
    x, n, sens, spec = _together(positives=x, tests=n, sensitivity=sens, specificity=spec)
    if not (sens + spec > 1).all():
        raise SurveillanceError("sensitivity, specificity: must sum to more than 1, or the test tells nothing")
    apparent = x / np.where(n > 0, n, np.nan)
    return np.clip((apparent + spec - 1) / (sens + spec - 1), 0.0, 1.0)


def _together(**named: Array) -> list[Array]:
    try:
        return list(np.broadcast_arrays(*named.values()))
    except ValueError as exc:
        raise SurveillanceError(f"{', '.join(named)}: lengths differ") from exc


def _betabinomial_quantile(rows: Array) -> Array:
    """For rows of n, p0, level, correlation. Equal rows are computed once, tables of similar length together."""
    distinct, which = np.unique(rows, axis=0, return_inverse=True)  # sorted by n
    limits = np.empty(len(distinct))
    start = 0
    while start < len(distinct):
        # At least one row, and the last of the block is the longest.
        longest = distinct[start:, 0] + 1
        fits = longest * np.arange(1, len(longest) + 1) <= _CELLS_AT_ONCE
        stop = start + max(1, int(fits.argmin()) if not fits.all() else len(fits))
        limits[start:stop] = _quantiles(*distinct[start:stop].T)
        start = stop
    return limits[which.reshape(-1)]


def _quantiles(n: Array, p: Array, level: Array, rho: Array) -> Array:
    """One table of P(X = k), k along axis 1, from the ratios of its neighbours."""
    total = (1 - rho) / rho
    a, b = (p * total)[:, np.newaxis], ((1 - p) * total)[:, np.newaxis]
    k, left = np.arange(n[-1])[np.newaxis], n[:, np.newaxis]
    within_n = k < left
    ratio = np.where(within_n, (left - k) * (a + k) / ((k + 1) * (b + np.maximum(left - k - 1, 0.0))), 1.0)
    log_mass = np.zeros((len(n), int(n[-1]) + 1))
    np.cumsum(np.log(ratio), axis=1, out=log_mass[:, 1:])
    log_mass[:, 1:][~within_n] = -np.inf
    mass = np.exp(log_mass - log_mass.max(axis=1, keepdims=True))
    reached = np.cumsum(mass, axis=1)
    enough: Array = (reached >= level[:, np.newaxis] * reached[:, -1:]).argmax(axis=1).astype(np.float64)
    return enough
