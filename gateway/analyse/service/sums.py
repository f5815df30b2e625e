"""From the releases that are known to the line of any window, day or week. Pure: analyse draws it, verify checks."""

from collections.abc import Collection, Iterable, Sequence

from contracts.registry import RegistrySnapshot
from gateway.analyse.rollup import RollUp, roll_up
from gateway.analyse.service import spans
from gateway.analyse.service.holdings import Holdings
from gateway.analyse.service.spans import ShownKey, Span
from gateway.analyse.service.streams import Stream
from stores.series.lines import Point


def rolled(
    holdings: Holdings, stream: Stream, windows: Sequence[int], registry: RegistrySnapshot
) -> tuple[RollUp, int]:
    """Return the released numbers of a stream's windows together, and how many of them came late."""
    places = {
        place for place in holdings.places() if place.target == stream.target and stream.zone in (None, place.zone)
    }
    held = holdings.held(places, windows)
    expected = holdings.expected(places, windows, registry)
    return roll_up(held.releases, expected=max(expected, len(held.releases))), held.late


def point(
    holdings: Holdings, span: Span, registry: RegistrySnapshot, *, until_ns: int, shown: Collection[ShownKey]
) -> Point:
    """Return a span's line from its windows that end by `until_ns`, the end of the newest window that was drawn."""
    windows = spans.windows_of(span, registry.district.calendar, until_ns=until_ns)
    sums, late = rolled(holdings, Stream(span.zone, span.target), windows, registry)
    return spans.point(span, sums, late=late, district=registry.district.id, shown_before=shown)


def touched(holdings: Holdings, windows: Iterable[int], registry: RegistrySnapshot) -> dict[Span, None]:
    """Return every span that holds one of the windows, in order, each once."""
    calendar = registry.district.calendar
    return dict.fromkeys(
        span
        for start in windows
        for place in holdings.places()
        for span in spans.spans_of(start, place.zone, place.target, calendar)
    )
