"""Command line of the simulators: `district --config FILE`, `genexpert`, `printer`, `scd30`."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from firmware_sim import config
from firmware_sim.clock import DistrictClock, clock_from_file, clock_from_now
from firmware_sim.config import AnalyserConfig, DistrictConfig, InstrumentConfig, PrinterConfig, SensorConfig
from firmware_sim.district import District
from firmware_sim.errors import ConfigError, SimulatorError
from firmware_sim.faults import Fault, parse
from firmware_sim.scenarios.programme import SCENARIOS

EXIT_CLEAN, EXIT_OPERATOR = 0, 2
NOBODY = "none"


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate until SIGINT or SIGTERM; 0 then, 2 with one sentence when the start is not possible."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        if arguments.what == "district":
            district = config.read(arguments.config)
            clock = clock_from_now() if district.time_file is None else clock_from_file(district.time_file)
        else:
            district, clock = _single(arguments)
        asyncio.run(_simulate(district, clock))
    except SimulatorError as exc:
        sys.stderr.write(f"{exc}\n")
        return EXIT_OPERATOR
    return EXIT_CLEAN


async def _simulate(settings: DistrictConfig, clock: DistrictClock) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    district = District(settings, clock, lambda sentence: _say(f"say {sentence}"))
    try:
        await district.start(lambda kind, device, where: _say(f"{kind} {device} on {where}"))
        _say("ready")
        await stop.wait()
    finally:
        await district.stop()


def _single(arguments: argparse.Namespace) -> tuple[DistrictConfig, DistrictClock]:
    """One instrument without a district file."""
    fault = parse(arguments.fault, kind=arguments.what)
    listen = config.address(arguments.listen, "--listen") if arguments.listen else None
    instrument: InstrumentConfig
    scenario = None
    if arguments.what == "genexpert":
        instrument = AnalyserConfig(arguments.device, arguments.zone, fault, listen)
        scenario = None if arguments.scenario == NOBODY else arguments.scenario
    elif arguments.what == "printer":
        instrument = PrinterConfig(arguments.device, arguments.zone, fault, listen, _folder(arguments.pictures))
    else:
        room = arguments.room == "scenario"
        instrument = SensorConfig(
            arguments.device, arguments.zone, fault, listen, link=arguments.link, scenario_room=room
        )
    settings = DistrictConfig(
        time_file=None,
        scenario=scenario,
        seed=arguments.seed,
        utc_offset_s=-5 * 3600,
        status_file=None,
        instruments=(instrument,),
    )
    return settings, clock_from_now(speed=arguments.speed)


def _folder(path: Path | None) -> Path | None:
    if path is not None and not path.is_dir():
        raise ConfigError(f"--pictures: {path} is no folder")
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kioskwatch simulate", description="Simulated instruments on their real wires."
    )
    kinds = parser.add_subparsers(dest="what", required=True)
    district = kinds.add_parser("district", help="many instruments from a file")
    district.add_argument("--config", type=Path, required=True, help="district file (TOML)")
    genexpert = kinds.add_parser("genexpert", help="one analyser, ASTM over TCP")
    genexpert.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT", help="default: any free port")
    genexpert.add_argument(
        "--scenario", default="outbreak", choices=[*SCENARIOS, NOBODY], help="who comes; none = nobody"
    )
    _common(genexpert, device="kiosk-10016-1", zone="z10016")
    printer = kinds.add_parser("printer", help="one slip printer, ESC/POS over TCP")
    printer.add_argument("--listen", default="127.0.0.1:9100", metavar="HOST:PORT", help="default: 127.0.0.1:9100")
    printer.add_argument(
        "--pictures",
        type=Path,
        metavar="FOLDER",
        help="draw every slip there; a slip holds a code, so by default none is",
    )
    _common(printer, device="kiosk-10016-1", zone="z10016")
    scd30 = kinds.add_parser("scd30", help="one CO2 sensor, Modbus RTU on a pseudo terminal")
    where = scd30.add_mutually_exclusive_group()
    where.add_argument("--link", type=Path, help="symbolic link to the terminal")
    where.add_argument("--listen", metavar="HOST:PORT", help="TCP in place of a terminal")
    scd30.add_argument("--room", default="scenario", choices=["scenario", "hall"], help="the room it hangs in")
    _common(scd30, device="air-10017", zone="z10017")
    return parser


def _common(parser: argparse.ArgumentParser, *, device: str, zone: str) -> None:
    parser.add_argument("--fault", default=Fault.NONE.value, metavar="NAME", help="; ".join(Fault))
    parser.add_argument("--speed", type=int, default=1, help="simulated seconds a second, default 1")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default=device)
    parser.add_argument("--zone", default=zone)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
