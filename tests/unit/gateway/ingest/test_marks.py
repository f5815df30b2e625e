"""Marks against a set: whatever the order, the repeats and the jumps of `lo`, a mark knows what a set of seqs knows."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contracts.rows import Mark
from gateway.ingest.marks import MAX_GAPS, TooManyGapsError, new_mark, take

KEY = ("air-1", 11, "bulk")


def mark(hi: int, *also: tuple[int, int]) -> Mark:
    return Mark(*KEY, hi, also)


@pytest.mark.rule("C18")
def test_a_new_mark_begins_below_the_lowest_record_that_the_device_holds() -> None:
    assert new_mark(KEY, 1) == mark(0)
    assert new_mark(KEY, 41) == mark(40)


@pytest.mark.rule("C17")
@pytest.mark.parametrize(
    ("before", "first", "last", "fresh", "after"),
    [
        (mark(0), 1, 3, [(1, 3)], mark(3)),  # in order
        (mark(3), 2, 5, [(4, 5)], mark(5)),  # an overlap
        (mark(3), 1, 3, [], mark(3)),  # a replay
        (mark(3), 7, 9, [(7, 9)], mark(3, (7, 9))),  # above a gap
        (mark(3, (7, 9)), 4, 6, [(4, 6)], mark(9)),  # the gap filled
        (mark(3, (7, 9)), 4, 5, [(4, 5)], mark(5, (7, 9))),  # half of it
        (mark(3, (7, 9)), 6, 10, [(6, 6), (10, 10)], mark(3, (6, 10))),  # around what is known
        (mark(3, (7, 9), (12, 12)), 10, 11, [(10, 11)], mark(3, (7, 12))),  # between two
        (mark(0, (5, 5)), 5, 5, [], mark(0, (5, 5))),  # a replay above a gap
    ],
)
def test_records_are_judged_once_in_whatever_order_they_come(
    before: Mark, first: int, last: int, fresh: list[tuple[int, int]], after: Mark
) -> None:
    assert take(before, first, last, 1) == (fresh, after, 0)


@pytest.mark.rule("C18")
@pytest.mark.parametrize(
    ("before", "first", "lo", "after", "missing"),
    [
        (mark(3), 10, 8, mark(7, (10, 10)), 4),  # 4 to 7 were thinned; 8 and 9 may come
        (mark(3), 10, 10, mark(10), 6),
        (mark(3, (6, 7)), 10, 9, mark(8, (10, 10)), 3),  # 4, 5, 8; what came above is not missing
        (mark(20), 10, 8, mark(20), 0),  # an old message: nothing new is known to be gone
        (mark(3), 3, 3, mark(3), 0),
    ],
)
def test_what_lies_below_lo_is_never_waited_for_and_counted_as_gone(
    before: Mark, first: int, lo: int, after: Mark, missing: int
) -> None:
    assert take(before, first, first, lo)[1:] == (after, missing)


def with_gaps(count: int) -> Mark:
    return mark(0, *((seq, seq) for seq in range(2, 2 * count + 1, 2)))


@pytest.mark.rule("C17")
def test_a_range_more_than_an_acknowledgement_holds_stays_unjudged() -> None:
    full = with_gaps(MAX_GAPS)
    assert len(full.also) == MAX_GAPS == 64
    above = full.also[-1][1] + 2
    with pytest.raises(TooManyGapsError):
        take(full, above, above, 1)
    assert take(full, above - 1, above - 1, 1)[1].also[-1] == (above - 2, above - 1), (
        "touching a range makes no new one"
    )
    assert len(take(full, 1, 1, 1)[1].also) == MAX_GAPS - 1, "filling the lowest gap makes room"
    assert take(full, above, above, above)[1] == mark(above), "and so does what the device holds no more"


class AgainstASet(RuleBasedStateMachine):
    """A mark beside the plain set of what was judged."""

    def __init__(self) -> None:
        super().__init__()
        self.mark = new_mark(KEY, 1)
        self.judged: set[int] = set()
        self.gone: set[int] = set()
        self.highest_lo = 1

    @rule(first=st.integers(1, 400), n=st.integers(1, 50), lo=st.integers(1, 400))
    def hear(self, first: int, n: int, lo: int) -> None:
        lo, records = min(lo, first), set(range(first, first + n))
        below = set(range(1, lo))
        try:
            fresh, after, missing = take(self.mark, first, first + n - 1, lo)
        except TooManyGapsError:
            assert self.gaps(self.judged | self.gone | records | below) > MAX_GAPS
            return
        assert {seq for start, end in fresh for seq in range(start, end + 1)} == records - self.judged - self.gone
        assert missing == len(below - self.judged - self.gone)
        self.mark, self.judged, self.gone = after, self.judged | records, self.gone | below

    @precondition(lambda self: self.mark.hi > 0)
    @rule(data=st.data())
    def hear_again(self, data: st.DataObject) -> None:
        seq = data.draw(st.integers(1, self.mark.hi))
        assert take(self.mark, seq, seq, 1) == ([], self.mark, 0)

    @invariant()
    def they_agree(self) -> None:
        known = set(range(1, self.mark.hi + 1)).union(*(range(start, end + 1) for start, end in self.mark.also))
        assert known == self.judged | self.gone

    @invariant()
    def the_mark_would_make_a_valid_acknowledgement(self) -> None:
        below = self.mark.hi
        for first, last in self.mark.also:
            assert below + 1 < first <= last
            below = last
        assert len(self.mark.also) <= MAX_GAPS

    @staticmethod
    def gaps(seqs: set[int]) -> int:
        """Ranges above the first gap."""
        starts = [seq for seq in seqs if seq - 1 not in seqs and seq != 1]
        return len(starts)


AgainstASet.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
test_a_mark_knows_what_a_set_knows: type = AgainstASet.TestCase


@given(st.permutations(range(1, 31)), st.integers(0, 20))
def test_every_order_of_the_same_records_ends_in_the_same_mark(order: list[int], repeats: int) -> None:
    heard, judged = mark(0), 0
    for seq in [*order, *order[:repeats]]:
        fresh, heard, _ = take(heard, seq, seq, 1)
        judged += len(fresh)
    assert (heard, judged) == (mark(30), 30)
