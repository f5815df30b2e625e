import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import cohorts
from contracts.claim import MAX_TICK
from contracts.cohorts import PublicClock, encode_clock, parse_clock, split_records
from contracts.errors import CohortError
from contracts.windows import NS

# 22 November 2026, 10:00 UTC is second 1 795 341 600, the start of tick 2 992 236: the first of cohort 249 353.
TICK, COHORT = 2_992_236, 249_353


def test_a_cohort_is_two_hours_of_ready_ticks() -> None:
    assert [cohorts.cohort_of(tick) for tick in (TICK - 1, TICK, TICK + 11, TICK + 12)] == [
        COHORT - 1, COHORT, COHORT, COHORT + 1,
    ]  # fmt: skip
    assert (cohorts.first_ready_tick(COHORT), cohorts.last_ready_tick(COHORT)) == (TICK, TICK + 11)


def test_a_result_is_readable_for_ten_days_from_the_end_of_its_ready_tick() -> None:
    assert cohorts.readable_from_ns(TICK) == (1_795_341_600 + 600) * NS
    assert cohorts.expires_ns(TICK) == cohorts.readable_from_ns(TICK) + 10 * 86_400 * NS
    at = cohorts.complete_tick
    assert not cohorts.is_ready(TICK, at(cohorts.readable_from_ns(TICK) - 1))
    assert cohorts.is_ready(TICK, at(cohorts.readable_from_ns(TICK)))
    assert not cohorts.is_expired(TICK, at(cohorts.expires_ns(TICK) - 1))
    assert cohorts.is_expired(TICK, at(cohorts.expires_ns(TICK)))


def test_a_cohort_is_deleted_one_hour_after_its_last_result_expired() -> None:
    last = cohorts.last_ready_tick(COHORT)
    deleted_ns = cohorts.expires_ns(last) + 3600 * NS
    assert cohorts.is_live(COHORT, cohorts.complete_tick(deleted_ns - 1))
    assert not cohorts.is_live(COHORT, cohorts.complete_tick(deleted_ns))


@given(st.integers(3000, MAX_TICK))
def test_the_live_cohorts_are_those_that_are_live(complete: int) -> None:
    live = cohorts.live_cohorts(complete)
    assert len(live) in (121, 122)
    assert all(cohorts.is_live(cohort, complete) for cohort in live)
    assert not cohorts.is_live(live[0] - 1, complete)
    assert not cohorts.is_live(live[-1] + 1, complete)
    assert cohorts.oldest_cohort(complete) == live[0] == PublicClock.at(complete).oldest_cohort
    assert PublicClock.at(complete).cohorts == live
    newest = cohorts.newest_complete_cohort(complete)
    assert cohorts.last_ready_tick(newest) <= complete < cohorts.last_ready_tick(newest + 1)


@pytest.mark.parametrize("now_ns", [0, 599 * NS, (MAX_TICK + 2) * 600 * NS])
def test_there_is_no_complete_tick_outside_the_years_of_ready_groups(now_ns: int) -> None:
    with pytest.raises(CohortError):
        cohorts.complete_tick(now_ns)


def test_the_first_days_of_all_time_have_cohorts_too() -> None:
    assert cohorts.live_cohorts(0) == range(1)
    assert PublicClock.at(0) == PublicClock(0, 0)


def test_files_have_names_of_one_length() -> None:
    assert cohorts.file_path(COHORT) == "/cohorts/249353.bin"
    assert len(cohorts.file_name(9)) == len(cohorts.file_name(MAX_TICK // 12))


@pytest.mark.parametrize(
    ("records", "padded"), [(1, 1), (2, 2), (3, 4), (64, 64), (65, 128), (4097, 8192), (8192, 8192)]
)
def test_a_file_is_padded_to_the_next_power_of_two(records: int, padded: int) -> None:
    assert cohorts.padded_count(records) == padded


def test_a_district_that_is_too_large_for_one_file_is_told_so() -> None:
    with pytest.raises(CohortError, match="170 kiosks"):
        cohorts.padded_count(8193)


def record(slot: int) -> bytes:
    return slot.to_bytes(16) + bytes(240)


def test_a_file_is_read_back_into_its_records() -> None:
    assert split_records(record(1) + record(2)) == (record(1), record(2))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        record(1)[1:],
        record(1) + b"\0",
        record(1) + record(2) + record(3),
        record(2) + record(1),
        record(1) * 16384,
    ],
    ids=["nothing", "cut", "too long", "no power of two", "unsorted", "too many"],
)
def test_what_is_no_cohort_is_refused(data: bytes) -> None:
    with pytest.raises(CohortError):
        split_records(data)


def test_the_clock_is_json_of_one_length() -> None:
    for tick in (0, 999, TICK, MAX_TICK):
        wire = encode_clock(PublicClock.at(tick))
        assert len(wire) == cohorts.CLOCK_BYTES
        assert json.loads(wire) == {"v": 1, "tick": tick, "oldest_cohort": cohorts.oldest_cohort(tick)}
        assert parse_clock(wire) == PublicClock.at(tick)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"v":2,"tick":5,"oldest_cohort":0}',
        '{"v":1,"tick":-1,"oldest_cohort":0}',
        '{"v":1,"tick":5,"oldest_cohort":1}',
        '{"v":1,"tick":5.5,"oldest_cohort":0}',
        '{"v":1,"tick":99999999,"oldest_cohort":0}',
    ],
)
def test_what_is_no_clock_is_refused(text: str) -> None:
    for wire in (text.encode(), text.encode().ljust(cohorts.CLOCK_BYTES)):
        with pytest.raises(CohortError):
            parse_clock(wire)


@given(st.binary(max_size=600))
def test_garbage_is_a_cohort_error(garbage: bytes) -> None:
    for decode in (parse_clock, split_records):
        for data in (garbage, garbage.ljust(cohorts.CLOCK_BYTES)[: cohorts.CLOCK_BYTES]):
            try:
                decode(data)
            except CohortError:
                continue
