"""Indoor air: carbon dioxide of a room, its ventilation, and whether the clean air suffices. One well-mixed room.

dC/dt = n G/V - a (C - C0): n people who each breathe out G m3 of carbon dioxide an hour, a air changes an hour, C0
outdoors. Constants are those of CAiMIRA (CERN; Henriques et al. 2022, Interface Focus 12:20210076) and of Rudnick and
Milton (2003, Indoor Air 13:237). Not done here: a personal probability of infection (nobody could stand behind one).
Filters and ultraviolet light clean air without lowering carbon dioxide; that of an empty room says nothing of its air.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array, at_least, finite_counts, number, numbers, positive

BACKGROUND_PPM = 440.44  # outdoors, as CAiMIRA
EXHALED_FRACTION = 0.042  # carbon dioxide of exhaled air, as CAiMIRA
EXHALED_PPM = 38_000.0  # above what was inhaled; Rudnick and Milton 2003
BREATHED_M3_PER_H = {"seated": 0.51, "standing": 0.57, "light": 1.25, "moderate": 1.78, "heavy": 3.3}  # CAiMIRA

# ASHRAE 241-2023, equivalent clean airflow per person in infection risk management mode. The standard itself was not
# at hand: the values are those of felipesoberon/ASHRAE241-WR (Jones 2025), office and classroom confirmed elsewhere.
EQUIVALENT_CLEAN_AIR_L_S = {
    **dict.fromkeys(("warehouse", "sorting"), 10.0),
    **dict.fromkeys(("office", "cell", "dwelling"), 15.0),
    **dict.fromkeys(("classroom", "retail", "exam", "dayroom"), 20.0),
    **dict.fromkeys(("lecture", "auditorium", "worship", "lobby", "spectator"), 25.0),
    **dict.fromkeys(("manufacturing", "resident", "common"), 25.0),
    **dict.fromkeys(("food", "museum", "convention", "transport_waiting"), 30.0),
    **dict.fromkeys(("group", "patient"), 35.0),
    "gym": 40.0,
    "healthcare_waiting": 45.0,
}

_MOST_PPM = 1e6
_MOST_AIR_CHANGES_PER_H = 1000.0  # a laboratory hood has some 500
_SLOWEST_PER_H = 1e-4  # of the grid; it starts at 0 besides
_GRID = 200
_SINGULAR = 1e-7  # a smallest singular value of the scaled Jacobian below it: the data fit any ventilation
_STEP = 1e-5  # of the numerical derivative, relative
_VAGUE_PER_H = 0.5  # a standard error above this and above the estimate itself is no estimate


@dataclass(frozen=True, slots=True)
class Ventilation:
    """What a carbon dioxide curve says about a room; NaN throughout where it does not determine its ventilation."""

    air_changes_per_h: float
    exhalation_m3_per_h: float  # air breathed by a person; NaN if nobody was there
    rmse_ppm: float


def co2_ppm(
    t_h: npt.ArrayLike,
    *,
    volume_m3: npt.ArrayLike,
    air_changes_per_h: npt.ArrayLike,
    people: npt.ArrayLike,
    activity: str,
    background_ppm: npt.ArrayLike = BACKGROUND_PPM,
) -> Array:
    """Carbon dioxide `t_h` hours after `people` entered a room at `background_ppm`, in ppm; arguments broadcast.

    Raises:
        SurveillanceError: impossible parameters or an unknown activity; the message names the parameter.
    """
    t, volume, people_n = finite_counts("t_h", t_h), positive("volume_m3", volume_m3), finite_counts("people", people)
    rate, background = finite_counts("air_changes_per_h", air_changes_per_h), _ppm("background_ppm", background_ppm)
    if activity not in BREATHED_M3_PER_H:
        raise SurveillanceError(f"activity: must be one of {', '.join(BREATHED_M3_PER_H)}")
    try:
        t, volume, people_n, rate, background = np.broadcast_arrays(t, volume, people_n, rate, background)
    except ValueError as exc:
        raise SurveillanceError("t_h, volume_m3, air_changes_per_h, people: lengths differ") from exc
    source = people_n * (BREATHED_M3_PER_H[activity] * EXHALED_FRACTION * 1e6) / volume
    risen: Array = background + source * _gathered(rate, t)
    return risen


def air_changes_from_co2(
    t_h: npt.ArrayLike,
    co2_ppm: npt.ArrayLike,
    people: npt.ArrayLike,
    *,
    volume_m3: float,
    background_ppm: float = BACKGROUND_PPM,
) -> Ventilation:
    """Least-squares air changes and exhalation of a room whose windows and fans stayed as they were.

    `people[i]` were there from t_h[i] to t_h[i + 1]; the starting concentration is fitted too. All NaN with fewer
    readings than unknowns, where the curve fits any ventilation (steady, or never above outdoors), where the standard
    error exceeds both the estimate and half an air change, and where the best fit has people breathe in carbon dioxide.

    Raises:
        SurveillanceError: bad readings or impossible parameters; the message names the parameter.
    """
    t, ppm, present = numbers("t_h", t_h), _ppm("co2_ppm", co2_ppm), finite_counts("people", people)
    if t.ndim != 1 or ppm.shape != t.shape or (present.shape != t.shape and present.ndim):
        raise SurveillanceError("t_h, co2_ppm, people: must be rows of the same length")
    if not np.isfinite(t).all() or (np.abs(t) > _MOST_PPM).any():
        raise SurveillanceError("t_h: beyond a century")
    if (np.diff(t) <= 0).any():
        raise SurveillanceError("t_h: must ascend")
    volume = float(positive("volume_m3", number("volume_m3", volume_m3, 0.0, 1e9)))
    room = _Room(
        t_h=t,
        excess_ppm=ppm - number("background_ppm", background_ppm, 0.0, _MOST_PPM),
        source=np.broadcast_to(present, t.shape)[:-1] * (EXHALED_FRACTION * 1e6 / volume),
    )
    return room.fit()


def rebreathed_fraction(
    co2_ppm: npt.ArrayLike, *, background_ppm: npt.ArrayLike = BACKGROUND_PPM, exhaled_ppm: npt.ArrayLike = EXHALED_PPM
) -> Array:
    """Share of inhaled air that somebody in the room exhaled before: (C - C0)/Ca (Rudnick and Milton 2003).

    Negative where the reading lies below outdoors: the sensor has drifted, or `background_ppm` is wrong.

    Raises:
        SurveillanceError: bad readings or impossible parameters; the message names the parameter.
    """
    ppm, background = _ppm("co2_ppm", co2_ppm), _ppm("background_ppm", background_ppm)
    exhaled = at_least("exhaled_ppm", _ppm("exhaled_ppm", exhaled_ppm), 1.0)
    try:
        fraction: Array = np.asarray((ppm - background) / exhaled)
    except ValueError as exc:
        raise SurveillanceError("co2_ppm, background_ppm, exhaled_ppm: lengths differ") from exc
    return fraction


def equivalent_clean_air_ratio(*, outdoor_l_s: float, filtered_l_s: float, people: float, space: str) -> float:
    """Clean air delivered over what ASHRAE 241 asks for `people` in `space`; infinite when nobody is there.

    `filtered_l_s` is what filters (flow times efficiency) and ultraviolet light are worth, in L/s.

    Raises:
        SurveillanceError: impossible parameters or an unknown space; the message names the parameter.
    """
    delivered = sum(
        float(_one(name, value)) for name, value in (("outdoor_l_s", outdoor_l_s), ("filtered_l_s", filtered_l_s))
    )
    present = _one("people", people)
    if space not in EQUIVALENT_CLEAN_AIR_L_S:
        raise SurveillanceError(f"space: must be one of {', '.join(EQUIVALENT_CLEAN_AIR_L_S)}")
    return delivered / (EQUIVALENT_CLEAN_AIR_L_S[space] * present) if present else math.inf


@dataclass(frozen=True, slots=True)
class _Room:
    """Readings of one room. Given a, the curve is linear in its start and in what a person breathes."""

    t_h: Array
    excess_ppm: Array  # above outdoors
    source: Array  # ppm an hour, by reading but the last, for 1 m3 breathed an hour by each person

    def fit(self) -> Ventilation:
        unknown = Ventilation(math.nan, math.nan, math.nan)
        somebody = bool((self.source > 0).any())
        if len(self.t_h) < (3 if somebody else 2):
            return unknown
        rates = np.concatenate(([0.0], np.geomspace(_SLOWEST_PER_H, _MOST_AIR_CHANGES_PER_H, _GRID)))
        best = rates[int(np.argmin([np.square(self._residuals(rate)).sum() for rate in rates]))]
        solved = least_squares(
            self._residuals_of,
            [min(max(best, _SLOWEST_PER_H), _MOST_AIR_CHANGES_PER_H / 2)],
            bounds=(0.0, _MOST_AIR_CHANGES_PER_H),
            xtol=1e-15,
            ftol=1e-15,
            gtol=1e-15,
        )
        rate = float(solved.x[0])
        start, breathed = self._linear(rate)
        rmse = math.sqrt(np.square(self._residuals(rate)).mean())
        if (somebody and breathed <= 0) or not self._is_determined(rate, start, breathed, rmse):
            return unknown
        return Ventilation(rate, breathed if somebody else math.nan, rmse)

    def _columns(self, rate: float) -> Array:
        """How the start, and a cubic metre breathed by each, show in every reading: (readings, 1 or 2)."""
        start: Array = np.exp(-rate * (self.t_h - self.t_h[0]))
        if not (self.source > 0).any():
            return start[:, np.newaxis]
        breathed = np.zeros_like(start)
        steps = np.diff(self.t_h)
        added, kept = self.source * _gathered(np.full(steps.shape, rate), steps), np.exp(-rate * steps)
        for reading in range(len(steps)):
            breathed[reading + 1] = breathed[reading] * kept[reading] + added[reading]
        return np.stack([start, breathed], axis=1)

    def _linear(self, rate: float) -> tuple[float, float]:
        solution = np.linalg.lstsq(self._columns(rate), self.excess_ppm, rcond=None)[0]
        return float(solution[0]), float(solution[-1])

    def _residuals(self, rate: float) -> Array:
        columns = self._columns(rate)
        solution = np.array(self._linear(rate))[: columns.shape[1]]
        return np.asarray(columns @ solution - self.excess_ppm, dtype=np.float64)

    def _residuals_of(self, rate: Array) -> Array:
        return self._residuals(float(rate[0]))

    def _is_determined(self, rate: float, start: float, breathed: float, rmse: float) -> bool:
        columns = self._columns(rate)
        values = np.array([start, breathed])[: columns.shape[1]]
        step = _STEP * max(rate, 1 / float(self.t_h[-1] - self.t_h[0]))
        slope: Array = (self._columns(rate + step) - self._columns(rate - step)) @ values / (2 * step)
        jacobian = np.column_stack([columns, slope])
        scale = np.linalg.norm(jacobian, axis=0)
        if (scale <= _SINGULAR * np.abs(self.excess_ppm).max()).any() or not np.isfinite(scale).all():
            return False
        singular, directions = np.linalg.svd(jacobian / scale, full_matrices=False)[1:]
        if singular[-1] < _SINGULAR:
            return False
        freedom = max(len(self.t_h) - jacobian.shape[1], 1)
        variance = rmse**2 * len(self.t_h) / freedom * np.square(directions[:, -1] / singular).sum() / scale[-1] ** 2
        return math.sqrt(variance) <= max(rate, _VAGUE_PER_H)


def _gathered(rate: Array, hours: Array) -> Array:
    """(1 - exp(-a t))/a, which is t where a is 0."""
    exponent = rate * hours
    return hours * np.where(exponent == 0, 1.0, -np.expm1(-exponent) / np.where(exponent == 0, 1.0, exponent))


def _ppm(name: str, values: npt.ArrayLike) -> Array:
    ppm = at_least(name, numbers(name, values), 0.0)
    if (ppm > _MOST_PPM).any():
        raise SurveillanceError(f"{name}: more than a million parts in a million")
    return ppm


def _one(name: str, value: float) -> float:
    return float(finite_counts(name, number(name, value, 0.0, math.inf)))
