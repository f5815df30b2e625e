"""Wastewater Viral Activity Level of one site and laboratory method, as CDC revised it in August 2025.

Method: cdc.gov/wastewater, "About Wastewater Data"; details as in CDC's own R script (CDCgov/NWSS at bc86094): below
the limit of detection half of it; outliers beyond 4 standard deviations dropped; baseline (10th percentile) and
standard deviation of the last 730 days of natural logarithms, found anew at every sample at first, then at the sample
nearest to 1 April or 1 October (influenza, RSV: 1 August), and carried forward between; x = (ln c - baseline) / sd and
exp(x) with the **latest** baseline and sd for the whole history, so published values move after each new baseline: keep
them as published. Concentrations are not normalised. Not done here: the geometric mean of N1 and N2, weeks,
aggregation, and the rule that a site serves 3000 people or more.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array, BoolArray, IntArray
from gateway.surveillance.columns import DatesLike, DayArray, calendar, limits, line

LEVELS = ("Very Low", "Low", "Moderate", "High", "Very High")
_OUTLIER_SD = 4
_PERCENTILE = 0.1
_WINDOW_DAYS = np.timedelta64(730, "D")
_LEAST_SPAN_DAYS = 56
_APRIL, _SEPTEMBER, _OCTOBER, _AUGUST = 4, 9, 10, 8


@dataclass(frozen=True, slots=True)
class _Target:
    cut_points: tuple[float, float, float, float]  # the highest value of each level but the last
    first_days: int  # so long the baseline is found anew at every sample
    yearly: bool  # new baseline on 1 August, not on 1 April and 1 October


_TARGETS: Mapping[str, _Target] = {
    "sars-cov-2": _Target((2.0, 3.4, 5.3, 7.8), 182, yearly=False),
    "fluav": _Target((2.7, 6.2, 11.2, 17.6), 365, yearly=True),
    "rsv": _Target((2.5, 5.2, 8.0, 11.0), 365, yearly=True),
}


@dataclass(frozen=True, slots=True)
class Wval:
    """One entry for each sample that is no outlier."""

    dates: DayArray
    ln_baseline: Array  # as carried at the sample; natural logarithm of the concentration
    ln_sd: Array
    value: Array  # by the latest baseline and sd; NaN below 56 days, or when the sd is 0 or undefined
    level: tuple[str | None, ...]


def wval(concentration: npt.ArrayLike, dates: DatesLike, *, lod: npt.ArrayLike, target: str = "sars-cov-2") -> Wval:
    """WVAL of each sample; `lod` is one number or one for each sample, in the unit of `concentration`.

    Raises:
        SurveillanceError: bad values, dates out of order or an unknown target; the message names the parameter.
    """
    if target not in _TARGETS:
        raise SurveillanceError(f"target: must be one of {', '.join(_TARGETS)}")
    logs, when = np.log(at_least_half_lod(concentration, lod)), calendar("dates", dates)
    if len(when) != len(logs):
        raise SurveillanceError(f"dates: {len(when)} for {len(logs)} concentrations")
    online = (when - when[:1]).astype(np.int64)
    kept = _no_outliers(logs)
    logs, when, online = logs[kept], when[kept], online[kept]
    anew = (online <= _TARGETS[target].first_days) | _nearest_to_recalculation(when, yearly=_TARGETS[target].yearly)
    baseline, sd = _carried(logs, when, anew)
    value = np.full(len(logs), np.nan)
    both = np.flatnonzero(~np.isnan(baseline) & ~np.isnan(sd))
    if len(both) and online.max() >= _LEAST_SPAN_DAYS and sd[both[-1]] > 0:
        with np.errstate(over="ignore"):
            value = np.exp((logs - baseline[both[-1]]) / sd[both[-1]])
        value[np.isinf(value)] = np.nan
    levels = tuple(None if np.isnan(v) else LEVELS[np.searchsorted(_TARGETS[target].cut_points, v)] for v in value)
    return Wval(dates=when, ln_baseline=baseline, ln_sd=sd, value=value, level=levels)


def at_least_half_lod(concentration: npt.ArrayLike, lod: npt.ArrayLike) -> Array:
    """Concentrations of one series, those below their limit of detection replaced by half of it."""
    c = line("concentration", concentration)
    limit = limits("lod", lod, len(c))
    return np.where(c < limit, limit / 2, c)


def _no_outliers(logs: Array) -> BoolArray:
    if len(logs) < 2 or np.ptp(logs) == 0:  # noqa: PLR2004 - one value has no spread
        return np.ones(len(logs), dtype=np.bool_)
    return np.asarray(np.abs(logs - logs.mean()) / logs.std(ddof=1) <= _OUTLIER_SD)


def _nearest_to_recalculation(when: DayArray, *, yearly: bool) -> BoolArray:
    """Samples nearest to the recalculation date of their period.

    Yearly: seasons from August, distance to the nearer 1 August. Else periods are April to September, distance to
    1 April, and the rest of the calendar year (January to March with October to December), distance to 1 October.
    """
    year = when.astype("datetime64[Y]").astype(np.int64) + 1970
    month = when.astype("datetime64[M]").astype(np.int64) % 12 + 1
    if yearly:
        distance = np.minimum(_distance(when, year, _AUGUST), _distance(when, year + 1, _AUGUST))
        period = np.where(month >= _AUGUST, year, year - 1)
    else:
        summer = (month >= _APRIL) & (month <= _SEPTEMBER)
        distance = np.where(summer, _distance(when, year, _APRIL), _distance(when, year, _OCTOBER))
        period = 2 * year + summer
    nearest = np.zeros(len(when), dtype=np.bool_)
    for one in np.unique(period):
        inside = period == one
        nearest[inside] = distance[inside] == distance[inside].min()
    return nearest


def _distance(when: DayArray, year: IntArray, month: int) -> IntArray:
    """Days to the first of the month."""
    first = ((year - 1970) * 12 + month - 1).astype("datetime64[M]").astype("datetime64[D]")
    return np.asarray(np.abs((when - first).astype(np.int64)))


def _carried(logs: Array, when: DayArray, anew: BoolArray) -> tuple[Array, Array]:
    """Baseline and sd, found where `anew`, else carried forward; NaN before the first."""
    baseline, sd = np.full(len(logs), np.nan), np.full(len(logs), np.nan)
    held_baseline = held_sd = np.nan
    first = np.searchsorted(when, when - _WINDOW_DAYS, side="left")
    end = np.searchsorted(when, when, side="right")
    for at in range(len(logs)):
        if anew[at]:
            window = np.sort(logs[first[at] : end[at]])
            held_baseline = window[int(_PERCENTILE * (len(window) - 1))]
            if len(window) > 1:
                held_sd = window.std(ddof=1) if np.ptp(window) > 0 else 0.0
        baseline[at], sd[at] = held_baseline, held_sd
    return baseline, sd
