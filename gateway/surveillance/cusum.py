"""Likelihood-ratio CUSUM: S = max(0, S + log f1/f0); an alarm when S > threshold, after which S starts again from 0.

f0 is the count's distribution in control, f1 the one that the detector looks for: odds `odds_ratio` times as high for
positives out of tests, a mean `ratio` times as high for counts. Formulas: Hoehle and Paul 2008 (counts), Hoehle 2010
(binomial and beta-binomial with changing n, a = pi/dispersion, b = (1 - pi)/dispersion). Run lengths: Brook and Evans
1972. Counts need not be whole numbers. Not done here: turning noisy, possibly negative releases into counts (released).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import (
    MOST_COUNTED,
    Array,
    BoolArray,
    IntArray,
    along,
    at_least,
    finite_counts,
    outcomes,
    positive,
    series,
    share,
    whole,
    within,
)

NO_COUNT_ALARMS = -1
_STIRLING_FROM = 1e4  # above it gammaln(a + x) - gammaln(a) loses digits, and Stirling's series has all of them
_NEGLIGIBLE = 1e-16  # a probability that float64 sums to 1 cannot show
_GONE = 1e-12  # a survival that moves no average run length, and is above the rounding of what was subtracted
_SETTLED = 1e-5  # relative change of the daily hazard below which the run length's tail is geometric
_SETTLED_FOR_DAYS = 10
_SETTLED_AFTER_DAYS = 2000  # by then S has forgotten that it started from 0
_COARSE_TO_FINE = (100, 2000)  # states of the chain: the first finds the neighbourhood, the last decides
_STEPS_IN_ONE = 1000  # a threshold is found to 1e-3
_RATIOS = (1e-6, 1e6)  # nobody looks for less or more
_MOST_DISPERSION = 1e6  # by then all of a day's tests agree
_LEAST_DISPERSION = 1e-100  # below it all digits are the binomial's, and 1/dispersion would overflow
_MOST_TESTS = 10_000  # a day, for run lengths: each count and state is followed; 80 MB
_MOST_DAYS = 100_000  # 270 years, for run lengths
_MOST_STATES = 100_000


@dataclass(frozen=True, slots=True)
class CusumPath:
    """One detector over time: arrays of the series' shape."""

    s: Array  # after today's count; where it alarmed, the value that did
    alarm: BoolArray
    cases_needed: IntArray  # fewest positives that would alarm today given S before; -1 when none can


def binomial_lr(
    positives: npt.ArrayLike,
    tests: npt.ArrayLike,
    *,
    p0: npt.ArrayLike,
    odds_ratio: npt.ArrayLike,
    threshold: npt.ArrayLike,
) -> CusumPath:
    """Positives out of tests, binomial. Days without tests add 0.

    Raises:
        SurveillanceError: bad counts or impossible parameters; the message names the parameter.
    """
    x, n = _outcomes(positives, tests)
    base, odds = along("p0", share("p0", p0), x), along("odds_ratio", _ratio("odds_ratio", odds_ratio), x)
    return _path(x, n, lambda k: _binomial_gain(k, n, base, odds), rising=odds > 1, threshold=threshold)


def betabinomial_lr(
    positives: npt.ArrayLike,
    tests: npt.ArrayLike,
    *,
    p0: npt.ArrayLike,
    odds_ratio: npt.ArrayLike,
    dispersion: npt.ArrayLike,
    threshold: npt.ArrayLike,
) -> CusumPath:
    """Positives out of tests, beta-binomial with a = pi/dispersion, b = (1 - pi)/dispersion. Days without tests add 0.

    Raises:
        SurveillanceError: bad counts or impossible parameters; the message names the parameter.
    """
    x, n = _outcomes(positives, tests)
    base, odds = along("p0", share("p0", p0), x), along("odds_ratio", _ratio("odds_ratio", odds_ratio), x)
    spread = along("dispersion", _dispersion(dispersion), x)
    return _path(x, n, lambda k: betabinomial_gain(k, n, base, odds, spread), rising=odds > 1, threshold=threshold)


