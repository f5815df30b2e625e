"""How a method is judged: false signals, limits for a common false-alarm rate, delays, and their intervals. Pure.

A signal is what an officer is told: it is raised by an alarm that follows CLEAR_DAYS days without one, as in
gateway.analyse.detect, for every method alike. In a quiet run every signal is false. A delay is the number of days from
the outbreak's first day to the first alarm in its zone or in the district (0: the first day's own numbers), infinite
when none came until AFTER_D days after its end.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.analyse.detect import CLEAR_DAYS
from gateway.backtest.methods import Alarms
from gateway.backtest.worlds import AFTER_D, FOLLOWED_D, WARM_UP_D, ZONES
from gateway.surveillance.arrays import Array, BoolArray, IntArray
from gateway.surveillance.budget import FALSE_ALARM_EVERY_DAYS

CANDIDATES: Final = 160  # limits tried, each 1 to 4 % above the one before
Z95: Final = 1.959963984540054
FORTNIGHT_D: Final = 14


@dataclass(frozen=True, slots=True)
class Rate:
    """A mean over seeds and its 95 % limits (normal, from the spread between seeds)."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Delay:
    """Days; infinite is "missed". The limits of the median are order statistics at 95 %."""

    found: float  # share of the seeds
    median: float
    low: float
    high: float


def signals(alarms: BoolArray) -> BoolArray:
    """Where a signal is raised; time along axis 0."""
    recent = np.zeros_like(alarms)
    for back in range(1, CLEAR_DAYS + 1):
        recent[back:] |= alarms[:-back]
    return alarms & ~recent


def false_signals(alarms: BoolArray) -> Array:
    """Signals of each seed's quiet run and each stream, once every method is warm: (seeds, streams)."""
    return np.asarray(signals(alarms)[WARM_UP_D:].sum(axis=0), dtype=np.float64)


def per_fortnight(counts: Array) -> Rate:
    """The rate of events that came so often in the followed days of each seed."""
    return interval(counts * (FORTNIGHT_D / FOLLOWED_D))


def interval(values: Array) -> Rate:
    """The mean of one value a seed."""
    mean = float(values.mean())
    half = Z95 * float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else float("nan")
    return Rate(mean, mean - half, mean + half)


def calibrated(alarms: Alarms, bounds: tuple[float, float]) -> Array:
    """The limit of each stream that keeps the budget in these quiet runs: one for the zones, one for the district.

    The lowest of the candidates from which on no higher one raises more false signals than are tolerated.
    """
    candidates = np.geomspace(*bounds, CANDIDATES)
    # Expected of a zone, and of the district: each stream has an equal part of one signal in 14 days.
    tolerated = FOLLOWED_D / FALSE_ALARM_EVERY_DAYS / (ZONES + 1)
    chosen = np.full(ZONES + 1, candidates[-1])
    searching = np.ones(2, dtype=np.bool_)
    for limit in candidates[::-1]:
        raised = false_signals(alarms(np.asarray(limit)))
        means = np.array([raised[:, :ZONES].mean(), raised[:, ZONES].mean()])
        searching &= means <= tolerated
        if not searching.any():
            break
        chosen[:ZONES] = np.where(searching[0], limit, chosen[:ZONES])
        chosen[ZONES] = limit if searching[1] else chosen[ZONES]
    return chosen


def delays(alarms: BoolArray, onset: IntArray, days: int) -> Array:
    """Of each seed, from alarms of the outbreak's zone and of the district: (days, seeds, 2)."""
    either = alarms.any(axis=2)
    since = np.arange(len(alarms))[:, None] - onset
    hits = either & (since >= 0) & (since < days + AFTER_D)
    first = np.argmax(hits, axis=0)
    return np.where(hits.any(axis=0), first - onset, np.inf)


def median_delay(values: Array) -> Delay:
    """Of one delay a seed."""
    ordered = np.sort(values)
    count = len(ordered)
    half = Z95 * count**0.5 / 2
    low, high = int(np.floor(count / 2 - half)), int(np.ceil(count / 2 + half))
    return Delay(
        found=float(np.isfinite(ordered).mean()),
        median=float(ordered[(count - 1) // 2]),  # the lower one of two: never the mean of a day and "missed"
        low=float(ordered[max(low, 0)]),
        high=float(ordered[min(high, count - 1)]),
    )
