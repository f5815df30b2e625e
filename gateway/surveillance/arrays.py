"""The door of the library: callers' values become float64 arrays, or a SurveillanceError names the parameter."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from gateway.errors import SurveillanceError

Array: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
IntArray: TypeAlias = npt.NDArray[np.int64]


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
