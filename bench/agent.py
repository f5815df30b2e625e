"""What one cabinet's agent weighs: a simulated CO2 sensor on its wire, a real enrolment, records on their way."""

import contextlib
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from bench.machine import family, rss_mib
from bench.report import Figure, at_most
from bench.rig import Rig
from bench.site import ROOMS, OwnProgram, Site, write
from contracts.query import SeriesQuery
from stores.series.open import open_series
from tests.support.process import Program, wait_until

MEMORY_BAR_MIB = 60.0
_SAMPLE_PERIOD_S = 2
_RUN_S = 20.0


def measure(folder: Path, rig: Rig, site: Site) -> Iterator[Figure]:
    """Start the sensor, the gateway and one agent; weigh the agent when its readings have been stored for a while."""
    folder.mkdir()
    line = folder / "line"
    sensor = Program(
        [sys.executable, "-m", "kioskwatch", "simulate", "scd30", "--link", str(line)],
        log=folder / "sensor.log",
        ready=line.exists,
    )
    backend, address = site.backend(mqtt_port=rig.mosquitto.port)
    gateway = site.gateway(site.folder, mqtt_port=rig.mosquitto.port, org=None)
    running: list[Program] = []
    try:
        for program in (sensor, backend, gateway):
            program.start()
            running.append(program)
        with httpx.Client(base_url=f"http://{address}", timeout=30, trust_env=False) as client:
            token = site.device_token(client, ROOMS[0])
        cabinet = {
            "device": {"id": ROOMS[0], "kind": "air_monitor", "folder": str(folder / "cabinet")},
            "enrol": {"url": f"http://{address}", "token": token},
            "instrument": [{"kind": "scd30", "link": f"serial:{line}", "sample_period_s": _SAMPLE_PERIOD_S}],
        }
        agent = OwnProgram(["edge", str(write(folder / "cabinet.toml", cabinet))], log=folder / "agent.log")
        agent.start()
        running.append(agent)
        wait_until(lambda: _stored(site) > 0, timeout_s=30, what="the first reading in the store")
        time.sleep(_RUN_S)
        yield at_most("memory", "edge agent with one CO2 sensor", rss_mib(*family(agent.pid)), MEMORY_BAR_MIB, "MiB")
    finally:
        for program in reversed(running):
            program.stop()


def _stored(site: Site) -> int:
    """Readings of the agent that have come all the way."""
    stop = datetime.now(UTC)  # noqa: TID251 - this site runs on the machine's own clock
    question = SeriesQuery(
        bucket="environment",
        measurement="air",
        field="co2_ppm",
        function=None,
        every_s=None,
        tags={"device": ROOMS[0]},
        start=stop - timedelta(hours=1),
        stop=stop,
    )
    with contextlib.closing(open_series(f"sqlite:{site.folder / 'series'}", writes=frozenset())) as series:
        return sum(len(one.values) for one in series.query(question))
