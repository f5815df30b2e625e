"""Farrington flexible: is a week's count above what the same weeks of past years, trend and season let expect?

Farrington et al. 1996 (JRSS A 159:547), Noufaily et al. 2013 (Stat Med 32:1206): a quasi-Poisson log-linear model of
the years before, past outbreaks weighted down by their Anscombe residuals, an upper limit for the coming count.
Not done here: choosing what to do with an alarm. Two defects of the R package `surveillance` are not copied: its
standard error after reweighting (it touches `delta`, `muan` and the trend's p-value; ours uses the dispersion that is
also returned), and its score that mixes scales. `nbPlugin` with the trend kept is the same in both.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
from scipy import stats

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import MOST_COUNTED, Array, BoolArray, IntArray, number, whole
from gateway.surveillance.columns import DatesLike, DayArray, calendar, line
from gateway.surveillance.quasipoisson import Fit, fit

YEARS_FOR_A_TREND = 3  # Farrington 1996, 3.4
_WEEKS_OF_A_YEAR = 52  # at least: a 53rd week lies between two same weeks in some years
_FIXED_POINT = 1 - 1e-10  # leverage from which a week determines its own fit and has no residual
_POWER = 2 / 3  # Farrington 1996: makes a Poisson count about symmetric
_MOST_WEEKS = 52_000


@dataclass(frozen=True, slots=True)
class Farrington:
    """One entry for each judged week; NaN (and no alarm) where there is nothing to judge by."""

    expected: Array  # cases
    upper: Array  # cases; an alarm is a count above it
    alarm: BoolArray
    dispersion: Array  # phi after the refit, >= 1


@dataclass(frozen=True, slots=True)
class _Settings:
    years_back: int
    half_window: int
    periods: int
    reweight_above: float
    exclude_recent: int
    alpha: float
    method: str
    keep_trend_below: float
    least_cases: float
    cases_weeks: int


@dataclass(frozen=True, slots=True)
class _Prediction:
    mean: float
    log_se: float
    dispersion: float


def flexible(
    counts: npt.ArrayLike,
    weeks: DatesLike,
    at: npt.ArrayLike,
    *,
    tests: npt.ArrayLike | None = None,
    years_back: int = 4,
    half_window: int = 3,
    periods: int = 10,
    reweight_above: float = 2.58,
    exclude_recent: int = 26,
    alpha: float = 0.05,
    method: str = "nbPlugin",
    keep_trend_below: float = 1.0,
    min_cases: tuple[float, int] = (5, 4),
) -> Farrington:
    """Judge the weeks with indices `at` of one series of weekly counts.

    Args:
        counts: cases a week, (weeks,).
        weeks: consecutive Mondays.
        at: indices into `counts`.
        tests: tests a week; their logarithm is the offset, weeks without tests are left out of the fit.
        years_back: years of reference weeks.
        half_window: weeks before and after each reference week that share its seasonal level.
        periods: seasonal levels; 1 fits the reference windows alone.
        reweight_above: Anscombe residual from which a past week is weighted down.
        exclude_recent: weeks before the judged one that are left out, in case they belong to the same outbreak.
        alpha: one-sided probability of a count above `upper` in control.
        method: "nbPlugin", "muan" or "delta".
        keep_trend_below: p-value below which the trend stays; 1 keeps it whatever its p-value.
        min_cases: (c, w): with fewer than c cases in the last w weeks the week is not judged.

    Raises:
        SurveillanceError: bad counts or impossible parameters; the message names the parameter.
    """
    settings = _Settings(
        years_back=whole("years_back", years_back, 1, _MOST_WEEKS // _WEEKS_OF_A_YEAR),
        half_window=whole("half_window", half_window, 0, _WEEKS_OF_A_YEAR // 2 - 1),
        periods=whole("periods", periods, 1, _WEEKS_OF_A_YEAR),
        reweight_above=number("reweight_above", reweight_above, 0.0, math.inf),
        exclude_recent=whole("exclude_recent", exclude_recent, 0, _MOST_WEEKS),
        alpha=number("alpha", alpha, 0.0, 1.0),
        method=_known_method(method),
        keep_trend_below=number("keep_trend_below", keep_trend_below, 0.0, 1.0),
        least_cases=number("min_cases", min_cases[0], 0.0, math.inf),
        cases_weeks=whole("min_cases", min_cases[1], 1, _MOST_WEEKS),
    )
    if _WEEKS_OF_A_YEAR - 2 * settings.half_window - 1 < settings.periods - 1:
        raise SurveillanceError("periods: more than there are weeks between two reference windows")
    y, mondays = line("counts", counts), _mondays(weeks)
    if len(y) != len(mondays):
        raise SurveillanceError(f"weeks: {len(mondays)} for {len(y)} counts")
    offset = _offset(y, tests)
    indices = _indices(at, len(y))
    judged = [_judge(y, offset, mondays, int(now), settings) for now in indices]
    expected, upper, dispersion = (np.array([row[k] for row in judged], dtype=np.float64) for k in range(3))
    with np.errstate(invalid="ignore"):
        alarm = (y[indices] > upper) & (y[indices] > 0)
    return Farrington(expected=expected, upper=upper, alarm=alarm, dispersion=dispersion)


def residual_weights(residuals: Array, above: float) -> Array:
    """Weights of past weeks: g / s^2 where the residual s exceeds `above`, else g, so that they sum to their number."""
    far = residuals > above
    weights = np.divide(1.0, residuals**2, out=np.ones_like(residuals), where=far)
    scaled: Array = weights * (len(residuals) / weights.sum())
    return scaled


def count_quantile(mean: float, dispersion: float, probability: float) -> float:
    """Quantile of the negative binomial with variance dispersion x mean; Poisson at dispersion 1."""
    if dispersion > 1:
        return float(stats.nbinom.ppf(probability, mean / (dispersion - 1), 1 / dispersion))
    return float(stats.poisson.ppf(probability, mean))


def transformed_limit(mean: float, se: float, dispersion: float, z: float, *, power: float = _POWER) -> float:
    """Limit `z` standard deviations of (count^power - mean^power) from the mean, back on the scale of counts.

    `se` is the mean's standard error. NaN when the limit lies below 0 on the transformed scale.
    """
    spread = power * mean ** (power - 0.5) * math.sqrt(dispersion + se**2 / mean)
    moved = mean**power + z * spread
    return moved ** (1 / power) if moved >= 0 else math.nan


def _plugged_in(at: _Prediction, alpha: float) -> float:
    return count_quantile(at.mean, at.dispersion, 1 - alpha)


def _upper_mean(at: _Prediction, alpha: float) -> float:
    log_mean = math.log(at.mean) + float(stats.norm.ppf(1 - alpha)) * at.log_se
    return (
        count_quantile(math.exp(log_mean), at.dispersion, 1 - alpha) if log_mean < math.log(MOST_COUNTED) else math.nan
    )


def _delta(at: _Prediction, alpha: float) -> float:
    return transformed_limit(at.mean, at.mean * at.log_se, at.dispersion, float(stats.norm.ppf(1 - alpha)))


_UPPER: Mapping[str, Callable[[_Prediction, float], float]] = {
    "nbPlugin": _plugged_in,
    "muan": _upper_mean,
    "delta": _delta,
}


def _judge(
    counts: Array, offset: Array, mondays: DayArray, now: int, settings: _Settings
) -> tuple[float, float, float]:
    """Expected, upper and dispersion of the week `now`."""
    levels = _levels(mondays, now, settings)
    if levels is None or not np.isfinite(offset[now]):
        return math.nan, math.nan, math.nan
    at = _predict(counts, offset, levels, now, settings)
    if at is None:
        return math.nan, math.nan, math.nan
    if counts[max(0, now + 1 - settings.cases_weeks) : now + 1].sum() < settings.least_cases:
        return math.nan, math.nan, at.dispersion
    upper = _UPPER[settings.method](at, settings.alpha)
    return (at.mean, upper, at.dispersion) if math.isfinite(upper) else (math.nan, math.nan, at.dispersion)


def _levels(mondays: DayArray, now: int, settings: _Settings) -> IntArray | None:
    """Seasonal level of each week up to `now` that may be used, 0 for the others; None with too little history.

    The windows around the same week of past years share the level `periods`. The weeks between two windows are split
    evenly into the levels 1 .. periods - 1, the remainder going to the first of them.
    """
    w, periods = settings.half_window, settings.periods
    if now < _WEEKS_OF_A_YEAR * settings.years_back + w:
        return None
    references = [now - _weeks_since(mondays[now], years) for years in range(settings.years_back + 1)]
    if references[-1] < w:
        return None
    levels = np.zeros(now + 1, dtype=np.int64)
    levels[now - w :] = periods
    for later, earlier in itertools.pairwise(references):
        levels[earlier - w : earlier + w + 1] = periods
        between = np.arange(earlier + w + 1, later - w)
        if periods > 1:
            for level, block in enumerate(np.array_split(between, periods - 1), start=1):
                levels[block] = level
    levels[max(0, now - settings.exclude_recent) :] = 0
    return levels


def _weeks_since(monday: np.datetime64, years: int) -> int:
    """Weeks back to the Monday nearest to the same calendar day `years` ago (29 February: 1 March)."""
    today: date = monday.astype(date)
    leap_day = (today.month, today.day) == (2, 29)
    then = date(today.year - years, 3, 1) if leap_day and years else today.replace(year=today.year - years)
    return round((today - then).days / 7)


def _predict(counts: Array, offset: Array, levels: IntArray, now: int, settings: _Settings) -> _Prediction | None:
    """Fit the used weeks and predict the week `now`, with a trend if one may be kept."""
    used = np.flatnonzero((levels > 0) & np.isfinite(offset[: now + 1]))
    present = np.unique(levels[used])
    if settings.periods not in present:
        return None
    season = (levels[used][:, None] == present).astype(np.float64)
    here = (present == settings.periods).astype(np.float64)
    if settings.years_back >= YEARS_FOR_A_TREND:
        trend = (used - now)[:, None] / _WEEKS_OF_A_YEAR  # 0 in the judged week
        model = _robust_fit(np.hstack([season, trend]), counts[used], offset[used], settings.reweight_above)
        if model is not None:
            at = _prediction(model, np.append(here, 0.0), offset[now])
            if at is not None and _trend_stays(model, at, float(counts[used].max()), settings.keep_trend_below):
                return at
    model = _robust_fit(season, counts[used], offset[used], settings.reweight_above)
    return None if model is None else _prediction(model, here, offset[now])


def _robust_fit(design: Array, counts: Array, offset: Array, above: float) -> Fit | None:
    """Fit, weight down what lies far above the fit, fit again."""
    even = np.ones(len(counts))
    first = fit(design, counts, offset=offset, weights=even)
    if first is None:
        return None
    free = np.where(first.leverage < _FIXED_POINT, 1 - first.leverage, math.inf)
    anscombe = 1.5 * (counts ** (2 / 3) * first.mean ** (-1 / 6) - np.sqrt(first.mean))
    residuals = anscombe / np.sqrt(max(first.dispersion, 1.0) * free)
    return fit(design, counts, offset=offset, weights=residual_weights(residuals, above))


def _prediction(model: Fit, here: Array, offset: float) -> _Prediction | None:
    log_mean = float(here @ model.coefficients) + offset
    if log_mean > math.log(MOST_COUNTED):
        return None
    dispersion = max(model.dispersion, 1.0)
    return _Prediction(math.exp(log_mean), math.sqrt(dispersion * float(here @ model.unscaled @ here)), dispersion)


def _trend_stays(model: Fit, at: _Prediction, largest: float, below: float) -> bool:
    """A significant trend (or any, at 1) that predicts no more than the largest count seen."""
    if at.mean > largest:
        return False
    if below == 1.0:
        return True
    t = abs(model.coefficients[-1]) / math.sqrt(at.dispersion * model.unscaled[-1, -1])
    return bool(2 * stats.t.sf(t, model.freedom) < below)


def _mondays(weeks: DatesLike) -> DayArray:
    mondays = calendar("weeks", weeks)
    if (np.diff(mondays) != np.timedelta64(7, "D")).any():
        raise SurveillanceError("weeks: not consecutive")
    if len(mondays) and mondays[0].astype(date).weekday():
        raise SurveillanceError("weeks: not Mondays")
    return mondays


def _offset(counts: Array, tests: npt.ArrayLike | None) -> Array:
    """log(tests), minus infinity in a week without; 0 without `tests`."""
    if tests is None:
        return np.zeros_like(counts)
    n = line("tests", tests)
    if n.shape != counts.shape:
        raise SurveillanceError(f"tests: {len(n)} for {len(counts)} counts")
    if (counts > n).any():
        raise SurveillanceError("counts: more than tests")
    return np.log(n, out=np.full_like(n, -math.inf), where=n > 0)


def _indices(at: npt.ArrayLike, length: int) -> IntArray:
    indices = np.atleast_1d(np.asarray(at))
    if indices.size == 0:
        return np.zeros(0, dtype=np.int64)
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise SurveillanceError("at: not a list of indices")
    if (indices < 0).any() or (indices >= length).any():
        raise SurveillanceError("at: outside the series")
    return indices.astype(np.int64)


def _known_method(method: str) -> str:
    if method not in _UPPER:
        raise SurveillanceError(f"method: must be one of {', '.join(_UPPER)}")
    return method
