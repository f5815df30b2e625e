"""How long it takes from a device's message to the store, and from a reading over its limit to an officer's screen."""

import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from playwright.sync_api import Page

from bench.load import BUCKET, DEVICES, MEASUREMENT, Message, envelopes
from bench.machine import family, rss_mib
from bench.raw_mqtt import RawPublisher
from bench.report import Figure, at_most, note
from bench.rig import Rig
from bench.site import ROOMS, Site
from contracts.codec import pack_json
from contracts.envelope import sign
from contracts.messages import Reading, encode, join
from contracts.topics import UpTopic
from tests.support.chromium import running_chromium, watched_page
from tests.support.console import PASSWORD, set_own_password
from tests.support.influxd import InfluxOrg

RATE_PER_S = 500
SECONDS = 30
STORE_BAR_S = 1.0
SCREEN_BAR_S = 2.0
MEMORY_BAR_MIB = 200.0
_POLL_S = 0.03
_OB = 0x1A7E
_HOLD_S = 60  # of the site's rule


def measure(folder: Path, rig: Rig, site: Site) -> Iterator[Figure]:
    """Both latencies, and what ingest weighs under the steady load."""
    yield from _to_store(folder / "store", rig, site)
    yield from _to_screen(rig, site)


def _to_store(folder: Path, rig: Rig, site: Site) -> Iterator[Figure]:
    org = rig.influxd.organisation()
    count = RATE_PER_S * SECONDS // DEVICES
    note(f"signing {count * DEVICES:,} messages")
    messages = envelopes(site.keys, count=count, per_message=1)
    gateway = site.gateway(folder, mqtt_port=rig.mosquitto.port, org=org)
    gateway.start()
    sent: list[float] = []
    pace = threading.Thread(target=_publish_at_pace, args=(rig.mosquitto.port, messages, sent), daemon=True)
    try:
        pace.start()
        seen = _watch(org, len(messages))
        weight = rss_mib(*family(gateway.pid))
    finally:
        gateway.stop()
    # Records leave in order and arrive in order, so the k-th is stored at the latest when k are.
    waits = sorted(at - sent[number] for number, at in enumerate(seen))
    what = f"device's message → InfluxDB, {RATE_PER_S} messages/s"
    yield Figure("latency", f"{what}, median", f"{statistics.median(waits):.2f} s")
    yield at_most("latency", f"{what}, p99", waits[int(0.99 * len(waits))], STORE_BAR_S, "s")
    yield at_most("memory", f"ingest with its workers, {RATE_PER_S} messages/s", weight, MEMORY_BAR_MIB, "MiB")


def _publish_at_pace(port: int, messages: list[Message], sent: list[float]) -> None:
    started = time.monotonic()
    with RawPublisher(port, "bench-pace") as publisher:
        for number, message in enumerate(messages):
            time.sleep(max(0.0, started + number / RATE_PER_S - time.monotonic()))
            sent.append(time.monotonic())
            publisher.publish([message])


def _watch(org: InfluxOrg, total: int) -> list[float]:
    """For each record in turn, when the store was first seen to hold it."""
    seen: list[float] = []
    headers = {"Authorization": f"Token {org.read_token}"}
    where = {"db": BUCKET, "q": f'SELECT count("clock_quality") FROM "{MEASUREMENT}"', "epoch": "ns"}
    deadline = time.monotonic() + 2 * SECONDS
    with httpx.Client(base_url=org.url, headers=headers, timeout=30, trust_env=False) as client:
        while len(seen) < total:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(seen)} of {total} records stored in {2 * SECONDS} s")
            series = client.get("/query", params=where).raise_for_status().json()["results"][0].get("series", [])
            stored = int(series[0]["values"][0][1]) if series else 0
            seen += [time.monotonic()] * (stored - len(seen))
            time.sleep(_POLL_S)
    return seen


def _to_screen(rig: Rig, site: Site) -> Iterator[Figure]:
    """An officer's page is open; a room's reading breaks its limit; when does the page say so?"""
    backend, address = site.backend()
    gateway = site.gateway(site.folder, mqtt_port=rig.mosquitto.port, org=None)
    backend.start()
    try:
        gateway.start()
        first = next(
            line.split()[1]
            for line in (site.folder / "backend.log").read_text().splitlines()
            if line.startswith("admin-password ")
        )
        set_own_password(f"http://{address}", "admin", first)
        with running_chromium() as browser, watched_page(browser) as page:
            _sign_in(page, f"http://{address}")
            waits = [_one_alert(page, rig, site, room) for room in ROOMS[1:]]
    finally:
        gateway.stop()
        backend.stop()
    yield at_most(
        "latency",
        f"reading over its limit → alert on an open page, worst of {len(waits)}",
        max(waits),
        SCREEN_BAR_S,
        "s",
    )


def _sign_in(page: Page, url: str) -> None:
    page.goto(f"{url}/sign-in?lang=en")
    page.fill("[name=name]", "admin")
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"{url}/")
    page.goto(f"{url}/alerts")


def _one_alert(page: Page, rig: Rig, site: Site, room: str) -> float:
    alerts = page.locator("#list .alert")
    before = alerts.count()
    with RawPublisher(rig.mosquitto.port, "bench-room") as publisher:
        publisher.publish([_reading(site, room, seq=1, age_s=_HOLD_S + 5)])
        time.sleep(1.5)  # the first reading begins the hold time; nothing may show yet
        if alerts.count() != before:
            raise RuntimeError("an alert came before its limit was broken long enough")
        started = time.monotonic()
        publisher.publish([_reading(site, room, seq=2, age_s=0)])
        alerts.nth(before).wait_for(timeout=30_000)
        return time.monotonic() - started


def _reading(site: Site, room: str, *, seq: int, age_s: int) -> Message:
    now_ns = time.time_ns()  # noqa: TID251 - this site runs on the machine's own clock
    values = {"co2_ppm": 1800.0 + seq, "temperature_c": 22.0, "humidity_pct": 41.0}
    rows = [encode(Reading(now_ns - age_s * 1_000_000_000, 2, values))]
    payload, content_type = pack_json(join(ob=_OB, stream="bulk", seq=seq, lo=1, hist=False, rows=rows))
    topic = str(UpTopic(room, "bulk"))
    return Message(topic, payload, content_type, sign(site.keys[room], topic, payload))
