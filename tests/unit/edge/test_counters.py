"""Noise-first counters: what one run moves, and what is refused."""

import random
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ReleaseError
from edge.release.counters import WindowCounters, count, open_window
from edge.release.noise import discrete_laplace

START = datetime(2021, 12, 12, 5, tzinfo=UTC)
ZERO = WindowCounters(window_start=START, positives={"sars-cov-2": 0, "flu-a": 0}, valid=0, invalid=0)


def test_a_window_opens_at_draws_of_its_own_and_not_at_zero() -> None:
    generator = random.Random(5)
    opened = open_window(START, ("a", "b"), generator.randrange)
    again = random.Random(5)
    half, quarter = Fraction(1, 2), Fraction(1, 4)
    expected = [discrete_laplace(epsilon, again.randrange) for epsilon in (half, half, quarter, quarter)]
    assert [*opened.positives.values(), opened.valid, opened.invalid] == expected
    assert opened.window_start == START


@pytest.mark.parametrize(
    ("calls", "positives", "valid", "invalid"),
    [
        ({"sars-cov-2": "positive", "flu-a": "negative"}, (1, 0), 1, 0),
        ({"sars-cov-2": "positive", "flu-a": "positive"}, (1, 1), 1, 0),
        ({"sars-cov-2": "negative", "flu-a": "negative"}, (0, 0), 1, 0),
        ({"sars-cov-2": "positive", "flu-a": "inconclusive"}, (0, 0), 0, 1),
        ({"sars-cov-2": "invalid", "flu-a": "invalid"}, (0, 0), 0, 1),
        ({"sars-cov-2": "positive"}, (0, 0), 0, 1),
        ({}, (0, 0), 0, 1),
    ],
)
def test_one_run_moves_exactly_what_the_interface_says(
    calls: dict[str, str], positives: tuple[int, int], valid: int, invalid: int
) -> None:
    after = count(ZERO, calls)
    assert (tuple(after.positives.values()), after.valid, after.invalid) == (positives, valid, invalid)
    assert (ZERO.valid, ZERO.invalid) == (0, 0)


@pytest.mark.parametrize("calls", [{"rsv": "positive"}, {"sars-cov-2": "POSITIVE"}, {"sars-cov-2": ""}])
def test_an_unknown_target_or_word_is_an_error_and_never_a_count(calls: dict[str, str]) -> None:
    with pytest.raises(ReleaseError):
        count(ZERO, calls)


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=4))
def test_any_calls_give_counters_or_the_typed_error(calls: dict[str, str]) -> None:
    try:
        after = count(ZERO, calls)
    except ReleaseError:
        return
    assert after.valid + after.invalid == 1


@pytest.mark.parametrize("targets", [(), ("a", "a")])
def test_no_targets_and_repeated_targets_are_refused(targets: tuple[str, ...]) -> None:
    with pytest.raises(ReleaseError):
        open_window(START, targets, random.Random(1).randrange)


@pytest.mark.parametrize("start", [datetime(2021, 12, 12), START.astimezone(timezone(timedelta(hours=-5)))])  # noqa: DTZ001
def test_a_window_start_is_in_utc(start: datetime) -> None:
    with pytest.raises(ReleaseError):
        WindowCounters(window_start=start, positives={"a": 0}, valid=0, invalid=0)


def test_an_error_about_a_counter_never_names_its_value() -> None:
    with pytest.raises(ReleaseError) as refused:
        WindowCounters(window_start=START, positives={"a": 2**31}, valid=0, invalid=0)
    assert str(2**31) not in str(refused.value)


def test_counters_cannot_be_changed_in_place() -> None:
    with pytest.raises(TypeError):
        ZERO.positives["flu-a"] = 3  # type: ignore[index]


def test_counters_without_a_target_cannot_be_built() -> None:
    with pytest.raises(ReleaseError):
        WindowCounters(window_start=START, positives={}, valid=0, invalid=0)
