"""Public history: a CSV file of weekly counts to bucket `history`, checked whole before anything is written.

Header `zone,week_start,target,tests,positives`; a row is a zone's week that begins on the district's first day of the
week. Only weeks that were over before the zone's first release: from then on the kiosks' own tests might be in the
public numbers, and a difference of the two would be an exact count (DESIGN §7). Every import is one line of
`imports`, hash-chained, in the same write as its weeks. Importing the newest import again changes nothing.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from contracts.query import SeriesQuery
from contracts.windows import NS, WEEKDAYS, Calendar, to_datetime, to_ns
from gateway.errors import HistoryError
from stores.series.lines import Point, Value, encode
from stores.series.port import TimeSeriesStore

BUCKET: Final = "history"
HEADER: Final = ("zone", "week_start", "target", "tests", "positives")
# 40 zones for 20 years, twice over; a line has some 45 bytes.
MAX_ROWS: Final = 80_000
MAX_BYTES: Final = 8 * 1024 * 1024
MAX_SOURCE_CHARS: Final = 500
GENESIS: Final = "0" * 64
_WEEK: Final = timedelta(days=7)
_COUNT: Final = re.compile(r"[0-9]{1,9}")
_DAY: Final = re.compile(r"(19[7-9]|2[0-9]{2})[0-9]-[0-9]{2}-[0-9]{2}")
_IMPORT_FIELDS: Final = ("source", "sha256", "rows", "operator", "previous", "chain")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a row is checked against."""

    district: str
    calendar: Calendar
    zones: frozenset[str]
    targets: frozenset[str]
    first_release_ns: Mapping[str, int]  # by zone; none before its first release
    now_ns: int


@dataclass(frozen=True, slots=True, order=True)
class Week:
    """One checked row."""

    start_ns: int
    zone: str
    target: str
    tests: int
    positives: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One import as its audit line has it; `chain` is the hash of `previous` and of all else."""

    at_ns: int
    source: str
    sha256: str
    rows: int
    operator: str
    previous: str

    @property
    def chain(self) -> str:
        """The link that the next import holds as `previous`."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def read(content: bytes, limits: Limits, *, before: date | None) -> list[Week]:
    """Check a file; return the weeks to import, those that end after `before` left out.

    Raises:
        HistoryError: nothing of it may be imported; `problems` has every bad row with its line number.
    """
    text = _text(content)
    problems: list[tuple[int, str]] = []
    weeks: list[Week] = []
    seen: dict[tuple[int, str, str], int] = {}
    for line, row in _rows(text):
        try:
            week = _week(row, limits)
            first = seen.setdefault((week.start_ns, week.zone, week.target), line)
            if first != line:
                raise _RowError(f"the same zone, week and target as line {first}")
            if before is None or _end_ns(week) <= _midnight_ns(before, limits.calendar):
                _check_time(week, limits)
                weeks.append(week)
        except _RowError as exc:
            problems.append((line, str(exc)))
    if problems:
        raise HistoryError(f"{len(problems)} bad rows, so nothing was imported", problems)
    if not weeks:
        raise HistoryError("the file has no week to import")
    return sorted(weeks)


def store(
    weeks: Sequence[Week], series: TimeSeriesStore, limits: Limits, *, source: str, operator: str
) -> Import | None:
    """Write weeks and their audit line together; None when the newest import had the same weeks and source.

    Raises:
        HistoryError: the source is not one line of text.
    """
    if not source.strip() or len(source) > MAX_SOURCE_CHARS or not source.isprintable():
        raise HistoryError(f"--source names where the numbers come from, in 1 to {MAX_SOURCE_CHARS} characters")
    digest = hashlib.sha256(json.dumps([asdict(week) for week in weeks], sort_keys=True).encode()).hexdigest()
    newest = newest_import(series, limits.now_ns)
    if newest is not None and (newest.sha256, newest.source) == (digest, source):
        return None
    at_ns = max(limits.now_ns, newest.at_ns + 1) if newest is not None else limits.now_ns
    made = Import(
        at_ns=at_ns,
        source=source,
        sha256=digest,
        rows=len(weeks),
        operator=operator,
        previous=GENESIS if newest is None else newest.chain,
    )
    lines = [encode(_weekly(week, limits.district)) for week in weeks]
    series.write(BUCKET, b"\n".join([*lines, encode(_audit(made, limits.district))]))
    return made


