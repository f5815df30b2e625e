"""Whose traces a sample holds decides who may see its readings (C29)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.population import aggregate_is_open, stands_alone

PEOPLE = st.none() | st.integers(-1, 10_000)


@pytest.mark.rule("C29")
@pytest.mark.parametrize(("people", "open_"), [(None, False), (0, False), (2_999, False), (3_000, True)])
def test_a_place_stands_alone_from_three_thousand_people_on(people: int | None, open_: bool) -> None:
    assert stands_alone(people) is open_


@pytest.mark.rule("C29")
@pytest.mark.parametrize(
    ("people", "open_"),
    [
        ([1_000, 1_000, 1_000], True),
        ([1_000, 1_000, 999], False),  # 2 999 together
        ([2_000, 2_000], False),  # two points: each is the other's rest
        ([1_500, 800, 700], True),  # exactly a half
        ([1_501, 800, 700], False),  # just above it
        ([1_500, 1_200, 300], True),  # exactly nine tenths for two
        ([1_500, 1_201, 299], False),
        ([2_000, 2_000, 2_000, None], False),  # nobody knows the fourth
        ([2_000, 2_000, 2_000, 0], False),  # a point that nobody contributes to is no point
        ([], False),
    ],
)
def test_small_places_are_shown_as_a_sum_in_which_none_stands_out(people: list[int | None], open_: bool) -> None:
    assert aggregate_is_open(people) is open_


@pytest.mark.rule("C29")
@given(st.lists(PEOPLE, max_size=6))
def test_the_order_of_the_points_does_not_matter(people: list[int | None]) -> None:
    assert aggregate_is_open(people) is aggregate_is_open(people[::-1])


@pytest.mark.rule("C29")
@given(st.lists(st.integers(1, 10_000), min_size=3, max_size=6))
def test_no_open_sum_tells_one_place_by_taking_the_others_away(people: list[int]) -> None:
    """Who knows the largest place's own number still has at least a tenth of the people behind the rest."""
    if aggregate_is_open(people):
        total, (first, second, *_) = sum(people), sorted(people, reverse=True)
        assert total >= 3_000
        assert first / total <= 0.5
        assert (total - first - second) / total >= 0.1 - 1e-12