def poisson_lr(
    counts: npt.ArrayLike, mean: npt.ArrayLike, *, ratio: npt.ArrayLike, threshold: npt.ArrayLike
) -> CusumPath:
    """Counts with the given in-control mean, Poisson. Days whose mean is 0 add 0.

    Raises:
        SurveillanceError: bad counts or impossible parameters; the message names the parameter.
    """
    return negbinomial_lr(counts, mean, ratio=ratio, alpha=0.0, threshold=threshold)


def negbinomial_lr(
    counts: npt.ArrayLike,
    mean: npt.ArrayLike,
    *,
    ratio: npt.ArrayLike,
    alpha: npt.ArrayLike,
    threshold: npt.ArrayLike,
) -> CusumPath:
    """Counts with the given in-control mean and variance = mean + alpha mean^2; alpha 0 is Poisson.

    Raises:
        SurveillanceError: bad counts or impossible parameters; the message names the parameter.
    """
    x = series("counts", counts)
    mu = along("mean", finite_counts("mean", mean), x)
    if (x[mu == 0] > 0).any():
        raise SurveillanceError("counts: above 0 on a day whose mean is 0")
    kappa = along("ratio", _ratio("ratio", ratio), x)
    size = along("alpha", at_least("alpha", alpha, 0.0), x)
    if not np.isfinite(size).all():
        raise SurveillanceError("alpha: infinite")
    limit = along("threshold", at_least("threshold", threshold, 0.0), x)
    # The gain is a line in the count, so the count that lifts S from 0 over the threshold can be had directly.
    slope, offset = _negbinomial_line(mu, kappa, size)
    enough = np.ceil((np.where(np.isfinite(limit), limit, 0.0) + offset) / np.where(slope == 0, 1.0, np.abs(slope))) + 1
    most = np.where(mu > 0, np.minimum(enough, MOST_COUNTED), 0.0)
    return _path(x, most, lambda k: k * slope - offset, rising=kappa > 1, threshold=limit)


def run_length_cdf(
    days: int,
    *,
    tests: int,
    p0: float,
    odds_ratio: float,
    threshold: float,
    dispersion: float | None = None,
    p_true: float | None = None,
    states: int = 2000,
) -> Array:
    """P(alarm by day 1 .. `days`) from S = 0 with `tests` a day, within 1e-3 of the exact value.

    `dispersion` None is the binomial detector, else it holds for the detector and for the truth; `p_true` None is p0.

    Raises:
        SurveillanceError: impossible parameters; the message names the parameter.
    """
    followed = whole("days", days, 0, _MOST_DAYS)
    limit = float(at_least("threshold", threshold, 0.0))
    steps = _steps(tests, p0, odds_ratio, dispersion, p_true)
    chain = _absorbed_by_day(steps, limit, whole("states", states, 1, _MOST_STATES))
    return np.minimum(np.cumsum([next(chain) for _ in range(followed)], dtype=np.float64), 1.0)


def threshold_for_arl(
    arl: float, *, tests: int, p0: float, odds_ratio: float, dispersion: float | None = None
) -> float:
    """The smallest threshold, to 1e-3, whose in-control average run length is at least `arl` days.

    Raises:
        SurveillanceError: impossible parameters; the message names the parameter.
    """
    if not (math.isfinite(arl) and arl >= 1):
        raise SurveillanceError("arl: must be at least 1 day and finite")
    if whole("tests", tests, 0, _MOST_TESTS) == 0:
        raise SurveillanceError("tests: without tests there is no alarm and no threshold")
    steps = _steps(tests, p0, odds_ratio, dispersion, None)
    # A likelihood ratio's run length is at least exp(threshold) (Lorden 1971), so log(arl) is surely enough.
    enough = math.ceil(math.log(arl) * _STEPS_IN_ONE)
    for states in _COARSE_TO_FINE:
        enough = _smallest(partial(_lasts, steps, arl, states), enough)
    return enough / _STEPS_IN_ONE


