"""Ranges against a plain set of numbers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge.core.ranges import RangeSet

spans = st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(st.lists(st.tuples(st.booleans(), spans), max_size=40), spans, st.integers(1, 9))
def test_ranges_behave_like_the_set_of_their_numbers(
    steps: list[tuple[bool, tuple[int, int]]], probe: tuple[int, int], at_most: int
) -> None:
    ranges, model = RangeSet(), set[int]()
    for adding, (first, last) in steps:
        numbers = set(range(first, last + 1))
        if adding:
            ranges.add(first, last)
            model |= numbers
        else:
            ranges.remove(first, last)
            model -= numbers
    listed = list(ranges)
    assert {number for first, last in listed for number in range(first, last + 1)} == model
    assert all(earlier[1] + 1 < later[0] for earlier, later in pairwise(listed))
    assert len(ranges) == len(model)
    assert bool(ranges) == bool(model)
    assert ranges.lowest == min(model, default=None)
    first, last = probe
    common = {number for low, high in ranges.common(first, last) for number in range(low, high + 1)}
    assert common == model & set(range(first, last + 1))
    assert (first in ranges) == (first in model)
    run = ranges.run_from(first, at_most)
    above = sorted(number for number in model if number >= first)
    if not above:
        assert run is None
    else:
        assert run is not None
        assert run[0] == above[0]
        assert set(range(run[0], run[1] + 1)) <= model
        assert run[1] - run[0] + 1 == at_most or run[1] + 1 not in model
