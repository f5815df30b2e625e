"""The registry of the test district: as a value for pure tests, and written to a state as the backend writes it."""

from collections.abc import Iterable, Sequence

from contracts.layout import Assay, AssayLayout
from contracts.registry import Device, District, Layout, LimitRule, RegistrySnapshot, Rule, Site, StuckRule, Zone
from gateway.ingest.world import World, world_of
from stores.state.database import open_for_writing
from stores.state.devices import Certificate, Registry
from tests.support.speaker import START_NS, WINDOW_S, Speaker

DISTRICT = District(
    id="turtle-bay",
    name="Turtle Bay",
    utc_offset_s=-5 * 3600,
    week_start=6,
    window_s=WINDOW_S,
    languages=("en", "zh"),
)
ZONES = (Zone(id="z10016", name="One", place=0), Zone(id="z10017", name="Two", place=1))
SITES = (
    Site(id="point", zone="z10016", kind="kiosk", name="Point"),
    Site(id="hall", zone="z10017", kind="venue", name="Hall"),
    Site(id="hotel", zone="z10017", kind="hotel", name="Hotel"),
    Site(id="block", zone="z10017", kind="public_area", name="One building's sewer", population=2_999),
    Site(id="works", zone="z10017", kind="public_area", name="A quarter's sewer", population=3_000),
)
LAYOUT = Layout(AssayLayout(1, (Assay("SARSCOV2", ("sars-cov-2",)),)), START_NS)
CO2 = LimitRule(name="co2", metric="co2_ppm", severity="warning", above=1500.0, clear=1200.0, hold_s=1800)
COLD = LimitRule(name="cold", metric="temperature_c", severity="critical", below=5.0, clear=8.0, hold_s=0)
STUCK = StuckRule(name="stuck", metric="co2_ppm", severity="info", readings=4)
RULES: tuple[Rule, ...] = (CO2, COLD, STUCK)

# Which site a device of a test stands at is in its name.
_KINDS = {"kiosk": "kiosk", "air": "air_monitor", "room": "air_monitor"}
_PLACES = {"kiosk": SITES[0], "air": SITES[1], "room": SITES[2]}


def device_of(speaker: Speaker, *, enrolment: int = 1, site: str | None = None) -> Device:
    """The registry's row of a speaker: `kiosk-…` at the point, `air-…` in the hall, `room-…` in the hotel."""
    word = speaker.device.split("-")[0]
    place = _PLACES[word] if site is None else next(one for one in SITES if one.id == site)
    return Device(
        id=speaker.device,
        kind=_KINDS[word],
        site=place.id,
        zone=place.zone,
        enrolment=enrolment,
        public_key=speaker.public_key,
    )


def snapshot(devices: Iterable[Device], rules: Sequence[Rule] = RULES) -> RegistrySnapshot:
    """A registry as its readers see it."""
    return RegistrySnapshot(
        DISTRICT,
        {zone.id: zone for zone in ZONES},
        {site.id: site for site in SITES},
        {device.id: device for device in devices},
        {1: LAYOUT},
        tuple(rules),
    )


def world(*speakers: Speaker, rules: Sequence[Rule] = RULES) -> World:
    """What ingest makes of it."""
    return world_of(snapshot(map(device_of, speakers), rules))


def write_registry(spec: str, speakers: Sequence[Speaker], *, rules: Sequence[Rule] = RULES) -> None:
    """Write the registry into an empty state, every speaker enrolled; nobody else may write it meanwhile."""
    with open_for_writing(spec, "backend") as database, database.begin() as tx:
        registry = Registry(database)
        devices = [device_of(speaker) for speaker in speakers]
        registry.apply(tx, DISTRICT, zones=ZONES, sites=SITES, devices=devices, rules=rules, now_ns=START_NS)
        registry.add_layout(tx, LAYOUT)


def place_devices(
    spec: str, devices: Sequence[Device], *, rules: Sequence[Rule] = RULES, now_ns: int = START_NS
) -> None:
    """Apply another district file at an instant: who stands where; enrolments and keys stay."""
    with open_for_writing(spec, "backend") as database, database.begin() as tx:
        Registry(database).apply(tx, DISTRICT, zones=ZONES, sites=SITES, devices=devices, rules=rules, now_ns=now_ns)


def enrol_again(spec: str, speaker: Speaker) -> None:
    """What a backend does when a device comes with a new key."""
    with open_for_writing(spec, "backend") as database, database.begin() as tx:
        serial = f"{speaker.device}-{speaker.ob}"
        certificate = Certificate(serial=serial, device=speaker.device, not_after_ns=0, fingerprint="")
        Registry(database).enrol(tx, certificate, speaker.public_key)


def revoke(spec: str, device: str) -> None:
    """What a backend does when a device may speak no more."""
    with open_for_writing(spec, "backend") as database, database.begin() as tx:
        Registry(database).revoke(tx, device)
