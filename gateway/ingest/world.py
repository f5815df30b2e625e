"""What ingest must know to judge a message: one state of the registry, prepared for looking up. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from contracts.layout import AssayLayout
from contracts.metrics import RESTRICTED_SITE_KINDS, SITE_KINDS
from contracts.population import SAMPLING_KINDS, stands_alone
from contracts.registry import Device, RegistrySnapshot, Rule, Site, StuckRule
from contracts.windows import Calendar


class Place(NamedTuple):
    """What a device is and where it stands; goes with each of its records into the journal."""

    kind: str
    site: str
    zone: str
    restricted: bool  # its readings go to the restricted bucket and nowhere else


@dataclass(frozen=True, slots=True)
class World:
    """Devices by id, with what depends on where they stand."""

    registry: RegistrySnapshot
    calendar: Calendar
    layouts: Mapping[int, AssayLayout]
    places: Mapping[str, Place]
    rules_of: Mapping[str, tuple[Rule, ...]]  # kind of site -> safety rules

    def active(self, device: str) -> Device | None:
        """Return a device that may speak: known, not revoked, with an enrolled key."""
        found = self.registry.devices.get(device)
        return found if found is not None and found.status == "active" and found.public_key is not None else None

    def zone_of(self, device: Device, window_start_ns: int) -> str:
        """Return the zone in which a window of this device counts, whenever its release comes (C31)."""
        return self.registry.zone_at(device.id, window_start_ns) or device.zone

    def rules(self, device: Device) -> tuple[Rule, ...]:
        """Return the safety rules on this device's readings."""
        site = self.registry.sites.get(device.site)
        return () if site is None else self.rules_of.get(site.kind, ())

    def restricted(self, device: Device) -> bool:
        """Tell whether no value of this device may get out; also of one that has just left the registry."""
        place = self.places.get(device.id)
        return place is None or place.restricted


def world_of(registry: RegistrySnapshot) -> World:
    """Prepare a registry."""
    layouts = {number: layout.layout for number, layout in registry.layouts.items()}
    places = {
        device.id: Place(
            device.kind, device.site, device.zone, _is_restricted(device.kind, registry.sites[device.site])
        )
        for device in registry.devices.values()
    }
    rules: dict[str, tuple[Rule, ...]] = {}
    for rule in registry.rules:
        kinds = SITE_KINDS if isinstance(rule, StuckRule) or not rule.site_kinds else rule.site_kinds
        for kind in kinds:
            rules[kind] = (*rules.get(kind, ()), rule)
    return World(registry, registry.district.calendar, layouts, places, rules)


def _is_restricted(device_kind: str, site: Site) -> bool:
    """C29: rooms where people live or lie, and samples to which too few people contribute."""
    few = device_kind in SAMPLING_KINDS and not stands_alone(site.population)
    return few or site.kind in RESTRICTED_SITE_KINDS
