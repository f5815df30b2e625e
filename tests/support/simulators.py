"""Runs simulated instruments in a thread of their own, so that a test can be their blocking peer."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from firmware_sim.clock import DistrictClock, clock_from_now
from firmware_sim.faults import ASTM_LINE, MODBUS_LINE, Fault
from firmware_sim.instruments.genexpert.analyser import PATIENCE_S, Analyser, AnalyserSettings
from firmware_sim.instruments.scd30.registers import Sensor
from firmware_sim.instruments.scd30.room import ROOMS, Air, Room
from firmware_sim.instruments.scd30.sensor import SensorLine
from firmware_sim.outcome import Outcome
from firmware_sim.transport import PtyPort, TcpPort

T = TypeVar("T")
START_NS = 1_639_285_200_000_000_000  # 2021-12-12 00:00 -05:00
RUN_IN_A_BLINK = 36_000  # a run of 35 minutes in 58 ms


class LoopThread:
    """An event loop that runs while a test blocks."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="simulators")
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=20)

    def call(self, work: Callable[[], T]) -> T:
        async def called() -> T:
            return work()

        return self.run(called())

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@dataclass
class RunningAnalyser:
    """An analyser that listens at `where`; `insert` as a visitor would."""

    thread: LoopThread
    analyser: Analyser
    port: TcpPort
    where: str
    clock: DistrictClock

    def insert(self, outcome: Outcome) -> None:
        self.thread.call(lambda: self.analyser.insert(outcome))

    @property
    def runs(self) -> int:
        """How many have begun."""
        return self.thread.call(lambda: self.analyser._runs)

    @property
    def free_modules(self) -> int:
        return self.thread.call(lambda: self.analyser.free_modules)


@contextmanager
def running_analyser(
    *,
    fault: Fault = Fault.NONE,
    speed: int = RUN_IN_A_BLINK,
    door_s: float = 0.0,
    answer_timeout_s: float = 60.0,
    patience_s: float = PATIENCE_S,
    clock: DistrictClock | None = None,
) -> Iterator[RunningAnalyser]:
    """One analyser without visitors of its own; `clock` in place of one of this `speed`."""
    thread = LoopThread()
    clock = clock or clock_from_now(speed=speed, start_ns=START_NS)
    settings = AnalyserSettings(
        "kiosk-10016-1", fault=fault, door_s=door_s, answer_timeout_s=answer_timeout_s, patience_s=patience_s
    )

    async def build() -> RunningAnalyser:
        analyser = Analyser(settings, clock)
        port = TcpPort(analyser.line, host="127.0.0.1", port=0, fault=fault, line=ASTM_LINE)
        return RunningAnalyser(thread, analyser, port, await port.open(), clock)

    try:
        running = thread.run(build())
        try:
            yield running
        finally:
            thread.run(running.analyser.stop())
            thread.call(running.port.close)
    finally:
        thread.close()


@contextmanager
def running_sensor(
    *,
    link: Path | None = None,
    tcp: bool = False,
    fault: Fault = Fault.NONE,
    air: Callable[[int], Air] | None = None,
    speed: int = 1,
) -> Iterator[str]:
    """One CO2 sensor; gives HOST:PORT or the terminal's path."""
    thread = LoopThread()
    clock = clock_from_now(speed=speed, start_ns=START_NS)
    room = Room(ROOMS["scenario"], "air-test", 1, -5 * 3600)
    sensor = Sensor(air or room.air, name="air-test", seed=1, now_ns=clock.now_ns(), fault=fault)
    line = SensorLine(sensor, clock.now_ns)

    async def build() -> tuple[TcpPort | PtyPort, str]:
        port: TcpPort | PtyPort
        if tcp:
            port = TcpPort(line, host="127.0.0.1", port=0, fault=fault, line=MODBUS_LINE)
        else:
            port = PtyPort(line, link=link, fault=fault, line=MODBUS_LINE)
        return port, await port.open()

    try:
        port, where = thread.run(build())
        try:
            yield where
        finally:
            thread.call(port.close)
    finally:
        thread.close()
