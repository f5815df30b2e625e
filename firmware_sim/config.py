"""The district file: which instruments one process simulates. Strict: an unknown name stops the start.

[clock]      time_file = "…/time.json"               optional; without it real time
[scenario]   name = "replay"  seed = 1  utc_offset_h = -5  status_file = "…"
[[instrument]]  kind = "genexpert"  device = "kiosk-10016-1"  zone = "z10016"  listen = "127.0.0.1:4001"
                assay = "SARSCOV2"  door_s = 2700  patient_fields = false  fault = "none"
                screen = "127.0.0.1:8801"  slot = "127.0.0.1:4003"  visitors = true
[[instrument]]  kind = "printer"  device = "kiosk-10016-1"  zone = "z10016"  listen = "127.0.0.1:9100"  fault = "none"
[[instrument]]  kind = "scd30"  device = "air-10017"  zone = "z10017"  link = "…/air-10017"  (or listen)
                scenario_room = true  fault = "none"
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from firmware_sim.errors import ConfigError
from firmware_sim.faults import Fault, parse
from firmware_sim.instruments.genexpert.analyser import DOOR_S, MODULES
from firmware_sim.instruments.genexpert.assays import ASSAYS
from firmware_sim.scenarios.programme import SCENARIOS

T = TypeVar("T")

MAX_PORT = 65_535
_MAX_OFFSET_H = 14
_MAX_MODULES = 80  # the largest analyser of the family
_SECTIONS = frozenset({"clock", "scenario", "instrument"})
_CLOCK_NAMES = frozenset({"time_file"})
_SCENARIO_NAMES = frozenset({"name", "seed", "utc_offset_h", "status_file"})
_COMMON_NAMES = frozenset({"kind", "device", "zone", "listen", "fault"})
_NAMES_OF_KIND: Mapping[str, frozenset[str]] = {
    "genexpert": _COMMON_NAMES | {"modules", "assay", "door_s", "patient_fields", "screen", "slot", "visitors"},
    "printer": _COMMON_NAMES,
    "scd30": _COMMON_NAMES | {"link", "scenario_room"},
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 = any free one."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Instrument:
    """What analysers and sensors have in common."""

    device: str
    zone: str
    fault: Fault
    listen: Address | None


@dataclass(frozen=True, slots=True)
class AnalyserConfig(Instrument):
    """One analyser."""

    modules: int = MODULES
    assay: str = "SARSCOV2"
    door_s: float = DOOR_S
    patient_fields: bool = False
    screen: Address | None = None  # the kiosk's screen; people go there first when there is one
    slot: Address | None = None  # where a real person puts a simulated cartridge in
    visitors: bool = True  # False: nobody of the scenario comes here


@dataclass(frozen=True, slots=True)
class PrinterConfig(Instrument):
    """One slip printer. `pictures`: a folder for pictures of slips, never in a district file: a slip holds a code."""

    pictures: Path | None = None


@dataclass(frozen=True, slots=True)
class SensorConfig(Instrument):
    """One CO2 sensor, on a pty unless it listens."""

    link: Path | None = None
    scenario_room: bool = False


InstrumentConfig = AnalyserConfig | PrinterConfig | SensorConfig


@dataclass(frozen=True, slots=True)
class DistrictConfig:
    """One process of simulators. `scenario` None: nobody comes."""

    time_file: Path | None
    scenario: str | None
    seed: int
    utc_offset_s: int
    status_file: Path | None
    instruments: tuple[InstrumentConfig, ...]

    def __post_init__(self) -> None:
        devices = [(isinstance(one, PrinterConfig), one.device) for one in self.instruments]
        if len(set(devices)) != len(devices):
            raise ConfigError("two instruments have the same device")


def read(path: Path) -> DistrictConfig:
    """Read a district file.

    Raises:
        ConfigError: it cannot be read, or says something it must not; the sentence names it.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigError(f"cannot read {path}: {exc}") from exc
    _only(document, _SECTIONS, "the file")
    clock = _table(document, "clock", _CLOCK_NAMES)
    scenario = _table(document, "scenario", _SCENARIO_NAMES)
    entries = _value(document, "instrument", list, [], "the file")
    whole_hours = isinstance(scenario.get("utc_offset_h", -5), int)
    offset_h = _value(scenario, "utc_offset_h", int if whole_hours else float, -5, "[scenario]")
    if not abs(offset_h) <= _MAX_OFFSET_H:  # so that nan is refused too
        raise ConfigError(f"[scenario] utc_offset_h is {offset_h}; it must be -{_MAX_OFFSET_H} to {_MAX_OFFSET_H}")
    name = _value(scenario, "name", str, "quiet", "[scenario]")
    if name not in SCENARIOS:
        raise ConfigError(f"[scenario] name is {name!r}; choose one of {', '.join(SCENARIOS)}")
    return DistrictConfig(
        time_file=_path(clock, "time_file", "[clock]"),
        scenario=name,
        seed=_value(scenario, "seed", int, 1, "[scenario]"),
        utc_offset_s=round(offset_h * 3600),
        status_file=_path(scenario, "status_file", "[scenario]"),
        instruments=tuple(_instrument(entry, number) for number, entry in enumerate(entries, start=1)),
    )


