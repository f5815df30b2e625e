"""Simulate quiet windows with the releases' noise in them; write the thresholds that keep a false-alarm budget.

    python scripts/make_thresholds.py [OUT.json]

In each cell (true share p0, mean tests a window, standard deviation of the noise on positives) 100 streams live
through 12 000 windows. Tests are Poisson around the day and week of a kiosk that never closes, each window's share is
beta with intra-class correlation `released.CORRELATION`, counts carry the sum of k discrete Laplace draws (k kiosks:
epsilon 1 on positives, 1/4 on valid). The values go through `released.prepare` and the detector's own gain; S starts
again from 0 after an alarm. A threshold's run length is windows / alarms; between thresholds 0.1 apart its logarithm
is interpolated. The seed of a cell is (SEED, its number), so one cell can be simulated alone.
"""

import itertools
import json
import sys
from pathlib import Path

import numpy as np

from gateway.surveillance.arrays import Array
from gateway.surveillance.budget import ODDS_RATIO, Thresholds
from gateway.surveillance.cusum import betabinomial_gain
from gateway.surveillance.released import CORRELATION, prepare

OUT = Path(__file__).parents[1] / "gateway" / "surveillance" / "thresholds.json"
SEED = 20211212
STREAMS, WINDOWS = 100, 12_000
P0 = (0.005, 0.02, 0.08, 0.25)
TESTS = (10.0, 30.0, 100.0, 300.0, 1000.0)
KIOSKS = (1, 3, 9, 27, 81)
RUN_LENGTHS = (12.5, 25.0, 50.0, 100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0)
LEVELS = np.arange(0.0, 10.01, 0.1)
SETTLE = 100  # windows until S has forgotten that it started from 0

# How a kiosk's week and day look: per mille of the week from Sunday, and of the day in windows of 6 h.
WEEK = np.array([107, 163, 159, 162, 157, 148, 104])
DAY = np.array([116, 298, 303, 283])
EPSILON_POSITIVES, EPSILON_VALID = 1.0, 0.25


def laplace_sd(epsilon: float) -> float:
    """Standard deviation of the discrete Laplace distribution with q = exp(-epsilon)."""
    q = np.exp(-epsilon)
    return float(np.sqrt(2 * q) / (1 - q))


def noise(rng: np.random.Generator, epsilon: float, kiosks: int, shape: tuple[int, int]) -> Array:
    """The sum of `kiosks` discrete Laplace draws: each is a difference of two geometric ones."""
    p = 1 - np.exp(-epsilon)
    drawn: Array = (rng.negative_binomial(kiosks, p, shape) - rng.negative_binomial(kiosks, p, shape)).astype(float)
    return drawn


def quiet(
    rng: np.random.Generator, p0: float, tests: float, kiosks: int, shape: tuple[int, int]
) -> tuple[Array, Array]:
    """Released positives and valid, (windows, streams), while the true share stays p0."""
    profile = np.outer(WEEK, DAY).ravel()
    share_of_mean = np.resize(profile / profile.mean(), shape[0])[:, None]
    n = rng.poisson(tests * share_of_mean, shape)
    precision = 1 / CORRELATION - 1
    x = rng.binomial(n, rng.beta(p0 * precision, (1 - p0) * precision, shape))
    return x + noise(rng, EPSILON_POSITIVES, kiosks, shape), n + noise(rng, EPSILON_VALID, kiosks, shape)


def gains(p0: float, positives: Array, valid: Array, kiosks: int) -> Array:
    """What each window adds to S, before S is held at 0."""
    ready = prepare(
        positives,
        valid,
        p0=p0,
        noise_sd=laplace_sd(EPSILON_POSITIVES) * np.sqrt(kiosks),
        noise_sd_valid=laplace_sd(EPSILON_VALID) * np.sqrt(kiosks),
    )
    return betabinomial_gain(ready.positives, ready.tests, ready.p0, np.asarray(ODDS_RATIO), ready.dispersion)


def run_lengths(gain: Array) -> Array:
    """Windows between alarms at each of LEVELS; infinite where none came."""
    windows, streams = gain.shape
    held = np.zeros((len(LEVELS), streams))
    alarms = np.zeros(len(LEVELS))
    for window in range(windows):
        held = np.maximum(0.0, held + gain[window])
        over = held > LEVELS[:, None]
        held[over] = 0.0
        if window >= SETTLE:
            alarms += over.sum(axis=1)
    with np.errstate(divide="ignore"):
        lengths: Array = (windows - SETTLE) * streams / alarms
    return lengths


def cell(number: int, *, streams: int = STREAMS, windows: int = WINDOWS) -> Array:
    """The thresholds of one cell, one for each of RUN_LENGTHS."""
    p0, tests, kiosks = list(itertools.product(P0, TESTS, KIOSKS))[number]
    rng = np.random.default_rng([SEED, number])
    released = quiet(rng, p0, tests, kiosks, (windows, streams))
    lengths = run_lengths(gains(p0, *released, kiosks))
    seen = np.isfinite(lengths)
    found: Array = np.interp(np.log(RUN_LENGTHS), np.log(lengths[seen]), LEVELS[seen])
    return found


def main() -> None:
    """Simulate every cell and write the table."""
    found = []
    cells = len(P0) * len(TESTS) * len(KIOSKS)
    for number in range(cells):
        found.append(cell(number))
        print(f"{number + 1}/{cells}: {np.round(found[-1], 2).tolist()}", flush=True)
    table = Thresholds(
        method="scripts/make_thresholds.py: simulated quiet windows, the noise of the releases included",
        seed=SEED,
        windows=STREAMS * WINDOWS,
        odds_ratio=ODDS_RATIO,
        p0=P0,
        tests=TESTS,
        noise_sd=tuple(round(laplace_sd(EPSILON_POSITIVES) * float(np.sqrt(kiosks)), 6) for kiosks in KIOSKS),
        run_length=RUN_LENGTHS,
        threshold=tuple(round(float(value), 4) for value in np.concatenate(found)),
    )
    text = json.dumps({name: getattr(table, name) for name in table.__struct_fields__}, indent=None)
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    out.write_text(text.replace(', "', ',\n "') + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
