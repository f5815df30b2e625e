"""The district file against the registry: what differs is said, what must not change stops the start."""

import pytest

from backend.devices.district_file import parse_district
from backend.devices.registry import differences, targets_of, wanted
from backend.errors import OperatorError
from contracts.registry import Placement
from tests.unit.backend.conftest import Parts
from tests.unit.backend.test_district_file import GOOD

# a change of the file -> what is said of it
CHANGES = [
    ('name = "Hall"', 'name = "Great hall"', "site hall-2: name Hall → Great hall"),
    ("population = 50912", "population = 50000", "zone z1: population 50912 → 50000"),
    ('label = "above the door"', 'label = "by the window"', "device air-2: label above the door → by the window"),
    ("above = 1500", "above = 1400", "rule co2: above 1500.0 → 1400.0"),
    (
        'site = "hall-2"\nkind = "air_monitor"',
        'site = "site-1"\nkind = "air_monitor"',
        "device air-2: site hall-2 → site-1",
    ),
    ('id = "air-2"', 'id = "air-3"', "device air-3: new"),
    ('code = "SARSCOV2"', 'code = "SC2"', "assays: SC2 in a new layout"),
]
FORBIDDEN = [
    ('id = "turtle-bay"', 'id = "other-bay"', "changes id"),
    ("window_s = 21600", "window_s = 86400", "changes window_s"),
    ('utc_offset = "-05:00"', 'utc_offset = "+08:00"', "changes utc_offset_s"),
    ('week_start = "sunday"', 'week_start = "monday"', "changes week_start"),
    ('kind = "air_monitor"', 'kind = "kiosk"', "changes the kind of device air-2"),
]


def test_the_first_file_is_told_as_new_and_the_same_file_again_as_nothing(parts: Parts) -> None:
    assert differences(None, wanted(parse_district(GOOD))) == ["district turtle-bay: new, 2 zones, 2 devices"]
    assert parts.registry.apply(parse_district(GOOD)) == []


@pytest.mark.parametrize(("old", "new", "said"), CHANGES)
def test_each_change_is_said_in_a_line_applied_and_audited(parts: Parts, old: str, new: str, said: str) -> None:
    assert old in GOOD
    told = parts.registry.apply(parse_district(GOOD.replace(old, new)))
    assert said in told
    assert parts.registry.apply(parse_district(GOOD.replace(old, new))) == []
    assert ("system", "registry_changed", "district.toml") in parts.actions()


@pytest.mark.parametrize(("old", "new", "said"), FORBIDDEN)
def test_what_every_stored_number_depends_on_cannot_be_changed(parts: Parts, old: str, new: str, said: str) -> None:
    before = parts.registry.get()
    with pytest.raises(OperatorError, match=said):
        parts.registry.apply(parse_district(GOOD.replace(old, new)))
    parts.registry.forget()
    assert parts.registry.get() == before


def test_a_device_that_left_the_file_is_gone_and_comes_back_with_its_key(parts: Parts) -> None:
    less = GOOD.replace(
        '[[device]]\nid = "air-2"\nsite = "hall-2"\nkind = "air_monitor"\nlabel = "above the door"\n', ""
    )
    assert parts.registry.apply(parse_district(less)) == ["device air-2: retired"]
    assert "air-2" not in parts.registry.get().devices
    assert parts.registry.apply(parse_district(GOOD)) == ["device air-2: new"]
    assert parts.registry.get().devices["air-2"].zone == "z2"


@pytest.mark.rule("C31")
def test_a_move_counts_from_the_next_window_on_and_one_back_within_it_never(parts: Parts) -> None:
    air = 'site = "{}"\nkind = "air_monitor"'
    calendar = parts.registry.get().district.calendar
    next_ns = calendar.window_start_ns(parts.clock.ns) + calendar.window_ns
    stood = (Placement(0, "hall-2", "z2"),)
    assert parts.registry.get().placements["air-2"] == stood
    parts.registry.apply(parse_district(GOOD.replace(air.format("hall-2"), air.format("site-1"))))
    zone = parts.registry.get().sites["site-1"].zone
    assert parts.registry.get().devices["air-2"].zone == zone
    assert parts.registry.get().placements["air-2"] == (*stood, Placement(next_ns, "site-1", zone))
    parts.registry.apply(parse_district(GOOD))
    assert parts.registry.get().placements["air-2"] == stood


def test_a_new_layout_comes_into_force_after_the_windows_that_are_open(parts: Parts) -> None:
    more = GOOD.replace('targets = ["sars-cov-2"]', 'targets = ["sars-cov-2", "flu-a"]')
    parts.registry.apply(parse_district(more))
    layouts = parts.registry.get().layouts
    calendar = parts.registry.get().district.calendar
    start = layouts[2].valid_from_ns
    assert calendar.is_window_start(start)
    assert start - calendar.window_start_ns(parts.clock.ns) == 2 * calendar.window_ns
    assert targets_of(parts.registry.get()) == ["sars-cov-2", "flu-a"]
