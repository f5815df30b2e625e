"""Farrington flexible in the back-test: it needs four years of weeks, so it has a simulated history of its own. Pure.

A zone and the district, constant tests and share (kind "weekday"), weeks from Monday; the last WATCHED_WEEKS are drawn
by day, so that outbreaks begin on any day. Excluding the last half year from its fit, as the method does, an outbreak
never enters its own limit: one fit a week serves the quiet run and every outbreak. Its delay counts to the end of the
alarming week, when the week's number is known.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import nbinom, poisson

from gateway.backtest.scoring import Delay, Rate, interval, median_delay
from gateway.backtest.worlds import (
    AFTER_D,
    CALIBRATION,
    EPSILON_POSITIVES,
    EPSILON_VALID,
    EVALUATION,
    KIOSKS,
    MOST_SHARE,
    OUTBREAKS,
    SEED,
    ZONES,
    Outbreak,
    discrete_laplace,
    height,
    zone_shares,
)
from gateway.surveillance.arrays import Array, BoolArray, IntArray
from gateway.surveillance.budget import FALSE_ALARM_EVERY_DAYS
from gateway.surveillance.farrington import Farrington, flexible

NAME: Final = "farrington"
LABEL: Final = "Farrington flexible"
WEEK_D: Final = 7
YEARS: Final = 4
WATCHED_WEEKS: Final = 12
WEEKS: Final = YEARS * 52 + 3 + WATCHED_WEEKS
ONSET_WEEK: Final = WATCHED_WEEKS - 5  # of the watched ones: an outbreak of 14 days and its week after still fit in
TEXTBOOK_ALPHA: Final = 0.05
FIRST_MONDAY: Final = np.datetime64("2018-01-01")
_PHASE: Final = 10  # added to a world's phase: other numbers than the daily worlds'
_LEAST_P: Final = 1e-300


@dataclass(frozen=True, slots=True)
class WeeklyResult:
    """What one volume and setting gave."""

    false: Rate  # in a fortnight, of the whole district
    delays: dict[Outbreak, Delay]


@dataclass(frozen=True, slots=True)
class _Seed:
    """One zone's and the district's judged weeks."""

    quiet: Array  # surprise, (watched weeks, 2)
    outbreaks: dict[Outbreak, Array]
    onset_d: int  # days into the watched weeks


def judge_volume(volume: int, seeds: int, *, noise: bool) -> dict[str, WeeklyResult]:
    """Textbook and calibrated results of one volume."""
    chosen = _limits([_seed(volume, CALIBRATION, number, noise=noise) for number in range(seeds)])
    evaluated = [_seed(volume, EVALUATION, number, noise=noise) for number in range(seeds)]
    textbook = np.full(2, -np.log10(TEXTBOOK_ALPHA))
    return {"textbook": _score(evaluated, textbook), "calibrated": _score(evaluated, chosen)}


def _score(seeds: list[_Seed], limit: Array) -> WeeklyResult:
    quiet = np.stack([seed.quiet > limit for seed in seeds], axis=1)
    weeks = quiet.sum(axis=0) * (2 / WATCHED_WEEKS)  # a fortnight has two
    false = interval(weeks[:, 0] * ZONES + weeks[:, 1])
    return WeeklyResult(
        false, {outbreak: median_delay(_delays(seeds, outbreak, limit)) for outbreak in seeds[0].outbreaks}
    )


def _limits(seeds: list[_Seed]) -> Array:
    """The surprise that each stream exceeds once in its part of the budget."""
    tolerated = WEEK_D / FALSE_ALARM_EVERY_DAYS / (ZONES + 1)
    every = np.concatenate([seed.quiet for seed in seeds])
    return np.asarray(np.quantile(every, 1 - tolerated, axis=0, method="higher"), dtype=np.float64)


def _delays(seeds: list[_Seed], outbreak: Outbreak, limit: Array) -> Array:
    found = []
    for seed in seeds:
        ends = np.arange(1, WATCHED_WEEKS + 1) * WEEK_D - 1
        since = ends - seed.onset_d
        alarms = (seed.outbreaks[outbreak] > limit).any(axis=1) & (since >= 0) & (since < outbreak.days + AFTER_D)
        found.append(float(since[np.argmax(alarms)]) if alarms.any() else np.inf)
    return np.array(found)


def _seed(volume: int, phase: int, number: int, *, noise: bool) -> _Seed:
    rng = np.random.default_rng([SEED, _PHASE + phase, volume, number])
    tests = rng.poisson(volume * WEEK_D, (WEEKS, ZONES)).astype(np.float64)
    shares = zone_shares(rng)
    positives = rng.binomial(tests.astype(np.int64), shares).astype(np.float64)
    kiosk_days = KIOSKS[volume] * WEEK_D
    noise_x, noise_n = (
        discrete_laplace(rng, epsilon, kiosk_days, (WEEKS, ZONES)) * noise
        for epsilon in (EPSILON_POSITIVES, EPSILON_VALID)
    )
    onset_d = ONSET_WEEK * WEEK_D + int(rng.integers(WEEK_D))
    x, n = _zone_and_district(positives + noise_x), _zone_and_district(tests + noise_n)
    watched = np.arange(WEEKS - WATCHED_WEEKS, WEEKS)
    surprise = [_surprise(x[:, stream], n[:, stream], watched) for stream in range(2)]
    negatives = tests[watched, 0] - positives[watched, 0]
    outbreaks = {}
    for outbreak in OUTBREAKS:
        extra = _extra(rng, negatives, float(shares[0]), outbreak, onset_d)
        outbreaks[outbreak] = np.stack([of(x[watched, stream] + extra) for stream, of in enumerate(surprise)], axis=1)
    quiet = np.stack([of(x[watched, stream]) for stream, of in enumerate(surprise)], axis=1)
    return _Seed(quiet, outbreaks, onset_d)


def _extra(rng: np.random.Generator, negatives: Array, share: float, outbreak: Outbreak, onset_d: int) -> IntArray:
    """Positives that the outbreak adds to each watched week of the zone."""
    days = np.arange(WATCHED_WEEKS * WEEK_D) - onset_d
    factor = 1 + (outbreak.factor - 1) * height(outbreak.days, days)
    turned = (np.minimum(factor * share, MOST_SHARE) - share) / (1 - share)
    return rng.binomial(negatives.astype(np.int64), turned.reshape(-1, WEEK_D).mean(axis=1))


def _surprise(x: Array, n: Array, watched: IntArray) -> Callable[[Array], Array]:
    """The fits of one stream's weeks; -log10 P(count or more) of any counts in their place; 0 where not judged."""
    counts, tests = np.maximum(x, 0.0), np.maximum(n, 1.0)
    fits = flexible(counts, FIRST_MONDAY + WEEK_D * np.arange(len(x)), watched, tests=tests, min_cases=(0.0, 1))
    return lambda seen: tail_surprise(np.maximum(seen, 0.0), fits)


def tail_surprise(seen: Array, fits: Farrington) -> Array:
    """Under the fits' negative binomial (Poisson where dispersion is 1): as nbPlugin has it, an alarm is P < alpha."""
    judged: BoolArray = np.isfinite(fits.expected) & (fits.expected > 0)
    mean, phi = np.where(judged, fits.expected, 1.0), np.where(judged, fits.dispersion, 1.0)
    spread = np.maximum(phi - 1, 1e-9)
    over = np.where(phi > 1 + 1e-9, nbinom.sf(seen - 1, mean / spread, 1 / phi), poisson.sf(seen - 1, mean))
    return np.where(judged, -np.log10(np.maximum(over, _LEAST_P)), 0.0)


def _zone_and_district(zones: Array) -> Array:
    return np.stack([zones[:, 0], zones.sum(axis=1)], axis=1)
