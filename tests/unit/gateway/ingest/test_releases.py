"""Releases at ingest: read by the layout they name, in time, and no counter where none can be (C11, C27)."""

from dataclasses import replace

import pytest

from contracts.frames import Frame, ReleaseBody
from contracts.layout import Assay, AssayLayout
from contracts.rows import AssayCounts
from gateway.ingest.steps import Refusal, Release, judge_release
from tests.support.registry import device_of, world
from tests.support.speaker import START_NS, START_S, WINDOW_S, Speaker

AIR, KIOSK = Speaker("air-1"), Speaker("kiosk-1")
WORLD = world(AIR, KIOSK)
KIOSK_ROW = device_of(KIOSK)
NOW_NS = START_NS + 7 * 3600 * 10**9
S = 10**9


def frame_of(*counters: int) -> Frame:
    return Frame(11, 1, 1, START_S, ReleaseBody(1, counters).encode())


@pytest.mark.rule("C27")
@pytest.mark.parametrize(
    "counters",
    [
        (802, 0, 0),  # 16 places in 36 ticks, and 40 times 5.642
        (-226, 0, 0),
        (0, 802, 0),
        (0, 0, 631),  # and 40 times 1.357
        (0, 0, -55),
        (2**31 - 1, -(2**31), 0),
    ],
)
def test_a_counter_that_no_kiosk_can_have_reached_is_refused(counters: tuple[int, ...]) -> None:
    assert judge_release(frame_of(*counters), KIOSK_ROW, WORLD, NOW_NS) == Refusal("range")


@pytest.mark.rule("C27")
def test_only_a_kiosk_counts_anything() -> None:
    assert judge_release(frame_of(1, 2, 3), device_of(AIR), WORLD, NOW_NS) == Refusal("allow_list")


@pytest.mark.rule("C11")
def test_a_releases_counters_are_read_by_the_layout_it_names() -> None:
    frame = Frame(11, 1, 1, START_S, ReleaseBody(1, (7, -1, 3)).encode())
    counters = {"SARSCOV2": AssayCounts(7, -1, {"sars-cov-2": 3})}
    assert judge_release(frame, KIOSK_ROW, WORLD, NOW_NS) == Release(frame, 1, counters, late=False)


@pytest.mark.rule("C27")
@pytest.mark.parametrize("counters", [(801, 801, 630), (-225, -225, -54)])
def test_the_furthest_that_40_standard_deviations_allow_is_taken(counters: tuple[int, int, int]) -> None:
    frame = Frame(11, 1, 1, START_S, ReleaseBody(1, counters).encode())
    assert isinstance(judge_release(frame, KIOSK_ROW, WORLD, NOW_NS), Release)


@pytest.mark.rule("C27")
def test_the_bound_of_a_panels_positives_is_wider_for_its_epsilon_is_divided() -> None:
    panel = AssayLayout(2, (Assay("FLUCOV", ("sars-cov-2", "influenza-a", "influenza-b", "rsv")),))
    wider = replace(WORLD, layouts={2: panel})
    for counters, taken in {(0, 0, 801, -225, 0, 0): True, (0, 0, 802, 0, 0, 0): False}.items():
        frame = Frame(11, 1, 1, START_S, ReleaseBody(2, counters).encode())
        assert isinstance(judge_release(frame, KIOSK_ROW, wider, NOW_NS), Release) is taken


@pytest.mark.parametrize(
    ("after_s", "taken", "late"), [(-601, False, False), (-600, True, False), (WINDOW_S, True, True)]
)
def test_a_release_may_come_a_tick_early_and_is_late_one_window_after_its_end(
    after_s: int, taken: bool, late: bool
) -> None:
    frame = Frame(11, 1, 1, START_S, ReleaseBody(1, (7, -1, 3)).encode())
    found = judge_release(frame, KIOSK_ROW, WORLD, START_NS + (WINDOW_S + after_s) * S)
    assert isinstance(found, Release) is taken
    if isinstance(found, Release):
        assert found.late is late
