"""roll_ups.csv: the released sums of the spans that lie whole inside a period, by the display rule of DESIGN §7.

Numbers are given as released, negative ones too; a number that is not shown is an empty cell with its status beside it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from backend.sharing.rules import Grant, iso, length_of
from backend.sharing.tables import ROLL_UP_COLUMNS, csv_bytes
from contracts.query import MAX_ROWS, SeriesQuery
from contracts.windows import DAY_S, NS, Calendar, to_datetime
from stores.series.lines import Value
from stores.series.port import TimeSeriesStore

BUCKET, MEASUREMENT = "released", "testing"
FIELDS: Final = (
    *("status", "positives", "valid", "invalid", "noise_sd", "noise_sd_valid", "positivity", "lower", "upper"),
    *("kiosks_reporting", "kiosks_expected", "late"),
)
# Below these a share is mostly noise (DESIGN §7); the roll-up's own limits, and a test says so.
LEAST_VALID_FOR_POSITIVITY, LEAST_SDS_FOR_POSITIVITY = 50.0, 8.0
_COUNTS: Final = ("positives", "valid", "invalid")
_SHARES: Final = ("positivity", "lower", "upper")
_FLOATS: Final = frozenset({*_SHARES, "noise_sd", "noise_sd_valid"})  # a store may answer a whole one as an integer
_STEP_NS: Final = 1000  # bounds of a question are microseconds: the last span begins just before the end
_PAGE_NS: Final = 30 * DAY_S * NS  # four windows a day of 800 zones fit one answer

Fields = Mapping[str, Value]
Key = tuple[int, str]  # start, zone ("" = the district)


def roll_ups(store: TimeSeriesStore, grant: Grant, *, district: str, calendar: Calendar) -> bytes:
    """Return the table; StoreError when the store cannot be read."""
    rows = (
        row
        for level in grant.request.levels
        for target in grant.request.targets
        for row in _rows(store, grant, level, target, district=district, calendar=calendar)
    )
    return csv_bytes([column.name for column in ROLL_UP_COLUMNS], rows)


def _rows(
    store: TimeSeriesStore, grant: Grant, level: str, target: str, *, district: str, calendar: Calendar
) -> Iterator[Sequence[object]]:
    start_ns, stop_ns = grant.bounds_ns(calendar)
    length_ns = length_of(level, calendar) * NS
    tags = {"district": district, "level": level, "target": target}
    found: defaultdict[Key, dict[str, Value]] = defaultdict(dict)
    for field in FIELDS:
        for question in _questions(field, tags, start_ns, stop_ns - length_ns + _STEP_NS):
            for series in store.query(question):
                for at_ns, value in zip(series.times_ns, series.values, strict=True):
                    found[at_ns, series.tags["zone"]][field] = value
    for (at_ns, zone), fields in sorted(found.items()):
        yield [
            level,
            zone,
            target,
            iso(at_ns, calendar.utc_offset_s),
            iso(at_ns + length_ns, calendar.utc_offset_s),
            *shown(fields),
        ]


def shown(fields: Fields) -> list[Value | None]:
    """Return a line's cells from `status` on, by the display rule: None is what may not be shown.

    A field that a late release took below its limit still stands in the store; so the rule is applied here again.
    """
    status = fields.get("status", "none")
    cells: dict[str, Value | None] = {name: _cell(name, fields.get(name)) for name in FIELDS} | {"status": status}
    if status != "shown":
        cells |= dict.fromkeys(_COUNTS)
    valid, noise_sd = fields.get("valid"), fields.get("noise_sd_valid")
    if status != "shown" or not _enough(valid, noise_sd):
        cells |= dict.fromkeys(_SHARES)
    return list(cells.values())


def _cell(name: str, value: Value | None) -> Value | None:
    return float(value) if name in _FLOATS and isinstance(value, int) else value


def _enough(valid: Value | None, noise_sd: Value | None) -> bool:
    if not isinstance(valid, int | float) or not isinstance(noise_sd, int | float):
        return False
    return valid >= max(LEAST_VALID_FOR_POSITIVITY, LEAST_SDS_FOR_POSITIVITY * noise_sd)


def _questions(field: str, tags: Mapping[str, str], start_ns: int, stop_ns: int) -> Iterator[SeriesQuery]:
    for page_ns in range(start_ns, stop_ns, _PAGE_NS):
        yield SeriesQuery(
            bucket=BUCKET,
            measurement=MEASUREMENT,
            field=field,
            function=None,
            every_s=None,
            group_by=("zone",),
            tags=tags,
            start=to_datetime(page_ns),
            stop=to_datetime(min(page_ns + _PAGE_NS, stop_ns)),
            limit=MAX_ROWS,
        )