def betabinomial_gain(x: Array, n: Array, p0: Array, odds: Array, dispersion: Array) -> Array:
    """What each day adds to S before S is held at 0; for arguments that `betabinomial_lr` would take, unchecked."""
    p1 = odds * p0 / (1 + p0 * (odds - 1))
    # a + b = 1/dispersion under both hypotheses, so the terms in n alone cancel.
    positives = _log_rising(p1 / dispersion, x) - _log_rising(p0 / dispersion, x)
    negatives = _log_rising((1 - p1) / dispersion, n - x) - _log_rising((1 - p0) / dispersion, n - x)
    return positives + negatives


def _ratio(name: str, values: npt.ArrayLike) -> Array:
    ratio = within(name, values, *_RATIOS)
    if (ratio == 1).any():
        raise SurveillanceError(f"{name}: 1 is no change, so nothing could be detected")
    return ratio


def _dispersion(values: npt.ArrayLike) -> Array:
    spread = within("dispersion", positive("dispersion", values), 0.0, _MOST_DISPERSION)
    return np.maximum(spread, _LEAST_DISPERSION)


def _outcomes(positives: npt.ArrayLike, tests: npt.ArrayLike) -> tuple[Array, Array]:
    x, n = outcomes(positives, tests)
    if x.ndim == 0:
        raise SurveillanceError("positives: one number where a series is needed")
    return x, n


def _binomial_gain(x: Array, n: Array, p0: Array, odds: Array) -> Array:
    gain: Array = x * np.log(odds) - n * np.log1p(p0 * (odds - 1))
    return gain


def _log_rising(a: Array, x: Array) -> Array:
    """log(Gamma(a + x) / Gamma(a)) for a > 0, x >= 0, to full precision also where a is huge."""
    end = a + x
    series_tail = (1 / end - 1 / a) / 12 - (1 / end**3 - 1 / a**3) / 360
    stirling = (a - 0.5) * np.log1p(x / a) + x * np.log(end) - x + series_tail
    rising: Array = np.where(a > _STIRLING_FROM, stirling, gammaln(end) - gammaln(a))
    return rising


def _negbinomial_line(mean: Array, ratio: Array, alpha: Array) -> tuple[Array, Array]:
    """Slope and offset of gain = slope x - offset; as alpha goes to 0 they become Poisson's."""
    growth = np.log1p(alpha * mean * (ratio - 1) / (1 + alpha * mean))  # log((1 + alpha ratio mean)/(1 + alpha mean))
    offset = np.divide(growth, alpha, out=np.array(mean * (ratio - 1)), where=alpha * mean > _NEGLIGIBLE)
    return np.log(ratio) - growth, offset


def _path(
    x: Array, most: Array, gain: Callable[[Array], Array], *, rising: BoolArray, threshold: npt.ArrayLike
) -> CusumPath:
    """Run the recursion over `gain(x)`; `most` caps the counts that `cases_needed` may name."""
    limit = along("threshold", at_least("threshold", threshold, 0.0), x)
    before, s, alarm = np.zeros_like(x), np.zeros_like(x), np.zeros(x.shape, dtype=np.bool_)
    held = np.zeros(x.shape[1:])
    gains = gain(x)
    for day in range(len(x)):
        before[day] = held
        s[day] = np.maximum(0.0, held + gains[day])
        alarm[day] = s[day] > limit[day]
        held = np.where(alarm[day], 0.0, s[day])
    needed = _fewest(lambda k: np.maximum(0.0, before + gain(k)) > limit, np.floor(most), rising)
    return CusumPath(s=s, alarm=alarm, cases_needed=needed)


def _fewest(alarms: Callable[[Array], BoolArray], most: Array, rising: BoolArray) -> IntArray:
    """The fewest of 0 .. most at which `alarms` holds; it holds from some count on where `rising`, else up to one."""
    low, high = np.full(most.shape, -1.0), np.where(rising, most, 0.0)
    reachable = alarms(high)
    while (high - low > 1).any():
        middle = low + np.floor((high - low) / 2)
        fires = alarms(np.maximum(middle, 0.0)) & (middle >= 0)
        high, low = np.where(fires, middle, high), np.where(fires, low, middle)
    return np.where(reachable, high, NO_COUNT_ALARMS).astype(np.int64)


