"""cabinet.toml: what an installer tells an agent. Strict: a misspelt name stops the start."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from contracts.errors import ContractError
from contracts.metrics import DEVICE_KINDS
from contracts.topics import check_name
from edge.adapters.printer import printer_address
from edge.core.visit import VisitRules
from edge.errors import SettingsError, VisitError

MAX_PORT: Final = 65_535


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Unknown names are refused."""


class DeviceSection(_Section, frozen=True):
    """Which cabinet this is."""

    id: str
    kind: str
    folder: str = "."  # beside the cabinet file, unless absolute


class EnrolSection(_Section, frozen=True):
    """Where it enrols."""

    url: str
    token: str | None = None
    ca_fingerprint: str | None = None


class SimulatedSection(_Section, frozen=True):
    """Present in a simulated district only."""

    seed: int


class PrinterSection(_Section, frozen=True):
    """A kiosk's slip printer; without one every code is shown on the screen."""

    link: str  # tcp:HOST:PORT, ESC/POS


class ScreenSection(_Section, frozen=True):
    """A kiosk's screen: a browser on this machine opens http://127.0.0.1:PORT/."""

    port: int
    slot_url: str | None = None  # simulated districts: where a person puts a simulated cartridge in


class DoorSection(_Section, frozen=True):
    """The contact of a kiosk's service door."""

    path: str  # a file that reads 0 (closed) or 1 (open), beside the cabinet file unless absolute


class InstrumentSection(_Section, frozen=True):
    """One instrument and its link. Which other names it takes depends on its kind."""

    kind: Literal["genexpert", "scd30"]
    link: str
    sample_period_s: int | None = None
    modules: int | None = None
    places: int | None = None
    t_max_s: int | None = None
    insertion_s: int | None = None
    assay: str | None = None
    targets: list[str] | None = None
    result_codes: dict[str, str] | None = None

    def visit_rules(self) -> VisitRules:
        """Return an analyser's rules, with the defaults of DESIGN section 6."""
        modules = self.modules or 4
        return VisitRules(
            places=self.places or max(4, modules),
            modules=modules,
            insertion_s=600 if self.insertion_s is None else self.insertion_s,
            t_max_s=2700 if self.t_max_s is None else self.t_max_s,
        )


_SENSOR_NAMES = frozenset({"sample_period_s"})
_ANALYSER_NAMES = frozenset({"modules", "places", "t_max_s", "insertion_s", "assay", "targets", "result_codes"})
_NAMES = {"scd30": _SENSOR_NAMES, "genexpert": _ANALYSER_NAMES}


class Cabinet(_Section, frozen=True):
    """The whole file."""

    device: DeviceSection
    enrol: EnrolSection
    instrument: list[InstrumentSection]
    simulated: SimulatedSection | None = None
    time_file: str | None = None
    door: DoorSection | None = None
    printer: PrinterSection | None = None
    screen: ScreenSection | None = None


class LoadedCabinet(msgspec.Struct, frozen=True):
    """A checked file, with its folder made absolute."""

    cabinet: Cabinet
    folder: Path
    time_file: Path | None
    door_file: Path | None


def load_cabinet(path: Path) -> LoadedCabinet:
    """Read and check one cabinet.toml; SettingsError names the file and what to mend."""
    try:
        cabinet = msgspec.convert(tomllib.loads(path.read_text()), Cabinet)
        _check(cabinet)
    except OSError as exc:
        raise SettingsError(f"{path} cannot be read: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError, ContractError, VisitError) as exc:
        raise SettingsError(f"{path}: {exc}") from exc
    except SettingsError as exc:
        raise SettingsError(f"{path}: {exc}") from exc
    folder = path.parent.absolute()
    time_file = None if cabinet.time_file is None else folder / cabinet.time_file
    door_file = None if cabinet.door is None else folder / cabinet.door.path
    return LoadedCabinet(cabinet, folder / cabinet.device.folder, time_file, door_file)


def load_cabinets(paths: Sequence[Path]) -> list[LoadedCabinet]:
    """Read several; SettingsError also when two share a folder or an id."""
    loaded = [load_cabinet(path) for path in paths]
    for what, values in (
        ("id", [one.cabinet.device.id for one in loaded]),
        ("folder", [str(one.folder.resolve()) for one in loaded]),
        ("screen.port", [str(one.cabinet.screen.port) for one in loaded if one.cabinet.screen is not None]),
    ):
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise SettingsError(f"two cabinets have the same {what}: {twice}")
    return loaded


def _check(cabinet: Cabinet) -> None:
    check_name(cabinet.device.id)
    if cabinet.device.kind not in DEVICE_KINDS:
        raise SettingsError(f"device.kind is one of {', '.join(sorted(DEVICE_KINDS))}")
    if (cabinet.simulated is None) != (cabinet.time_file is None):
        raise SettingsError(
            "[simulated] and time_file go together: a seed makes noise that can be computed again, so a real "
            "deployment has neither"
        )
    _check_kiosk_parts(cabinet)
    if not cabinet.instrument:
        raise SettingsError("there is no [[instrument]]")
    if sum(one.kind == "genexpert" for one in cabinet.instrument) > 1:
        raise SettingsError("one analyser a cabinet: its counters and its places are the kiosk's")
    for instrument in cabinet.instrument:
        _check_instrument(instrument, cabinet.device.kind)


def _check_kiosk_parts(cabinet: Cabinet) -> None:
    """Check what visitors stand before."""
    screen = cabinet.screen
    parts = {"screen": screen, "printer": cabinet.printer, "door": cabinet.door}
    foreign = [name for name, part in parts.items() if part is not None and cabinet.device.kind != "kiosk"]
    if foreign:
        raise SettingsError(f"[{foreign[0]}] is a kiosk's: nobody stands before anything else")
    if screen is not None and not 0 < screen.port <= MAX_PORT:
        raise SettingsError(f"screen.port is 1 to {MAX_PORT}")
    if screen is not None and screen.slot_url is not None and cabinet.simulated is None:
        raise SettingsError("screen.slot_url puts simulated cartridges in: a real deployment has none")
    if cabinet.printer is not None:
        printer_address(cabinet.printer.link)


def _check_instrument(instrument: InstrumentSection, kind: str) -> None:
    given = {name for name in _SENSOR_NAMES | _ANALYSER_NAMES if getattr(instrument, name) is not None}
    foreign = given - _NAMES[instrument.kind]
    if foreign:
        raise SettingsError(f"an instrument of kind {instrument.kind} has no {', '.join(sorted(foreign))}")
    if instrument.kind == "genexpert":
        instrument.visit_rules()
        if instrument.assay is None or kind != "kiosk":
            raise SettingsError("an analyser needs its assay, and a device of kind kiosk")
    elif not instrument.sample_period_s or instrument.sample_period_s < 0:
        raise SettingsError("a sensor needs sample_period_s above 0")
