"""Which readings go to the bucket `restricted`, and that nothing but the state of an alarm comes out of it."""

from dataclasses import replace

import pytest

from contracts.metrics import RESTRICTED_SITE_KINDS, SITE_KINDS
from contracts.registry import Device, Site
from gateway.ingest.points import lines_of
from gateway.ingest.safety import evaluate
from gateway.ingest.world import World, world_of
from tests.support.registry import CO2, COLD, SITES, STUCK, device_of, snapshot
from tests.support.speaker import START_NS, Speaker, reading

ROOM = Speaker("room-1")
S = 10**9


def placed(kind: str, site: Site) -> World:
    """A registry with one device at one site."""
    registry = snapshot([Device(id="d-1", kind=kind, site=site.id, zone=site.zone, enrolment=1, public_key=bytes(32))])
    return world_of(replace(registry, sites={**registry.sites, site.id: site}))


def site(population: int | None, kind: str = "public_area") -> Site:
    return Site(id="place", zone="z10017", kind=kind, name="Place", population=population)


@pytest.mark.rule("C29")
@pytest.mark.parametrize("kind", ["wastewater_sampler", "surface_kit"])
@pytest.mark.parametrize(("population", "restricted"), [(None, True), (40, True), (2_999, True), (3_000, False)])
def test_a_sample_of_few_people_is_restricted(kind: str, population: int | None, restricted: bool) -> None:
    world = placed(kind, site(population))
    assert world.places["d-1"].restricted is restricted


@pytest.mark.rule("C29")
@pytest.mark.parametrize("kind", sorted(SITE_KINDS))
def test_a_room_where_people_live_or_lie_is_restricted_however_many_they_are(kind: str) -> None:
    for device in ("air_monitor", "wastewater_sampler"):
        assert placed(device, site(1_000_000, kind)).places["d-1"].restricted is (kind in RESTRICTED_SITE_KINDS)


@pytest.mark.rule("C29")
def test_two_registries_that_differ_in_people_alone_send_the_same_reading_to_different_buckets() -> None:
    for name, bucket in (("block", "restricted"), ("works", "environment")):
        chosen = next(one for one in SITES if one.id == name)
        place = placed("wastewater_sampler", chosen).places["d-1"]
        line = next(lines_of([reading(temperature_c=20.0)], 1, "d-1", place, "turtle-bay"))
        assert line is not None
        assert line[0] == bucket


@pytest.mark.parametrize("rule", [CO2, COLD, STUCK], ids=lambda rule: rule.name)
def test_of_two_worlds_that_differ_in_restricted_values_alone_the_alarms_are_the_same(rule: object) -> None:
    """What gets out says that a limit was passed and since when: the value, and so the person, stays inside."""
    told = []
    for ppm, cold in ((1_600.0, 4.0), (39_000.0, -30.0)):
        world = world_of(replace(snapshot([device_of(ROOM)]), rules=(rule,)))  # type: ignore[arg-type]
        rows = [reading(minute * 60, co2_ppm=ppm, temperature_c=cold) for minute in range(60)]
        _, signals = evaluate({}, rows, device_of(ROOM), world, START_NS + 3600 * S)
        told.append(signals)
    assert told[0] == told[1]
    assert told[0]
    assert set(told[0][0].facts) == {"metric", "device", "site", "held_s"}
