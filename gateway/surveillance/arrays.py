"""The door of the library: callers' values become float64 arrays, or a SurveillanceError names the parameter."""

import operator
from typing import SupportsIndex, TypeAlias

import numpy as np
import numpy.typing as npt

from gateway.errors import SurveillanceError

Array: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
IntArray: TypeAlias = npt.NDArray[np.int64]

LEAST_SHARE = 1e-100  # no share of tests is smaller; below it reciprocals and their products leave float64
MOST_COUNTED = 2.0**53  # above it neighbouring whole numbers are one float64, and squares leave its range in the end


def numbers(name: str, values: npt.ArrayLike) -> Array:
    """`values` as float64; SurveillanceError when one is not a number."""
    try:
        if np.iscomplexobj(values):
            raise SurveillanceError(f"{name}: complex numbers")
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as exc:
        raise SurveillanceError(f"{name}: not numbers") from exc
    if np.isnan(array).any():
        raise SurveillanceError(f"{name}: NaN where a number is needed")
    return array


def series(name: str, values: npt.ArrayLike) -> Array:
    """Finite counts >= 0 with time along axis 0."""
    array = finite_counts(name, values)
    if array.ndim == 0:
        raise SurveillanceError(f"{name}: one number where a series is needed")
    return array


def finite_counts(name: str, values: npt.ArrayLike) -> Array:
    """Finite counts >= 0, one or many; they need not be whole."""
    array = numbers(name, values)
    if not np.isfinite(array).all():
        raise SurveillanceError(f"{name}: infinite")
    if (array < 0).any():
        raise SurveillanceError(f"{name}: negative")
    if (array > MOST_COUNTED).any():
        raise SurveillanceError(f"{name}: above {MOST_COUNTED:g}, which is no count")
    return array


def outcomes(positives: npt.ArrayLike, tests: npt.ArrayLike) -> tuple[Array, Array]:
    """Positives and tests of one shape (one number stands for as many as the other has), positives <= tests."""
    x, n = finite_counts("positives", positives), finite_counts("tests", tests)
    if x.shape != n.shape and x.ndim and n.ndim:
        raise SurveillanceError(f"positives, tests: lengths differ ({x.shape} and {n.shape})")
    if (x > n).any():
        raise SurveillanceError("positives: more than tests")
    shape = np.broadcast_shapes(x.shape, n.shape)
    return np.broadcast_to(x, shape), np.broadcast_to(n, shape)


def share(name: str, values: npt.ArrayLike) -> Array:
    """Probabilities strictly between 0 and 1."""
    array = numbers(name, values)
    if not ((array >= LEAST_SHARE) & (array < 1)).all():
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


def within(name: str, values: npt.ArrayLike, low: float, high: float) -> Array:
    """Numbers from `low` to `high`, both included."""
    array = numbers(name, values)
    if not ((array >= low) & (array <= high)).all():
        raise SurveillanceError(f"{name}: must lie from {low:g} to {high:g}")
    return array


def number(name: str, value: float, low: float, high: float) -> float:
    """One number from `low` to `high`, both included."""
    array = within(name, value, low, high)
    if array.ndim:
        raise SurveillanceError(f"{name}: many numbers where one is needed")
    return float(array)


def whole(name: str, value: SupportsIndex, low: int, high: int) -> int:
    """One whole number from `low` to `high`, both included."""
    try:
        given = operator.index(value)
    except TypeError as exc:
        raise SurveillanceError(f"{name}: not a whole number") from exc
    if not low <= given <= high:
        raise SurveillanceError(f"{name}: must lie from {low} to {high}")
    return given


def along(name: str, values: Array, like: Array) -> Array:
    """`values` broadcast to the shape of `like`; SurveillanceError when the lengths differ."""
    try:
        return np.broadcast_to(values, like.shape)
    except ValueError as exc:
        raise SurveillanceError(f"{name}: shape {values.shape} does not fit a series of shape {like.shape}") from exc
