from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import QueryError
from contracts.query import SeriesQuery
from stores.errors import StoreError, StoreUnavailableError
from stores.series.influxql import compile_between, compile_query, read_answer
from stores.series.sql import compile_query as compile_sql

START = datetime(2021, 12, 12, 5, tzinfo=UTC)
STOP = datetime(2021, 12, 13, 5, tzinfo=UTC)
ASKED: dict[str, Any] = {
    "bucket": "environment",
    "measurement": "air",
    "field": "co2_ppm",
    "function": "mean",
    "every_s": 600,
    "group_by": ("zone",),
    "tags": {"kind": "air_monitor"},
    "start": START,
    "stop": STOP,
    "limit": 7,
}
QUERY = SeriesQuery(**ASKED)


def test_the_statement_reads_as_written_by_hand() -> None:
    assert compile_query(QUERY) == (
        'SELECT mean("co2_ppm") FROM "air" WHERE time >= 1639285200000000000 AND time < 1639371600000000000'
        ' AND "kind" = \'air_monitor\' GROUP BY time(600s), "zone" fill(none) LIMIT 7'
    )
    raw = SeriesQuery(**ASKED | {"function": None, "every_s": None, "group_by": (), "tags": {}})
    assert compile_query(raw).startswith('SELECT "co2_ppm" FROM "air" WHERE time >= ')
    assert compile_between(raw, "$timeFilter") == 'SELECT "co2_ppm" FROM "air" WHERE $timeFilter LIMIT 7'


def test_the_sql_holds_no_name_or_value_of_the_query() -> None:
    statement = compile_sql(QUERY)
    for word in ("air", "co2_ppm", "zone", "kind", "air_monitor"):
        assert word not in statement.sql
    assert {"air", "co2_ppm", "air_monitor", '$."zone"', '$."kind"'} <= set(map(str, statement.parameters))


TAG_VALUES = st.text(max_size=12)


@given(TAG_VALUES)
def test_no_tag_value_breaks_out_of_a_statement(value: str) -> None:
    try:
        query = SeriesQuery(**ASKED | {"tags": {"zone": value}})
    except QueryError:
        return
    assert compile_query(query).count("'") == 2
    assert not set(value) & set("'\"\\; \n")


def test_an_answer_is_read_sorted_and_cut_to_the_limit() -> None:
    body = (
        b'{"results":[{"statement_id":0,"series":['
        b'{"name":"air","tags":{"zone":"z2"},"columns":["time","mean"],"values":[[1,2.5],[2,3]]},'
        b'{"name":"air","tags":{"zone":""},"columns":["time","mean"],"values":[[1,1],[2,1],[3,1],[4,1],[5,1],[6,1]]}]}]}'
    )
    answer = read_answer(QUERY, body)
    assert [(dict(series.tags), series.times_ns) for series in answer] == [
        ({"zone": ""}, [1, 2, 3, 4, 5, 6]),
        ({"zone": "z2"}, [1]),
    ]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"results":[{"error":"unsupported mean iterator type: *query.stringIterator"}]}', QueryError),
        (b'{"results":[{"error":"partial write of something"}]}', StoreError),
        (b'{"error":"timeout"}', StoreError),
        (b"<html>bad gateway</html>", StoreUnavailableError),
        (b"{}", StoreUnavailableError),
        (b'{"results":[]}', StoreUnavailableError),
        (b'{"results":[{"series":[{"values":[["x",1]]}]}]}', StoreUnavailableError),
    ],
)
def test_an_error_in_an_answer_is_told_apart(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_answer(QUERY, body)


def test_a_bucket_that_nobody_wrote_to_is_empty() -> None:
    assert read_answer(QUERY, b'{"results":[{"statement_id":0,"error":"database not found: environment"}]}') == []
    assert read_answer(QUERY, b'{"results":[{"statement_id":0}]}') == []


@given(st.binary(max_size=100))
def test_a_damaged_answer_gives_one_of_our_errors(garbage: bytes) -> None:
    with pytest.raises((StoreError, QueryError)):
        read_answer(QUERY, garbage)
