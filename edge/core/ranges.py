"""A set of sequence numbers as sorted, disjoint ranges: what a stream holds, what waits to be sent. Pure.

A backlog of a million records is one range, so memory follows the number of gaps and not of records.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator

Range = tuple[int, int]
"""First and last, both included."""


class RangeSet:
    """Whole numbers, stored as ranges."""

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._ranges: list[Range] = []
        for first, last in ranges:
            self.add(first, last)

    def __iter__(self) -> Iterator[Range]:
        """Give the ranges in order."""
        return iter(tuple(self._ranges))

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def __contains__(self, number: int) -> bool:
        at = self._at(number)
        return at < len(self._ranges) and self._ranges[at][0] <= number

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self._ranges)

    @property
    def lowest(self) -> int | None:
        """The smallest number; None when there is none."""
        return self._ranges[0][0] if self._ranges else None

    def add(self, first: int, last: int) -> None:
        """Put every number of a range in."""
        start = self._at(first - 1)  # a neighbour that ends just before is joined as well
        stop = start
        while stop < len(self._ranges) and self._ranges[stop][0] <= last + 1:
            first, last = min(first, self._ranges[stop][0]), max(last, self._ranges[stop][1])
            stop += 1
        self._ranges[start:stop] = [(first, last)]

    def remove(self, first: int, last: int) -> None:
        """Take every number of a range out; those that are not there are no error."""
        start = self._at(first)
        stop = start
        left: list[Range] = []
        while stop < len(self._ranges) and self._ranges[stop][0] <= last:
            low, high = self._ranges[stop]
            if low < first:
                left.append((low, first - 1))
            if high > last:
                left.append((last + 1, high))
            stop += 1
        self._ranges[start:stop] = left

    def run_from(self, number: int, at_most: int) -> Range | None:
        """Return the first run of consecutive numbers at or above `number`, cut to `at_most`; None if there is none."""
        at = self._at(number)
        if at == len(self._ranges):
            return None
        first, last = max(number, self._ranges[at][0]), self._ranges[at][1]
        return first, min(last, first + at_most - 1)

    def common(self, first: int, last: int) -> list[Range]:
        """Return what the set and a range have in common."""
        found = []
        for low, high in self._ranges[self._at(first) :]:
            if low > last:
                break
            found.append((max(low, first), min(high, last)))
        return found

    def _at(self, number: int) -> int:
        """Return the index of the first range that does not end before `number`."""
        return bisect_left(self._ranges, number, key=lambda one: one[1])
