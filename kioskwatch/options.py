"""What `kioskwatch up` can be told: words in, checked options or one sentence out. Pure but for --help's printing."""

import argparse
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Final, NoReturn

from contracts.clock import MAX_SPEED
from contracts.windows import to_ns
from kioskwatch.errors import OptionError
from kioskwatch.folder import DEFAULT_FOLDER

DEFAULT_PORT: Final = 8800
DEFAULT_RESULTS_PORT: Final = 8801
DEFAULT_BROKER_PORT: Final = 8883
DEFAULT_SPEED: Final = 600  # a 6 h window every 36 s
# The first day after the demonstration's public history, at 00:00 district time (DESIGN §14).
DEFAULT_START: Final = "2021-12-12T00:00"
EARLIEST_START: Final = datetime(2000, 1, 1, tzinfo=UTC)
SCENARIOS: Final = ("replay", "outbreak", "quiet")
MAX_PORT: Final = 65_535
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """Checked options; `start` and `speed` are None where the operator left them out."""

    state: Path
    real: bool
    listen: str
    port: int
    public_name: str
    district: Path | None
    tls_cert: Path | None
    tls_key: Path | None
    results_port: int
    results_cert: Path | None
    results_key: Path | None
    broker: str
    broker_port: int
    start: str | None
    speed: int | None
    scenario: str

    @property
    def https(self) -> bool:
        """Only a page on loopback may go without TLS."""
        return self.real or not is_loopback(self.listen)


class Parser(argparse.ArgumentParser):
    """argparse that raises our error instead of printing its usage and ending the program."""

    def error(self, message: str) -> NoReturn:
        """Raise the sentence."""
        raise OptionError(f"{message}; `{self.prog} --help` lists the options")


def parse(argv: Sequence[str]) -> UpOptions:
    """Read the words behind `kioskwatch up`; OptionError names the option and what it may be."""
    given = _parser().parse_args(argv)
    listen = _address(given.listen)
    for name in ("tls", "results"):
        if (getattr(given, f"{name}_cert") is None) != (getattr(given, f"{name}_key") is None):
            raise OptionError(f"--{name}-cert and --{name}-key belong together: give both or neither")
    _refuse_equal_ports(given)
    if given.no_simulators:
        _refuse_simulated_options(given)
    return UpOptions(
        state=given.state.absolute(),
        real=given.no_simulators,
        listen=listen,
        port=given.port,
        public_name=_public_name(given.public_name, listen, real=given.no_simulators),
        district=_existing(given.district, "--district"),
        tls_cert=_existing(given.tls_cert, "--tls-cert"),
        tls_key=_existing(given.tls_key, "--tls-key"),
        results_port=given.results_port,
        results_cert=_existing(given.results_cert, "--results-cert"),
        results_key=_existing(given.results_key, "--results-key"),
        broker=given.broker,
        broker_port=given.broker_port,
        start=given.start,
        speed=given.speed,
        scenario=given.scenario or "replay",
    )


def start_ns(text: str, *, utc_offset_s: int, now: datetime) -> int:
    """Return --start as nanoseconds; a time without its offset from UTC is district time. OptionError otherwise."""
    try:
        start = datetime.fromisoformat(text)
    except ValueError as exc:
        raise OptionError(f"--start is a time such as 2021-12-12T00:00-05:00, not {text!r}") from exc
    if start.tzinfo is None:
        start = start.replace(tzinfo=timezone(timedelta(seconds=utc_offset_s)))
    if not EARLIEST_START <= start < now:
        raise OptionError(f"--start lies between {EARLIEST_START:%Y-%m-%d} and now: simulated time never overtakes it")
    return to_ns(start)


