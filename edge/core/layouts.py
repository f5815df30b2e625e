"""Which assay layout is in force when. Pure. Layouts are kept for ever and change at a window's start only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from contracts.layout import AssayLayout
from edge.errors import ReleaseError


@dataclass(frozen=True, slots=True)
class LayoutBook:
    """Every layout a kiosk was told of: the instant from which it holds, ascending, and the layout."""

    entries: tuple[tuple[int, AssayLayout], ...]

    def at(self, window_start_ns: int) -> AssayLayout:
        """Return the layout in force at a window's start; the first one also before it holds. ReleaseError if none."""
        if not self.entries:
            raise ReleaseError("this kiosk was told of no assay layout")
        found = [layout for valid_from_ns, layout in self.entries if valid_from_ns <= window_start_ns]
        return found[-1] if found else self.entries[0][1]

    @property
    def by_number(self) -> Mapping[int, AssayLayout]:
        """Every layout by its number."""
        return MappingProxyType({layout.number: layout for _, layout in self.entries})


def layout_book(entries: Sequence[tuple[int, AssayLayout]]) -> LayoutBook:
    """Sort layouts by the instant from which they hold."""
    return LayoutBook(tuple(sorted(entries, key=lambda entry: entry[0])))
