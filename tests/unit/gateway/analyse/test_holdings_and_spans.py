import math
from dataclasses import replace

import pytest

from contracts.layout import Assay, AssayLayout
from contracts.registry import Device, District, Layout, Placement, RegistrySnapshot, Site, Zone
from contracts.rows import AssayCounts, ReleaseRow
from contracts.windows import DAY_S, NS, Calendar
from gateway.analyse.rollup import Release, roll_up
from gateway.analyse.service.holdings import Holdings, Place
from gateway.analyse.service.spans import Span, point, spans_of, windows_of
from tests.unit.gateway.analyse.quiet_world import CALENDAR, START_NS

WINDOW_NS = CALENDAR.window_ns
DAY_NS = DAY_S * NS
EAST, WEST = Place("east", "flu"), Place("west", "flu")


def registry(**status: str) -> RegistrySnapshot:
    """Two kiosks in the east, one in the west; `status` by id with underscores."""
    kiosks = {"e-1": "east", "e-2": "east", "w-1": "west"}
    devices = {
        name: Device(
            id=name,
            kind="kiosk",
            site=zone,
            zone=zone,
            status="revoked" if status.get(name.replace("-", "_")) == "revoked" else "active",
        )
        for name, zone in kiosks.items()
    }
    devices["air-1"] = Device(id="air-1", kind="air_monitor", site="east", zone="east")
    zones = {zone: Zone(id=zone, name=zone, place=place) for place, zone in enumerate(("east", "west"))}
    sites = {zone: Site(id=zone, zone=zone, kind="kiosk", name=zone) for zone in zones}
    district = District(
        id="d", name="d", utc_offset_s=CALENDAR.utc_offset_s, week_start=6, window_s=21600, languages=("en",)
    )
    layout = Layout(AssayLayout(1, (Assay("A", ("flu",)),)), 0)
    return RegistrySnapshot(district, zones, sites, devices, {1: layout})


def row(device: str, zone: str, window: int, *, late: bool = False, **assays: AssayCounts) -> ReleaseRow:
    return ReleaseRow(
        device=device,
        zone=zone,
        window_start_ns=START_NS + window * WINDOW_NS,
        window_s=21600,
        layout=1,
        counters=assays or {"A": AssayCounts(50, 1, {"flu": 3})},
        ob=1,
        seq=1,
        received_ns=0,
        late=late,
    )


def at(window: int) -> int:
    return START_NS + window * WINDOW_NS


def test_a_window_is_complete_when_every_active_kiosk_released() -> None:
    holdings = Holdings()
    holdings.add(row("e-1", "east", 0))
    holdings.add(row("w-1", "west", 0))
    assert not holdings.is_complete(at(0), registry())
    assert holdings.is_complete(at(0), registry(e_2="revoked"))
    holdings.add(row("e-2", "east", 0))
    assert holdings.is_complete(at(0), registry())
    assert not holdings.is_complete(at(1), registry())


def test_after_an_hour_nobody_is_waited_for() -> None:
    holdings = Holdings()
    end = at(1)
    assert not holdings.is_over(at(0), end + 3599 * NS, CALENDAR)
    assert holdings.is_over(at(0), end + 3600 * NS, CALENDAR)


def test_a_kiosk_is_expected_from_its_first_release_on_and_while_it_is_registered() -> None:
    holdings = Holdings()
    for window in (0, 1, 2):
        holdings.add(row("e-1", "east", window))
    holdings.add(row("e-2", "east", 2))
    assert [holdings.expected([EAST], [at(window)], registry()) for window in range(4)] == [1, 1, 2, 2]
    gone = registry(e_1="revoked")
    assert [holdings.expected([EAST], [at(window)], gone) for window in range(4)] == [1, 1, 2, 1]
    assert holdings.expected([EAST], [at(-1)], registry()) == 0  # before the zone's first release


def test_a_kiosk_that_never_released_is_missed_once_its_zone_has() -> None:
    holdings = Holdings()
    holdings.add(row("e-1", "east", 0))
    assert holdings.expected([EAST], [at(0)], registry()) == 2
    assert holdings.expected([WEST], [at(0)], registry()) == 0


def moved(kiosk: str, *stood: tuple[int, str]) -> RegistrySnapshot:
    """The registry after the kiosk's moves: (from which window, zone); the last is where it stands."""
    found = registry()
    device = replace(found.devices[kiosk], site=stood[-1][1], zone=stood[-1][1])
    history = tuple(Placement(at(window) if window else 0, zone, zone) for window, zone in stood)
    return replace(found, devices={**found.devices, kiosk: device}, placements={kiosk: history})


@pytest.mark.rule("C31")
def test_a_window_is_complete_also_while_one_of_its_kiosks_is_being_moved() -> None:
    after = moved("e-2", (0, "east"), (2, "west"))
    holdings = Holdings()
    for window, zone in enumerate(("east", "east", "west", "west")):
        assert not holdings.is_complete(at(window), after)
        for kiosk, stands in (("e-1", "east"), ("e-2", zone), ("w-1", "west")):
            holdings.add(row(kiosk, stands, window))
        assert holdings.is_complete(at(window), after)
    assert [holdings.expected([EAST], [at(window)], after) for window in range(4)] == [2, 2, 1, 1]
    assert [holdings.expected([WEST], [at(window)], after) for window in range(4)] == [1, 1, 2, 2]


