"""`SeriesQuery` to InfluxQL, and its JSON answer to rows. Pure.

InfluxQL is the one query language of InfluxDB 1.8, 2 and 3, and what Grafana's panels carry. Names cannot break out:
`SeriesQuery` admits identifiers and tag values without a quote, a backslash or a blank only.
"""

from typing import Any, Final

import msgspec

from contracts.errors import QueryError
from contracts.query import SeriesQuery
from contracts.windows import to_ns
from stores.errors import StoreError, StoreUnavailableError
from stores.series.lines import Value
from stores.series.port import Series

_NO_DATABASE: Final = "database not found"
_WRONG_TYPE: Final = "iterator type"  # "unsupported mean iterator type: …": the field's type does not allow it


class _Rows(msgspec.Struct, frozen=True):
    """One series as InfluxDB answers it: time and value in columns 0 and 1."""

    values: list[tuple[int, Any]]
    tags: dict[str, str] = {}


class _Result(msgspec.Struct, frozen=True):
    series: list[_Rows] = []
    error: str | None = None


class _Answer(msgspec.Struct, frozen=True):
    results: list[_Result] = []
    error: str | None = None


_DECODER = msgspec.json.Decoder(_Answer)


def compile_query(query: SeriesQuery) -> str:
    """Return the statement; rows come back oldest first within a series."""
    return compile_between(query, f"time >= {to_ns(query.start)} AND time < {to_ns(query.stop)}")


def compile_between(query: SeriesQuery, time_filter: str) -> str:
    """Return the statement with another time condition: Grafana's `$timeFilter`, which it fills in itself."""
    field = f'"{query.field}"' if query.function is None else f'{query.function}("{query.field}")'
    tags = "".join(f" AND \"{tag}\" = '{value}'" for tag, value in query.tags.items())
    groups = [f'"{tag}"' for tag in query.group_by]
    if query.every_s is not None:
        groups.insert(0, f"time({query.every_s}s)")
    by = f" GROUP BY {', '.join(groups)}" if groups else ""
    fill = " fill(none)" if query.every_s is not None else ""
    # A series cannot have more rows than the whole answer may have; `read_answer` cuts the rest.
    source = f'"{query.measurement}" WHERE {time_filter}{tags}{by}{fill} LIMIT {query.limit}'
    return f"SELECT {field} FROM {source}"  # noqa: S608 -- SeriesQuery admits no character that could break out


def read_answer(query: SeriesQuery, body: bytes) -> list[Series]:
    """Return the series of an answer; QueryError, StoreError, StoreUnavailableError as the answer says."""
    try:
        answer = _DECODER.decode(body)
    except msgspec.MsgspecError as exc:
        raise StoreUnavailableError("InfluxDB's answer is not the JSON of a query") from exc
    error = answer.error or next((result.error for result in answer.results if result.error is not None), None)
    if error is not None:
        if error.startswith(_NO_DATABASE):
            return []
        if _WRONG_TYPE in error:
            raise QueryError(f"{query.function} cannot be asked of {query.field}: its type does not allow it")
        raise StoreError("InfluxDB refused the query")
    if not answer.results:  # a query has a result, be it an empty one; what says nothing is not "no data"
        raise StoreUnavailableError("InfluxDB's answer holds no result")
    return _cut(query, [_series(query, rows) for result in answer.results for rows in result.series])


def _series(query: SeriesQuery, rows: _Rows) -> Series:
    whole_span = query.function is not None and query.every_s is None
    times = [to_ns(query.start)] if whole_span else [time for time, _ in rows.values]
    values: list[Value] = [value for _, value in rows.values]
    return Series({tag: rows.tags.get(tag, "") for tag in query.group_by}, times, values)


def _cut(query: SeriesQuery, answer: list[Series]) -> list[Series]:
    """Sort by the groups' values and keep the first `limit` rows of the whole answer."""
    kept: list[Series] = []
    room = query.limit
    for series in sorted(answer, key=lambda one: tuple(one.tags.values())):
        if room > 0:
            kept.append(Series(series.tags, series.times_ns[:room], series.values[:room]))
        room -= len(series.times_ns)
    return kept
