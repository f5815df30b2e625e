"""The releases that are known, by window and zone; which windows are complete; how many kiosks were expected. Pure.

All of it is rebuilt from the committed rows at every start: nothing here is the only copy of anything.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from contracts.registry import RegistrySnapshot
from contracts.rows import ReleaseRow
from contracts.windows import NS, Calendar
from gateway.analyse.rollup import Release

KIOSK: Final = "kiosk"
# A kiosk sends its release within seconds of the window's end; whoever is silent an hour later has an outage.
SETTLED_AFTER_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Place:
    """Where and of what released numbers are."""

    zone: str
    target: str


@dataclass(frozen=True, slots=True)
class Held:
    """Releases of one place and window; one more for each assay that has the target."""

    releases: tuple[Release, ...] = ()
    late: int = 0


@dataclass(slots=True)
class _Stay:
    """The windows in which a kiosk released in a zone, first to last."""

    first_ns: int
    last_ns: int


class Holdings:
    """Every release, and what was expected beside it."""

    def __init__(self) -> None:
        self._held: defaultdict[int, dict[Place, Held]] = defaultdict(dict)
        self._kiosks: defaultdict[int, set[tuple[str, str]]] = defaultdict(set)
        self._stays: dict[tuple[str, str], _Stay] = {}
        self._assays: dict[Place, int] = {}
        self.first_of_zone: dict[str, int] = {}

    def add(self, row: ReleaseRow) -> None:
        """Take one committed release."""
        start = row.window_start_ns
        self._kiosks[start].add((row.device, row.zone))
        stay = self._stays.setdefault((row.device, row.zone), _Stay(start, start))
        stay.first_ns, stay.last_ns = min(stay.first_ns, start), max(stay.last_ns, start)
        self.first_of_zone[row.zone] = min(self.first_of_zone.get(row.zone, start), start)
        assays: defaultdict[Place, int] = defaultdict(int)
        for counts in row.counters.values():
            for target, positives in counts.positives.items():
                place = Place(row.zone, target)
                assays[place] += 1
                held = self._held[start].get(place, Held())
                release = Release(positives, counts.valid, counts.invalid, len(counts.positives))
                self._held[start][place] = Held((*held.releases, release), held.late + row.late)
        for place, number in assays.items():
            self._assays[place] = max(self._assays.get(place, 0), number)

    @property
    def first_ns(self) -> int | None:
        """The first released window of the district."""
        return min(self.first_of_zone.values(), default=None)

    def places(self) -> Collection[Place]:
        """Every zone and target with a release."""
        return self._assays.keys()

    def held(self, places: Collection[Place], windows: Sequence[int]) -> Held:
        """All releases of places and windows together."""
        at = (self._held.get(start, {}) for start in windows)
        found = [one for window in at for place, one in window.items() if place in places]
        return Held(tuple(release for one in found for release in one.releases), sum(one.late for one in found))

    def expected(self, places: Collection[Place], windows: Sequence[int], registry: RegistrySnapshot) -> int:
        """How many releases there should be of places in windows, as `held` counts them."""
        kiosks = {zone: self._expected_kiosks(zone, windows, registry) for zone in {place.zone for place in places}}
        return sum(kiosks[place.zone] * self._assays.get(place, 0) for place in places)

    def _expected_kiosks(self, zone: str, windows: Sequence[int], registry: RegistrySnapshot) -> int:
        """Kiosks times windows: from a kiosk's first release to its last, and on while it is in the registry."""
        active = {device.id for device in registry.devices.values() if _expects(device.kind, device.status)}
        here = {kiosk for kiosk in active if registry.devices[kiosk].zone == zone}
        known = {device: stay for (device, in_zone), stay in self._stays.items() if in_zone == zone}
        first = self.first_of_zone.get(zone)
        total = 0
        for start in windows:
            if first is None or start < first:
                continue
            total += sum(
                stay.first_ns <= start and (start <= stay.last_ns or device in here) for device, stay in known.items()
            )
            total += len(here - known.keys())
        return total

    def settled(self, first_ns: int, now_ns: int, registry: RegistrySnapshot) -> list[int]:
        """The starts of the windows from the first on for which nobody is waited for any longer."""
        calendar = registry.district.calendar
        return [
            start
            for start in calendar.windows_between(first_ns, now_ns - calendar.window_ns + 1)
            if self.is_over(start, now_ns, calendar) or self.is_complete(start, registry)
        ]

    def is_complete(self, start_ns: int, registry: RegistrySnapshot) -> bool:
        """Tell whether every kiosk that should release a window has."""
        came = self._kiosks.get(start_ns, set())
        return all(
            (device.id, device.zone) in came
            for device in registry.devices.values()
            if _expects(device.kind, device.status)
        )

    def is_over(self, start_ns: int, now_ns: int, calendar: Calendar) -> bool:
        """Tell whether nobody is waited for any longer."""
        return now_ns >= start_ns + calendar.window_ns + SETTLED_AFTER_S * NS


def _expects(kind: str, status: str) -> bool:
    return kind == KIOSK and status == "active"