@pytest.mark.rule("C31")
def test_a_release_is_missed_in_the_zone_in_which_it_would_count() -> None:
    after = moved("e-2", (0, "east"), (2, "west"), (5, "east"))
    holdings = Holdings()
    for window in range(7):
        holdings.add(row("e-1", "east", window))
        holdings.add(row("w-1", "west", window))
    holdings.add(row("e-2", "east", 0))
    for missing, come in (((1, 2, 3, 4, 5, 6), ()), ((1, 2, 4, 5), (("west", 3), ("east", 6)))):
        for zone, window in come:
            holdings.add(row("e-2", zone, window))
        assert [holdings.expected([EAST], [at(window)], after) for window in range(7)] == [2, 2, 1, 1, 1, 2, 2]
        assert [holdings.expected([WEST], [at(window)], after) for window in range(7)] == [1, 1, 2, 2, 2, 1, 1]
        held = [len(holdings.held([EAST, WEST], [at(window)]).releases) for window in range(7)]
        assert [window for window in range(7) if held[window] < 3] == list(missing)
    assert holdings.expected([EAST, WEST], [at(window) for window in range(7)], after) == 21


def test_what_is_expected_follows_a_changed_registry() -> None:
    holdings = Holdings()
    for kiosk in ("e-1", "e-2"):
        holdings.add(row(kiosk, "east", 0))
    assert holdings.expected([EAST], [at(1)], registry()) == 2
    assert holdings.expected([EAST], [at(1)], registry(e_2="revoked")) == 1


def test_a_target_in_two_assays_has_two_counters_and_two_expected_releases() -> None:
    holdings = Holdings()
    panel = {"A": AssayCounts(50, 0, {"flu": 3}), "B": AssayCounts(20, 1, {"flu": 1, "rsv": 2})}
    for kiosk in ("e-1", "e-2"):
        holdings.add(row(kiosk, "east", 0, late=kiosk == "e-2", **panel))
    held = holdings.held([EAST], [at(0)])
    assert sorted(held.releases, key=lambda release: release.valid) == [
        Release(1, 20, 1, 2),
        Release(1, 20, 1, 2),
        Release(3, 50, 0, 1),
        Release(3, 50, 0, 1),
    ]
    assert held.late == 2
    assert holdings.expected([EAST], [at(0)], registry()) == 4
    assert holdings.expected([Place("east", "rsv")], [at(0)], registry()) == 2


def test_a_window_belongs_to_six_spans_of_the_districts_own_day_and_week() -> None:
    spans = spans_of(at(5), "east", "flu", CALENDAR)
    assert {(span.level, span.start_ns) for span in spans} == {
        ("zone_window", at(5)),
        ("district_window", at(5)),
        ("zone_day", START_NS + DAY_NS),
        ("district_day", START_NS + DAY_NS),
        ("zone_week", START_NS),
        ("district_week", START_NS),
    }


@pytest.mark.parametrize(
    ("length", "ended", "expected"), [("window", 1, 1), ("day", 3, 3), ("day", 9, 4), ("week", 9, 9), ("week", 90, 28)]
)
def test_a_span_holds_its_windows_that_are_over(length: str, ended: int, expected: int) -> None:
    span = Span(length, "east", "flu", START_NS)  # type: ignore[arg-type]
    windows = windows_of(span, CALENDAR, until_ns=at(ended))
    assert len(windows) == expected
    assert windows_of(span, CALENDAR, until_ns=START_NS - 1) == range(START_NS, START_NS, WINDOW_NS)
    whole_day = Calendar(window_s=DAY_S, utc_offset_s=0, week_start=0)
    assert list(windows_of(Span("day", None, "flu", 0), whole_day, until_ns=DAY_NS)) == [0]


SPAN = Span("window", "east", "flu", START_NS)


def fields(valid: int, kiosks: int, *, shown_before: tuple[str, ...] = ()) -> dict[str, object]:
    rolled = roll_up([Release(3, valid, 0, 1), *[Release(0, 0, 0, 1)] * (kiosks - 1)], expected=kiosks)
    shown = {SPAN.shown(field) for field in shown_before}
    line = point(SPAN, rolled, late=0, district="d", shown_before=shown)
    assert dict(line.tags) == {"district": "d", "zone": "east", "target": "flu", "level": "zone_window"}
    assert not any(isinstance(value, float) and math.isnan(value) for value in line.fields.values())
    return dict(line.fields)


def test_what_may_not_be_shown_is_left_out_and_what_was_shown_is_replaced() -> None:
    assert {"positivity", "lower", "upper", "valid_shown"} <= fields(80, 3).keys()
    few = fields(30, 3)
    assert few["status"] == "few"
    assert not {"positivity", "lower", "upper", "valid_shown", "positives_shown"} & few.keys()
    assert few["valid"] == 30
    fresh = fields(30, 3, shown_before=("positivity", "valid_shown"))
    assert (fresh["valid_shown"], fresh["positivity"]) == (30, 0.1)
    nothing = fields(-5, 3, shown_before=("positivity",))
    assert (nothing["lower"], nothing["upper"]) == (0.0, 1.0)
    assert "valid_shown" not in nothing


def test_the_district_has_no_zone_tag() -> None:
    district = Span("day", None, "flu", START_NS)
    line = point(district, roll_up([], expected=3), late=0, district="d", shown_before=())
    assert dict(line.tags) == {"district": "d", "target": "flu", "level": "district_day"}
    assert line.fields["status"] == "none"