@dataclass(frozen=True, slots=True)
class _Steps:
    """What one day can add to S, and how likely."""

    gain: Array
    probability: Array


def _steps(tests: int, p0: float, odds_ratio: float, dispersion: float | None, p_true: float | None) -> _Steps:
    tests = whole("tests", tests, 0, _MOST_TESTS)
    base, odds = share("p0", p0), _ratio("odds_ratio", odds_ratio)
    truth = base if p_true is None else share("p_true", p_true)
    x, n = np.arange(tests + 1.0), np.full(tests + 1, float(tests))
    log_ways = gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)
    if dispersion is None:
        gain = _binomial_gain(x, n, base, odds)
        probability = np.exp(log_ways + x * np.log(truth) + (n - x) * np.log1p(-truth))
    else:
        spread = _dispersion(dispersion)
        gain = betabinomial_gain(x, n, base, odds, spread)
        log_odds = _log_rising(truth / spread, x) + _log_rising((1 - truth) / spread, n - x)
        probability = np.exp(log_ways + log_odds - _log_rising(1 / spread, n))
    kept = probability > _NEGLIGIBLE
    return _Steps(gain=gain[kept], probability=probability[kept] / probability[kept].sum())


def _absorbed_by_day(steps: _Steps, threshold: float, states: int) -> Iterator[float]:
    """Each day's probability of the first alarm.

    The chain's states are the values that S really takes; only those that share one of `states` equal bins of
    (0, threshold] are merged, into their mean. So few distinct values (few tests a day) are followed exactly.
    """
    certain, hopeless = steps.gain > threshold, steps.gain <= -threshold  # wherever S stands
    always, never = steps.probability[certain].sum(), steps.probability[hopeless].sum()
    depends = ~(certain | hopeless)
    gain, probability = steps.gain[depends], steps.probability[depends]
    values, masses = np.zeros(1), np.ones(1)
    while True:
        reached = np.add.outer(values, gain).ravel()
        mass = np.multiply.outer(masses, probability).ravel()
        over, low = reached > threshold, reached <= 0
        everywhere = masses.sum()
        yield float(everywhere * always + mass[over].sum())
        inside = ~(over | low)
        reached, inner = reached[inside], mass[inside]
        bins = np.minimum((reached * (states / max(threshold, _NEGLIGIBLE))).astype(np.int64), states - 1)
        weight, place = np.bincount(bins, inner, states), np.bincount(bins, inner * reached, states)
        kept = weight > _NEGLIGIBLE
        values = np.concatenate(([0.0], place[kept] / weight[kept]))
        masses = np.concatenate(([everywhere * never + mass[low].sum()], weight[kept]))


def _lasts(steps: _Steps, days: float, states: int, thousandths: int) -> bool:
    """Whether the average run length at this threshold is at least `days`.

    It is the sum of the survival function, until that is decided; once the daily hazard has settled the tail is
    geometric.
    """
    threshold = thousandths / _STEPS_IN_ONE
    surviving, total, hazard, settled = 1.0, 0.0, 0.0, 0
    for day, absorbed in enumerate(_absorbed_by_day(steps, threshold, states)):
        total += surviving
        before, hazard = hazard, absorbed / surviving
        settled = settled + 1 if hazard > 0 and abs(hazard - before) <= _SETTLED * hazard else 0
        surviving -= absorbed
        if total >= days or surviving <= _GONE:
            break
        if settled >= _SETTLED_FOR_DAYS or (day >= _SETTLED_AFTER_DAYS and hazard > 0):
            return total + surviving / hazard >= days
    return total >= days


def _smallest(enough: Callable[[int], bool], guess: int) -> int:
    """The smallest k >= 0 at which the monotone `enough` holds, searched outwards from `guess`."""
    step, high = 1, guess
    while not enough(high):
        high, step = high + step, 2 * step
    low, step = high - 1, 1
    while low >= 0 and enough(low):
        high, low, step = low, low - 2 * step, 2 * step
    low = max(low, -1)
    while high - low > 1:
        middle = (low + high) // 2
        high, low = (middle, low) if enough(middle) else (high, middle)
    return high
