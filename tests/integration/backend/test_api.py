"""What the API answers, on a real server and real stores: numbers, alerts within two seconds, refusals, bounds."""

import csv
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.windows import to_ns
from tests.support.console import NOW, PASSWORD, SOURCE, Console, co2_signal, running_console
from tests.support.process import wait_until

LATENCY_BAR_S = 2.0  # DESIGN §16: safety rule -> alert on screen


def test_the_document_of_the_api_describes_every_answer(people: dict[str, httpx.Client]) -> None:
    document = people["officer"].get("/api/v1/openapi.json").json()
    names = set(document["components"]["schemas"])
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert reference in names, reference
    assert "/api/v1/enrol" in document["paths"]
    assert all(path.startswith("/api/v1/") for path in document["paths"])


def test_the_clock_is_the_districts(people: dict[str, httpx.Client]) -> None:
    clock = people["auditor"].get("/api/v1/clock").json()
    assert abs(clock["now_ms"] - to_ns(NOW) // 10**6) < 600_000
    assert (clock["zone"], clock["utc_offset_s"], clock["speed"], clock["simulated"]) == ("UTC−05:00", -18_000, 1, True)


def test_zones_are_told_with_their_share_its_range_and_what_is_open(people: dict[str, httpx.Client]) -> None:
    district = people["officer"].get("/api/v1/district").json()
    zones = {zone["id"]: zone for zone in district["zones"]}
    assert list(zones) == ["z10016", "z10017", "z10021", "z10022", "z10044", "z10065"]
    assert (zones["z10022"]["state"], zones["z10022"]["open_alerts"]) == ("warning", 2)
    assert zones["z10044"]["releases"] < zones["z10044"]["releases_expected"]
    for zone in zones.values():
        assert 0 <= zone["lower"] < zone["positivity"] < zone["upper"] <= 1


def test_the_file_holds_exactly_what_the_chart_draws_with_source_and_noise(people: dict[str, httpx.Client]) -> None:
    query = {"zone": "z10022", "level": "day", "span": "12w"}
    chart = people["officer"].get("/api/v1/charts/positivity", params=query).json()
    file = people["officer"].get("/api/v1/charts/positivity.csv", params=query)
    assert file.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))
    for series in chart["series"]:
        drawn = [value for value in series["values"] if value is not None]
        written = [float(row["value"]) for row in rows if row["series"] == series["key"]]
        assert drawn == written, series["key"]
    roles = {series["key"]: series["role"] for series in chart["series"]}
    assert roles == {
        "history": "history",
        "positivity": "value",
        "lower": "low",
        "upper": "high",
        "expected": "expected",
    }
    sources = {row["series"]: row["source"] for row in rows}
    assert sources["history"] == SOURCE
    assert sources["positivity"] != SOURCE
    noise = {row["series"]: row["noise_sd"] for row in rows}
    assert float(noise["positivity"]) > 4
    assert noise["history"] == ""


def test_history_ends_where_releases_begin_and_nothing_is_added_up(people: dict[str, httpx.Client]) -> None:
    chart = people["officer"].get("/api/v1/charts/positivity", params={"level": "week", "span": "1y"}).json()
    series = {one["key"]: one for one in chart["series"]}
    week_s = 7 * 86_400
    assert series["positivity"]["times_s"][0] - series["history"]["times_s"][-1] == week_s


def test_air_is_drawn_with_the_limit_that_holds_there(people: dict[str, httpx.Client]) -> None:
    chart = people["technician"].get("/api/v1/charts/air", params={"zone": "z10022"}).json()
    series = {one["key"]: one for one in chart["series"]}
    assert series["limit:co2"]["values"] == [1500.0, 1500.0]
    assert max(series["air-10022"]["values"]) > 1500
    assert len(series["air-10022"]["values"]) <= 300


def test_a_neutral_question_is_answered_as_the_store_has_it(people: dict[str, httpx.Client]) -> None:
    params: dict[str, str | list[str]] = {
        "bucket": "environment",
        "measurement": "air",
        "field": "co2_ppm",
        "start": "2021-12-23T12:00:00Z",
        "stop": "2021-12-23T07:30:00-05:00",
        "group_by": ["device"],
        "tag": ["district:turtle-bay"],
    }
    answer = people["officer"].get("/api/v1/series", params=params).json()
    assert len(answer["series"]) == 6
    assert [len(one["times_ns"]) for one in answer["series"]] == [3] * 6


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"bucket": "restricted"}, 403, "two officers"),
        ({"bucket": "journal"}, 403, "not open"),
        ({"start": "yesterday"}, 400, "An instant looks like"),
        ({"start": "2021-12-23T12:00:00"}, 400, "offset"),
        ({"start": "2031-12-23T12:00:00Z"}, 400, "start must lie before stop"),
        ({"tag": "district"}, 400, "A tag looks like"),
        ({"tag": "district:a' OR 1=1"}, 400, "tag's value"),
        ({"field": "co2_ppm; DROP"}, 400, "measurement or field"),
        ({"limit": "0"}, 400, "limit"),
        ({"function": "median", "every_s": "60"}, 400, "function"),
        ({"surprise": "1"}, 400, "surprise"),
    ],
)
def test_a_question_no_store_can_answer_is_refused_with_a_sentence(
    people: dict[str, httpx.Client], change: dict[str, str], status: int, words: str
) -> None:
    params = {"bucket": "environment", "measurement": "air", "field": "co2_ppm"}
    params |= {"start": "2021-12-23T12:00:00Z", "stop": "2021-12-23T13:00:00Z"}
    answer = people["officer"].get("/api/v1/series", params=params | change)
    assert answer.status_code == status
    assert words in answer.json()["error"]


