"""Every daily detector over three years of a large district, all streams at once and one after the other."""

import time
from collections.abc import Iterator

import numpy as np

from bench.report import Figure, at_most
from gateway.analyse.bootstrap import thresholds
from gateway.analyse.detect import VOLUME_DAYS
from gateway.surveillance.arrays import Array
from gateway.surveillance.budget import ODDS_RATIO, ThresholdTable, stream_thresholds, volume_in_use
from gateway.surveillance.cusum import betabinomial_lr
from gateway.surveillance.ears import c1, c2, c3
from gateway.surveillance.ewma import essence_of_released
from gateway.surveillance.positivity import upper_limit
from gateway.surveillance.released import counted, prepare

ZONES, TARGETS, DAYS = 50, 3, 3 * 365
STREAMS = ZONES * TARGETS
ALONE = 15  # streams that are judged one by one; all of them would take minutes
P0, TESTS = 0.02, 60
NOISE_SD, NOISE_SD_VALID = 1.357 * 2**0.5, 5.642 * 2**0.5  # two kiosks
CPU_BAR_S = 2.0
RATIO_BAR = 0.5
SEED = 20211212


def measure() -> Iterator[Figure]:
    """CPU seconds, and what judging streams together saves."""
    rng, table = np.random.default_rng(SEED), thresholds()
    shape = (DAYS, STREAMS)
    valid = np.rint(rng.poisson(TESTS, shape) + rng.normal(0, NOISE_SD_VALID, shape)).astype(np.float64)
    positives = np.rint(rng.poisson(TESTS * P0, shape) + rng.normal(0, NOISE_SD, shape)).astype(np.float64)
    judge(table, positives[:60], valid[:60])  # what the first call costs is no detector's
    together = _cpu_s(table, positives, valid)
    alone = sum(_cpu_s(table, positives[:, k : k + 1], valid[:, k : k + 1]) for k in range(ALONE)) * STREAMS / ALONE
    what = f"{ZONES} zones x {TARGETS} targets x {DAYS} days, all daily detectors"
    yield at_most("detectors", f"{what}, CPU", together, CPU_BAR_S, "s")
    yield Figure("detectors", f"the same stream by stream, CPU ({ALONE} measured)", f"{alone:,.2f} s")
    yield at_most("detectors", "together ÷ stream by stream", together / alone, RATIO_BAR, "×")


def judge(table: ThresholdTable, positives: Array, valid: Array) -> None:
    """LR-CUSUM as the gateway runs it, C1 to C3, ESSENCE and the limit of a day's positives: (days, streams)."""
    ready = prepare(positives, valid, p0=P0, noise_sd=NOISE_SD, noise_sd_valid=NOISE_SD_VALID)
    volume = volume_in_use(ready.tests, VOLUME_DAYS)
    threshold = stream_thresholds(table, p0=P0, tests=volume, noise_sd=NOISE_SD, windows_per_day=1, streams=STREAMS)
    betabinomial_lr(
        ready.positives,
        ready.tests,
        p0=ready.p0,
        odds_ratio=ODDS_RATIO,
        dispersion=ready.dispersion,
        threshold=np.maximum(threshold, 0.0),
    )
    told = counted(positives, noise_sd=NOISE_SD)
    for ears in (c1, c2, c3):
        ears(told.counts, min_sd=told.least_sd)
    essence_of_released(told.counts, least_sd=told.least_sd)
    upper_limit(ready.tests, p0=P0, level=0.999)


def _cpu_s(table: ThresholdTable, positives: Array, valid: Array) -> float:
    before = time.process_time()
    judge(table, positives, valid)
    return time.process_time() - before
