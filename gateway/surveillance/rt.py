"""The time-varying reproduction number of Cori et al. 2013 (Am J Epidemiol 178:1505), as R's EpiEstim computes it.

Lambda_t = sum over k of w_k I_(t-k), w the serial interval by lag in days. With a gamma prior (shape a, scale b) the
posterior over a window is gamma with shape a + sum of I and scale 1/(1/b + sum of Lambda). The first day's cases are
imported, so the first window starts on the second. In: incidence >= 0, days along axis 0, streams along the others.
Not done here: how far a number can be shown. EpiEstim gives the prior's mean (5) where nobody is ill; show Rt from
some ten cases a window on.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammainc, gammaincinv

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array, number, numbers, series, whole

_MOST_DAYS = 3660
_LONGEST_MEAN_DAYS = 3660.0
_LEAST_SD_DAYS = 1e-3  # narrower than a minute and a half is a fixed delay, for which the gamma's shape overflows
_MOST_PRIOR, _LEAST_PRIOR = 1e6, 1e-6
_SUM_TOLERANCE = 0.01  # EpiEstim's: how far above 1 a serial interval may sum
_QUANTILES = (0.025, 0.975)


@dataclass(frozen=True, slots=True)
class Rt:
    """By the window's last day, in the incidence's shape; NaN where EpiEstim gives none."""

    mean: Array  # of the posterior
    sd: Array
    lower: Array  # 0.025
    upper: Array  # 0.975


def serial_interval(mean_days: float, sd_days: float, *, length: int) -> Array:
    """Probability by lag 0 .. length - 1 of a gamma shifted by one day, discretised as EpiEstim's `discr_si`.

    Lag 0 is 0. Not renormalised: what lies beyond `length` is missing from the sum.

    Raises:
        SurveillanceError: impossible parameters; the message names the parameter.
    """
    mean = number("mean_days", mean_days, 0.0, _LONGEST_MEAN_DAYS)
    if mean <= 1:
        raise SurveillanceError("mean_days: must be above 1, the shift")
    sd = number("sd_days", sd_days, _LEAST_SD_DAYS, _LONGEST_MEAN_DAYS)
    k = np.arange(whole("length", length, 1, _MOST_DAYS), dtype=np.float64)
    shape, scale = ((mean - 1) / sd) ** 2, sd**2 / (mean - 1)
    # A delay from a moment spread evenly over a day: second differences of the integrated distribution.
    pieces = (_integrated(lag, shape, scale) for lag in (k, k - 1, k - 2))
    ends, middle, starts = pieces
    return np.maximum(0.0, ends - 2 * middle + starts)


def cori(
    incidence: npt.ArrayLike,
    interval: npt.ArrayLike,
    *,
    window: int = 7,
    prior_mean: float = 5.0,
    prior_sd: float = 5.0,
) -> Rt:
    """Posterior of R for each window of `window` days; `interval` as `serial_interval` gives it.

    NaN before the first window ends, and while its last day (the first day is 1) is not beyond the interval's mean.

    Raises:
        SurveillanceError: bad counts or impossible parameters; the message names the parameter.
    """
    cases = series("incidence", incidence)
    weights = _interval(interval)
    days = whole("window", window, 1, _MOST_DAYS)
    mean, sd = (
        number(name, value, _LEAST_PRIOR, _MOST_PRIOR)
        for name, value in (("prior_mean", prior_mean), ("prior_sd", prior_sd))
    )
    shape, scale = (np.full(cases.shape, np.nan) for _ in range(2))
    if len(cases) > days:
        shape[days:] = (mean / sd) ** 2 + _window_sums(cases[1:], days)
        scale[days:] = 1 / (mean / sd**2 + _window_sums(_infectivity(cases, weights)[1:], days))
    last_day = np.arange(1, len(cases) + 1)
    shape[last_day <= (weights * np.arange(len(weights))).sum()] = np.nan
    lower, upper = (gammaincinv(shape, quantile) * scale for quantile in _QUANTILES)
    return Rt(mean=shape * scale, sd=np.sqrt(shape) * scale, lower=lower, upper=upper)


def _integrated(x: Array, shape: float, scale: float) -> Array:
    """Integral of the gamma's distribution function from 0 to x: x F(x) - mean F'(x), F' with one more shape."""
    days = np.maximum(x, 0.0)
    through: Array = days * gammainc(shape, days / scale) - shape * scale * gammainc(shape + 1, days / scale)
    return through


def _interval(values: npt.ArrayLike) -> Array:
    weights = numbers("interval", values)
    if weights.ndim != 1 or len(weights) == 0:
        raise SurveillanceError("interval: must be one row of probabilities by lag")
    if (weights < 0).any():
        raise SurveillanceError("interval: negative")
    if weights[0] != 0:
        raise SurveillanceError("interval: nobody infects on the day of their own infection, so lag 0 must be 0")
    if not 0 < weights.sum() <= 1 + _SUM_TOLERANCE:
        raise SurveillanceError("interval: must sum to more than 0 and at most 1")
    return weights


def _infectivity(cases: Array, weights: Array) -> Array:
    total = np.zeros_like(cases)
    for lag in range(1, min(len(weights), len(cases))):
        total[lag:] += weights[lag] * cases[:-lag]
    return total


def _window_sums(values: Array, days: int) -> Array:
    sums: Array = np.lib.stride_tricks.sliding_window_view(values, days, axis=0).sum(axis=-1)
    return sums
