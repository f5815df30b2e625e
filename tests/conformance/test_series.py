"""One suite, the same data and questions, on SQLite and on a real InfluxDB 2."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.errors import QueryError
from contracts.query import Function, SeriesQuery
from contracts.windows import NS, to_ns
from stores.errors import LinesRefusedError, StoreAuthError, StoreError, StoreUnavailableError
from stores.series.influx import InfluxSeries
from stores.series.lines import Point, Value, encode
from stores.series.port import TimeSeriesStore
from stores.series.sqlite import SqliteSeries
from tests.support.influxd import InfluxOrg

START = datetime(2021, 12, 12, 5, tzinfo=UTC)
STOP = START + timedelta(hours=2)
T0 = to_ns(START)
Answer = list[tuple[dict[str, str], list[int], list[Value]]]


@pytest.fixture(params=["sqlite", "influx"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TimeSeriesStore]:
    opened: TimeSeriesStore
    if request.param == "sqlite":
        opened = SqliteSeries(tmp_path, frozenset({"environment", "released"}))
    else:
        org: InfluxOrg = request.getfixturevalue("influx_org")
        opened = InfluxSeries(org.url, org.name, org.tokens)
    yield opened
    opened.close()


@pytest.fixture
def both(tmp_path: Path, influx_org: InfluxOrg) -> Iterator[tuple[TimeSeriesStore, TimeSeriesStore]]:
    pair = (
        SqliteSeries(tmp_path, frozenset({"environment", "released"})),
        InfluxSeries(influx_org.url, influx_org.name, influx_org.tokens),
    )
    yield pair
    for one in pair:
        one.close()


def air(zone: str | None, second: int, **fields: Value) -> bytes:
    tags = {} if zone is None else {"zone": zone}
    return encode(Point("air", {"kind": "air_monitor", **tags}, fields, T0 + second * NS))


LINES = b"\n".join(
    [
        air("z1", 0, co2_ppm=400.0, humidity_pct=40.0, n=3, good=True, word="a"),
        air("z1", 300, co2_ppm=450.5, n=4, good=False, word="b"),
        air("z1", 700, co2_ppm=500.0, n=-1),
        air("z1", 3600, co2_ppm=600.25),
        air("z2", 300, co2_ppm=1700.0, n=9, good=True, word='say "no\\yes"'),
        air("z2", 700, co2_ppm=1800.0),
        air(None, 10, co2_ppm=1.0),
        air("z1", -1, co2_ppm=9.0),
        air("z1", 7200, co2_ppm=9.0),
    ]
)


def ask(store: TimeSeriesStore, **changes: Any) -> Answer:  # noqa: ANN401 -- SeriesQuery judges them
    asked: dict[str, Any] = {
        "bucket": "environment",
        "measurement": "air",
        "field": "co2_ppm",
        "function": None,
        "every_s": None,
        "start": START,
        "stop": STOP,
    }
    answer = store.query(SeriesQuery(**asked | changes))
    return [(dict(s.tags), [(t - T0) // NS for t in s.times_ns], s.values) for s in answer]


def test_raw_points_come_back_in_time_order_within_half_open_bounds(store: TimeSeriesStore) -> None:
    store.write("environment", LINES)
    assert ask(store, tags={"zone": "z1"}) == [({}, [0, 300, 700, 3600], [400.0, 450.5, 500.0, 600.25])]


def test_groups_are_sorted_and_a_missing_tag_is_empty(store: TimeSeriesStore) -> None:
    store.write("environment", LINES)
    assert [(tags, len(times)) for tags, times, _ in ask(store, group_by=("zone",))] == [
        ({"zone": ""}, 1),
        ({"zone": "z1"}, 4),
        ({"zone": "z2"}, 2),
    ]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("mean", [425.25, 500.0, 600.25]),
        ("min", [400.0, 500.0, 600.25]),
        ("max", [450.5, 500.0, 600.25]),
        ("sum", [850.5, 500.0, 600.25]),
        ("count", [2, 1, 1]),
        ("first", [400.0, 500.0, 600.25]),
        ("last", [450.5, 500.0, 600.25]),
    ],
)
def test_buckets_are_aligned_to_the_epoch_and_empty_ones_left_out(
    store: TimeSeriesStore, function: Function, expected: list[float]
) -> None:
    store.write("environment", LINES)
    answer = ask(store, function=function, every_s=600, tags={"zone": "z1"})
    assert answer == [({}, [0, 600, 3600], expected)]


def test_a_bucket_may_start_before_the_question_does(store: TimeSeriesStore) -> None:
    store.write("environment", LINES)
    answer = ask(store, function="count", every_s=3600, start=START + timedelta(seconds=200), tags={"zone": "z1"})
    assert answer == [({}, [0, 3600], [2, 1])]


@pytest.mark.parametrize("function", ["min", "max", "mean", "sum", "count", "first", "last"])
def test_a_whole_span_has_one_value_at_its_start(store: TimeSeriesStore, function: Function) -> None:
    store.write("environment", LINES)
    for _, times, values in ask(store, function=function, group_by=("zone",)):
        assert (times, len(values)) == ([0], 1)


def test_texts_truths_and_whole_numbers_keep_their_type(store: TimeSeriesStore) -> None:
    store.write("environment", LINES)
    ((_, times, words),) = ask(store, field="word")
    assert times == [0, 300, 300]
    assert sorted(map(str, words)) == ["a", "b", 'say "no\\yes"']
    ((_, _, truths),) = ask(store, field="good", tags={"zone": "z1"})
    assert truths == [True, False]
    assert all(type(truth) is bool for truth in truths)
    ((_, _, whole),) = ask(store, field="n", function="last", tags={"zone": "z1"})
    assert whole == [-1]
    assert type(whole[0]) is int


@pytest.mark.parametrize(("field", "function"), [("word", "mean"), ("word", "max"), ("good", "sum"), ("word", "sum")])
def test_a_function_that_the_fields_type_does_not_allow_is_refused(
    store: TimeSeriesStore, field: str, function: Function
) -> None:
    store.write("environment", LINES)
    with pytest.raises(QueryError):
        ask(store, field=field, function=function)


def test_writing_again_changes_nothing_and_other_fields_join_the_point(store: TimeSeriesStore) -> None:
    for _ in range(2):
        store.write("environment", LINES)
    store.write("environment", air("z1", 0, co2_ppm=401.0, temperature_c=21.5))
    assert ask(store, tags={"zone": "z1"}, limit=1) == [({}, [0], [401.0])]
    assert ask(store, field="humidity_pct") == [({}, [0], [40.0])]
    assert ask(store, field="temperature_c") == [({}, [0], [21.5])]


def test_the_limit_counts_rows_of_the_whole_answer(store: TimeSeriesStore) -> None:
    store.write("environment", LINES)
    answer = ask(store, group_by=("zone",), limit=4)
    assert [(tags["zone"], len(times)) for tags, times, _ in answer] == [("", 1), ("z1", 3)]


def test_what_nobody_wrote_is_empty(store: TimeSeriesStore) -> None:
    assert ask(store) == []
    assert ask(store, bucket="released") == []
    store.write("environment", LINES)
    assert ask(store, field="nothing") == []
    assert ask(store, tags={"zone": "z9"}, function="mean") == []
    assert ask(store, start=STOP + timedelta(days=1), stop=STOP + timedelta(days=2), function="count", every_s=60) == []


@pytest.mark.rule("C19")
def test_bad_lines_are_named_and_every_other_line_is_stored(store: TimeSeriesStore) -> None:
    store.write("environment", air("z1", 0, co2_ppm=400.0))
    good = [air("z3", second, co2_ppm=float(second)) for second in range(7)]
    lines = [*good[:3], air("z3", 50, co2_ppm=7), *good[3:], b"no line at all"]
    with pytest.raises(LinesRefusedError) as refused:
        store.write("environment", b"\n".join(lines))
    assert [index for index, _ in refused.value.bad] == [3, 8]
    assert ask(store, tags={"zone": "z3"}) == [({}, list(range(7)), [float(second) for second in range(7)])]


def test_a_refusal_says_nothing_of_the_line(store: TimeSeriesStore) -> None:
    with pytest.raises(LinesRefusedError) as refused:
        store.write("environment", b"air,zone=z1 secret=SMITH")
    assert "SMITH" not in f"{refused.value} {refused.value.bad}"


def test_what_is_older_is_forgotten_and_the_instant_itself_kept(store: TimeSeriesStore) -> None:
    store.write("environment", LINES)
    store.delete_before("environment", T0 + 700 * NS)
    assert ask(store, tags={"zone": "z1"}) == [({}, [700, 3600], [500.0, 600.25])]


def test_a_store_that_serves_says_so(store: TimeSeriesStore) -> None:
    store.health()


POINTS = st.lists(
    st.tuples(st.sampled_from(["z1", "z2", None]), st.integers(0, 7199), st.integers(-40, 40).map(lambda n: n / 4)),
    max_size=40,
)
FUNCTIONS: list[Function] = ["min", "max", "mean", "sum", "count", "first", "last"]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    points=POINTS,
    function=st.sampled_from(FUNCTIONS),
    every_s=st.sampled_from([None, 60, 600, 5400]),
    grouped=st.booleans(),
)
def test_both_stores_answer_alike(
    both: tuple[TimeSeriesStore, TimeSeriesStore],
    points: list[tuple[str | None, int, float]],
    function: Function,
    every_s: int | None,
    grouped: bool,
) -> None:
    answers = []
    for store in both:
        store.delete_before("environment", to_ns(STOP) + NS)
        store.write("environment", b"\n".join(air(zone, second, co2_ppm=value) for zone, second, value in points))
        group_by = ("zone",) if grouped else ()
        answers.append(ask(store, function=function, every_s=every_s, group_by=group_by))
    first, second = answers
    assert [(tags, times) for tags, times, _ in first] == [(tags, times) for tags, times, _ in second]
    for (_, _, left), (_, _, right) in zip(first, second, strict=True):
        assert left == pytest.approx(right, rel=1e-12, abs=1e-12)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as taken:  # bound, not listening
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        store = InfluxSeries(f"http://127.0.0.1:{port}", "org", {"environment": "t"})
        for call in (store.health, lambda: store.write("environment", LINES), lambda: ask(store)):
            with pytest.raises(StoreUnavailableError):
                call()
        store.close()


def test_a_wrong_token_and_a_foreign_bucket_are_told_from_an_outage(influx_org: InfluxOrg) -> None:
    store = InfluxSeries(
        influx_org.url, influx_org.name, {"environment": "wrong", "fleet": influx_org.tokens["released"]}
    )
    for bucket in ("environment", "fleet", "history"):
        with pytest.raises(StoreAuthError):
            store.write(bucket, LINES)
    with pytest.raises(StoreAuthError):
        ask(store)
    store.close()


def test_a_bucket_this_process_does_not_write_is_refused(tmp_path: Path) -> None:
    store = SqliteSeries(tmp_path, frozenset({"released"}))
    with pytest.raises(StoreError):
        store.write("environment", LINES)
    store.close()
