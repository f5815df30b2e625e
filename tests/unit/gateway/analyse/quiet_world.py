"""A district's released windows, drawn by a seed: six zones of three kiosks, windows of 6 h."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files

import numpy as np

from contracts.windows import NS, Calendar, to_ns
from gateway.analyse.detect import Baseline, ReleasedWindow, learnt, learnt_baseline
from gateway.analyse.rollup import Release, RollUp, roll_up
from gateway.surveillance.arrays import Array, IntArray
from gateway.surveillance.budget import ThresholdTable

ZONES = ("z10016", "z10017", "z10021", "z10022", "z10044", "z10065")
KIOSKS = 3
CALENDAR = Calendar(window_s=6 * 3600, utc_offset_s=-5 * 3600, week_start=6)
START_NS = to_ns(datetime(2021, 12, 12, 5, tzinfo=UTC))  # 00:00 in the district
TABLE = ThresholdTable.read(files("gateway.surveillance").joinpath("thresholds.json").read_bytes())

# The replay's week and day (firmware_sim/scenarios/calendar.py), as shares of a week's tests by window.
_WEEK = np.array([107, 163, 159, 162, 157, 148, 104])
_DAY = np.array([23, 59, 60, 56])
SHARES: Array = np.outer(_WEEK, _DAY).ravel() / (_WEEK.sum() * _DAY.sum())


def laplace(rng: np.random.Generator, epsilon: float, shape: tuple[int, ...]) -> IntArray:
    """Discrete Laplace with q = exp(-epsilon): the difference of two geometric draws."""
    p = 1 - math.exp(-epsilon)
    drawn: IntArray = rng.geometric(p, shape) - rng.geometric(p, shape)
    return drawn


def zone_releases(
    rng: np.random.Generator, windows: int, weekly_tests: Sequence[int], share: Sequence[float]
) -> list[list[Release]]:
    """A zone's releases by window; `weekly_tests` and `share` have one value a week, the last one goes on."""
    week = np.minimum(np.arange(windows) // len(SHARES), len(weekly_tests) - 1)
    tests = rng.poisson(np.array(weekly_tests)[week] * np.resize(SHARES, windows) / KIOSKS, (KIOSKS, windows))
    positives = rng.binomial(tests, np.array(share)[week]) + laplace(rng, 1.0, tests.shape)
    valid = tests + laplace(rng, 0.25, tests.shape)
    return [
        [Release(positives=int(positives[k, w]), valid=int(valid[k, w]), invalid=0, targets=1) for k in range(KIOSKS)]
        for w in range(windows)
    ]


def released(rolled: RollUp, start_ns: int) -> ReleasedWindow:
    return ReleasedWindow(
        start_ns=start_ns,
        positives=rolled.positives,
        valid=rolled.valid,
        noise_sd=rolled.noise_sd,
        noise_sd_valid=rolled.noise_sd_valid,
        positivity=rolled.positivity,
        lower=rolled.lower,
        upper=rolled.upper,
        kiosks_reporting=rolled.kiosks_reporting,
        kiosks_expected=rolled.kiosks_expected,
    )


def stream(releases: Sequence[Sequence[Release]], start_ns: int = START_NS) -> list[ReleasedWindow]:
    window_ns = CALENDAR.window_s * NS
    return [
        released(roll_up(window, expected=len(window)), start_ns + number * window_ns)
        for number, window in enumerate(releases)
    ]


def learn_baseline(windows: Sequence[ReleasedWindow], calendar: Calendar) -> Baseline | None:
    """Of a stream without peers."""
    own = learnt(windows, calendar)
    return None if own is None else learnt_baseline(own)


def together(zones: Sequence[Sequence[Sequence[Release]]]) -> list[list[Release]]:
    """The district's releases by window: all of its zones'."""
    return [[release for zone in window for release in zone] for window in zip(*zones, strict=True)]
