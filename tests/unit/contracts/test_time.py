from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.clock import RESTART_GAP_S, ScaledClock, WallClock, first_anchors, read_anchors
from contracts.errors import ClockError, ContractError
from contracts.windows import DAY_S, NS, TICK_S, WEEK_S, Calendar, tick_of, tick_start_ns, to_datetime, to_ns

NEW_YORK = timezone(timedelta(hours=-5))
DEMO = Calendar(window_s=6 * 3600, utc_offset_s=-5 * 3600, week_start=6)
INSTANTS = st.integers(0, 4_000_000_000 * NS)


def ns(text: str) -> int:
    return to_ns(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK))


def test_windows_days_and_weeks_start_at_the_districts_midnight() -> None:
    instant = ns("2021-12-15 13:14:15")  # a Wednesday
    assert DEMO.window_start_ns(instant) == ns("2021-12-15 12:00:00")
    assert DEMO.day_start_ns(instant) == ns("2021-12-15 00:00:00")
    assert DEMO.week_start_ns(instant) == ns("2021-12-12 00:00:00")


def test_a_tick_is_ten_minutes_of_unix_time() -> None:
    assert tick_of(tick_start_ns(2_732_142) + TICK_S * NS - 1) == 2_732_142


@given(INSTANTS, st.sampled_from((21_600, 43_200, 86_400)), st.integers(-56, 56), st.integers(0, 6))
def test_every_instant_lies_in_one_window_day_and_week(
    instant: int, window_s: int, quarters: int, week_start: int
) -> None:
    calendar = Calendar(window_s, quarters * 900, week_start)
    spans = (
        (calendar.window_start_ns(instant), window_s),
        (calendar.day_start_ns(instant), DAY_S),
        (calendar.week_start_ns(instant), WEEK_S),
    )
    for start, length_s in spans:
        assert start <= instant < start + length_s * NS
        assert calendar.is_window_start(start)
    assert to_datetime(spans[2][0] + calendar.utc_offset_s * NS).weekday() == week_start


@given(INSTANTS, st.integers(0, 40))
def test_windows_between_two_instants_are_all_windows_and_no_more(start: int, quarters: int) -> None:
    stop = start + quarters * 6 * 3600 * NS
    windows = DEMO.windows_between(start, stop)
    assert len(windows) == quarters
    assert all(DEMO.is_window_start(window) and start <= window < stop for window in windows)


@pytest.mark.parametrize(
    ("window_s", "offset_s", "week_start"), [(3600, 0, 0), (86_400, 1, 0), (86_400, 60_000, 0), (86_400, 0, 7)]
)
def test_an_impossible_calendar_cannot_be_made(window_s: int, offset_s: int, week_start: int) -> None:
    with pytest.raises(ClockError):
        Calendar(window_s, offset_s, week_start)


def test_simulated_time_runs_speed_times_as_fast_and_a_restart_never_goes_back() -> None:
    monotonic = [1_000]
    anchors = first_anchors(1_000, ns("2021-12-12 00:00:00"), 600)
    clock = ScaledClock(anchors, lambda: monotonic[0])
    monotonic[0] += 36 * NS
    assert clock.now() == datetime(2021, 12, 12, 11, tzinfo=UTC)
    assert (clock.speed, clock.real_s()) == (600, 36.000001)
    last_written = read_anchors(anchors.written_at(monotonic[0] - NS))  # the file is at most a second old
    again = last_written.restarted_at(5)
    assert again.at(5) == last_written.last_simulated_ns + 600 * RESTART_GAP_S * NS > clock.now_ns()


def test_a_real_district_runs_at_its_own_speed() -> None:
    clock = WallClock(lambda: ns("2026-01-02 03:04:05"), lambda: 7 * NS)
    assert (clock.speed, clock.now(), clock.real_s()) == (1, datetime(2026, 1, 2, 8, 4, 5, tzinfo=UTC), 7.0)
    assert clock.now_ns() == to_ns(clock.now())


@given(st.binary(max_size=100))
def test_a_damaged_clock_file_gives_a_clock_error(garbage: bytes) -> None:
    with pytest.raises(ContractError):
        read_anchors(garbage)


def test_an_impossible_speed_and_a_time_without_offset_are_refused() -> None:
    with pytest.raises(ClockError):
        first_anchors(0, 0, 3601)
    with pytest.raises(ClockError):
        read_anchors(b'{"monotonic_anchor_ns":1,"simulated_anchor_ns":1,"speed":0,"last_simulated_ns":1}')
    with pytest.raises(ClockError):
        to_ns(datetime(2021, 12, 12))  # noqa: DTZ001  the point of this test
