"""`SeriesQuery` to SQLite's SQL. Pure.

The text of a statement is made of constants of this file; every name and value that a query brings is a bound
parameter. Results equal those of the same query in InfluxQL (`influxql`), which the conformance suite checks.
"""

from dataclasses import dataclass
from typing import Final, Literal

from contracts.errors import QueryError
from contracts.query import SeriesQuery
from contracts.windows import NS, to_ns

FieldType = Literal["float", "int", "str", "bool"]
Parameter = str | int

# What each function may be asked of; anything else InfluxQL refuses as well.
_TAKES: Final[dict[str, frozenset[FieldType]]] = {
    "count": frozenset({"float", "int", "str", "bool"}),
    "first": frozenset({"float", "int", "str", "bool"}),
    "last": frozenset({"float", "int", "str", "bool"}),
    "min": frozenset({"float", "int", "bool"}),
    "max": frozenset({"float", "int", "bool"}),
    "mean": frozenset({"float", "int"}),
    "sum": frozenset({"float", "int"}),
}
_AGGREGATES: Final = {
    "count": "count(value)",
    "min": "min(value)",
    "max": "max(value)",
    "mean": "avg(value)",
    "sum": "sum(value)",
}
# One row a bucket: the earliest or latest point, the greatest value where several share the instant.
_ENDS: Final = {"first": "ts, value DESC", "last": "ts DESC, value DESC"}
_EXTREMES: Final = {"first": "min", "last": "max"}

SERIES_OF_QUERY: Final = "SELECT type FROM field WHERE measurement = ? AND name = ?"


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL whose rows are (group_by values…, time in ns, value), in the order of the answer."""

    sql: str
    parameters: tuple[Parameter, ...]


def check_function(query: SeriesQuery, field_type: FieldType) -> None:
    """Raise QueryError when this function cannot be asked of a field of this type."""
    if query.function is not None and field_type not in _TAKES[query.function]:
        raise QueryError(f"{query.function} cannot be asked of {query.field}, which is {field_type}")


def compile_query(query: SeriesQuery) -> Statement:
    """Return the statement that answers a query."""
    start, stop = to_ns(query.start), to_ns(query.stop)
    source, parameters = _source(query, start, stop)
    groups = "".join(f"g{number}, " for number in range(len(query.group_by)))
    bucket, bucket_parameters = _bucket(query, start)
    limit = "LIMIT ?"
    if query.function is None:
        sql = f"SELECT {groups}ts, value FROM ({source}) ORDER BY {groups}ts, value {limit}"
        return Statement(sql, (*parameters, query.limit))
    buckets = f"SELECT {groups}{bucket} AS at, ts, value FROM ({source})"
    parameters = (*bucket_parameters, *parameters)
    if query.function in _AGGREGATES:
        value = _AGGREGATES[query.function]
        sql = f"SELECT {groups}at, {value} FROM ({buckets}) GROUP BY {groups}at ORDER BY {groups}at {limit}"
    else:
        rank = f"row_number() OVER (PARTITION BY {groups}at ORDER BY {_ENDS[query.function]})"
        ranked = f"SELECT {groups}at, value, {rank} AS place FROM ({buckets})"
        sql = f"SELECT {groups}at, value FROM ({ranked}) WHERE place = 1 ORDER BY {groups}at {limit}"
    return Statement(sql, (*parameters, query.limit))


def _source(query: SeriesQuery, start: int, stop: int) -> tuple[str, tuple[Parameter, ...]]:
    """Return a select of (g0, g1, …, ts, value): every point in question."""
    groups = "".join(f"coalesce(json_extract(s.tags, ?), '') AS g{number}, " for number in range(len(query.group_by)))
    filters = "".join(" AND json_extract(s.tags, ?) = ?" for _ in query.tags)
    chosen = f"FROM series s JOIN point p ON p.sid = s.sid WHERE s.measurement = ? AND s.field = ?{filters}"
    parameters: tuple[Parameter, ...] = (
        *map(_path, query.group_by),
        query.measurement,
        query.field,
        *(part for tag, value in query.tags.items() for part in (_path(tag), value)),
    )
    sql = f"SELECT {groups}p.ts AS ts, p.value AS value {chosen}"
    if query.every_s is None and query.function in _EXTREMES:
        # A whole span's end is two steps in the index of each series instead of a walk over all its points.
        end = f"(SELECT {_EXTREMES[query.function]}(ts) FROM point WHERE sid = s.sid AND ts >= ? AND ts < ?)"
        return f"{sql} AND p.ts = {end}", (*parameters, start, stop)
    return f"{sql} AND p.ts >= ? AND p.ts < ?", (*parameters, start, stop)


def _bucket(query: SeriesQuery, start: int) -> tuple[str, tuple[Parameter, ...]]:
    """Return the expression of a point's bucket: aligned to the epoch, also before 1970."""
    if query.every_s is None:
        return "?", (start,)
    every = query.every_s * NS
    return "ts - ((ts % ?) + ?) % ?", (every, every, every)


def _path(tag: str) -> str:
    return f'$."{tag}"'