@pytest.mark.parametrize("path", ["/zones/z99", "/alerts/4711", "/devices/none", "/boards/none", "/nowhere"])
def test_what_is_not_there_is_a_page_with_a_way_back(people: dict[str, httpx.Client], path: str) -> None:
    answer = people["officer"].get(path)
    assert answer.status_code == 404
    assert 'href="/"' in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/?target=none",
        "/zones/z10022?span=9y",
        "/zones/z10022?level=year",
        "/boards/district?span=x",
        "/alerts/0x1",
        "/alerts?before=x",
    ],
)
def test_a_wrong_address_is_told_and_never_an_error_of_ours(people: dict[str, httpx.Client], path: str) -> None:
    assert people["officer"].get(path).status_code in {400, 404}


def test_pages_speak_the_language_that_was_chosen_and_keep_it(console: Console) -> None:
    with closing(console.client("olga")) as officer:
        assert "未结案警报" in officer.get("/?lang=zh").text
        assert "片区" in officer.get("/").text
        assert "Zones" in officer.get("/?lang=en").text


def test_no_page_holds_what_somebody_typed_unescaped(console: Console, people: dict[str, httpx.Client]) -> None:
    note = "<img src=x onerror=alert(1)>\"'</textarea><script>"
    people["officer"].post("/api/v1/alerts/1/note", json={"note": note}).raise_for_status()
    page = people["officer"].get("/alerts/1").text
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert note not in (console.folder / "backend.log").read_text()


def test_a_safety_signal_is_on_the_screen_within_two_seconds(console: Console, people: dict[str, httpx.Client]) -> None:
    heard = threading.Event()
    listening = threading.Event()
    times: list[float] = []

    def listen() -> None:
        with people["officer"].stream("GET", "/events", timeout=20) as stream:
            for line in stream.iter_lines():
                listening.set()
                if line == "event: alerts":
                    times.append(time.monotonic())
                    heard.set()
                    return

    listener = threading.Thread(target=listen)
    listener.start()
    assert listening.wait(5)
    committed = time.monotonic()
    console.signal(co2_signal(NOW, device="air-10016"))
    assert heard.wait(10)
    page = people["officer"].get("/").text
    seen = time.monotonic() - committed
    listener.join()
    assert "Conference building, main hall" in page
    assert times[0] - committed < seen < LATENCY_BAR_S


def test_an_alert_is_acknowledged_and_resolved_by_a_program(console: Console, people: dict[str, httpx.Client]) -> None:
    console.signal(co2_signal(NOW, device="air-10065"))
    wait_until(lambda: len(_of(people["officer"], "air-10065")) == 1, timeout_s=5, what="the alert")
    [alert] = _of(people["officer"], "air-10065")
    address = f"/api/v1/alerts/{alert['id']}"
    assert people["technician"].post(f"{address}/acknowledge", json={"note": "on my way"}).status_code == 200
    assert people["officer"].post(f"{address}/acknowledge", json={}).status_code == 409
    assert people["officer"].post(f"{address}/resolve", json={}).status_code == 400
    console.signal(co2_signal(NOW, device="air-10065", phase="cleared"))
    wait_until(lambda: bool(_of(people["officer"], "air-10065")[0]["over"]), timeout_s=5, what="the end")
    done = people["officer"].post(f"{address}/resolve", json={}).json()
    assert (done["state"], done["acknowledged_by"], done["resolved_by"]) == ("resolved", "tess", "olga")
    events = people["auditor"].get(address).json()["events"]
    assert [event["event"] for event in events] == ["fired", "acknowledged", "cleared", "resolved"]


def _of(client: httpx.Client, device: str) -> list[dict[str, object]]:
    alerts = client.get("/api/v1/alerts", params={"state": "open"}).json()["alerts"]
    return [alert for alert in alerts if alert["device"] == device]


