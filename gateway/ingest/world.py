"""What ingest must know to judge a message: one state of the registry, prepared for looking up. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.layout import AssayLayout
from contracts.metrics import RESTRICTED_SITE_KINDS, SITE_KINDS
from contracts.registry import Device, RegistrySnapshot, Rule, StuckRule
from contracts.windows import Calendar


@dataclass(frozen=True, slots=True)
class World:
    """Devices by id, with what depends on where they stand."""

    registry: RegistrySnapshot
    calendar: Calendar
    layouts: Mapping[int, AssayLayout]
    rules_of: Mapping[tuple[str, str], tuple[Rule, ...]]  # (kind of site, metric) -> safety rules

    def active(self, device: str) -> Device | None:
        """Return a device that may speak: known, not revoked, with an enrolled key."""
        found = self.registry.devices.get(device)
        return found if found is not None and found.status == "active" and found.public_key is not None else None

    def restricted(self, device: Device) -> bool:
        """Tell whether readings of this device may go to the restricted bucket only."""
        return self.registry.sites[device.site].kind in RESTRICTED_SITE_KINDS

    def tags(self, device: Device) -> dict[str, str]:
        """Return the tags of the device's lines."""
        return {
            "district": self.registry.district.id,
            "zone": device.zone,
            "site": device.site,
            "device": device.id,
            "kind": device.kind,
        }

    def rules(self, device: Device, metric: str) -> tuple[Rule, ...]:
        """Return the safety rules on a metric of this device."""
        return self.rules_of.get((self.registry.sites[device.site].kind, metric), ())


def world_of(registry: RegistrySnapshot) -> World:
    """Prepare a registry."""
    layouts = {number: layout.layout for number, layout in registry.layouts.items()}
    rules: dict[tuple[str, str], tuple[Rule, ...]] = {}
    for rule in registry.rules:
        kinds = SITE_KINDS if isinstance(rule, StuckRule) or not rule.site_kinds else rule.site_kinds
        for kind in kinds:
            rules[kind, rule.metric] = (*rules.get((kind, rule.metric), ()), rule)
    return World(registry, registry.district.calendar, layouts, rules)
