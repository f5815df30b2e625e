"""The door of the library: callers' values become float64 arrays, or a SurveillanceError names the parameter."""

from collections.abc import Iterable
from datetime import date
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gateway.errors import SurveillanceError

Array: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
IntArray: TypeAlias = npt.NDArray[np.int64]
DayArray: TypeAlias = npt.NDArray[np.datetime64]
DatesLike: TypeAlias = DayArray | Iterable[date | str | np.datetime64]


def numbers(name: str, values: npt.ArrayLike) -> Array:
    """`values` as float64; SurveillanceError when one is not a number."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as exc:
        raise SurveillanceError(f"{name}: not numbers") from exc
    if np.isnan(array).any():
        raise SurveillanceError(f"{name}: NaN where a number is needed")
    return array


def series(name: str, values: npt.ArrayLike) -> Array:
    """Finite counts >= 0 with time along axis 0."""
    array = numbers(name, values)
    if array.ndim == 0:
        raise SurveillanceError(f"{name}: one number where a series is needed")
    if not np.isfinite(array).all():
        raise SurveillanceError(f"{name}: infinite")
    if (array < 0).any():
        raise SurveillanceError(f"{name}: negative")
    return array


def share(name: str, values: npt.ArrayLike) -> Array:
    """Probabilities strictly between 0 and 1."""
    array = numbers(name, values)
    if not ((array > 0) & (array < 1)).all():
        raise SurveillanceError(f"{name}: must lie between 0 and 1, both excluded")
    return array


def positive(name: str, values: npt.ArrayLike) -> Array:
    """Finite numbers above 0."""
    array = numbers(name, values)
    if not (np.isfinite(array) & (array > 0)).all():
        raise SurveillanceError(f"{name}: must be above 0 and finite")
    return array


def at_least(name: str, values: npt.ArrayLike, least: float) -> Array:
    """Numbers >= `least`; infinity is one."""
    array = numbers(name, values)
    if (array < least).any():
        raise SurveillanceError(f"{name}: below {least:g}")
    return array


def along(name: str, values: Array, like: Array) -> Array:
    """`values` broadcast to the shape of `like`; SurveillanceError when the lengths differ."""
    try:
        return np.broadcast_to(values, like.shape)
    except ValueError as exc:
        raise SurveillanceError(f"{name}: shape {values.shape} does not fit a series of shape {like.shape}") from exc


def line(name: str, values: npt.ArrayLike) -> Array:
    """Finite counts >= 0 of one series: one dimension."""
    array = series(name, values)
    if array.ndim != 1:
        raise SurveillanceError(f"{name}: {array.ndim} dimensions where one series is needed")
    return array


def alike(name: str, values: npt.ArrayLike, length: int) -> Array:
    """Numbers of one dimension, or one number for all, as `length` finite numbers."""
    array = numbers(name, values)
    if array.ndim > 1 or (array.ndim == 1 and len(array) != length):
        raise SurveillanceError(f"{name}: shape {array.shape} where {length} values are needed")
    if not np.isfinite(array).all():
        raise SurveillanceError(f"{name}: infinite")
    return np.broadcast_to(array, (length,))


def calendar(name: str, values: DatesLike) -> DayArray:
    """Dates in ascending order as datetime64[D]; a date may come more than once."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        array = values.astype("datetime64[D]")
    else:
        try:
            array = np.array([_day(value) for value in values], dtype="datetime64[D]")
        except (TypeError, ValueError, OverflowError) as exc:
            raise SurveillanceError(f"{name}: not dates (ISO strings, datetime.date or datetime64)") from exc
    if array.ndim != 1:
        raise SurveillanceError(f"{name}: {array.ndim} dimensions where one series is needed")
    if np.isnat(array).any():
        raise SurveillanceError(f"{name}: NaT where a date is needed")
    if (np.diff(array) < np.timedelta64(0, "D")).any():
        raise SurveillanceError(f"{name}: not in ascending order")
    return array


def whole(name: str, value: int, least: int) -> int:
    """A whole number >= `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise SurveillanceError(f"{name}: not a whole number")
    if value < least:
        raise SurveillanceError(f"{name}: below {least}")
    return int(value)


def _day(value: object) -> np.datetime64:
    if isinstance(value, np.datetime64):
        day: np.datetime64 = value.astype("datetime64[D]")
        return day
    if isinstance(value, date):
        return np.datetime64(date(value.year, value.month, value.day))
    if isinstance(value, str):
        return np.datetime64(date.fromisoformat(value))
    raise TypeError(type(value).__name__)
