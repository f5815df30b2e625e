"""Ingest against Telegraf: the same readings, the same broker, the same InfluxDB, turn and turn about."""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from bench.load import (
    BUCKET,
    DEVICES,
    FIELDS,
    MEASUREMENT,
    devices,
    envelopes,
    expected_digest,
    line_time_ns,
    readings,
    telegraf_messages,
)
from bench.report import Figure, at_least, at_most, note
from bench.rig import Drain, Rig
from bench.site import GATEWAY_CLIENT, Site
from bench.telegraf import CLIENT_ID, configuration, telegraf_binary
from tests.support.influxd import InfluxOrg
from tests.support.process import Program

RUNS = 3
RATIO_BAR = 1.0
SINGLE_BAR_PER_S = 3_000.0
MEMORY_BAR_MIB = 200.0
_LINES_PER_WRITE = 5_000
_SECTION = "ingest"
# (records a message, readings a device): enough for each side to be busy for several seconds.
LOADS = ((20, 12_000), (1, 2_000))


def measure(folder: Path, rig: Rig, site: Site) -> Iterator[Figure]:
    """Each load three times on each side in turn; the medians, their ratio, and a bare writer beside them."""
    yield _bare_writer(rig)
    for per_message, count in LOADS:
        ours, theirs = _alternate(folder / f"{per_message}", rig, site, count=count, per_message=per_message)
        plural = "record" if per_message == 1 else "records"
        rate, anchor = (statistics.median(drain.rate for drain in drains) for drains in (ours, theirs))
        yield Figure(_SECTION, f"Telegraf, {per_message} {plural} a message", f"{anchor:,.0f} readings/s")
        yield _processor_time("Telegraf", per_message, theirs)
        if per_message == 1:
            yield at_least(_SECTION, "kioskwatch, 1 record a message", rate, SINGLE_BAR_PER_S, "messages/s")
        else:
            yield Figure(_SECTION, f"kioskwatch, {per_message} records a message", f"{rate:,.0f} readings/s")
            yield at_least(
                _SECTION, f"kioskwatch ÷ Telegraf, {per_message} records a message", rate / anchor, RATIO_BAR, "×"
            )
        yield _processor_time("kioskwatch", per_message, ours)
        highest = max(drain.consumer_rss_mib for drain in ours)
        yield at_most(
            "memory", f"ingest with its workers, draining {per_message} a message", highest, MEMORY_BAR_MIB, "MiB"
        )


def _alternate(folder: Path, rig: Rig, site: Site, *, count: int, per_message: int) -> tuple[list[Drain], list[Drain]]:
    note(f"signing {count * DEVICES:,} readings, {per_message} a message")
    backlog = envelopes(site.keys, count=count, per_message=per_message)
    anchor_backlog = telegraf_messages(count=count, per_message=per_message)
    expected, points = expected_digest(count), count * DEVICES
    ours: list[Drain] = []
    theirs: list[Drain] = []
    for run in range(RUNS):
        place = folder / f"run-{run}"
        place.mkdir(parents=True)
        org = rig.influxd.organisation()
        gateway = site.gateway(place / "gateway", mqtt_port=rig.mosquitto.port, org=org)
        ours.append(rig.drain(gateway, org, backlog, client_id=GATEWAY_CLIENT, points=points))
        org = rig.influxd.organisation()
        theirs.append(rig.drain(_telegraf(place, rig, org), org, anchor_backlog, client_id=CLIENT_ID, points=points))
        for side, drain in (("kioskwatch", ours[-1]), ("Telegraf", theirs[-1])):
            note(f"run {run + 1}: {side} {drain.rate:,.0f} readings/s")
            if drain.digest != expected:
                raise RuntimeError(f"{side} did not leave exactly the lines that the readings are")
    return ours, theirs


def _telegraf(folder: Path, rig: Rig, org: InfluxOrg) -> Program:
    path = folder / "telegraf.conf"
    path.write_text(configuration(mqtt_port=rig.mosquitto.port, org=org))
    return Program([telegraf_binary(), "--config", str(path)], log=folder / "telegraf.log", ready=lambda: True)


def _processor_time(side: str, per_message: int, drains: list[Drain]) -> Figure:
    used = statistics.median(1e6 * drain.consumer_cpu_s / drain.points for drain in drains)
    return Figure(_SECTION, f"{side}, processor time at {per_message} a message", f"{used:.1f} µs/reading")


def _bare_writer(rig: Rig) -> Figure:
    """What influxd takes from one writer that does nothing else: the ceiling of both sides."""
    org = rig.influxd.organisation()
    lines = [
        f"{MEASUREMENT},{','.join(f'{tag}={value}' for tag, value in device.tags.items())} "
        f"{','.join(f'{name}={reading.values[name]}' for name in FIELDS)} {line_time_ns(reading.ts_ns, seq)}"
        for device in devices()
        for seq, reading in enumerate(readings(device, LOADS[0][1] // 2), start=1)
    ]
    bodies = ["\n".join(lines[at : at + _LINES_PER_WRITE]).encode() for at in range(0, len(lines), _LINES_PER_WRITE)]
    headers = {"Authorization": f"Token {org.tokens[BUCKET]}"}
    where = {"org": org.name, "bucket": BUCKET, "precision": "ns"}
    with httpx.Client(base_url=org.url, headers=headers, timeout=60, trust_env=False) as client:
        started = time.monotonic()
        for body in bodies:
            client.post("/api/v2/write", params=where, content=body).raise_for_status()
        rate = len(lines) / (time.monotonic() - started)
    return Figure(_SECTION, "bare writer, prebuilt lines, one connection", f"{rate:,.0f} lines/s")
