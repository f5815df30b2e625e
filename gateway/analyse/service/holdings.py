"""The releases that are known, by window and zone; which windows are complete; how many kiosks were expected. Pure.

All of it is rebuilt from the committed rows at every start: nothing here is the only copy of anything.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
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
class _Service:
    """The windows that a kiosk released, first to last."""

    first_ns: int
    last_ns: int


class Holdings:
    """Every release, and what was expected beside it."""

    def __init__(self) -> None:
        self._held: defaultdict[int, dict[Place, Held]] = defaultdict(dict)
        self._zones: defaultdict[int, dict[str, str]] = defaultdict(dict)  # window -> kiosk -> zone
        self._services: dict[str, _Service] = {}
        self._assays: dict[Place, int] = {}
        self.first_of_zone: dict[str, int] = {}
        self._expected: dict[int, Counter[str]] = {}  # window -> zone -> kiosks, as `_expected_by` says
        self._expected_by: RegistrySnapshot | None = None

    def add(self, row: ReleaseRow) -> None:
        """Take one committed release."""
        start = row.window_start_ns
        self._expected.clear()
        self._zones[start][row.device] = row.zone
        service = self._services.setdefault(row.device, _Service(start, start))
        service.first_ns, service.last_ns = min(service.first_ns, start), max(service.last_ns, start)
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
        kiosks = [self._expected_kiosks(start, registry) for start in windows]
        return sum(window[place.zone] * self._assays.get(place, 0) for place in places for window in kiosks)

    def _expected_kiosks(self, start_ns: int, registry: RegistrySnapshot) -> Counter[str]:
        """Kiosks of a window by zone; a window counts in one zone, also while its kiosk is being moved (C31)."""
        if self._expected_by is not registry:
            self._expected.clear()
            self._expected_by = registry
        if start_ns not in self._expected:
            self._expected[start_ns] = Counter(self._expected_zones(start_ns, registry))
        return self._expected[start_ns]

    def _expected_zones(self, start_ns: int, registry: RegistrySnapshot) -> Iterator[str]:
        """A zone a kiosk: where its release counts, or where it is missed once its zone has any."""
        came = self._zones.get(start_ns, {})
        yield from came.values()
        active = _active(registry)
        for kiosk in (self._services.keys() | active) - came.keys():
            zone = registry.zone_at(kiosk, start_ns)
            if zone is None or start_ns < self.first_of_zone.get(zone, start_ns + 1):
                continue
            if self._is_missed(kiosk, start_ns, active):
                yield zone

    def _is_missed(self, kiosk: str, start_ns: int, active: Collection[str]) -> bool:
        """From a kiosk's first release to its last, and on while it is in the registry."""
        service = self._services.get(kiosk)
        if service is None:
            return True  # in the registry, and never heard of
        return service.first_ns <= start_ns and (start_ns <= service.last_ns or kiosk in active)

    def settled(self, first_ns: int, now_ns: int, registry: RegistrySnapshot) -> list[int]:
        """The starts of the windows from the first on for which nobody is waited for any longer."""
        calendar = registry.district.calendar
        return [
            start
            for start in calendar.windows_between(first_ns, now_ns - calendar.window_ns + 1)
            if self.is_over(start, now_ns, calendar) or self.is_complete(start, registry)
        ]

    def is_complete(self, start_ns: int, registry: RegistrySnapshot) -> bool:
        """Tell whether every kiosk that should release a window has, wherever it counts."""
        return _active(registry) <= self._zones.get(start_ns, {}).keys()

    def is_over(self, start_ns: int, now_ns: int, calendar: Calendar) -> bool:
        """Tell whether nobody is waited for any longer."""
        return now_ns >= start_ns + calendar.window_ns + SETTLED_AFTER_S * NS


def _active(registry: RegistrySnapshot) -> frozenset[str]:
    return frozenset(one.id for one in registry.devices.values() if one.kind == KIOSK and one.status == "active")
