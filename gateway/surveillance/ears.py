"""EARS: today's count against the mean and standard deviation of a short, recent baseline.

C1 looks at the days just before today, C2 leaves a guard band between so that a slow start does not raise its own
baseline, C3 adds up what C2 exceeded 1 by over three days. By the definition (Hutwagner et al. 2003; Fricker, Hegler
and Dunfee 2008), not by the R package `surveillance`, whose C3 leaves today's excess out. CDC's rules call C1 or C2
above 3 and C3 above 2 an alarm; the caller decides. In: series >= 0, time along axis 0, streams along the others.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.surveillance.arrays import Array, along, at_least, series, whole

_LEAST_BASELINE = 2  # a standard deviation needs two days
_MOST_DAYS = 3660  # ten years: nobody calls that recent
_C3_DAYS = 3


@dataclass(frozen=True, slots=True)
class Ears:
    """Arrays of the series' shape, NaN until the baseline is complete."""

    value: Array  # the statistic; with min_sd = 0 and a constant baseline infinite, or NaN when today equals it
    mean: Array  # of the baseline
    sd: Array  # of the baseline (n - 1), after the floor


def c1(y: npt.ArrayLike, *, baseline: int = 7, min_sd: npt.ArrayLike = 0.5) -> Ears:
    """C1 = (y - mean)/sd of the `baseline` days before today.

    `min_sd` is the floor of the standard deviation, a number or one a day and stream; sparse counts need one (Burkom:
    0.5 to 1), released ones that of their noise (`released.least_sd`).

    Raises:
        SurveillanceError: bad counts or impossible parameters; the message names the parameter.
    """
    return c2(y, baseline=baseline, guard=0, min_sd=min_sd)


def c2(y: npt.ArrayLike, *, baseline: int = 7, guard: int = 2, min_sd: npt.ArrayLike = 0.5) -> Ears:
    """C2 = (y - mean)/sd of the `baseline` days that end `guard` days before yesterday's end.

    Raises:
        SurveillanceError: bad counts or impossible parameters; the message names the parameter.
    """
    today = series("y", y)
    days = whole("baseline", baseline, _LEAST_BASELINE, _MOST_DAYS)
    first = days + whole("guard", guard, 0, _MOST_DAYS)
    floor = along("min_sd", at_least("min_sd", min_sd, 0.0), today)
    value, mean, sd = (np.full(today.shape, np.nan) for _ in range(3))
    if len(today) > first:
        past = np.lib.stride_tricks.sliding_window_view(today[: len(today) - first + days - 1], days, axis=0)
        mean[first:], sd[first:] = moments(past)
        sd[first:] = np.maximum(sd[first:], floor[first:])
        with np.errstate(divide="ignore", invalid="ignore"):
            value[first:] = (today[first:] - mean[first:]) / sd[first:]
    return Ears(value=value, mean=mean, sd=sd)


def c3(y: npt.ArrayLike, *, baseline: int = 7, guard: int = 2, min_sd: npt.ArrayLike = 0.5) -> Ears:
    """C3 = sum of max(0, C2 - 1) over today and the two days before; mean and sd are C2's of today.

    Raises:
        SurveillanceError: bad counts or impossible parameters; the message names the parameter.
    """
    second = c2(y, baseline=baseline, guard=guard, min_sd=min_sd)
    excess = np.maximum(0.0, second.value - 1)
    value = np.full(excess.shape, np.nan)
    lags = _C3_DAYS - 1
    value[lags:] = sum(excess[lags - lag : len(excess) - lag] for lag in range(_C3_DAYS))
    return Ears(value=value, mean=second.mean, sd=second.sd)


def moments(windows: Array) -> tuple[Array, Array]:
    """Mean and standard deviation (n - 1) along the last axis; exactly 0 where all values are equal."""
    windows = np.ascontiguousarray(windows)  # so that a stream gets the same bits whatever stands beside it
    constant = np.ptp(windows, axis=-1) == 0
    mean = np.where(constant, windows[..., 0], windows.mean(axis=-1))
    return mean, np.where(constant, 0.0, windows.std(axis=-1, ddof=1))