def imports(series: TimeSeriesStore, until_ns: int) -> list[Import]:
    """All imports, oldest first."""
    columns: dict[str, dict[int, object]] = {}
    for field in _IMPORT_FIELDS[:-1]:
        answer = series.query(
            SeriesQuery(
                bucket=BUCKET,
                measurement="imports",
                field=field,
                function=None,
                every_s=None,
                start=datetime(1970, 1, 1, tzinfo=UTC),
                stop=to_datetime(until_ns) + timedelta(days=1),
            )
        )
        columns[field] = {at: value for one in answer for at, value in zip(one.times_ns, one.values, strict=True)}
    return [
        Import(
            at_ns=at,
            source=str(source),
            sha256=str(columns["sha256"][at]),
            rows=int(str(columns["rows"][at])),
            operator=str(columns["operator"][at]),
            previous=str(columns["previous"][at]),
        )
        for at, source in sorted(columns["source"].items())
    ]


def newest_import(series: TimeSeriesStore, until_ns: int) -> Import | None:
    """The last import; None before the first."""
    return max(imports(series, until_ns), key=lambda one: one.at_ns, default=None)


class _RowError(ValueError):
    """What is wrong with one row."""


def _text(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise HistoryError(f"the file has more than {MAX_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise HistoryError("the file is not UTF-8", [(line, "not UTF-8")]) from exc


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        if tuple(next(reader, ())) != HEADER:
            raise HistoryError(f"the first line must be {','.join(HEADER)}", [(1, "not that header")])
        for number, row in enumerate(reader, start=1):
            if number > MAX_ROWS:
                raise HistoryError(f"the file has more than {MAX_ROWS} rows", [(reader.line_num, "one too many")])
            if row:
                yield reader.line_num, row
    except csv.Error as exc:
        raise HistoryError("the file is not CSV", [(reader.line_num, str(exc))]) from exc


def _week(row: Sequence[str], limits: Limits) -> Week:
    if len(row) != len(HEADER):
        raise _RowError(f"{len(row)} columns, {len(HEADER)} expected")
    zone, day, target, tests, positives = (cell.strip() for cell in row)
    if zone not in limits.zones:
        raise _RowError(f"no zone {_shown(zone)} in the district; there are {', '.join(sorted(limits.zones))}")
    if target not in limits.targets:
        raise _RowError(f"no target {_shown(target)} in the district; there are {', '.join(sorted(limits.targets))}")
    counts = [_count(name, cell) for name, cell in (("tests", tests), ("positives", positives))]
    if counts[1] > counts[0]:
        raise _RowError("more positives than tests")
    return Week(_start_ns(day, limits.calendar), zone, target, *counts)


def _count(name: str, cell: str) -> int:
    if _COUNT.fullmatch(cell) is None:
        raise _RowError(f"{name} is not a whole number of 1 to 9 digits")
    return int(cell)


def _start_ns(day: str, calendar: Calendar) -> int:
    try:
        if _DAY.fullmatch(day) is None:
            raise ValueError(day)
        start = date.fromisoformat(day)
    except ValueError as exc:
        raise _RowError("week_start is not a date from 1970 on, like 2021-12-05") from exc
    if start.weekday() != calendar.week_start:
        raise _RowError(f"week_start is not a {WEEKDAYS[calendar.week_start]}, as the district's weeks begin")
    return _midnight_ns(start, calendar)


def _check_time(week: Week, limits: Limits) -> None:
    end_ns, first_ns = _end_ns(week), limits.first_release_ns.get(week.zone)
    if first_ns is not None and end_ns > first_ns:
        day = _day(first_ns, limits.calendar)
        raise _RowError(f"{week.zone} releases its own numbers since {day}; history is for weeks that were over then")
    if end_ns > limits.now_ns:
        raise _RowError("the week is not over yet")


def _end_ns(week: Week) -> int:
    return week.start_ns + int(_WEEK.total_seconds()) * NS


def _midnight_ns(day: date, calendar: Calendar) -> int:
    return to_ns(datetime(day.year, day.month, day.day, tzinfo=UTC)) - calendar.utc_offset_s * NS


def _day(ns: int, calendar: Calendar) -> date:
    return to_datetime(ns + calendar.utc_offset_s * NS).date()


def _shown(text: str) -> str:
    """A file's text, cut and made harmless for a terminal."""
    return repr(text[:40])


def _weekly(week: Week, district: str) -> Point:
    counts: dict[str, Value] = {"tests": week.tests, "positives": week.positives}
    if week.tests:
        counts["positivity"] = week.positives / week.tests
    return Point("weekly", {"district": district, "zone": week.zone, "target": week.target}, counts, week.start_ns)


def _audit(made: Import, district: str) -> Point:
    fields: dict[str, Value] = {"source": made.source, "sha256": made.sha256, "rows": made.rows}
    fields |= {"operator": made.operator, "previous": made.previous, "chain": made.chain}
    return Point("imports", {"district": district}, fields, made.at_ns)
