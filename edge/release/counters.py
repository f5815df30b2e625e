"""Counters of one assay and window that are noisy from their first moment, so no exact count ever exists.

In: a window's start, targets, one run's calls. Out: new counters. Not here: files, clocks, windows (contracts.windows)
and which window a run belongs to (edge.core.visit). DESIGN section 7: epsilon 1 on the positives, divided over the
assay's targets, 1/4 on valid and 1/4 on invalid; one test moves the odds of any guess by at most e^1.5.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from contracts.layout import EPSILON_INVALID, EPSILON_POSITIVES, EPSILON_VALID
from edge.errors import ReleaseError
from edge.release.noise import RandBelow, discrete_laplace

COUNTER_MIN = -(2**31)  # a release carries signed 32-bit numbers
COUNTER_MAX = 2**31 - 1

_VALID_CALLS = frozenset({"positive", "negative"})
_INVALID_CALLS = frozenset({"inconclusive", "invalid"})


@dataclass(frozen=True, slots=True)
class WindowCounters:
    """One assay's counters of one window, as they would be released now; below zero is possible and meant."""

    window_start: datetime
    positives: Mapping[str, int]
    valid: int
    invalid: int

    def __post_init__(self) -> None:
        """Refuse a naive or local time, no targets, and what 32 bits cannot carry."""
        if self.window_start.utcoffset() != timedelta(0):
            raise ReleaseError("window_start must be in UTC")
        if not self.positives:
            raise ReleaseError("an assay has at least one target")
        for name, value in (("valid", self.valid), ("invalid", self.invalid), *self.positives.items()):
            if not COUNTER_MIN <= value <= COUNTER_MAX:
                raise ReleaseError(f"counter {name} does not fit 32 bits")  # never the value itself
        object.__setattr__(self, "positives", MappingProxyType(dict(self.positives)))


def open_window(window_start: datetime, targets: tuple[str, ...], randbelow: RandBelow) -> WindowCounters:
    """Draw the starting values of a window's counters; ReleaseError on no or repeated targets."""
    if not targets or len(set(targets)) != len(targets):
        raise ReleaseError("an assay's targets must be one or more different codes")
    each = EPSILON_POSITIVES / len(targets)
    return WindowCounters(
        window_start=window_start,
        positives={target: discrete_laplace(each, randbelow) for target in targets},
        valid=discrete_laplace(EPSILON_VALID, randbelow),
        invalid=discrete_laplace(EPSILON_INVALID, randbelow),
    )


def count(counters: WindowCounters, calls: Mapping[str, str]) -> WindowCounters:
    """Add one run: valid when every target was called positive or negative, else invalid; ReleaseError on other words.

    A missing target makes the run invalid; an unknown one means that the wrong counters were chosen.
    """
    for target, call in calls.items():
        if target not in counters.positives:
            raise ReleaseError(f"target {target[:32]!r} is not counted here")
        if call not in _VALID_CALLS and call not in _INVALID_CALLS:
            raise ReleaseError(f"unknown call for target {target[:32]!r}")
    if any(calls.get(target) not in _VALID_CALLS for target in counters.positives):
        return WindowCounters(counters.window_start, counters.positives, counters.valid, counters.invalid + 1)
    positives = {target: held + (calls[target] == "positive") for target, held in counters.positives.items()}
    return WindowCounters(counters.window_start, positives, counters.valid + 1, counters.invalid)
