"""`kioskwatch gateway verify`: everything published, computed a second time from the releases alone. Changes nothing.

    1  the chain of releases as they were received holds
    2  every window, day and week is rolled up from them anew
    3  the lines that stand in bucket `released` are those lines, byte for byte, and no others stand there

A field that a late release took below its display limit stays in its line, with the value of today (spans.point).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from contracts.query import MAX_ROWS, SeriesQuery
from contracts.registry import RegistrySnapshot
from contracts.windows import DAY_S, NS, to_datetime
from gateway.analyse.service import spans, sums
from gateway.analyse.service.drawing import BUCKET
from gateway.analyse.service.holdings import Holdings
from gateway.analyse.service.spans import ShownKey, Span
from stores.series.lines import Point, Value, encode
from stores.series.port import TimeSeriesStore

_TAGS: Final = ("district", "level", "zone", "target")
_PAGE_NS: Final = 90 * DAY_S * NS  # as many windows of 100 zones fit one answer

Key = tuple[str, int]
"""A series' tags and an instant: one line."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was compared and what differs; a line is named by its tags and time, never by its numbers."""

    lines: int
    missing: tuple[Key, ...]
    unexplained: tuple[Key, ...]
    different: tuple[Key, ...]

    @property
    def hold(self) -> bool:
        """Whether everything published follows from the releases."""
        return not (self.missing or self.unexplained or self.different)


def compare(holdings: Holdings, registry: RegistrySnapshot, series: TimeSeriesStore, *, now_ns: int) -> Findings:
    """Compare the published lines with the releases; StoreError when the series store cannot be read."""
    first_ns = holdings.first_ns
    settled = [] if first_ns is None else holdings.settled(first_ns, now_ns, registry)
    published = dict(_published(series, (first_ns or now_ns) - 7 * DAY_S * NS, now_ns + 1))
    if not settled:
        return Findings(len(published), (), tuple(sorted(published)), ())
    until_ns = max(settled) + registry.district.calendar.window_ns
    due: dict[Key, bytes] = {}
    for span in sums.touched(holdings, settled, registry):
        shown = _shown(span, published.get(_key_of(span, registry), {}))
        line = sums.point(holdings, span, registry, until_ns=until_ns, shown=shown)
        due[_key(line.tags, line.ts_ns)] = encode(line)
    both = due.keys() & published.keys()
    return Findings(
        lines=len(due),
        missing=tuple(sorted(due.keys() - published.keys())),
        unexplained=tuple(sorted(published.keys() - due.keys())),
        different=tuple(sorted(key for key in both if due[key] != _line(key, published[key]))),
    )


def _published(series: TimeSeriesStore, start_ns: int, stop_ns: int) -> Iterator[tuple[Key, Mapping[str, Value]]]:
    """Give every line of the bucket: its fields, gathered from one question a field."""
    rows: defaultdict[Key, dict[str, Value]] = defaultdict(dict)
    for field in spans.FIELDS:
        for page_ns in range(start_ns, stop_ns, _PAGE_NS):
            question = SeriesQuery(
                bucket=BUCKET,
                measurement=spans.MEASUREMENT,
                field=field,
                function=None,
                every_s=None,
                group_by=_TAGS,
                start=to_datetime(page_ns),
                stop=to_datetime(min(page_ns + _PAGE_NS, stop_ns)),
                limit=MAX_ROWS,
            )
            for one in series.query(question):
                for at_ns, value in zip(one.times_ns, one.values, strict=True):
                    rows[_key(one.tags, at_ns)][field] = value
    yield from rows.items()


def _key(tags: Mapping[str, str], at_ns: int) -> Key:
    return ",".join(f"{name}={tags[name]}" for name in sorted(_TAGS) if tags.get(name)), at_ns


def _key_of(span: Span, registry: RegistrySnapshot) -> Key:
    return _key(spans.tags(registry.district.id, span.zone, span.target, span.level), span.start_ns)


def _shown(span: Span, fields: Mapping[str, Value]) -> set[ShownKey]:
    return {span.shown(field) for field in spans.REPLACED if field in fields}


def _line(key: Key, fields: Mapping[str, Value]) -> bytes:
    tags = dict(pair.split("=", 1) for pair in key[0].split(","))
    ordered = {name: fields[name] for name in spans.FIELDS if name in fields}
    return encode(Point(spans.MEASUREMENT, tags, ordered, key[1]))
