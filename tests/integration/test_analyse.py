"""`gateway analyse` over real stores: what stands in the released bucket and among the signals, and after faults."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.query import SeriesQuery
from contracts.windows import DAY_S, NS
from stores.errors import StoreUnavailableError, WriterLockedError
from stores.series.influx import InfluxSeries
from stores.series.lines import Point, encode
from stores.series.port import Series, TimeSeriesStore
from stores.series.sqlite import SqliteSeries
from stores.state.database import open_for_writing
from stores.state.signals import signals_after
from tests.integration.analyse_district import (
    CALENDAR,
    KIOSKS,
    MINUTE_NS,
    START_NS,
    TARGET,
    WINDOW_NS,
    ZONES,
    Analysis,
    CommittedDistrict,
    SetClock,
    released_numbers,
    rows,
)
from tests.support.influxd import InfluxOrg
from tests.support.seeds import SEED

DAY_NS = DAY_S * NS
HOUR_NS = 3600 * NS


@pytest.fixture
def district(tmp_path: Path) -> Iterator[CommittedDistrict]:
    made = CommittedDistrict(tmp_path, SEED)
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "influx"])
def series(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TimeSeriesStore]:
    if request.param == "sqlite":
        store: TimeSeriesStore = SqliteSeries(tmp_path / "series", frozenset({"released", "history"}))
    else:
        org: InfluxOrg = request.getfixturevalue("influx_org")
        store = InfluxSeries(org.url, org.name, org.tokens)
    yield store
    store.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[TimeSeriesStore]:
    store = SqliteSeries(tmp_path / "series", frozenset({"released", "history"}))
    yield store
    store.close()


def history(store: TimeSeriesStore, share: float) -> None:
    """Eight public weeks of every zone."""
    store.write(
        "history",
        b"\n".join(
            encode(
                Point(
                    "weekly",
                    {"district": "turtle-bay", "zone": zone, "target": TARGET},
                    {"tests": 2000, "positives": round(2000 * share), "positivity": share},
                    START_NS - week * 7 * DAY_NS,
                )
            )
            for zone in ZONES
            for week in range(1, 9)
        ),
    )


def test_every_level_is_the_sum_of_its_releases(district: CommittedDistrict, series: TimeSeriesStore) -> None:
    analysis = Analysis(district.state, series, SetClock(), public=False)
    for window in range(6):
        district.commit(district.drawn(window, tests=17, share=0.1))
        analysis.at_end_of(window)
    found = released_numbers(series)
    assert {level for level, _, _ in found} == {
        f"{place}_{span}" for place in ("zone", "district") for span in ("window", "day", "week")
    }
    whole = found["district_week", "", CALENDAR.week_start_ns(START_NS)]
    windows = [row for (level, _, _), row in found.items() if level == "zone_window"]
    assert len(windows) == 6 * len(ZONES)
    for field in ("positives", "valid", "invalid", "kiosks_reporting", "late"):
        assert whole[field] == sum(int(row[field]) for row in windows)
        days = [row for (level, _, _), row in found.items() if level == "zone_day"]
        assert whole[field] == sum(int(row[field]) for row in days)
    assert float(whole["noise_sd"]) == pytest.approx(1.3570 * math.sqrt(6 * len(KIOSKS)), rel=1e-4)
    assert (whole["kiosks_expected"], whole["status"]) == (6 * len(KIOSKS), "shown")
    assert float(whole["positivity"]) == int(whole["positives"]) / int(whole["valid"])
    analysis.close()


def test_a_window_waits_for_its_kiosks_an_hour_and_is_then_shown_with_those_that_came(
    district: CommittedDistrict, sqlite: TimeSeriesStore
) -> None:
    analysis = Analysis(district.state, sqlite, SetClock(), public=False)
    silent = next(iter(KIOSKS))
    district.commit([row for row in district.drawn(0, tests=17, share=0.1) if row.device != silent])
    analysis.at_end_of(0)
    assert released_numbers(sqlite) == {}
    analysis.at_end_of(0, later_ns=HOUR_NS)
    zone = released_numbers(sqlite)["zone_window", KIOSKS[silent], START_NS]
    assert (zone["kiosks_reporting"], zone["kiosks_expected"]) == (2, 3)
    analysis.close()


def test_a_window_without_any_release_is_none_and_not_zero(
    district: CommittedDistrict, sqlite: TimeSeriesStore
) -> None:
    analysis = Analysis(district.state, sqlite, SetClock(), public=False)
    district.commit(district.drawn(0, tests=17, share=0.1))
    analysis.at_end_of(1, later_ns=HOUR_NS)
    silent = released_numbers(sqlite)["zone_window", ZONES[0], START_NS + WINDOW_NS]
    assert (silent["status"], silent["kiosks_reporting"], silent["kiosks_expected"]) == ("none", 0, 3)
    assert "positivity" not in silent
    assert "valid_shown" not in silent
    analysis.close()


def test_a_late_release_is_added_to_all_its_sums(district: CommittedDistrict, series: TimeSeriesStore) -> None:
    analysis = Analysis(district.state, series, SetClock(), public=False)
    late, *rest = district.drawn(0, tests=17, share=0.1)
    district.commit(rest)
    analysis.at_end_of(0, later_ns=HOUR_NS)
    before = released_numbers(series)
    for window in (1, 2):
        district.commit(district.drawn(window, tests=17, share=0.1))
        analysis.at_end_of(window)
    district.commit([district.row(late.device, 0, 40, 60, 2, late=True)])
    analysis.at_end_of(2, later_ns=2 * MINUTE_NS)
    after = released_numbers(series)
    for place in (("zone_window", late.zone, START_NS), ("district_window", "", START_NS)):
        assert int(after[place]["positives"]) == int(before[place]["positives"]) + 40
        assert (after[place]["late"], before[place]["late"]) == (1, 0)
    assert after["zone_day", late.zone, START_NS]["late"] == 1
    other = ("zone_window", ZONES[-1], START_NS)
    assert after[other] == before[other]
    analysis.close()


def test_a_number_that_a_late_release_takes_below_its_limit_does_not_stay_as_it_was(
    district: CommittedDistrict, sqlite: TimeSeriesStore
) -> None:
    """Two kiosks with 70 valid are shown (8 sd are 64), three with 75 are not (78): the old 10 % must not stay."""
    clock = SetClock()
    one, two, three = (kiosk for kiosk, zone in KIOSKS.items() if zone == ZONES[0])
    analysis = Analysis(district.state, sqlite, clock, public=False)
    district.commit([district.row(one, 0, 4, 35), district.row(two, 0, 3, 35)])
    analysis.at_end_of(0, later_ns=HOUR_NS)
    place = ("zone_window", ZONES[0], START_NS)
    assert released_numbers(sqlite)[place]["positivity"] == 0.1
    analysis.close()
    # The process that sees the late release is another one: it must know what stands in the store.
    analysis = Analysis(district.state, sqlite, clock, public=False)
    district.commit([district.row(three, 0, 8, 5, late=True)])
    analysis.at_end_of(0, later_ns=2 * HOUR_NS)
    row = released_numbers(sqlite)[place]
    assert row["positivity"] == 15 / 75
    assert float(row["lower"]) < 0.2 < float(row["upper"])
    analysis.close()


def test_the_wave_is_told_once_and_a_restart_tells_and_changes_nothing(
    district: CommittedDistrict, series: TimeSeriesStore
) -> None:
    history(series, share=0.02)
    clock = SetClock()
    analysis = Analysis(district.state, series, clock)
    for window in range(12):
        district.commit(district.drawn(window, tests=17, share=0.12))
        analysis.at_end_of(window)
    told = [row.signal for row in signals_after(analysis.own, 0)]
    raised = {signal.subject: signal for signal in told}
    assert len(raised) == len(told)
    wave = raised["turtle-bay"]
    assert (wave.rule, wave.phase, wave.zone, wave.target, wave.severity) == (
        "cusum",
        "raised",
        None,
        TARGET,
        "critical",
    )
    assert wave.onset_ns <= START_NS + 5 * WINDOW_NS
    assert float(wave.facts["s"]) > float(wave.facts["threshold"])
    assert wave.facts["p0"] == 0.02
    paths = rows(series, "detector", ("s", "threshold", "p0"))
    numbers = released_numbers(series)
    analysis.close()

    again = Analysis(district.state, series, clock)
    again.at_end_of(11, later_ns=2 * MINUTE_NS)
    assert [row.signal for row in signals_after(again.own, 0)] == told
    assert released_numbers(series) == numbers
    assert rows(series, "detector", ("s", "threshold", "p0")) == paths
    again.close()


def test_a_city_with_influxdb_and_postgresql_gets_the_same_numbers_and_signals(
    tmp_path: Path, influx_org: InfluxOrg, postgres_url: str
) -> None:
    ends = []
    for state, store in (
        (None, SqliteSeries(tmp_path / "series", frozenset({"released", "history"}))),
        (postgres_url, InfluxSeries(influx_org.url, influx_org.name, influx_org.tokens)),
    ):
        district = CommittedDistrict(tmp_path, SEED, state=state)
        history(store, share=0.02)
        analysis = Analysis(district.state, store, SetClock())
        for window in range(8):
            district.commit(district.drawn(window, tests=17, share=0.12))
            analysis.at_end_of(window)
        told = [row.signal for row in signals_after(analysis.own, 0)]
        assert "turtle-bay" in {signal.subject for signal in told}
        ends.append((told, released_numbers(store), rows(store, "detector", ("s", "threshold", "p0"))))
        analysis.close()
        district.close()
        store.close()
    assert ends[0] == ends[1]


def test_a_real_district_takes_no_baseline_from_public_history(
    district: CommittedDistrict, sqlite: TimeSeriesStore
) -> None:
    history(sqlite, share=0.02)
    analysis = Analysis(district.state, sqlite, SetClock(), public=False)
    for window in range(8):
        district.commit(district.drawn(window, tests=17, share=0.12))
        analysis.at_end_of(window)
    assert signals_after(analysis.own, 0) == []
    assert rows(sqlite, "detector", ("s",)) == {}
    analysis.close()


class Interrupted:
    """Implements TimeSeriesStore over a real one; while `down` it is unavailable, and cuts a write in two first."""

    def __init__(self, store: TimeSeriesStore) -> None:
        self._store = store
        self.down = False

    def write(self, bucket: str, lines: bytes) -> None:
        if self.down:
            rows = lines.split(b"\n")
            self._store.write(bucket, b"\n".join(rows[: len(rows) // 2]) or rows[0])
            raise StoreUnavailableError("the connection broke within a write")
        self._store.write(bucket, lines)

    def query(self, query: SeriesQuery) -> list[Series]:
        if self.down:
            raise StoreUnavailableError("the connection broke")
        return self._store.query(query)

    def delete_before(self, bucket: str, ns: int) -> None:
        self._store.delete_before(bucket, ns)

    def health(self) -> None:
        self._store.health()

    def close(self) -> None:
        self._store.close()


def test_an_outage_of_the_series_store_delays_charts_and_no_signal(
    district: CommittedDistrict, sqlite: TimeSeriesStore
) -> None:
    history(sqlite, share=0.02)
    store = Interrupted(sqlite)
    analysis = Analysis(district.state, store, SetClock())
    district.commit(district.drawn(0, tests=17, share=0.02))
    analysis.at_end_of(0)
    store.down = True
    for window in range(1, 12):
        district.commit(district.drawn(window, tests=17, share=0.15))
        with pytest.raises(StoreUnavailableError):
            analysis.at_end_of(window)
    assert "turtle-bay" in {row.signal.subject for row in signals_after(analysis.own, 0)}
    store.down = False
    analysis.at_end_of(11, later_ns=2 * MINUTE_NS)
    windows = [row for (level, _, _), row in released_numbers(sqlite).items() if level == "zone_window"]
    assert len(windows) == 12 * len(ZONES)
    assert len([place for place in rows(sqlite, "detector", ("s",)) if place[0] == "district_window"]) == 12
    analysis.close()


def test_a_second_analyse_is_refused(district: CommittedDistrict, sqlite: TimeSeriesStore) -> None:
    analysis = Analysis(district.state, sqlite, SetClock())
    with pytest.raises(WriterLockedError):
        open_for_writing(district.state, "analyse")
    analysis.close()
