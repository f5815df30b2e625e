"""The real programs behind the fixtures answer, and those that a test may kill come back with what they stored."""

import httpx
import psycopg
from playwright.sync_api import Browser

from tests.support.chromium import accessibility_violations, watched_page
from tests.support.influxd import InfluxOrg
from tests.support.mosquitto import MosquittoServer
from tests.support.postgres import PostgresServer
from tests.support.process import accepts


def test_influxd_stores_a_line_with_a_buckets_own_token_and_answers_influxql(influx_org: InfluxOrg) -> None:
    with httpx.Client(base_url=influx_org.url, trust_env=False) as client:
        written = client.post(
            "/api/v2/write",
            params={"org": influx_org.name, "bucket": "environment", "precision": "ns"},
            headers={"Authorization": f"Token {influx_org.tokens['environment']}"},
            content=b"air,site=hall co2_ppm=612 1000",
        )
        assert written.status_code == httpx.codes.NO_CONTENT
        answer = client.get(
            "/query",
            params={"db": "environment", "q": "SELECT co2_ppm FROM air", "epoch": "ns"},
            headers={"Authorization": f"Token {influx_org.read_token}"},
        )
    assert answer.json()["results"][0]["series"][0]["values"] == [[1000, 612]]


def test_influxd_refuses_a_token_of_another_bucket(influx_org: InfluxOrg) -> None:
    refused = httpx.post(
        f"{influx_org.url}/api/v2/write",
        params={"org": influx_org.name, "bucket": "restricted"},
        headers={"Authorization": f"Token {influx_org.tokens['environment']}"},
        content=b"air co2_ppm=612 1000",
        trust_env=False,
    )
    assert refused.is_client_error


def test_postgres_keeps_a_committed_row_over_kill_minus_9() -> None:
    server = PostgresServer()
    try:
        server.start()
        url = server.database().replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept (n int)")
            connection.execute("INSERT INTO kept VALUES (42)")
        server.program.kill()
        server.start()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT n FROM kept").fetchall() == [(42,)]
    finally:
        server.remove()


def test_mosquitto_listens_again_after_kill_minus_9(mosquitto: MosquittoServer) -> None:
    assert accepts(mosquitto.port)
    mosquitto.program.kill()
    assert not accepts(mosquitto.port)
    mosquitto.start()
    assert accepts(mosquitto.port)


def test_chromium_draws_a_page_and_axe_finds_what_is_wrong_with_it(browser: Browser) -> None:
    with watched_page(browser, width_px=360) as page:
        page.set_content('<html lang="en"><title>kiosk</title><main><h1>Hall</h1></main></html>')
        assert page.locator("h1").inner_text() == "Hall"
        assert accessibility_violations(page) == []
        page.set_content('<html lang="en"><title>kiosk</title><main><img src="data:,"></main></html>')
        assert any(sentence.startswith("image-alt") for sentence in accessibility_violations(page))
