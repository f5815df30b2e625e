"""`kioskwatch history import` over real stores: whole or not at all, audited by a chain, and never beside releases."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.clock import first_anchors
from contracts.query import SeriesQuery
from gateway.analyse import history
from gateway.analyse.bootstrap import main
from stores.series.influx import InfluxSeries
from stores.series.port import TimeSeriesStore
from stores.series.sqlite import SqliteSeries
from stores.state.named_lease import named_lease
from tests.integration.analyse_district import CALENDAR, START_NS, TARGET, ZONES, CommittedDistrict
from tests.support.influxd import InfluxOrg
from tests.support.seeds import SEED

SHIPPED = Path(__file__).parents[2] / "kioskwatch" / "demo" / "history.csv"
SOURCE = "NYC Department of Health and Mental Hygiene, nychealth/coronavirus-data"


@pytest.fixture
def district(tmp_path: Path) -> Iterator[CommittedDistrict]:
    made = CommittedDistrict(tmp_path, SEED)
    yield made
    made.close()


@pytest.fixture
def settings(tmp_path: Path, district: CommittedDistrict) -> Path:
    """gateway.toml of a simulated district that stands at its first instant."""
    now = time.monotonic_ns()
    (tmp_path / "time.json").write_bytes(first_anchors(now, START_NS, 1).written_at(now))
    file = tmp_path / "gateway.toml"
    file.write_text(
        f"""
state = "{district.state}"
series = "sqlite:{tmp_path / "series"}"
time_file = "{tmp_path / "time.json"}"
deployment_key = "{tmp_path / "deployment.key"}"
broker = {{ host = "127.0.0.1", port = 1 }}
"""
    )
    return file


def imported(*words: str, settings: Path, source: str = SOURCE, before: str = "2021-12-12") -> int:
    return main(["import", *words, "--settings", str(settings), "--source", source, "--before", before])


def weekly(store: TimeSeriesStore, field: str) -> int:
    question = SeriesQuery(
        bucket="history",
        measurement="weekly",
        field=field,
        function="count",
        every_s=None,
        start=datetime(2020, 1, 1, tzinfo=UTC),
        stop=datetime(2024, 1, 1, tzinfo=UTC),
    )
    return sum(int(one.values[0]) for one in store.query(question))


def test_the_shipped_file_is_imported_once_and_a_repeat_changes_nothing(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(str(SHIPPED), settings=settings) == 0
    assert "426 rows imported" in capsys.readouterr().out
    assert imported(str(SHIPPED), settings=settings) == 0
    assert "already" in capsys.readouterr().out
    store = SqliteSeries(tmp_path / "series")
    assert {weekly(store, field) for field in ("tests", "positives", "positivity")} == {426}
    (one,) = history.imports(store, START_NS * 2)
    assert (one.rows, one.source, one.previous) == (426, SOURCE, history.GENESIS)
    store.close()


def test_one_bad_row_keeps_the_whole_file_out(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(SHIPPED.read_text() + f"{ZONES[0]},2021-11-28,{TARGET},1,2\nz0,2021-11-28,{TARGET},1,1\n")
    assert imported(str(bad), settings=settings) == 2
    said = capsys.readouterr().err
    assert "line 878: more positives than tests" in said
    assert "line 879: no zone 'z0'" in said
    store = SqliteSeries(tmp_path / "series")
    assert weekly(store, "tests") == 0
    assert history.imports(store, START_NS * 2) == []
    store.close()


def test_after_a_zones_first_release_its_weeks_are_refused(
    district: CommittedDistrict, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = district.drawn(-4, tests=10, share=0.1)[0]  # a day early
    district.commit([first])
    assert imported(str(SHIPPED), settings=settings) == 2
    said = capsys.readouterr().err
    assert said.count(": z10016 releases its own numbers since 2021-12-11") == 1
    assert imported(str(SHIPPED), settings=settings, before="2021-12-05") == 0


def test_a_file_that_is_not_there_and_a_source_that_says_nothing_are_one_sentence(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(str(tmp_path / "none.csv"), settings=settings) == 2
    assert imported(str(SHIPPED), settings=settings, source=" ") == 2
    assert imported(str(SHIPPED), settings=tmp_path / "none.toml") == 2
    assert capsys.readouterr().err.count("\n") == 3


def test_a_second_writer_of_history_is_refused(settings: Path, tmp_path: Path) -> None:
    other = SqliteSeries(tmp_path / "series", frozenset({"history"}))
    assert imported(str(SHIPPED), settings=settings) == 2
    other.close()


def test_on_influxdb_too_an_import_waits_for_the_one_that_runs(
    district: CommittedDistrict, settings: Path, tmp_path: Path, influx_org: InfluxOrg
) -> None:
    tokens = tmp_path / "tokens"
    tokens.mkdir()
    for bucket, token in influx_org.tokens.items():
        (tokens / bucket).write_text(token)
    lines = [line for line in settings.read_text().splitlines() if not line.startswith("series")]
    lines += [f'series = "influx:{influx_org.url}"', f'series_org = "{influx_org.name}"']
    settings.write_text("\n".join([*lines, f'series_token_dir = "{tokens}"']))
    store = InfluxSeries(influx_org.url, influx_org.name, influx_org.tokens)
    with named_lease(district.state, "history"):
        assert imported(str(SHIPPED), settings=settings) == 2
    assert history.imports(store, START_NS * 2) == []
    assert imported(str(SHIPPED), settings=settings) == 0
    assert len(history.imports(store, START_NS * 2)) == 1
    store.close()


@pytest.fixture(params=["sqlite", "influx"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TimeSeriesStore]:
    if request.param == "sqlite":
        made: TimeSeriesStore = SqliteSeries(tmp_path / "other", frozenset({"history"}))
    else:
        org: InfluxOrg = request.getfixturevalue("influx_org")
        made = InfluxSeries(org.url, org.name, org.tokens)
    yield made
    made.close()


def test_each_import_is_chained_to_the_one_before(store: TimeSeriesStore) -> None:
    limits = history.Limits("turtle-bay", CALENDAR, frozenset(ZONES), frozenset({TARGET}), {}, START_NS)
    head = ",".join(history.HEADER)
    first = history.read(f"{head}\nz10016,2021-12-05,{TARGET},100,5\n".encode(), limits, before=None)
    corrected = [replace(first[0], positives=6)]
    one = history.store(first, store, limits, source="the city", operator="ann")
    two = history.store(corrected, store, limits, source="the city", operator="bob")
    assert one is not None
    assert two is not None
    assert history.store(corrected, store, limits, source="the city", operator="ann") is None
    assert history.imports(store, START_NS) == [one, two]
    assert (one.previous, two.previous) == (history.GENESIS, one.chain)
    assert replace(one, operator="eve").chain != one.chain
    assert weekly(store, "positives") == 1
