"""The broker and the series store that both sides of the ingest bench share, and what is read off them.

Neither consumer is asked for its own figures: the clock starts when the broker sees it connect and stops when
influxd has stored the last point; processor time and memory come from /proc.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.load import BUCKET, FIELDS, MEASUREMENT, Message, digest
from bench.machine import cpu_s, family, rss_mib
from bench.raw_mqtt import WINDOW, RawPublisher
from tests.support.influxd import InfluxOrg, InfluxServer
from tests.support.mosquitto import MosquittoServer
from tests.support.process import Program, free_port, wait_until

_POINTS_METRIC = "storage_writer_ok_points_sum"
_POLL_S = 0.25  # reading influxd's metrics costs it some milliseconds: rarely, and for both sides alike
_STALLED_S = 30.0


@dataclass(frozen=True, slots=True)
class Drain:
    """One backlog, drained."""

    points: int
    seconds: float
    consumer_cpu_s: float
    consumer_rss_mib: float  # the highest seen, all processes of the consumer together
    digest: str

    @property
    def rate(self) -> float:
        """Points a second."""
        return self.points / self.seconds


class Rig:
    """One Mosquitto and one influxd for a whole bench."""

    def __init__(self, folder: Path) -> None:
        self.influxd = InfluxServer(folder / "influxd")
        port = free_port()
        lines = [
            "user root",
            f"listener {port} 127.0.0.1",
            "allow_anonymous true",
            "set_tcp_nodelay true",
            "persistence false",
            "max_queued_messages 0",
            "max_queued_bytes 0",
            f"max_inflight_messages {WINDOW}",
            "log_type notice",
            "log_type subscribe",
        ]
        self.mosquitto = MosquittoServer(folder / "mosquitto", port=port, lines=lines)
        self._log = folder / "mosquitto/mosquitto.log"

    def start(self) -> None:
        """Start both."""
        self.influxd.start()
        self.mosquitto.start()

    def stop(self) -> None:
        """Stop both."""
        self.mosquitto.program.stop()
        self.influxd.program.stop()

    def drain(self, consumer: Program, org: InfluxOrg, backlog: list[Message], *, client_id: str, points: int) -> Drain:
        """Let the consumer subscribe and go, publish the backlog to its session, then time how it is drained."""
        self._subscribe(consumer, client_id)
        with RawPublisher(self.mosquitto.port, "bench-publisher") as publisher:
            publisher.publish(backlog)
            publisher.close()
        before = self._points()
        connects = self._log_count(f" as {client_id} ")
        consumer.start()
        wait_until(lambda: self._log_count(f" as {client_id} ") > connects, timeout_s=60, what="the consumer's connect")
        started = time.monotonic()
        pids = family(consumer.pid)
        rss, stored = 0.0, 0
        progress = started
        while stored < points:
            time.sleep(_POLL_S)
            now = self._points() - before
            if now > stored:
                progress = time.monotonic()
            elif time.monotonic() - progress > _STALLED_S:
                raise RuntimeError(f"{client_id} stopped at {stored} of {points} points")
            stored = now
            pids = family(consumer.pid)
            rss = max(rss, rss_mib(*pids))
        seconds = time.monotonic() - started
        used = cpu_s(*pids)
        consumer.stop()
        return Drain(stored, seconds, used, rss, digest(stored_rows(org)))

    def _subscribe(self, consumer: Program, client_id: str) -> None:
        """Make the session that the backlog waits in; it outlives a run."""
        if self._log_count(f"{client_id} 1 "):
            return
        consumer.start()
        wait_until(lambda: self._log_count(f"{client_id} 1 ") > 0, timeout_s=60, what="the subscription")
        consumer.stop()

    def _log_count(self, words: str) -> int:
        return self._log.read_text(errors="replace").count(words)

    def _points(self) -> int:
        text = httpx.get(f"{self.influxd.url}/metrics", timeout=30, trust_env=False).text
        line = next((line for line in text.splitlines() if line.startswith(_POINTS_METRIC)), "0")
        return int(float(line.split()[-1]))


def stored_rows(org: InfluxOrg) -> dict[str, Iterator[tuple[float, ...]]]:
    """Every row that the store holds, by device: time in ns, then the fields in the order of FIELDS."""
    names = [row[1] for row in _ask(org, f'SHOW TAG VALUES FROM "{MEASUREMENT}" WITH KEY = "device"')]
    return {str(name): _device_rows(org, str(name)) for name in names}


def _device_rows(org: InfluxOrg, device: str) -> Iterator[tuple[float, ...]]:
    columns = ", ".join(f'"{field}"' for field in FIELDS)
    for time_ns, *values in _ask(org, f'SELECT {columns} FROM "{MEASUREMENT}" WHERE "device" = \'{device}\''):
        yield int(time_ns), *map(float, values)


def _ask(org: InfluxOrg, query: str) -> list[list[int | float | str]]:
    headers = {"Authorization": f"Token {org.read_token}"}
    parameters = {"db": BUCKET, "q": query, "epoch": "ns"}
    answer = httpx.get(f"{org.url}/query", params=parameters, headers=headers, timeout=120, trust_env=False)
    series = answer.raise_for_status().json()["results"][0].get("series", [])
    return [row for one in series for row in one["values"]]
