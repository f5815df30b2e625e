"""Fixed times, records of the allow-list, and a clock that is watched."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.messages import TQ_DISCIPLINED, TQ_FREE, TQ_JUMPED, TQ_UNKNOWN
from contracts.windows import NS
from edge.core.clockwatch import EVEN_S, ClockWatch
from edge.core.readings import coarse_pct, event, reading
from edge.core.schedule import Schedule, phase_of
from edge.errors import RecordError


@given(st.integers(0, 2**62), st.integers(1, 100_000), st.integers(0, 99_999))
def test_the_next_instant_is_later_on_the_grid_and_less_than_a_period_away(
    now_ns: int, period_s: int, phase_s: int
) -> None:
    schedule = Schedule(period_s, phase_s % period_s)
    due = schedule.next_after_ns(now_ns)
    assert 0 < due - now_ns <= period_s * NS
    assert (due - schedule.phase_s * NS) % (period_s * NS) == 0


@pytest.mark.parametrize(("period_s", "phase_s"), [(0, 0), (10, 10), (10, -1)])
def test_a_schedule_that_no_clock_can_keep_cannot_be_built(period_s: int, phase_s: int) -> None:
    with pytest.raises(ValueError, match="period_s"):
        Schedule(period_s, phase_s)


def test_a_devices_phase_is_its_own_and_stays_the_same() -> None:
    assert phase_of("air-10016", 60) == phase_of("air-10016", 60)
    assert len({phase_of(f"air-{n}", 60) for n in range(100)}) > 20
    assert all(0 <= phase_of(f"air-{n}", 60) < 60 for n in range(100))


@pytest.mark.rule("C10")
def test_a_reading_is_a_line_of_time_quality_and_values() -> None:
    record = reading("bulk", "air_monitor", 12, 2, {"co2_ppm": 439.09})
    assert json.loads(record) == [12, 2, {"co2_ppm": 439.09}]


@pytest.mark.rule("C14")
@pytest.mark.parametrize(
    ("stream", "kind", "values"),
    [
        ("bulk", "air_monitor", {}),
        ("bulk", "air_monitor", {"co2_ppm": 40_001.0}),
        ("bulk", "air_monitor", {"co2_ppm": float("nan")}),
        ("bulk", "air_monitor", {"cq": 24.6}),
        ("bulk", "kiosk", {"co2_ppm": 439.0}),
        ("health", "air_monitor", {"control_ok": 1.0}),
        ("health", "air_monitor", {"co2_ppm": 439.0}),
    ],
)
def test_what_the_gateway_would_refuse_is_refused_here(stream: str, kind: str, values: dict[str, float]) -> None:
    with pytest.raises(RecordError):
        reading(stream, kind, 12, 2, values)


@pytest.mark.rule("C14")
def test_events_are_two_words_of_the_contracts_table() -> None:
    assert json.loads(event(12, 2, "instrument", "lost")) == [12, 2, "instrument", "lost"]
    with pytest.raises(RecordError):
        event(12, 2, "run", "started")


@given(st.floats(allow_nan=False))
def test_fill_levels_leave_in_steps_of_ten_only(value: float) -> None:
    assert coarse_pct(value) in {float(step) for step in range(0, 101, 10)}
    if 0 < value < 100:
        assert 0 <= coarse_pct(value) - value <= 10


def test_the_clock_is_as_good_as_the_system_says() -> None:
    for synchronised, quality in ((None, TQ_UNKNOWN), (False, TQ_FREE), (True, TQ_DISCIPLINED)):
        assert ClockWatch().observe(10**18, 100.0, synchronised) == quality


@pytest.mark.parametrize("jump_s", [3, -3, 365 * 86_400, -365 * 86_400])
def test_a_jump_taints_the_time_until_the_clock_has_run_evenly_for_a_minute(jump_s: int) -> None:
    watch = ClockWatch()
    assert watch.observe(10**18, 100.0, synchronised=True) == TQ_DISCIPLINED
    wall_ns = 10**18 + jump_s * NS
    assert watch.observe(wall_ns + NS, 101.0, synchronised=True) == TQ_JUMPED
    assert watch.observe(wall_ns + 30 * NS, 130.0, synchronised=True) == TQ_JUMPED
    assert watch.observe(wall_ns + 61 * NS, 101.0 + EVEN_S, synchronised=True) == TQ_DISCIPLINED


def test_a_long_sleep_and_slewing_are_no_jump() -> None:
    watch = ClockWatch()
    watch.observe(10**18, 100.0, synchronised=True)
    assert watch.observe(10**18 + 3600 * NS + NS // 2, 3700.0, synchronised=True) == TQ_DISCIPLINED