def address(text: str, where: str) -> Address:
    """HOST:PORT.

    Raises:
        ConfigError: it is not.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > MAX_PORT:
        raise ConfigError(f"{where}: {text!r} is not HOST:PORT")
    return Address(host, int(port))


def _instrument(entry: object, number: int) -> InstrumentConfig:
    where = f"[[instrument]] number {number}"
    if not isinstance(entry, dict):
        raise ConfigError(f"{where} is no table")
    kind = _value(entry, "kind", str, "", where)
    names = _NAMES_OF_KIND.get(kind)
    if names is None:
        raise ConfigError(f"{where}: kind is {kind!r}; choose one of {', '.join(_NAMES_OF_KIND)}")
    _only(entry, names, where)
    device = _value(entry, "device", str, "", where)
    zone = _value(entry, "zone", str, "", where)
    if not device or not zone:
        raise ConfigError(f"{where} needs a device and a zone")
    fault = parse(_value(entry, "fault", str, "none", where), kind=kind)
    text = _value(entry, "listen", str, "", where)
    listen = address(text, where) if text else None
    if kind == "genexpert":
        return _analyser(entry, where, Instrument(device, zone, fault, listen))
    if kind == "printer":
        if listen is None:
            raise ConfigError(f"{where} needs listen = HOST:PORT")
        return PrinterConfig(device, zone, fault, listen)
    scenario_room = _value(entry, "scenario_room", bool, False, where)
    return SensorConfig(device, zone, fault, listen, link=_path(entry, "link", where), scenario_room=scenario_room)


def _analyser(entry: Mapping[str, object], where: str, common: Instrument) -> AnalyserConfig:
    if common.listen is None:
        raise ConfigError(f"{where} needs listen = HOST:PORT")
    assay = _value(entry, "assay", str, "SARSCOV2", where)
    if assay not in ASSAYS:
        raise ConfigError(f"{where}: assay is {assay!r}; choose one of {', '.join(ASSAYS)}")
    door_s = _value(entry, "door_s", int, int(DOOR_S), where)
    if door_s < 0:
        raise ConfigError(f"{where}: door_s is {door_s}; it cannot be negative")
    modules = _value(entry, "modules", int, MODULES, where)
    if not 1 <= modules <= _MAX_MODULES:
        raise ConfigError(f"{where}: modules is {modules}; it must be 1 to {_MAX_MODULES}")
    return AnalyserConfig(
        common.device,
        common.zone,
        common.fault,
        common.listen,
        modules=modules,
        assay=assay,
        door_s=float(door_s),
        patient_fields=_value(entry, "patient_fields", bool, False, where),
        screen=_address(entry, "screen", where),
        slot=_address(entry, "slot", where),
        visitors=_value(entry, "visitors", bool, True, where),
    )


def _address(table: Mapping[str, object], name: str, where: str) -> Address | None:
    text = _value(table, name, str, "", where)
    return address(text, f"{where} {name}") if text else None


def _only(table: Mapping[str, object], names: frozenset[str], where: str) -> None:
    unknown = sorted(set(table) - names)
    if unknown:
        raise ConfigError(f"{where} has {unknown[0]!r}, which is unknown; known are {', '.join(sorted(names))}")


def _table(document: Mapping[str, object], name: str, names: frozenset[str]) -> Mapping[str, object]:
    table: dict[str, object] = _value(document, name, dict, {}, "the file")
    _only(table, names, f"[{name}]")
    return table


def _path(table: Mapping[str, object], name: str, where: str) -> Path | None:
    text = _value(table, name, str, "", where)
    return Path(text) if text else None


def _value(table: Mapping[str, object], name: str, kind: type[T], default: T, where: str) -> T:
    value = table.get(name, default)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{where}: {name} must be of type {kind.__name__}")
    return value
