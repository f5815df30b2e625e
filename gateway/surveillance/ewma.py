"""ESSENCE's daily detector: exponentially weighted means against a baseline, judged by Student's t.

As `ewma_loop` of CDC's Rnssp 0.3.1 computes it, constants included. For each weight w: z = w y + (1 - w) z before;
baseline y[t - guard - m : t - guard], m growing from 7 days to `baseline`; statistic (z - mean)/sigma with m - 1
degrees of freedom. Where the statistic is beyond the 99 % quantile, z is pulled back to it, so that one outlier does
not echo for days. The weight with the smaller p is reported, the later of the two when they are equal.
In: series >= 0, time along axis 0, streams along the others. `essence_of_released` knows
the noise of releases: a floor of the baseline's deviation, see docs/adr/0007.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import LEAST_SHARE, Array, IntArray, along, at_least, series, whole, within
from gateway.surveillance.ears import moments

Levels: TypeAlias = tuple["str | Levels", ...]  # as deep as the series has axes

RED_BELOW, YELLOW_BELOW = 0.01, 0.05  # p-values
_WORDS = np.array(["grey", "red", "yellow", "blue"])
_LEAST_BASELINE = 7
_MOST_DAYS = 3660
_QUANTILE_DECIMALS = 5  # Rnssp rounds its t quantiles to this many


@dataclass(frozen=True, slots=True)
class Essence:
    """Arrays of the series' shape; NaN and "grey" until seven days of baseline and the guard band lie behind."""

    expected: Array  # baseline mean, in units of the series' scale (see `essence`)
    statistic: Array  # of the weight with the smaller p
    p_value: Array  # one-sided: a rise
    level: Levels  # "grey", "red" (p < .01), "yellow" (p < .05), "blue"


@dataclass(frozen=True, slots=True)
class _Settings:
    weights: Array
    longest: int
    gap: int


@dataclass(frozen=True, slots=True)
class _Limits:
    """What is fixed by m and the weight: `sigma` = max(floor, slope * sd + constant)."""

    quantile: Array  # (days, 1, ...)
    slope: Array  # (weights, days, 1, ...)
    constant: Array
    floor: Array


def essence(y: npt.ArrayLike, *, weights: Sequence[float] = (0.4, 0.9), baseline: int = 28, guard: int = 2) -> Essence:
    """Judge each day of each stream.

    A stream whose values are all below 1 (and not all 0) is a share: as in Rnssp it is divided by the median of its
    positive values first, and `expected` is in that unit. This looks at the whole stream, later days too.

    Raises:
        SurveillanceError: bad counts or impossible parameters; the message names the parameter.
    """
    counts = series("y", y)
    return _judged(_scaled(counts) if counts.size else counts, np.zeros(()), _checked(weights, baseline, guard))


def essence_of_released(
    counts: npt.ArrayLike,
    *,
    least_sd: npt.ArrayLike,
    weights: Sequence[float] = (0.4, 0.9),
    baseline: int = 28,
    guard: int = 2,
) -> Essence:
    """Judge released counts (`released.counted`): as `essence`, but no baseline's deviation is below `least_sd`.

    Counts only: nothing is taken for a share.

    Raises:
        SurveillanceError: bad counts or impossible parameters; the message names the parameter.
    """
    y = series("counts", counts)
    floor = along("least_sd", at_least("least_sd", least_sd, 0.0), y)
    return _judged(y, floor, _checked(weights, baseline, guard))


def _checked(weights: Sequence[float], baseline: int, guard: int) -> _Settings:
    w = within("weights", weights, 0.0, 1.0)
    if w.ndim != 1 or len(w) == 0 or (w == 0).any():
        raise SurveillanceError("weights: must be one or more numbers above 0")
    return _Settings(
        weights=w,
        longest=whole("baseline", baseline, _LEAST_BASELINE, _MOST_DAYS),
        gap=whole("guard", guard, 0, _MOST_DAYS),
    )