def test_devices_are_told_with_what_is_wrong(people: dict[str, httpx.Client]) -> None:
    devices = {one["id"]: one for one in people["technician"].get("/api/v1/devices").json()["devices"]}
    assert len(devices) == 24
    assert devices["air-10022"]["problems"] == []
    assert devices["air-10022"]["certificate_days"] == pytest.approx(30, abs=0.1)
    assert devices["kiosk-10044-2"]["problems"][0]["sentence"] == "It went offline."
    assert devices["kiosk-10065-3"]["enrolment"] == 0
    assert devices["kiosk-10016-1"]["readings"]["lots_level"] == 1


def test_a_device_enrols_and_anybody_may_pin_the_ca(console: Console) -> None:
    key = Ed25519PrivateKey.generate()
    answer = console.enrol("kiosk-10065-3", key).json()
    assert answer["device"] == "kiosk-10065-3"
    assert httpx.get(f"{console.url}/api/v1/ca.pem").text == answer["ca"]
    refused = httpx.post(f"{console.url}/api/v1/enrol", json={"token": "guess", "csr": "nothing"})
    assert refused.status_code == 400
    assert set(refused.json()) == {"error"}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"\xff\xfe", b'{"token":1,"csr":2}', b"null", b'{"token":"' + b"x" * 70_000]
)
def test_garbage_at_a_devices_door_is_refused_with_a_sentence(console: Console, body: bytes) -> None:
    answer = httpx.post(f"{console.url}/api/v1/enrol", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 413}
    assert set(answer.json()) == {"error"}
    assert "xxxx" not in answer.text


def test_machines_learn_whether_it_lives_is_ready_and_what_it_counts(console: Console) -> None:
    assert httpx.get(f"{console.url}/healthz").json() == {"alive": True}
    assert httpx.get(f"{console.url}/readyz").json() == {
        "ready": True,
        "parts": {"state": "ok", "series": "ok", "alerts": "ok"},
    }
    text = httpx.get(f"{console.url}/metrics").text
    assert "kioskwatch_backend_open_alerts" in text
    assert "kioskwatch_backend_unforeseen_errors_total 0.0" in text
    for name in ("air-10022", "kiosk-", "olga", "z10022"):
        assert name not in text


def test_every_answer_carries_the_headers(console: Console) -> None:
    for path in ("/sign-in", "/healthz", "/api/v1/alerts", "/nowhere", "/static/none.js"):
        headers = httpx.get(console.url + path).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


def test_the_alerts_history_is_in_the_bucket_for_grafana(people: dict[str, httpx.Client]) -> None:
    params: dict[str, str | list[str]] = {"bucket": "alerts", "measurement": "alert", "field": "open"}
    params |= {"start": "2021-12-01T00:00:00Z", "stop": "2021-12-31T00:00:00Z", "group_by": ["rule", "zone"]}

    def rules() -> set[str]:
        found = people["officer"].get("/api/v1/series", params=params).json()["series"]
        return {one["tags"]["rule"] for one in found}

    wait_until(lambda: rules() == {"co2", "cusum"}, timeout_s=5, what="the projection")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with running_console(tmp_path_factory.mktemp("alone"), data=False) as running:
        yield running


def test_a_killed_backend_goes_on_where_it_was(alone: Console) -> None:
    with closing(alone.client()) as admin:
        alone.signal(co2_signal())
        wait_until(lambda: len(admin.get("/api/v1/alerts").json()["alerts"]) == 1, timeout_s=5, what="the alert")
        alone.program.kill()
        alone.signal(replace(co2_signal(NOW), onset_ns=to_ns(NOW)))
        alone.program.start()
        wait_until(
            lambda: admin.get("/api/v1/alerts").json()["alerts"][0]["count"] == 2, timeout_s=5, what="the second signal"
        )
        assert len(admin.get("/api/v1/alerts").json()["alerts"]) == 1
        events = admin.get("/api/v1/alerts/1").json()["events"]
        assert [event["event"] for event in events] == ["fired", "again"]


def test_the_log_holds_no_address_no_name_and_no_secret(alone: Console) -> None:
    with closing(alone.client()) as admin:
        admin.get("/alerts?show=all")
    lines = [line for line in (alone.folder / "backend.log").read_text().splitlines() if not line.startswith("admin-p")]
    log = "\n".join(lines)
    for word in ("127.0.0.1", "show=all", PASSWORD, "admin ", "kw_session"):
        assert word not in log


def test_guessing_a_password_is_slowed_with_a_sentence(alone: Console) -> None:
    answers = [
        httpx.post(f"{alone.url}/api/v1/session", json={"name": "admin", "password": "guess"}) for _ in range(12)
    ]
    assert [answer.status_code for answer in answers[:10]] == [401] * 10
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    assert "Wait" in answers[-1].json()["error"]
