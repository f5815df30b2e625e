"""What people call things: names of the district, its zones, sites and devices, out of the registry. Pure.

Also says what a bare subject of a signal is: a device, a zone or the district.
"""

from dataclasses import dataclass
from typing import Literal

from backend.web.words import N_, Words
from contracts.registry import RegistrySnapshot

SubjectKind = Literal["device", "zone", "district", "unknown"]

KIND_NAMES = {
    "kiosk": N_("kiosk"),
    "wastewater_sampler": N_("wastewater sampler"),
    "air_sampler": N_("air sampler"),
    "surface_kit": N_("surface kit"),
    "air_monitor": N_("air monitor"),
    "pressure_monitor": N_("pressure monitor"),
    "people_counter": N_("people counter"),
    "egress_monitor": N_("egress monitor"),
    "cold_chain": N_("reagent fridge"),
}


@dataclass(frozen=True, slots=True)
class Subjects:
    """What the registry knows of the bare subject of a signal."""

    registry: RegistrySnapshot

    @property
    def district(self) -> str:
        """The district's id."""
        return self.registry.district.id

    def kind(self, subject: str) -> SubjectKind:
        """Tell what a signal is about."""
        if subject in self.registry.devices:
            return "device"
        if subject in self.registry.zones:
            return "zone"
        return "district" if subject == self.district else "unknown"

    def prefixed(self, subject: str) -> str:
        """Return device/…, zone/… or district/…."""
        return f"{self.kind(subject)}/{subject}"

    def zone_of(self, subject: str) -> str | None:
        """Return the zone a subject lies in; None for the district itself."""
        device = self.registry.devices.get(subject)
        if device is not None:
            return device.zone
        return subject if subject in self.registry.zones else None

    def site_of(self, subject: str) -> str | None:
        """Return the site a device stands on."""
        device = self.registry.devices.get(subject)
        return device.site if device is not None else None


@dataclass(frozen=True, slots=True)
class Names:
    """One state of the registry, in one language."""

    registry: RegistrySnapshot
    words: Words

    def district(self) -> str:
        """Return the district's name."""
        return self.words.name(self.registry.district.name, self.registry.district.names)

    def zone(self, zone: str) -> str:
        """Return a zone's name; its id when the registry does not know it."""
        known = self.registry.zones.get(zone)
        return self.words.name(known.name, known.names) if known is not None else zone

    def site(self, site: str) -> str:
        """Return a site's name."""
        known = self.registry.sites.get(site)
        return self.words.name(known.name, known.names) if known is not None else site

    def place_of(self, subject: str) -> str:
        """Return where a subject is, as a person would say it."""
        kind = Subjects(self.registry).kind(subject)
        if kind == "device":
            device = self.registry.devices[subject]
            return f"{self.site(device.site)}, {self.zone(device.zone)}"
        if kind == "zone":
            return self.zone(subject)
        return self.district() if kind == "district" else subject

    def kind(self, kind: str) -> str:
        """Return what a device is."""
        return self.words.text(KIND_NAMES.get(kind, kind))
