"""The registry and the district file: what differs, whether it may, and making the registry what the file says."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from backend.accounts.audit import SYSTEM, AuditLog
from backend.devices.district_file import DistrictFile
from backend.errors import OperatorError
from contracts.clock import Clock
from contracts.layout import Assay, AssayLayout
from contracts.registry import Device, District, Layout, LimitRule, RegistrySnapshot, Rule, Site, StuckRule, Zone
from stores.errors import StoreUnavailableError
from stores.state.database import Database
from stores.state.devices import Registry, load_registry

# Two windows are open at once and the next one's counters are drawn already (DESIGN §7): a new layout comes after.
LAYOUT_AFTER_WINDOWS: Final = 2
_FIXED: Final = ("id", "utc_offset_s", "week_start", "window_s")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the district file says, as rows of the registry."""

    district: District
    zones: tuple[Zone, ...]
    sites: tuple[Site, ...]
    devices: tuple[Device, ...]
    rules: tuple[Rule, ...]
    assays: tuple[Assay, ...]


def wanted(file: DistrictFile) -> Wanted:
    """Return the rows of a checked file."""
    entry = file.district
    zones = {site.id: site.zone for site in file.site}
    return Wanted(
        district=District(
            id=entry.id,
            name=entry.name,
            names=entry.names,
            utc_offset_s=file.utc_offset_s,
            week_start=file.week_start,
            window_s=entry.window_s,
            languages=entry.languages,
        ),
        zones=tuple(
            Zone(id=zone.id, name=zone.name, names=zone.names, population=zone.population, place=place)
            for place, zone in enumerate(file.zone)
        ),
        sites=tuple(
            Site(
                id=site.id,
                zone=site.zone,
                kind=site.kind,
                name=site.name,
                names=site.names,
                valid_from=site.valid_from.isoformat() if site.valid_from is not None else None,
                valid_to=site.valid_to.isoformat() if site.valid_to is not None else None,
                population=site.population,
            )
            for site in file.site
        ),
        devices=tuple(
            Device(id=device.id, kind=device.kind, site=device.site, zone=zones[device.site], label=device.label)
            for device in file.device
        ),
        rules=tuple(_rules(file)),
        assays=file.assays(),
    )


def _rules(file: DistrictFile) -> Iterator[Rule]:
    for limit in file.limit:
        yield LimitRule(
            name=limit.rule,
            metric=limit.metric,
            severity=limit.severity,
            above=limit.above,
            below=limit.below,
            clear=limit.clear,
            hold_s=limit.hold_s,
            site_kinds=limit.site_kinds,
        )
    for stuck in file.stuck:
        yield StuckRule(name=stuck.rule, metric=stuck.metric, severity=stuck.severity, readings=stuck.readings)


def differences(before: RegistrySnapshot | None, after: Wanted) -> list[str]:
    """Say what the file changes, a line each; empty = nothing. OperatorError for what may not change."""
    if before is None:
        return [f"district {after.district.id}: new, {len(after.zones)} zones, {len(after.devices)} devices"]
    _refuse_fixed(before, after)
    told: list[str] = []
    told += _compared("district", {"": before.district}, {"": after.district})
    told += _compared("zone", before.zones, {zone.id: zone for zone in after.zones})
    told += _compared("site", before.sites, {site.id: site for site in after.sites})
    told += _compared("device", before.devices, {device.id: device for device in after.devices})
    told += _compared("rule", {rule.name: rule for rule in before.rules}, {rule.name: rule for rule in after.rules})
    if after.assays and newest_assays(before) != after.assays:
        told.append(f"assays: {', '.join(assay.code for assay in after.assays)} in a new layout")
    return told


