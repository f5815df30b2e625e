"""Simulated districts for the back-test: six zones and their sum, a target, a day a row. Seeded; no I/O.

A world is a kind (how tests come) and a volume (mean tests a day and zone). Every seed of it is a district of its own:
tests are Poisson around the kind's profile, a zone's own share is lognormal around P0, a day's is beta around that with
intra-class correlation `released.CORRELATION`, and each of the zone's kiosks adds the discrete Laplace noise of its
release. An outbreak multiplies the share of zone 0 for a week or two, at half height on its first and last day; the
days before it are the same, so that its variants and the quiet run share their past. A seed's numbers depend on (phase,
world, seed) alone.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from gateway.analyse.detect import LEARNING_DAYS
from gateway.errors import BacktestError
from gateway.surveillance.arrays import Array, IntArray
from gateway.surveillance.released import CORRELATION, learnt_share, pooled_shares

SEED: Final = 20221126
CALIBRATION, EVALUATION = 0, 1  # phases: thresholds are chosen on the one, everything that is told is of the other

ZONES: Final = 6
STREAMS: Final = ZONES + 1  # the last is the district
P0: Final = 0.02
# Standard deviation of the logarithm of zones' shares. Of the real district's six areas (docs/evidence/data), with
# sampling error taken off: 0.15 over three years, 0.24 within eight weeks.
SPREAD: Final = 0.2
MOST_SHARE: Final = 0.9
KIOSKS: Final = {20: 1, 60: 2, 200: 5}  # a zone, by its volume: one serves some 40 people a day
KINDS: Final = ("weekday", "closed", "growing")
VOLUMES: Final = tuple(KIOSKS)
FACTORS: Final = (2, 3, 4)
LENGTHS_D: Final = (7, 14)

WARM_UP_D: Final = 30  # by then every method has its whole baseline; nobody's alarms before count
FOLLOWED_D: Final = 84
DAYS: Final = WARM_UP_D + FOLLOWED_D
ONSET_D: Final = 58  # and up to six days later, so that outbreaks begin on every day of the week
AFTER_D: Final = 7  # an alarm within a week of the outbreak's end still finds it
LAST_D: Final = ONSET_D + 6 + max(LENGTHS_D) + AFTER_D

# Of the mean, from Sunday; the same as in scripts/make_thresholds.py. CLOSED shuts on Sundays and by chance.
WEEK: Final = np.array([107, 163, 159, 162, 157, 148, 104]) / (1000 / 7)
CLOSED_SHARE: Final = 0.03
GROWTH: Final = 4.0  # from half the volume to twice in all days
EPSILON_POSITIVES, EPSILON_VALID = 1.0, 0.25  # DESIGN §7, one target


@dataclass(frozen=True, slots=True)
class World:
    """How tests come, and how many."""

    kind: str
    volume: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.volume not in KIOSKS:
            raise BacktestError(f"there is no world {self.kind} of {self.volume} tests a day")

    @property
    def number(self) -> int:
        """Its place in every seed."""
        return KINDS.index(self.kind) * len(VOLUMES) + VOLUMES.index(self.volume)

    @property
    def kiosks(self) -> Array:
        """Of each stream."""
        return np.array([KIOSKS[self.volume]] * ZONES + [KIOSKS[self.volume] * ZONES], dtype=np.float64)


WORLDS: Final = tuple(World(kind, volume) for kind in KINDS for volume in VOLUMES)


@dataclass(frozen=True, slots=True)
class Outbreak:
    """The share in zone 0, times `factor` for `days`."""

    factor: int
    days: int


OUTBREAKS: Final = tuple(Outbreak(factor, days) for factor in FACTORS for days in LENGTHS_D)


@dataclass(frozen=True, slots=True)
class Counts:
    """What detectors see: (days, seeds, streams) counts, exact or as released, and a standard deviation a stream."""

    positives: Array
    tests: Array
    noise_sd: Array
    noise_sd_valid: Array
    learnt: Array  # (seeds, streams): the baseline that ours takes from the first LEARNING_DAYS

    def where_it_breaks_out(self) -> Self:
        """Only what a delay needs: zone 0 and the district, until the last day on which an alarm still counts."""
        days, streams = slice(None, LAST_D), [0, -1]
        return type(self)(
            self.positives[days, :, streams],
            self.tests[days, :, streams],
            self.noise_sd[streams],
            self.noise_sd_valid[streams],
            self.learnt[:, streams],
        )


@dataclass(frozen=True, slots=True)
class Simulated:
    """One world under many seeds: exact counts of the zones (days, seeds, zones), and the noise of their releases."""

    world: World
    positives: Array
    tests: Array
    shares: Array
    noise: Array
    noise_valid: Array
    onset: IntArray  # first day of each seed's outbreak
    extra: Array  # uniform draws that decide which tests of zone 0 an outbreak turns positive: (days, seeds)

    def counts(self, *, noise: bool) -> Counts:
        """The quiet run."""
        return self._counts(self.positives, noise=noise)

    def with_outbreak(self, outbreak: Outbreak, *, noise: bool) -> Counts:
        """The same run with the outbreak in zone 0."""
        positives = self.positives.copy()
        positives[:, :, 0] += self._added(outbreak)
        return self._counts(positives, noise=noise)

    def _added(self, outbreak: Outbreak) -> Array:
        factor = 1 + (outbreak.factor - 1) * height(outbreak.days, np.arange(DAYS)[:, None] - self.onset)
        share, negatives = self.shares[:, :, 0], self.tests[:, :, 0] - self.positives[:, :, 0]
        turned = (np.minimum(factor * share, MOST_SHARE) - share) / (1 - share)
        return _binomial_at(self.extra, negatives, np.maximum(turned, 0.0))

    def _counts(self, positives: Array, *, noise: bool) -> Counts:
        kiosks = self.world.kiosks
        x, n = (positives, self.tests) if not noise else (positives + self.noise, self.tests + self.noise_valid)
        scale = np.sqrt(kiosks) if noise else np.zeros(STREAMS)
        positives, tests, noise_sd = _and_district(x), _and_district(n), scale * laplace_sd(EPSILON_POSITIVES)
        return Counts(
            positives=positives,
            tests=tests,
            noise_sd=noise_sd,
            noise_sd_valid=scale * laplace_sd(EPSILON_VALID),
            learnt=_learnt(positives[:LEARNING_DAYS].sum(axis=0), tests[:LEARNING_DAYS].sum(axis=0), noise_sd),
        )


def laplace_sd(epsilon: float) -> float:
    """Standard deviation of the discrete Laplace distribution with q = exp(-epsilon)."""
    q = np.exp(-epsilon)
    return float(np.sqrt(2 * q) / (1 - q))


def height(days: int, since_onset: IntArray) -> Array:
    """How high the outbreak stands on each day: 1 within, 1/2 on its first and last day, else 0."""
    inside = (since_onset >= 0) & (since_onset < days)
    edge = (since_onset == 0) | (since_onset == days - 1)
    return np.where(inside, np.where(edge, 0.5, 1.0), 0.0)


def profile(world: World) -> Array:
    """Mean tests of a zone on each day, before chance closes it."""
    week = np.resize(WEEK, DAYS)
    if world.kind == "growing":
        return np.asarray(world.volume * week * GROWTH ** (np.arange(DAYS) / (DAYS - 1) - 0.5))
    if world.kind == "closed":
        opened = np.where(np.arange(DAYS) % 7 == 0, 0.0, week)
        return np.asarray(world.volume * opened * 7 / opened[:7].sum() / (1 - CLOSED_SHARE))
    return np.asarray(world.volume * week)


def simulate(world: World, phase: int, seeds: range) -> Simulated:
    """Draw every seed of a world."""
    drawn = [_draw(np.random.default_rng([SEED, phase, world.number, seed]), world) for seed in seeds]

    def cube(name: str) -> Array:
        return np.stack([one[name] for one in drawn], axis=1).astype(np.float64)

    return Simulated(
        world=world,
        positives=cube("positives"),
        tests=cube("tests"),
        shares=cube("shares"),
        noise=cube("noise"),
        noise_valid=cube("noise_valid"),
        onset=np.array([int(one["onset"][0]) for one in drawn], dtype=np.int64),
        extra=cube("extra"),
    )


def _draw(rng: np.random.Generator, world: World) -> dict[str, npt.NDArray[np.generic]]:
    """One seed: (days, zones) each, but the onset and the draws for zone 0."""
    shape = (DAYS, ZONES)
    precision = 1 / CORRELATION - 1
    closed = rng.random(shape) < (CLOSED_SHARE if world.kind == "closed" else 0.0)
    tests = np.where(closed, 0, rng.poisson(profile(world)[:, None], shape))
    own = zone_shares(rng)
    shares = rng.beta(own * precision, (1 - own) * precision, shape)
    kiosks = KIOSKS[world.volume]
    return {
        "tests": tests,
        "shares": shares,
        "positives": rng.binomial(tests, shares),
        "noise": discrete_laplace(rng, EPSILON_POSITIVES, kiosks, shape),
        "noise_valid": discrete_laplace(rng, EPSILON_VALID, kiosks, shape),
        "onset": ONSET_D + rng.integers(7, size=1),
        "extra": rng.random(DAYS),
    }


def zone_shares(rng: np.random.Generator) -> Array:
    """A quiet share for each zone, P0 on average."""
    return P0 * np.exp(rng.normal(-(SPREAD**2) / 2, SPREAD, ZONES))


def discrete_laplace(rng: np.random.Generator, epsilon: float, kiosks: int, shape: tuple[int, int]) -> IntArray:
    """The sum of `kiosks` discrete Laplace draws: each is a difference of two geometric ones."""
    p = 1 - np.exp(-epsilon)
    return np.asarray(rng.negative_binomial(kiosks, p, shape) - rng.negative_binomial(kiosks, p, shape))


def _binomial_at(uniform: Array, n: Array, p: Array) -> Array:
    """The binomial quantile at `uniform`; 0 where p is 0. A larger factor so never turns fewer tests."""
    found = np.zeros_like(n)
    some = (p > 0) & (n > 0)
    found[some] = binom.ppf(uniform[some], n[some], p[some])
    return found


def _learnt(positives: Array, tests: Array, noise_sd: Array) -> Array:
    """As gateway.analyse.detect: zones together, the district alone."""
    variance = LEARNING_DAYS * noise_sd**2
    zones = pooled_shares(positives[:, :ZONES], tests[:, :ZONES], noise_variance=variance[:ZONES])
    district = learnt_share(positives[:, ZONES:], tests[:, ZONES:], noise_variance=variance[ZONES:])
    return np.concatenate([zones, district], axis=1)


def _and_district(zones: Array) -> Array:
    return np.concatenate([zones, zones.sum(axis=2, keepdims=True)], axis=2)
