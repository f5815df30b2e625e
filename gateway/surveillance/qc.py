"""Westgard's rules over the z scores of control runs: which are broken, run by run.

Westgard et al. 1981 (Clin Chem 27:493), strict inequalities: a value on a limit breaks nothing, and
one on the mean ends a streak of one side. 1-2s is a warning, the others reject. A rule stands at every run that
completes a breach, so a streak that goes on keeps its rule. Not done here: mean and standard deviation of a level and
lot, of at least 20 runs (Levey and Jennings).
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array, BoolArray, numbers

_STREAKS = {"8x": 8, "10x": 10, "12x": 12}
_AXES = 2


def westgard(z_levels: npt.ArrayLike) -> list[frozenset[str]]:
    """The rules broken at each run, out of "1-2s", "1-3s", "2-2s", "R-4s", "4-1s", "8x", "10x", "12x".

    `z_levels`: (runs, levels), oldest first; one row of numbers is one level. 4-1s and the x rules look along a level,
    2-2s along a level or across the levels of a run (same side), R-4s across the levels of a run.

    Raises:
        SurveillanceError: a missing or infinite score, or no such table; the message names the parameter.
    """
    z = _table(z_levels)
    broken = dict(_rules(z))
    return [frozenset(rule for rule, runs in broken.items() if runs[run]) for run in range(len(z))]


def _table(z_levels: npt.ArrayLike) -> Array:
    z = numbers("z_levels", z_levels)
    if z.ndim == 1:
        z = z[:, np.newaxis]
    if z.ndim != _AXES or z.shape[1] == 0:
        raise SurveillanceError("z_levels: must be a table of runs and levels")
    if not np.isfinite(z).all():
        raise SurveillanceError("z_levels: infinite, which a standard deviation of 0 gives")
    return z


def _rules(z: Array) -> Iterator[tuple[str, BoolArray]]:
    high, low = z > 2, z < -2  # noqa: PLR2004 - the rules carry their numbers in their names
    yield "1-2s", np.any(high | low, axis=1)
    yield "1-3s", np.any(np.abs(z) > 3, axis=1)  # noqa: PLR2004 - likewise
    across = (high.sum(axis=1) > 1) | (low.sum(axis=1) > 1)
    yield "2-2s", across | _streak(high, 2) | _streak(low, 2)
    yield "R-4s", np.any(high, axis=1) & np.any(low, axis=1)
    yield "4-1s", _streak(z > 1, 4) | _streak(z < -1, 4)
    for rule, runs in _STREAKS.items():
        yield rule, _streak(z > 0, runs) | _streak(z < 0, runs)


def _streak(holds: BoolArray, runs: int) -> BoolArray:
    """Whether `holds` in this run and the `runs` - 1 before, in any level."""
    ending = np.zeros(len(holds), dtype=np.bool_)
    if len(holds) >= runs:
        windows = np.lib.stride_tricks.sliding_window_view(holds, runs, axis=0)
        ending[runs - 1 :] = np.any(np.all(windows, axis=-1), axis=1)
    return ending
