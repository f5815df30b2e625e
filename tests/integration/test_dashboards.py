"""Every panel's InfluxQL on a real InfluxDB: as the console asks it, and as the committed Grafana files spell it.

The store is filled by the code that fills it in a district: ingest's lines and counters, analyse, the history
import and the backend's projection of alerts.
"""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from backend.accounts.audit import AuditLog
from backend.alerts.projection import AlertProjection
from backend.restricted.projection import OpeningProjection
from backend.sharing.projection import SharingProjection
from backend.sharing.service import SHARED
from contracts.messages import Reading
from contracts.metrics import METRICS
from contracts.registry import RegistrySnapshot
from contracts.windows import NS, to_datetime, to_ns
from dashboards.grafana import BOARDS
from dashboards.panels import Panel
from gateway.analyse import history
from gateway.ingest.counters import Counters
from gateway.ingest.points import lines_of
from gateway.ingest.world import Place
from stores.series.influx import InfluxSeries
from stores.state.alerts import AlertEventRow, AlertRow, AlertState
from stores.state.devices import load_registry
from stores.state.openings import OpeningRow, Openings
from tests.integration.analyse_district import (
    CALENDAR,
    START_NS,
    TARGET,
    WINDOW_NS,
    ZONES,
    Analysis,
    CommittedDistrict,
    SetClock,
)
from tests.support.influxd import InfluxOrg, InfluxServer
from tests.support.seeds import SEED

ROOT = Path(__file__).parents[2]
WINDOWS = 8
END_NS = START_NS + WINDOWS * WINDOW_NS
START, STOP = to_datetime(START_NS) - timedelta(days=60), to_datetime(END_NS) + timedelta(days=1)
ZONE = ZONES[0]
PANELS = [pytest.param(panel, id=panel.id) for board in BOARDS for panel in board.panels]
GRAFANA = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))


@pytest.fixture(scope="module")
def filled(influxd: InfluxServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxOrg]:
    org = influxd.organisation()
    store = InfluxSeries(org.url, org.name, org.tokens)
    district = CommittedDistrict(tmp_path_factory.mktemp("district"), SEED)
    import_history(store)
    analysis = Analysis(district.state, store, SetClock())
    for window in range(WINDOWS):
        district.commit(district.drawn(window, tests=17, share=0.12))
        analysis.at_end_of(window)
    analysis.close()
    measure(store, load_registry(district.backend))
    raise_alert(store, district)
    share(store, district)
    open_restricted(store, district)
    yield org
    district.close()
    store.close()


def import_history(store: InfluxSeries) -> None:
    limits = history.Limits("turtle-bay", CALENDAR, frozenset(ZONES), frozenset({TARGET}), {}, START_NS)
    shipped = (ROOT / "kioskwatch" / "demo" / "history.csv").read_bytes()
    weeks = history.read(shipped, limits, before=to_datetime(START_NS).date())
    history.store(weeks, store, limits, source="test", operator="test")


def measure(store: InfluxSeries, registry: RegistrySnapshot) -> None:
    """One reading of every metric by a device that may send it, and ingest's own counts."""
    kinds = {"bulk": "air_monitor", "health": "kiosk"}
    for stream, kind in kinds.items():
        values = {row.name: row.low for row in METRICS.values() if row.stream == stream and kind in row.kinds}
        place = Place(kind, "hall", ZONE, restricted=False)
        for made in lines_of([Reading(END_NS, 2, values)], 1, f"{kind}-1", place, registry.district.id):
            assert made is not None
            store.write(made[0], made[1].encode())
    counters = Counters(series=store, district=lambda: "turtle-bay", clock=SetClock(at_ns=END_NS))
    counters.add({"records": 5, "duplicates": 1})
    counters.tell(lambda: 0)


def raise_alert(store: InfluxSeries, district: CommittedDistrict) -> None:
    alert = AlertRow(
        rule="co2",
        subject="device/air-1",
        district="turtle-bay",
        zone=ZONE,
        site="hall",
        device="air-1",
        severity="warning",
        state="firing",
        cleared=False,
        count=1,
        opened_ns=END_NS,
        last_ns=END_NS,
        cleared_ns=None,
        acknowledged_ns=None,
        acknowledged_by=None,
        resolved_ns=None,
        resolved_by=None,
        signal_key="co2",
        evidence="{}",
    )
    state = AlertState(district.backend)
    with district.backend.begin() as tx:
        saved = state.save(tx, alert)
        state.add_event(
            tx, AlertEventRow(alert_id=saved.id, at_ns=END_NS, event="fired", actor=None, note="", evidence="{}")
        )
    assert AlertProjection(district.backend, store).advance() == 1


def share(store: InfluxSeries, district: CommittedDistrict) -> None:
    """A package for an authority, in the register and drawn from there."""
    audit = AuditLog(district.backend, clock=SetClock(at_ns=END_NS), wall_s=lambda: 0)
    with district.backend.begin() as tx:
        audit.note(tx, "command-line", SHARED, "city", first_day="2021-12-12", last_day="2021-12-13")
    projection = SharingProjection(district.backend, store, lambda: "turtle-bay")
    assert [projection.advance(), projection.advance()] == [1, 0]


def open_restricted(store: InfluxSeries, district: CommittedDistrict) -> None:
    """Two officers' opening, as the console keeps it and draws it."""
    row = OpeningRow(
        requested_by="olga",
        reason="a reason of theirs",
        length_s=900,
        requested_s=1,
        confirmed_by="omar",
        confirmed_s=2,
        confirmed_ns=END_NS,
    )
    with district.backend.begin() as tx:
        Openings(district.backend).add(tx, row)
    projection = OpeningProjection(district.backend, store, lambda: "turtle-bay")
    assert [projection.advance(), projection.advance()] == [1, 0]


@pytest.mark.parametrize("zone", [None, ZONE])
@pytest.mark.parametrize("panel", PANELS)
def test_every_line_of_every_panel_has_data(filled: InfluxOrg, panel: Panel, zone: str | None) -> None:
    store = InfluxSeries(filled.url, filled.name, filled.tokens)
    for line, query in panel.queries(START, STOP, zone=zone):
        answer = store.query(query)
        assert answer, line.label
        if line.scope == "zone" and zone is None and line.bucket in {"released", "history"}:
            assert {series.tags["zone"] for series in answer} == set(ZONES)
    store.close()


@pytest.mark.parametrize("file", [pytest.param(file, id=file.stem) for file in GRAFANA])
def test_every_committed_query_of_grafana_has_data(filled: InfluxOrg, file: Path) -> None:
    """As Grafana sends them: time filter and interval filled in, one token that reads every bucket but `restricted`."""
    between = f"time >= {to_ns(START)} AND time < {to_ns(STOP)}"
    with httpx.Client(headers={"Authorization": f"Token {filled.read_token}"}, trust_env=False) as client:
        for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]:
            for target in panel["targets"]:
                statement = target["query"].replace("$timeFilter", between).replace("$__interval", "3h")
                assert not re.search(r"\$(?!tag_)", statement)
                bucket = target["datasource"]["uid"].removeprefix("kioskwatch-")
                answer = client.get(f"{filled.url}/query", params={"db": bucket, "q": statement, "epoch": "ns"}).json()
                assert answer["results"][0].get("series"), f"{panel['title']}: {statement}"
                values = [row for one in answer["results"][0]["series"] for row in one["values"]]
                assert all(START_NS - 60 * 86_400 * NS <= row[0] < to_ns(STOP) or row[0] == 0 for row in values)