def _judged(y: Array, least_sd: Array, settings: _Settings) -> Essence:
    w, gap = settings.weights, settings.gap
    first = _LEAST_BASELINE + gap
    expected, statistic, p_value = (np.full(y.shape, np.nan) for _ in range(3))
    if len(y) > first and y.size:
        days = np.minimum(np.arange(first, len(y)) - gap, settings.longest)
        mean, sd = _baselines(y, days, gap)
        sd = np.maximum(sd, least_sd[first:] if least_sd.ndim else least_sd)
        statistics = _statistics(y, first, mean, sd, w, _limits(w, days, gap, y.ndim))
        freedom = _upright(days - 1.0, y.ndim)
        # 1 - cdf and not the exact tail decides which weight it is, as in Rnssp: beyond 1e-16 both are 0.
        smallest = _last_smallest(1 - stdtr(freedom, statistics))
        chosen = np.take_along_axis(statistics, smallest[np.newaxis], axis=0)[0]
        expected[first:], statistic[first:], p_value[first:] = mean, chosen, stdtr(freedom, -chosen)
    return Essence(expected=expected, statistic=statistic, p_value=p_value, level=_levels(p_value))


def _scaled(counts: Array) -> Array:
    positive = np.where(counts > 0, counts, np.nan)
    is_share = (counts.max(axis=0) < 1) & (counts > 0).any(axis=0)
    ordered = np.sort(positive, axis=0)  # NaN last
    many = (counts > 0).sum(axis=0)
    middle = [np.take_along_axis(ordered, np.maximum(many - back, 0)[np.newaxis] // 2, axis=0)[0] for back in (1, 0)]
    median = np.where(is_share, np.maximum((middle[0] + middle[1]) / 2, LEAST_SHARE), 1.0)
    scaled: Array = counts / median
    return scaled


def _baselines(y: Array, days: IntArray, gap: int) -> tuple[Array, Array]:
    """Mean and standard deviation of the baseline of each judged day."""
    longest = int(days[-1])
    growing = int((days < longest).sum())
    mean, sd = np.empty((len(days), *y.shape[1:])), np.empty((len(days), *y.shape[1:]))
    for row in range(growing):
        mean[row], sd[row] = moments(np.moveaxis(y[: days[row]], 0, -1))
    whole_windows = np.lib.stride_tricks.sliding_window_view(y[: len(y) - 1 - gap], longest, axis=0)
    mean[growing:], sd[growing:] = moments(whole_windows)
    return mean, sd


def _limits(w: Array, days: IntArray, gap: int, axes: int) -> _Limits:
    m = _upright(days.astype(np.float64), axes)
    w = _upright(w, axes + 1)
    alert: Array = np.round(stdtrit(m - 1, 1 - RED_BELOW), _QUANTILE_DECIMALS).astype(np.float64)
    warning: Array = np.round(stdtrit(m - 1, 1 - YELLOW_BELOW), _QUANTILE_DECIMALS).astype(np.float64)
    rest = 1 - w
    variance = w / (2 - w) + 1 / m - 2 * rest ** (gap + 1) * (1 - rest**m) / m
    unit = w / warning
    constant = (0.1289 - (0.2414 - 0.1826 * rest**4) * np.log(10 * YELLOW_BELOW)) * unit
    return _Limits(quantile=alert, slope=np.sqrt(variance), constant=constant, floor=(0.01 + 0.05 * rest**2) * unit)


def _statistics(y: Array, first: int, mean: Array, sd: Array, w: Array, limits: _Limits) -> Array:
    """The recursion, all weights and streams at once: (weights, judged days, streams)."""
    sigma = np.maximum(limits.floor, sd * limits.slope + limits.constant)
    farthest = limits.quantile * sigma
    weight = _upright(w, y.ndim)
    z = np.broadcast_to(y[0], (len(w), *y.shape[1:]))
    for day in range(1, first):
        z = weight * y[day] + (1 - weight) * z
    statistics = np.empty_like(sigma)
    for row in range(len(mean)):
        z = weight * y[first + row] + (1 - weight) * z
        statistics[:, row] = (z - mean[row]) / sigma[:, row]
        z = np.clip(z, mean[row] - farthest[:, row], mean[row] + farthest[:, row])
    return statistics


def _last_smallest(p: Array) -> IntArray:
    last: IntArray = len(p) - 1 - np.argmin(p[::-1], axis=0)
    return last


def _upright(values: Array, axes: int) -> Array:
    """One axis made the first of `axes`."""
    return values.reshape(-1, *(1,) * (axes - 1))


def _levels(p: Array) -> Levels:
    code = np.where(np.isnan(p), 0, np.where(p < RED_BELOW, 1, np.where(p < YELLOW_BELOW, 2, 3)))
    return _tuples(_WORDS[code].tolist())


def _tuples(words: list[object]) -> Levels:
    return tuple(_tuples(word) if isinstance(word, list) else str(word) for word in words)
