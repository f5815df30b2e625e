"""One false-alarm budget for the whole district, and the threshold that each of its streams gets from it.

With Z streams and one tolerated false alarm in W days overall, each stream may alarm once in Z x W days in control:
expected numbers add up whether or not the streams are independent (the district is the sum of its zones). The
thresholds that keep this come from a seeded simulation of quiet windows with the releases' noise in them, run by
scripts/make_thresholds.py and committed as thresholds.json; between its cells they are interpolated.
"""

from dataclasses import dataclass
from typing import Self

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.interpolate import RegularGridInterpolator

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array, BoolArray, at_least, positive, series, share, whole

ODDS_RATIO = 2.0  # what the detectors look for: odds of a positive test doubled
FALSE_ALARM_EVERY_DAYS = 14.0  # DESIGN §10: one a fortnight in the whole district
_MOST_WINDOWS = 100_000
VOLUME_SHIFT = 0.25  # a stream's volume that moved by more than this part of itself needs another threshold


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of thresholds.json: axes, and a threshold for each of their combinations in this order."""

    method: str
    seed: int
    windows: int  # simulated in each cell
    odds_ratio: float
    p0: tuple[float, ...]
    tests: tuple[float, ...]  # mean of a window
    noise_sd: tuple[float, ...]  # of a window's positives
    run_length: tuple[float, ...]  # windows between false alarms
    threshold: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ThresholdTable:
    """The simulated thresholds, and what lies between them."""

    simulated: Thresholds
    _between: RegularGridInterpolator

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Read thresholds.json; SurveillanceError when it is damaged or belongs to another detector."""
        try:
            simulated = msgspec.json.decode(content, type=Thresholds)
            axes = (simulated.p0, simulated.tests, simulated.noise_sd, simulated.run_length)
            grid = np.array(simulated.threshold).reshape([len(axis) for axis in axes])
            between = RegularGridInterpolator(tuple(np.log(axis) for axis in axes), grid)
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as exc:
            raise SurveillanceError(f"thresholds.json is damaged; install kioskwatch again: {exc}") from exc
        if simulated.odds_ratio != ODDS_RATIO:
            raise SurveillanceError("thresholds.json was simulated for another odds ratio; install kioskwatch again")
        return cls(simulated, between)

    def threshold(
        self, *, p0: npt.ArrayLike, tests: npt.ArrayLike, noise_sd: npt.ArrayLike, run_length: npt.ArrayLike
    ) -> Array:
        """The threshold for one false alarm in `run_length` windows; all arguments broadcast against each other.

        Beyond the table's edge the edge's value holds, but a run length beyond it goes on along the last slope: a
        threshold grows with the logarithm of the run length.

        Raises:
            SurveillanceError: impossible parameters; the message names the parameter.
        """
        sim = self.simulated
        point = np.broadcast_arrays(
            _within(share("p0", p0), sim.p0),
            _within(at_least("tests", tests, 0.0), sim.tests),
            _within(at_least("noise_sd", noise_sd, 0.0), sim.noise_sd),
        )
        length = positive("run_length", run_length)
        longest, before = sim.run_length[-1], sim.run_length[-2]
        at_edge = self._at(point, _within(length, sim.run_length))
        slope = (self._at(point, np.asarray(longest)) - self._at(point, np.asarray(before))) / np.log(longest / before)
        beyond: Array = at_edge + slope * np.log(np.maximum(length / longest, 1.0))
        return beyond

    def _at(self, point: tuple[Array, ...], run_length: Array) -> Array:
        logs = [np.log(axis) for axis in np.broadcast_arrays(*point, run_length)]
        return np.asarray(self._between(np.stack(logs, axis=-1)), dtype=np.float64)


def stream_thresholds(
    table: ThresholdTable,
    *,
    p0: npt.ArrayLike,
    tests: npt.ArrayLike,
    noise_sd: npt.ArrayLike,
    windows_per_day: float,
    streams: int | None = None,
    every_days: float = FALSE_ALARM_EVERY_DAYS,
) -> Array:
    """The threshold of each stream (last axis) from its share, volume and noise: together one alarm in `every_days`.

    `streams` is how many share the budget; None: those given.

    Raises:
        SurveillanceError: impossible parameters, or no stream; the message names the parameter.
    """
    volume = at_least("tests", tests, 0.0)
    if volume.ndim == 0:
        raise SurveillanceError("tests: one number where a value for each stream is needed")
    sharing = volume.shape[-1] if streams is None else streams
    run_length = stream_run_length(sharing, windows_per_day, every_days=every_days)
    return table.threshold(p0=p0, tests=volume, noise_sd=noise_sd, run_length=run_length)


def volume_shifted(volume: npt.ArrayLike, in_use: npt.ArrayLike) -> BoolArray:
    """Whether a stream's volume left the one that its threshold is for by more than VOLUME_SHIFT of it.

    Raises:
        SurveillanceError: NaN or negative; the message names the parameter.
    """
    now, then = at_least("volume", volume, 0.0), at_least("in_use", in_use, 0.0)
    return np.asarray(np.abs(now - then) > VOLUME_SHIFT * then)


def volume_in_use(tests: npt.ArrayLike, windows: int) -> Array:
    """The volume that each window's threshold is for: the mean of the last `windows`, kept until it has shifted.

    So an officer sees a threshold that stands still until there is a reason. Time along axis 0; causal, so that a
    longer series has the same values at its start.

    Raises:
        SurveillanceError: bad counts or no window; the message names the parameter.
    """
    trailing = _trailing_mean(series("tests", tests), whole("windows", windows, 1, _MOST_WINDOWS))
    used = trailing.copy()
    for window in range(1, len(used)):
        stays = ~volume_shifted(trailing[window], used[window - 1])
        used[window] = np.where(stays, used[window - 1], trailing[window])
    return used


def stream_run_length(streams: int, windows_per_day: float, *, every_days: float = FALSE_ALARM_EVERY_DAYS) -> float:
    """Windows between the false alarms of one stream, so that all together raise one in `every_days`.

    Raises:
        SurveillanceError: impossible parameters; the message names the parameter.
    """
    if streams < 1:
        raise SurveillanceError("streams: there is none")
    days = float(positive("every_days", every_days))
    return streams * days * float(positive("windows_per_day", windows_per_day))


def _trailing_mean(values: Array, length: int) -> Array:
    """Mean of the last `length` values up to each, of fewer at the start."""
    sums = np.concatenate((np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)))
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - length, 0)
    mean: Array = (sums[last] - sums[first]) / (last - first).reshape(-1, *(1,) * (values.ndim - 1))
    return mean


def _within(values: Array, axis: tuple[float, ...]) -> Array:
    return np.clip(values, axis[0], axis[-1])