def port(text: str) -> int:
    """Return a port for argparse; ArgumentTypeError otherwise."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= MAX_PORT:
        raise argparse.ArgumentTypeError(f"a port is 1 to {MAX_PORT}, not {text!r}")
    return int(text)


def is_loopback(address: str) -> bool:
    """Tell whether only this machine can reach an address."""
    return ipaddress.ip_address(address).is_loopback


def is_any(address: str) -> bool:
    """Tell whether an address means every interface."""
    return ipaddress.ip_address(address).is_unspecified


def _parser() -> Parser:
    parser = Parser(prog="kioskwatch up", description="Start a district and supervise it until Ctrl-C.")
    add = parser.add_argument
    add("--state", type=Path, default=DEFAULT_FOLDER, metavar="DIR", help="where everything is kept (./var)")
    add("--port", type=port, default=DEFAULT_PORT, help=f"of the console ({DEFAULT_PORT})")
    add("--broker-port", type=port, default=DEFAULT_BROKER_PORT, help=f"of the broker ({DEFAULT_BROKER_PORT})")
    add("--broker", default="auto", help="auto, mosquitto, iotcore or a URL such as mqtts://host:8883")
    add("--listen", default="127.0.0.1", metavar="ADDRESS", help="address to serve on; HTTPS unless it is loopback")
    add("--public-name", metavar="NAME", help="what browsers and devices call this machine (the --listen address)")
    add("--tls-cert", type=Path, metavar="FILE", help="the operator's certificate chain for the console (PEM)")
    add("--tls-key", type=Path, metavar="FILE", help="its key (PEM)")
    add("--results-port", type=port, default=DEFAULT_RESULTS_PORT, help=f"of the result page ({DEFAULT_RESULTS_PORT})")
    add(
        "--results-cert",
        type=Path,
        metavar="FILE",
        help="certificate chain of the result page, trusted by phones (PEM)",
    )
    add("--results-key", type=Path, metavar="FILE", help="its key (PEM)")
    add("--district", type=Path, metavar="FILE", help="district.toml")
    add("--no-simulators", action="store_true", help="wait for real devices")
    add("--speed", type=_speed, help=f"of a simulated district ({DEFAULT_SPEED})")
    add("--start", metavar="TIME", help="first instant of a new simulated district (2021-12-12T00:00-05:00)")
    add("--scenario", choices=SCENARIOS, help="what the simulated visitors do (replay)")
    return parser


def _refuse_equal_ports(given: argparse.Namespace) -> None:
    if given.port == given.broker_port:
        raise OptionError("--port and --broker-port are the same: the console and the broker need one each")
    for option, taken in (("--port", given.port), ("--broker-port", given.broker_port)):
        if given.results_port == taken:
            raise OptionError(f"--results-port and {option} are the same: the result page needs a port of its own")


def _speed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= MAX_SPEED:
        raise argparse.ArgumentTypeError(f"a speed is a whole number, 1 to {MAX_SPEED}, not {text!r}")
    return int(text)


def _address(text: str) -> str:
    if text == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as exc:
        raise OptionError(
            f"--listen is an address of this machine, such as 192.0.2.7 or 0.0.0.0, not {text!r}"
        ) from exc


def _public_name(given: str | None, listen: str, *, real: bool) -> str:
    if given is None and is_any(listen) and real:
        raise OptionError(f"--listen {listen} means every interface: say with --public-name what devices call this one")
    name = given or ("127.0.0.1" if is_any(listen) else listen)
    if _HOST.fullmatch(name) is None and not _is_address(name):
        raise OptionError(f"--public-name is a host name or an address, not {name!r}")
    return name


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _refuse_simulated_options(given: argparse.Namespace) -> None:
    if given.speed not in {None, 1}:
        raise OptionError("real devices live in real time: --speed goes with simulators only")
    for option in ("start", "scenario"):
        if getattr(given, option) is not None:
            raise OptionError(f"--{option} goes with simulators only")


def _existing(path: Path | None, option: str) -> Path | None:
    if path is not None and not path.is_file():
        raise OptionError(f"{option}: there is no file {path}")
    return None if path is None else path.absolute()
