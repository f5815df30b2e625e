"""The registry as its readers know it: district, zones, sites, devices, assay layouts, safety rules. No I/O.

The backend alone writes it (`stores.state.devices`); ingest and analyse read it whole, as a `RegistrySnapshot`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from contracts.layout import AssayLayout
from contracts.signals import Severity
from contracts.windows import Calendar

Status = Literal["active", "revoked"]
Names = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class District:
    """The whole of it."""

    id: str
    name: str
    names: Names = field(default_factory=dict)
    utc_offset_s: int
    week_start: int
    window_s: int
    languages: tuple[str, ...]

    @property
    def calendar(self) -> Calendar:
        """Its windows, days and weeks."""
        return Calendar(self.window_s, self.utc_offset_s, self.week_start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A part of the district; `place` is its order in the district file."""

    id: str
    name: str
    names: Names = field(default_factory=dict)
    population: int | None = None
    place: int
    retired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A place in a zone; dates only for a checkpoint; `population`: whose traces a sample of it holds."""

    id: str
    zone: str
    kind: str
    name: str
    names: Names = field(default_factory=dict)
    valid_from: str | None = None
    valid_to: str | None = None
    population: int | None = None
    retired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A cabinet; `enrolment` grows with each enrolment, `public_key` is Ed25519's 32 bytes of the newest."""

    id: str
    kind: str
    site: str
    zone: str
    label: str = ""
    status: Status = "active"
    enrolment: int = 0
    public_key: bytes | None = None
    cert_not_after_ns: int | None = None
    retired: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a device's windows count: those that start at `from_ns` or later, until its next placement."""

    from_ns: int
    site: str
    zone: str


def placed(history: Sequence[Placement], site: str, zone: str, *, next_window_ns: int) -> tuple[Placement, ...]:
    """Return a device's placements, oldest first, once the district file says where it stands (C31).

    The first counts from the beginning, a later one from the next window on: no window is cut. What was to begin then
    and has not is replaced, or forgotten when the device is back where it stood.
    """
    begun = tuple(placement for placement in history if placement.from_ns < next_window_ns)
    if begun and (begun[-1].site, begun[-1].zone) == (site, zone):
        return begun
    return (*begun, Placement(next_window_ns if begun else 0, site, zone))


@dataclass(frozen=True, slots=True)
class Layout:
    """An assay layout and when it came into force."""

    layout: AssayLayout
    valid_from_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRule:
    """A safety rule on a reading: beyond `above` (or `below`) for `hold_s` raises, back past `clear` clears."""

    name: str
    metric: str
    severity: Severity
    above: float | None = None
    below: float | None = None
    clear: float
    hold_s: int
    site_kinds: tuple[str, ...] = ()  # none = all

    def __post_init__(self) -> None:
        if (self.above is None) == (self.below is None):
            raise ValueError("a limit has exactly one of above and below")

    @property
    def limit(self) -> float:
        """The value beyond which it holds."""
        return cast("float", self.above if self.above is not None else self.below)


@dataclass(frozen=True, slots=True, kw_only=True)
class StuckRule:
    """A safety rule: the same value so many times in a row."""

    name: str
    metric: str
    severity: Severity
    readings: int


Rule = LimitRule | StuckRule


@dataclass(frozen=True, slots=True)
class RegistrySnapshot:
    """One committed state of the registry; zones in the order of the district file. Retired ones are not in it."""

    district: District
    zones: Mapping[str, Zone]
    sites: Mapping[str, Site]
    devices: Mapping[str, Device]
    layouts: Mapping[int, Layout]
    rules: tuple[Rule, ...] = ()
    placements: Mapping[str, Sequence[Placement]] = field(default_factory=dict)  # oldest first; retired devices' too

    def zone_at(self, device: str, window_start_ns: int) -> str | None:
        """Return the zone in which a device's window counts; without a placement its present one, None if unknown."""
        for placement in reversed(self.placements.get(device, ())):
            if placement.from_ns <= window_start_ns:
                return placement.zone
        known = self.devices.get(device)
        return known.zone if known is not None else None

    def limits_on(self, metric: str, site_kinds: Iterable[str]) -> tuple[LimitRule, ...]:
        """Return the limits of a metric that hold at any of these kinds of sites."""
        kinds = set(site_kinds)
        limits = (rule for rule in self.rules if isinstance(rule, LimitRule) and rule.metric == metric)
        return tuple(rule for rule in limits if not rule.site_kinds or kinds & set(rule.site_kinds))

    def layout_at(self, ns: int) -> Layout | None:
        """Return the layout in force at an instant."""
        in_force = [layout for layout in self.layouts.values() if layout.valid_from_ns <= ns]
        return max(in_force, key=lambda layout: (layout.valid_from_ns, layout.layout.number), default=None)