def _refuse_fixed(before: RegistrySnapshot, after: Wanted) -> None:
    for name in _FIXED:
        old, new = getattr(before.district, name), getattr(after.district, name)
        if old != new:
            raise OperatorError(
                "district.toml changes %(name)s from %(old)s to %(new)s; every number stored so far depends on it. "
                "Put it back, or start a new district in an empty state folder.",
                name=name,
                old=old,
                new=new,
            )
    for device in after.devices:
        known = before.devices.get(device.id)
        if known is not None and known.kind != device.kind:
            raise OperatorError(
                "district.toml changes the kind of device %(device)s from %(old)s to %(new)s: give the new cabinet an "
                "id of its own.",
                device=device.id,
                old=known.kind,
                new=device.kind,
            )


# What the file does not say: it grows while the district runs.
_NOT_IN_FILE: Final = frozenset({"status", "enrolment", "public_key", "cert_not_after_ns", "retired", "place", "zone"})


def _compared(what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(after.keys() - before.keys()):
        yield f"{what} {name}: new"
    for name in sorted(before.keys() - after.keys()):
        yield f"{what} {name}: retired"
    for name in sorted(after.keys() & before.keys()):
        old, new = asdict(before[name]), asdict(after[name])
        ignored = _NOT_IN_FILE if what == "device" else _NOT_IN_FILE - {"zone"}
        for key in new:
            if key not in ignored and dict_or(old.get(key)) != dict_or(new[key]):
                yield f"{what} {name}: {key} {old.get(key)} → {new[key]}".replace("  ", " ")


def dict_or(value: object) -> object:
    """Return a mapping as a plain dict, anything else as it is: two kinds of mapping may hold the same names."""
    return dict(value) if isinstance(value, Mapping) else value


def newest_assays(snapshot: RegistrySnapshot) -> tuple[Assay, ...]:
    """Return the assays of the newest layout."""
    newest = max(snapshot.layouts, default=None)
    return snapshot.layouts[newest].layout.assays if newest is not None else ()


class LiveRegistry:
    """The registry as this process knows it: read once, and again after each change that it makes."""

    def __init__(self, database: Database, *, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._registry = Registry(database)
        self._audit = audit
        self._clock = clock
        self._lock = threading.Lock()
        self._snapshot: RegistrySnapshot | None = None

    def get(self) -> RegistrySnapshot:
        """Return the newest state; StoreUnavailableError before a district file was applied."""
        with self._lock:
            if self._snapshot is None:
                self._snapshot = load_registry(self._database)
            return self._snapshot

    def forget(self) -> None:
        """Read again at the next question."""
        with self._lock:
            self._snapshot = None

    def apply(self, file: DistrictFile) -> list[str]:
        """Make the registry what the file says, in one transaction; return what changed."""
        after = wanted(file)
        before = self._before()
        told = differences(before, after)
        if not told:
            return []
        with self._database.begin() as tx:
            self._registry.apply(
                tx,
                after.district,
                zones=after.zones,
                sites=after.sites,
                devices=after.devices,
                rules=after.rules,
                now_ns=self._clock.now_ns(),
            )
            layout = self._new_layout(before, after)
            if layout is not None:
                self._registry.add_layout(tx, layout)
            for line in told:
                self._audit.note(tx, SYSTEM, "registry_changed", "district.toml", change=line)
        self.forget()
        return told

    def _before(self) -> RegistrySnapshot | None:
        try:
            return self.get()
        except StoreUnavailableError:
            return None

    def _new_layout(self, before: RegistrySnapshot | None, after: Wanted) -> Layout | None:
        if not after.assays:
            return None
        if before is None or not before.layouts:
            return Layout(AssayLayout(1, after.assays), 0)
        if newest_assays(before) == after.assays:
            return None
        calendar = after.district.calendar
        start = calendar.window_start_ns(self._clock.now_ns()) + LAYOUT_AFTER_WINDOWS * calendar.window_ns
        return Layout(AssayLayout(max(before.layouts) + 1, after.assays), start)


def targets_of(snapshot: RegistrySnapshot) -> Sequence[str]:
    """Return every target of any layout, in the order in which they came."""
    layouts = (snapshot.layouts[number].layout for number in sorted(snapshot.layouts))
    return list(dict.fromkeys(target for layout in layouts for assay in layout.assays for target in assay.targets))
