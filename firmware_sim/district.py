"""Many instruments in one event loop: builds them from the configuration, runs them, stops them."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from firmware_sim.clock import DistrictClock
from firmware_sim.config import AnalyserConfig, DistrictConfig, PrinterConfig, SensorConfig
from firmware_sim.errors import ConfigError
from firmware_sim.faults import ASTM_LINE, MODBUS_LINE, Fault
from firmware_sim.instruments.genexpert.analyser import Analyser, AnalyserSettings
from firmware_sim.instruments.printer.printer import Printer
from firmware_sim.instruments.scd30.registers import Sensor
from firmware_sim.instruments.scd30.room import ROOMS, Room
from firmware_sim.instruments.scd30.sensor import SensorLine
from firmware_sim.outcome import Arrival
from firmware_sim.person import Person
from firmware_sim.scenarios.calendar import day_start_ns
from firmware_sim.scenarios.programme import QUIET, Programme, programme
from firmware_sim.scenarios.visitors import Kiosk, arrivals
from firmware_sim.slot import Slot
from firmware_sim.transport import PtyPort, TcpPort
from firmware_sim.tray import Tray

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Running:
    """One instrument that is plugged in."""

    port: TcpPort | PtyPort
    analyser: Analyser | None = None
    people: asyncio.Task[None] | None = None
    slot: Slot | None = None


class District:
    """Opens every instrument of a configuration; `start`, then `stop`. `say` tells the operator something."""

    def __init__(self, config: DistrictConfig, clock: DistrictClock, say: Callable[[str], None]) -> None:
        self._tell = say
        self._config = config
        self._clock = clock
        self._programme = None if config.scenario is None else programme(config.scenario, seed=config.seed)
        # Where a real person may come, the slip has to be seen; simulated people need none.
        self._trays = {
            one.device: Tray(time.monotonic)
            for one in config.instruments
            if isinstance(one, AnalyserConfig) and one.slot is not None
        }
        self._running: list[_Running] = []
        self._announcer: asyncio.Task[None] | None = None

    async def start(self, opened: Callable[[str, str, str], None]) -> None:
        """Open all; `opened(kind, device, where)` is called for each as it becomes ready.

        Raises:
            LinkError: a port or a link cannot be had; those already open stay so until `stop`.
        """
        for config in self._config.instruments:
            if isinstance(config, AnalyserConfig):
                opened("genexpert", config.device, await self._open_analyser(config))
            elif isinstance(config, PrinterConfig):
                opened("printer", config.device, await self._open_printer(config))
            else:
                opened("scd30", config.device, await self._open_sensor(config))
        if self._programme is not None:
            self._announce(self._programme)

    async def stop(self) -> None:
        """Close all links and forget what runs."""
        tasks = [running.people for running in self._running if running.people is not None]
        tasks += [self._announcer] if self._announcer is not None else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for running in self._running:
            if running.analyser is not None:
                await running.analyser.stop()
            if running.slot is not None:
                running.slot.close()
            running.port.close()

    async def _open_analyser(self, config: AnalyserConfig) -> str:
        settings = AnalyserSettings(
            device=config.device,
            seed=self._config.seed,
            assay=config.assay,
            modules=config.modules,
            door_s=config.door_s,
            utc_offset_s=self._config.utc_offset_s,
            fault=config.fault,
        )
        analyser = Analyser(settings, self._clock)
        if config.listen is None:
            raise ConfigError(f"{config.device} has nowhere to listen")
        port = TcpPort(
            analyser.line, host=config.listen.host, port=config.listen.port, fault=config.fault, line=ASTM_LINE
        )
        running = _Running(port, analyser)
        self._running.append(running)
        where = await port.open()
        if config.slot is not None:
            running.slot = Slot(config.slot, analyser.insert, self._trays.get(config.device))
            await running.slot.open()
        if self._programme is not None and config.visitors:
            running.people = asyncio.create_task(analyser.run(*self._people(self._programme, config)))
            running.people.add_done_callback(_tell_why)
        return where

    def _people(
        self, plays: Programme, config: AnalyserConfig
    ) -> tuple[Iterator[Arrival], Callable[[int], Person] | None]:
        """Who comes to a kiosk, and how they use its screen."""
        people = arrivals(plays, self._kiosk(config), after_ns=self._clock.now_ns())
        screen = config.screen
        if screen is None:
            return people, None
        return people, lambda at_ns: Person(screen, self._config.seed, config.device, at_ns)

    async def _open_printer(self, config: PrinterConfig) -> str:
        if config.listen is None:
            raise ConfigError(f"{config.device} has nowhere to listen")
        tray = self._trays.get(config.device)
        printer = Printer(config.device, fault=config.fault, pictures=config.pictures, tray=tray)
        host, number = config.listen.host, config.listen.port
        port = TcpPort(printer, host=host, port=number, fault=Fault.NONE, line=MODBUS_LINE, first_stays=True)
        printer.unplug = port.unplug
        self._running.append(_Running(port))
        return await port.open()

    async def _open_sensor(self, config: SensorConfig) -> str:
        plan = ROOMS["scenario" if config.scenario_room else "hall"]
        room = Room(plan, config.device, self._config.seed, self._config.utc_offset_s)
        sensor = Sensor(
            room.air, name=config.device, seed=self._config.seed, now_ns=self._clock.now_ns(), fault=config.fault
        )
        line = SensorLine(sensor, self._clock.now_ns)
        port: TcpPort | PtyPort
        if config.listen is not None:
            host, number = config.listen.host, config.listen.port
            port = TcpPort(line, host=host, port=number, fault=config.fault, line=MODBUS_LINE)
        else:
            port = PtyPort(line, link=config.link, fault=config.fault, line=MODBUS_LINE)
        self._running.append(_Running(port))
        return await port.open()

    def _kiosk(self, config: AnalyserConfig) -> Kiosk:
        """Its place among the zone's analysers, by name: the zone's visitors are shared among them."""
        same_zone = sorted(
            other.device
            for other in self._config.instruments
            if isinstance(other, AnalyserConfig) and other.zone == config.zone and other.visitors
        )
        return Kiosk(
            device=config.device,
            zone=config.zone,
            index=same_zone.index(config.device),
            kiosks=len(same_zone),
            seed=self._config.seed,
            utc_offset_s=self._config.utc_offset_s,
            patient_fields=config.patient_fields,
        )

    def _announce(self, plays: Programme) -> None:
        """Say which scenario plays, and say so again when its data end and `quiet` goes on."""
        zones = {c.zone for c in self._config.instruments if isinstance(c, AnalyserConfig)}
        last = max((end for end in map(plays.end, zones) if end is not None), default=None)
        if last is None:
            self._say(plays.name, plays.name, None)
            return
        end_ns = day_start_ns(last, self._config.utc_offset_s) if last > date.min else 0
        if end_ns > self._clock.now_ns():
            self._say(plays.name, plays.name, last.isoformat())
        self._announcer = asyncio.create_task(self._go_quiet(plays, end_ns))

    async def _go_quiet(self, plays: Programme, end_ns: int) -> None:
        await self._clock.sleep_until(end_ns)
        self._say(plays.name, QUIET, None)

    def _say(self, scenario: str, playing: str, until: str | None) -> None:
        if playing == scenario:
            _log.info("scenario %s plays%s", scenario, f" until {until}" if until else "")
        else:
            _log.info("the data of scenario %s have ended; %s goes on", scenario, playing)
            self._tell(f"the data of scenario {scenario} have ended; scenario {playing} goes on")
        status = self._config.status_file
        if status is None:
            return
        fresh = status.with_name(f".{status.name}.new")
        try:
            fresh.write_text(json.dumps({"scenario": scenario, "playing": playing, "until": until}), encoding="utf-8")
            fresh.replace(status)
        except OSError as exc:
            _log.warning("cannot write %s: %s", status, exc.strerror)


def _tell_why(people: asyncio.Task[None]) -> None:
    if not people.cancelled() and people.exception() is not None:
        _log.error("a kiosk's visitors stopped coming: %s", type(people.exception()).__name__)
