"""What the noise costs: how late a zone's detector sees an outbreak, with our noise, with less, and with none.

The detector is ours (`gateway.surveillance.released`, `cusum`), one zone of three kiosks, share 2 % in quiet weeks. For
a fair comparison each way gets the threshold that gives it the same false alarms, found by simulation; the shipped
table of thresholds knows only our noise.

    none      the counts as they are
    central   one draw a zone and window, by somebody who would have to know every exact count
    kiosks    one draw a kiosk and window: what kioskwatch does
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import stats

from contracts.layout import EPSILON_POSITIVES, EPSILON_VALID, noise_sd
from contracts.windows import DAY_S
from gateway.surveillance.arrays import Array
from gateway.surveillance.budget import ODDS_RATIO, stream_run_length
from gateway.surveillance.cusum import betabinomial_lr
from gateway.surveillance.released import Prepared, prepare

TESTS_A_DAY: Final = (20, 60, 200)
WINDOWS_S: Final = (DAY_S, 6 * 3600)
KIOSKS: Final = 3
STREAMS: Final = 7  # six zones and the district share the alarm budget
SHARE: Final = 0.02
FACTORS: Final = (2, 3)  # of the odds of a positive test, from one window to the next
DRAWS: Final = {"none": 0, "central": 1, "kiosks": KIOSKS}
QUIET_DAYS, OUTBREAK_DAYS = 14, 60
WITHIN_DAYS: Final = 14
QUIET_WINDOWS: Final = 60_000
SEARCH_STEPS: Final = 12
MOST_THRESHOLD: Final = 10.0


@dataclass(frozen=True, slots=True)
class Delay:
    """Of many outbreaks of one kind: median delay in days with its 95 % limits, and the share found within 14 days."""

    tests_a_day: int
    window_s: int
    factor: int
    noise: str
    median: float
    low: float
    high: float
    within: float
    within_low: float
    within_high: float


@dataclass(frozen=True, slots=True)
class _Zone:
    tests_a_day: int
    window_s: int
    draws: int

    @property
    def windows_a_day(self) -> int:
        return DAY_S // self.window_s

    def prepared(self, rng: np.random.Generator, share: Array) -> Prepared:
        """Windows in a row whose true share is given, as the detector takes them."""
        tests = rng.poisson(self.tests_a_day / self.windows_a_day, share.shape)
        positives = rng.binomial(tests, share) + self._noise(rng, float(EPSILON_POSITIVES), share.shape)
        valid = tests + self._noise(rng, float(EPSILON_VALID), share.shape)
        scale = math.sqrt(self.draws)
        return prepare(
            positives,
            valid,
            p0=SHARE,
            noise_sd=noise_sd(EPSILON_POSITIVES) * scale,
            noise_sd_valid=noise_sd(EPSILON_VALID) * scale,
        )

    def _noise(self, rng: np.random.Generator, epsilon: float, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
        p = 1 - math.exp(-epsilon)
        drawn = rng.geometric(p, (self.draws, *shape)) - rng.geometric(p, (self.draws, *shape))
        added: npt.NDArray[np.int64] = drawn.sum(axis=0)
        return added


def measure(seed: int, outbreaks: int) -> Iterator[Delay]:
    """Simulate every kind of outbreak, so many of each."""
    for tests_a_day in TESTS_A_DAY:
        for window_s in WINDOWS_S:
            for noise, draws in DRAWS.items():
                zone = _Zone(tests_a_day, window_s, draws)
                rng = np.random.default_rng([seed, tests_a_day, window_s, draws])
                threshold = _threshold(zone, rng)
                for factor in FACTORS:
                    delays = _delays(zone, rng, threshold, factor, outbreaks)
                    yield _summary(zone, factor, noise, delays)


def _alarms(ready: Prepared, threshold: float, start: int, stop: int) -> npt.NDArray[np.bool_]:
    part = slice(start, stop)
    path = betabinomial_lr(
        ready.positives[part],
        ready.tests[part],
        p0=ready.p0[part],
        odds_ratio=ODDS_RATIO,
        dispersion=ready.dispersion[part],
        threshold=threshold,
    )
    return path.alarm


def _threshold(zone: _Zone, rng: np.random.Generator) -> float:
    """The threshold at which quiet windows raise the stream's share of one false alarm a fortnight in the district."""
    ready = zone.prepared(rng, np.full(QUIET_WINDOWS, SHARE))
    wanted = QUIET_WINDOWS / stream_run_length(STREAMS, zone.windows_a_day)
    low, high = 0.0, MOST_THRESHOLD
    for _ in range(SEARCH_STEPS):
        middle = (low + high) / 2
        if _alarms(ready, middle, 0, QUIET_WINDOWS).sum() > wanted:
            low = middle
        else:
            high = middle
    return high


def _delays(zone: _Zone, rng: np.random.Generator, threshold: float, factor: int, outbreaks: int) -> Array:
    """Days from each outbreak's first window to the end of the window that raises the alarm; infinite for never."""
    quiet, length = QUIET_DAYS * zone.windows_a_day, (QUIET_DAYS + OUTBREAK_DAYS) * zone.windows_a_day
    odds = factor * SHARE / (1 - SHARE)
    one = np.where(np.arange(length) < quiet, SHARE, odds / (1 + odds))
    ready = zone.prepared(rng, np.tile(one, outbreaks))
    delays = np.full(outbreaks, np.inf)
    for number in range(outbreaks):
        alarms = np.flatnonzero(_alarms(ready, threshold, number * length, (number + 1) * length)[quiet:])
        if len(alarms):
            delays[number] = (alarms[0] + 1) / zone.windows_a_day
    return delays


def _summary(zone: _Zone, factor: int, noise: str, delays: Array) -> Delay:
    ordered, n = np.sort(delays), len(delays)
    low, high = (int(rank) for rank in stats.binom.interval(0.95, n, 0.5))
    within = int((delays <= WITHIN_DAYS).sum())
    limits = stats.binomtest(within, n).proportion_ci(0.95)
    return Delay(
        tests_a_day=zone.tests_a_day,
        window_s=zone.window_s,
        factor=factor,
        noise=noise,
        median=float(np.median(delays)),
        low=float(ordered[max(low - 1, 0)]),
        high=float(ordered[min(high, n - 1)]),
        within=within / n,
        within_low=float(limits.low),
        within_high=float(limits.high),
    )
