"""Where a device's windows count: placements begin with a window, and no window has two."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.registry import Device, District, Placement, RegistrySnapshot, placed

DISTRICT = District(id="d", name="d", utc_offset_s=0, week_start=0, window_s=21_600, languages=("en",))
EAST, WEST, NORTH = ("gate", "east"), ("hall", "west"), ("pier", "north")
EAST_TOO = ("shop", "east")
W = DISTRICT.calendar.window_ns


@dataclass(frozen=True)
class Case:
    """What the file said, and in which window; what is kept: (from which window, place)."""

    name: str
    said: tuple[tuple[int, tuple[str, str]], ...]
    kept: tuple[tuple[int, tuple[str, str]], ...]


CASES = [
    Case("one that appears counts from the beginning", ((5, EAST),), ((0, EAST),)),
    Case("the same again changes nothing", ((5, EAST), (6, EAST)), ((0, EAST),)),
    Case("a move counts from the next window", ((5, EAST), (6, WEST)), ((0, EAST), (7, WEST))),
    Case("also in the window in which it appeared", ((5, EAST), (5, WEST)), ((0, EAST), (6, WEST))),
    Case("the later of two moves in a window", ((5, EAST), (6, WEST), (6, NORTH)), ((0, EAST), (7, NORTH))),
    Case("a move back in the same window", ((5, EAST), (6, WEST), (6, EAST)), ((0, EAST),)),
    Case("a move back in the next one", ((5, EAST), (6, WEST), (7, EAST)), ((0, EAST), (7, WEST), (8, EAST))),
    Case("another site of the zone", ((5, EAST), (6, EAST_TOO)), ((0, EAST), (7, EAST_TOO))),
    Case("a clock set back takes what had not begun", ((5, EAST), (9, WEST), (7, NORTH)), ((0, EAST), (8, NORTH))),
]


def history(case: Case) -> tuple[Placement, ...]:
    found: tuple[Placement, ...] = ()
    for window, place in case.said:
        found = placed(found, *place, next_window_ns=(window + 1) * W)
    return found


@pytest.mark.rule("C31")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_the_file_says_begins_with_a_window(case: Case) -> None:
    assert history(case) == tuple(Placement(window * W, *place) for window, place in case.kept)


@pytest.mark.rule("C31")
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from((EAST, WEST, NORTH, EAST_TOO))), min_size=1, max_size=12))
def test_no_window_that_has_begun_ever_changes_its_zone(moves: list[tuple[int, tuple[str, str]]]) -> None:
    found: tuple[Placement, ...] = ()
    now = 0
    for later, place in moves:
        now += later
        before = RegistrySnapshot(DISTRICT, {}, {}, {}, {}, placements={"k": found})
        found = placed(found, *place, next_window_ns=(now + 1) * W)
        after = RegistrySnapshot(DISTRICT, {}, {}, {}, {}, placements={"k": found})
        if before.placements["k"]:
            assert [after.zone_at("k", n * W) for n in range(now + 1)] == [
                before.zone_at("k", n * W) for n in range(now + 1)
            ]
        assert after.zone_at("k", (now + 1) * W) == place[1]
        starts = [one.from_ns for one in found]
        assert starts == sorted(set(starts))
        assert all(DISTRICT.calendar.is_window_start(start) for start in starts)


def test_a_window_counts_where_its_kiosk_stood_when_it_began() -> None:
    kiosk = Device(id="k", kind="kiosk", site="hall", zone="west")
    moved = {"k": (Placement(0, *EAST), Placement(2 * W, *WEST)), "retired": (Placement(0, *NORTH),)}
    known = RegistrySnapshot(DISTRICT, {}, {}, {"k": kiosk, "new": kiosk}, {}, placements=moved)
    assert [known.zone_at("k", at) for at in (0, W, 2 * W - 1, 2 * W, 9 * W)] == ["east"] * 3 + ["west"] * 2
    assert (known.zone_at("retired", W), known.zone_at("new", W), known.zone_at("nobody", W)) == ("north", "west", None)
