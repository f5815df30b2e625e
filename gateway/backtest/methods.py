"""What is compared: each method judges the same counts, and says where it alarms at a limit of its own scale. Pure.

"Textbook" is what the method's source prescribes, on positives (clipped at 0 where noise made them negative). "Floor"
is the same method told of the noise (`released.counted`). Ours is the chain of gateway.analyse.detect: a baseline
learnt from the first days, `released.prepare`, the beta-binomial CUSUM's gain, the budget's threshold for the stream's
volume; its limit is a factor on that threshold.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from gateway.analyse.detect import LEARNING_DAYS, VOLUME_DAYS
from gateway.backtest.worlds import STREAMS, Counts
from gateway.surveillance.arrays import Array, BoolArray
from gateway.surveillance.budget import ODDS_RATIO, ThresholdTable, stream_thresholds, volume_in_use
from gateway.surveillance.cusum import betabinomial_gain
from gateway.surveillance.ears import Ears, c1, c2, c3
from gateway.surveillance.ewma import RED_BELOW, Essence, essence, essence_of_released
from gateway.surveillance.released import counted, prepare

# At a limit (one number, or one for each stream) the days that alarm: (days, seeds, streams).
Alarms: TypeAlias = Callable[[Array], BoolArray]

OURS: Final = "ours"
_LEAST_P = 1e-300  # its logarithm is finite
POSITIVITY_LIMIT: Final = 0.05
_POSITIVITY_D = 7  # WHO and ECDC look at a week's share, not at a day's


@dataclass(frozen=True, slots=True)
class Method:
    """One detector: `prepare` does the work that no limit changes."""

    name: str
    label: str
    textbook: float  # limit
    limits: tuple[float, float]  # between which a calibrated one is searched
    prepare: Callable[[Counts], Alarms]
    knows_noise: bool = False  # a variant that differs from another only where there is noise


def methods(table: ThresholdTable) -> Mapping[str, Method]:
    """All of them, by name, ours first."""
    every = [Method(OURS, "LR-CUSUM (ours)", 1.0, (0.2, 5.0), lambda counts: ours(counts, table), knows_noise=False)]
    for number, (of, limit) in enumerate(((c1, 3.0), (c2, 3.0), (c3, 2.0)), start=1):
        every.append(Method(f"c{number}", f"EARS C{number}", limit, (0.3, 30.0), _ears(of, floor=False)))
        every.append(
            Method(f"c{number}-floor", f"EARS C{number}, floor", limit, (0.3, 30.0), _ears(of, floor=True), True)
        )
    red = float(-np.log10(RED_BELOW))
    every += [
        Method("essence", "ESSENCE EWMA", red, (0.3, 40.0), lambda counts: _over(_surprise(essence(_clip(counts))))),
        Method("essence-floor", "ESSENCE EWMA, floor", red, (0.3, 40.0), _essence_with_floor, True),
        Method("positivity", "5 % positivity", POSITIVITY_LIMIT, (0.005, 0.5), _positivity),
    ]
    return {method.name: method for method in every}


def ours(counts: Counts, table: ThresholdTable) -> Alarms:
    """The shipped chain, a day a window, over all seeds and streams at once."""
    p0 = np.broadcast_to(counts.learnt, counts.positives.shape)
    return cusum_alarms(counts, p0, table, streams=STREAMS, start=LEARNING_DAYS)


def cusum_alarms(
    counts: Counts, p0: Array, table: ThresholdTable, *, streams: int, start: int, days: int = 1
) -> Alarms:
    """The beta-binomial CUSUM from window `start` on; a window is `days` long."""
    shape = counts.positives.shape
    noise_sd = np.broadcast_to(counts.noise_sd, shape)
    ready = prepare(
        counts.positives,
        counts.tests,
        p0=p0,
        noise_sd=noise_sd,
        noise_sd_valid=np.broadcast_to(counts.noise_sd_valid, shape),
    )
    gain = betabinomial_gain(ready.positives, ready.tests, ready.p0, np.asarray(ODDS_RATIO), ready.dispersion)
    gain[:start] = 0.0
    # As the gateway has it, a volume is that of the judged windows.
    volume = ready.tests.copy()
    volume[start:] = volume_in_use(ready.tests[start:], max(VOLUME_DAYS // days, 1))
    threshold = stream_thresholds(
        table, p0=p0, tests=volume, noise_sd=noise_sd, windows_per_day=1 / days, streams=streams
    )
    return lambda factor: restarting(gain, np.maximum(threshold * factor, 0.0))


def restarting(gain: Array, threshold: Array) -> BoolArray:
    """Where S = max(0, S + gain) exceeds its threshold, after which it starts again from 0: as `cusum` does."""
    alarm = np.zeros(gain.shape, dtype=np.bool_)
    held = np.zeros(gain.shape[1:])
    for day in range(len(gain)):
        held = np.maximum(0.0, held + gain[day])
        alarm[day] = held > threshold[day]
        held[alarm[day]] = 0.0
    return alarm


def _ears(of: Callable[..., Ears], *, floor: bool) -> Callable[[Counts], Alarms]:
    def prepared(counts: Counts) -> Alarms:
        told = counted(counts.positives, noise_sd=counts.noise_sd)
        return _over(of(told.counts, min_sd=told.least_sd).value if floor else of(told.counts).value)

    return prepared


def _essence_with_floor(counts: Counts) -> Alarms:
    told = counted(counts.positives, noise_sd=counts.noise_sd)
    return _over(_surprise(essence_of_released(told.counts, least_sd=told.least_sd)))


def _positivity(counts: Counts) -> Alarms:
    """The share of the last seven days; 0 where nobody was tested."""
    x, n = (_last_days(values) for values in (counts.positives, counts.tests))
    return _over(np.where(n > 0, x / np.where(n > 0, n, 1.0), 0.0))


def _surprise(judged: Essence) -> Array:
    return np.asarray(-np.log10(np.maximum(judged.p_value, _LEAST_P)))


def _over(score: Array) -> Alarms:
    known = np.nan_to_num(score, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    return lambda limit: known > limit


def _clip(counts: Counts) -> Array:
    return np.maximum(counts.positives, 0.0)


def _last_days(values: Array) -> Array:
    sums = np.cumsum(values, axis=0)
    sums[_POSITIVITY_D:] = sums[_POSITIVITY_D:] - sums[:-_POSITIVITY_D].copy()
    return sums
