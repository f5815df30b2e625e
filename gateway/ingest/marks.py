"""Which records of a stream are judged: the arithmetic of marks (contract rules C9, C17, C18). Pure.

A mark says: every record up to `hi`, and those of `also`, are judged. Records come in any order, twice, or never.
"""

from typing import Final

from contracts.messages import MAX_ACK_RANGES
from contracts.rows import Mark, MarkKey

Range = tuple[int, int]

MAX_GAPS: Final = MAX_ACK_RANGES  # more would not fit an acknowledgement; the edge sends what lies above again


class TooManyGapsError(Exception):
    """These records lie above more gaps than a mark can hold: leave them unjudged, the edge sends them again."""


def new_mark(key: MarkKey, lo: int) -> Mark:
    """Return the mark of a stream that was never seen: nothing below `lo` will ever come."""
    device, ob, stream = key
    return Mark(device, ob, stream, lo - 1)


def take(mark: Mark, first: int, last: int, lo: int) -> tuple[list[Range], Mark, int]:
    """Judge records `first` to `last` of a message that says `lo`.

    Returns:
        The ranges that are new, the mark after them, and how many records will never come (thinned at the edge).

    Raises:
        TooManyGapsError: the mark cannot hold another range.
    """
    fresh = _without(first, last, [(1, mark.hi), *mark.also])
    missing = sum(end - start + 1 for start, end in _without(mark.hi + 1, lo - 1, list(mark.also)))
    ranges = _merged([(1, max(mark.hi, lo - 1)), *mark.also, (first, last)])
    hi, also = ranges[0][1], tuple(ranges[1:])
    if len(also) > MAX_GAPS:
        raise TooManyGapsError
    return fresh, Mark(mark.device, mark.ob, mark.stream, hi, also), missing


def _without(first: int, last: int, taken: list[Range]) -> list[Range]:
    """Return the parts of [first, last] that lie in none of the sorted ranges."""
    left: list[Range] = []
    for start, end in taken:
        if end < first or start > last:
            continue
        if first < start:
            left.append((first, start - 1))
        first = end + 1
    if first <= last:
        left.append((first, last))
    return left


def _merged(ranges: list[Range]) -> list[Range]:
    """Return the union of ranges, sorted, with touching ones joined; empty ones are left out."""
    union: list[Range] = []
    for start, end in sorted(one for one in ranges if one[0] <= one[1]):
        if union and start <= union[-1][1] + 1:
            union[-1] = (union[-1][0], max(union[-1][1], end))
        else:
            union.append((start, end))
    if not union or union[0][0] != 1:
        union.insert(0, (1, 0))
    return union
