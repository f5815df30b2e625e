"""The door for series that come with dates or with a value for each entry; `arrays` is the door for the numbers."""

from collections.abc import Iterable
from datetime import date
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array, finite_counts, numbers, positive

DayArray: TypeAlias = npt.NDArray[np.datetime64]
DatesLike: TypeAlias = DayArray | Iterable[date | str | np.datetime64]


def line(name: str, values: npt.ArrayLike) -> Array:
    """Finite values >= 0 of one series: one dimension."""
    array = finite_counts(name, values)
    if array.ndim != 1:
        raise SurveillanceError(f"{name}: {array.ndim} dimensions where one series is needed")
    return array


def finite(name: str, values: npt.ArrayLike) -> Array:
    """Numbers of any sign that are not infinite."""
    array = numbers(name, values)
    if not np.isfinite(array).all():
        raise SurveillanceError(f"{name}: infinite")
    return array


def limits(name: str, values: npt.ArrayLike, length: int) -> Array:
    """`length` numbers above 0: one for each entry, or one for all."""
    array = positive(name, values)
    if array.shape not in ((), (length,)):
        raise SurveillanceError(f"{name}: shape {array.shape} where one or {length} values are needed")
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


def _day(value: object) -> np.datetime64:
    if isinstance(value, np.datetime64):
        day: np.datetime64 = value.astype("datetime64[D]")
        return day
    if isinstance(value, date):
        return np.datetime64(date(value.year, value.month, value.day))
    if isinstance(value, str):
        return np.datetime64(date.fromisoformat(value))
    raise TypeError(type(value).__name__)
