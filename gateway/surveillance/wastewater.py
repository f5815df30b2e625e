"""Wastewater series of one site: trend, share of detections, and a distribution with values below the limit.

Concentrations are copies a litre, not normalised, in one series of one laboratory method. Metrics as the National
Wastewater Surveillance System defines them (CDC NWSS data dictionary: `detect_prop_15d`, `ptc_15d`). The quantities of
the assay (`qpcr`) and CDC's activity level (`wval`) have files of their own and are named here for one import.
"""

import math
import sys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array, whole
from gateway.surveillance.columns import DatesLike, calendar, limits, line
from gateway.surveillance.qpcr import Estimate, Lod, StandardCurve, inverse_mills, lod95, standard_curve
from gateway.surveillance.wval import Wval, at_least_half_lod, wval

__all__ = [
    "Estimate",
    "Lod",
    "Lognormal",
    "StandardCurve",
    "Trend",
    "Wval",
    "censored_lognormal",
    "detection_proportion",
    "lod95",
    "standard_curve",
    "trend",
    "wval",
]

_LEAST_FOR_P = 3
_LEAST_FOR_SPREAD = 2
_MOST_STEPS = 200
_STOP = 1e-12
_ROUNDING = 1e-12  # of a log-likelihood, relative
_MOST_LOG10 = 300.0  # beyond it 10^x leaves float64
_LONGEST_DAYS = 1_000_000


@dataclass(frozen=True, slots=True)
class Trend:
    """Log-linear regression of the last samples; NaN where they do not determine it."""

    slope_log10_per_day: float
    p_value: float
    percent_change: float
    n: int


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Maximum likelihood in natural logarithms; NaN where the likelihood has no maximum."""

    mean_log: float
    sd_log: float
    n_censored: int


def trend(
    concentration: npt.ArrayLike,
    dates: DatesLike,
    *,
    lod: npt.ArrayLike,
    samples: int | None = None,
    days: int | None = None,
) -> Trend:
    """Slope of log10 concentration over the last `samples`, or over (last - days, last]; below LOD counts as LOD/2.

    The p-value is two-sided, t with n - 2 degrees of freedom; NaN below three samples and for a constant series. The
    change in percent is 100 (10^(slope T) - 1), T = `days`, or the days from the first to the last date used.

    Raises:
        SurveillanceError: bad values, dates out of order, both or none of samples and days; the message names it.
    """
    logs, when = np.log10(at_least_half_lod(concentration, lod)), calendar("dates", dates)
    if len(when) != len(logs):
        raise SurveillanceError(f"dates: {len(when)} for {len(logs)} concentrations")
    if (samples is None) == (days is None):
        raise SurveillanceError("samples, days: give one of them")
    x, y, span = (when - when[-1:]).astype(np.float64), logs, math.nan
    if days is not None:
        span = float(whole("days", days, 1, _LONGEST_DAYS))
        x, y = x[x > -span], y[x > -span]
    if samples is not None:
        newest = whole("samples", samples, 1, sys.maxsize)
        x, y = x[-newest:], y[-newest:]
        span = float(np.ptp(x)) if len(x) else math.nan
    slope, p_value = _regression(x, y)
    growth = slope * span
    change = 100 * (10**growth - 1) if abs(growth) < _MOST_LOG10 else math.nan
    return Trend(slope, p_value, change, len(x))


def detection_proportion(detected: npt.ArrayLike, dates: DatesLike, *, days: int = 15) -> Array:
    """Percent of samples in (d - days, d] in which the target was detected, at each sample's date d.

    Raises:
        SurveillanceError: bad values or dates out of order; the message names the parameter.
    """
    found, when = line("detected", detected), calendar("dates", dates)
    if len(found) != len(when):
        raise SurveillanceError(f"dates: {len(when)} for {len(found)} samples")
    if not np.isin(found, (0.0, 1.0)).all():
        raise SurveillanceError("detected: neither True nor False")
    end = np.searchsorted(when, when, side="right")
    start = np.searchsorted(when, when - np.timedelta64(whole("days", days, 1, _LONGEST_DAYS), "D"), side="right")
    total = np.concatenate([[0.0], np.cumsum(found)])
    return np.asarray(100 * (total[end] - total[start]) / (end - start))


def censored_lognormal(concentration: npt.ArrayLike, lod: npt.ArrayLike) -> Lognormal:
    """Lognormal distribution of values some of which are only known to be below their `lod`.

    Censored are the values < lod. NaN with fewer than two quantified values, and when all of them are equal and no
    limit lies below them: the likelihood then grows without end as the sd goes to 0.

    Raises:
        SurveillanceError: bad values; the message names the parameter.
    """
    c = line("concentration", concentration)
    limit = limits("lod", lod, len(c))
    censored = c < limit
    known, below = np.log(c[~censored]), np.log(limit[censored])
    n_censored = int(censored.sum())
    if len(known) < _LEAST_FOR_SPREAD or (np.ptp(known) == 0 and not (below < known[0]).any()):
        return Lognormal(math.nan, math.nan, n_censored)
    centre = float(known.mean())
    unit = float(known.std()) if np.ptp(known) > 0 else float(np.max(centre - below))
    mean, sd = _censored_normal((known - centre) / unit, (below - centre) / unit)
    return Lognormal(centre + unit * mean, unit * sd, n_censored)


def _censored_normal(known: Array, below: Array) -> tuple[float, float]:
    """Mean and sd, by Newton's method in (mean/sd, 1/sd), where the log-likelihood is concave (Olsen 1978)."""
    n = len(known)

    def log_likelihood(at: Array) -> float:
        if at[1] <= 0:
            return -math.inf
        residual = at[1] * known - at[0]
        return float(n * math.log(at[1]) - residual @ residual / 2 + special.log_ndtr(at[1] * below - at[0]).sum())

    at = np.array([0.0, 1.0])
    best = log_likelihood(at)
    for _ in range(_MOST_STEPS):
        residual, u = at[1] * known - at[0], at[1] * below - at[0]
        mills = inverse_mills(u)
        w = mills * (u + mills)
        slope = np.array([residual.sum() - mills.sum(), n / at[1] - known @ residual + below @ mills])
        cross = known.sum() + below @ w
        curvature = np.array([[n + w.sum(), -cross], [-cross, n / at[1] ** 2 + known @ known + below**2 @ w]])
        try:
            step = np.linalg.solve(curvature, slope)
        except np.linalg.LinAlgError:  # values so far apart that float64 sees no spread
            break
        while (now := log_likelihood(at + step)) < best - _ROUNDING * abs(best) and np.abs(step).max() > _STOP:
            step = step / 2
        at, best = at + step, max(best, now)
        if np.abs(step).max() <= _STOP * (1 + np.abs(at).max()):
            return float(at[0] / at[1]), float(1 / at[1])
    return math.nan, math.nan


def _regression(x: Array, y: Array) -> tuple[float, float]:
    """Slope and its two-sided p-value."""
    if len(x) < _LEAST_FOR_SPREAD or np.ptp(x) == 0:
        return math.nan, math.nan
    dx, dy = x - x.mean(), y - y.mean()
    slope = float(dx @ dy / (dx @ dx))
    if np.ptp(y) == 0:
        return 0.0, math.nan
    if len(x) < _LEAST_FOR_P:
        return slope, math.nan
    freedom = len(x) - 2
    error = math.sqrt(float(np.sum((dy - slope * dx) ** 2)) / freedom / float(dx @ dx))
    return slope, float(2 * stats.t.sf(abs(slope) / error, freedom)) if error > 0 else 0.0
