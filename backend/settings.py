"""What the backend may be told from outside: backend.toml and results.toml, strict. Secrets are paths, never values."""

import ipaddress
import re
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from backend.errors import OperatorError

DEFAULT_PORT: Final = 8800
DEFAULT_RESULTS_PORT: Final = 8801
VOLUME_MIB_PER_MINUTE: Final = 512  # all live cohorts of a district of a dozen kiosks several times; a NAT shares it
_LISTEN = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:]+)\]|(?P<host>[A-Za-z0-9.-]+)):(?P<port>\d{1,5})")
MAX_PORT: Final = 65_535


class BrokerPublic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where devices find the broker; told to them at enrolment."""

    host: str
    port: int
    tls: bool = True


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the console and the result page have in common: a state, a district, an address and its certificate."""

    state: str  # "sqlite:DIR" or "postgresql+psycopg://…"
    district: Path  # district.toml
    listen: str
    simulated: bool = False
    time_file: Path | None = None  # of a simulated district
    tls_cert: Path | None = None
    tls_key: Path | None = None

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise OperatorError("tls_cert and tls_key go together.")
        if self.time_file is not None and not self.simulated:
            raise OperatorError("time_file belongs to a simulated district: set simulated = true or take it out.")
        if self.tls_cert is None and not is_loopback(self.host):
            raise OperatorError(
                "listen = %(listen)s is reachable from outside: set tls_cert and tls_key, or listen on 127.0.0.1.",
                listen=self.listen,
            )

    @property
    def host(self) -> str:
        """The address to listen on."""
        return self._address[0]

    @property
    def port(self) -> int:
        """The port to listen on."""
        return self._address[1]

    @property
    def scheme(self) -> str:
        """What browsers type in front."""
        return "http" if self.tls_cert is None else "https"

    @property
    def _address(self) -> tuple[str, int]:
        found = _LISTEN.fullmatch(self.listen)
        if found is None or not int(found["port"]) <= MAX_PORT:
            raise OperatorError("listen is ADDRESS:PORT, such as 127.0.0.1:8800 or [::1]:8800.")
        return found["v6"] or found["host"], int(found["port"])


class BackendSettings(ServerSettings, frozen=True, kw_only=True):
    """Read once in __main__; everything below receives plain values."""

    series: str  # "sqlite:DIR" or "influx:URL"
    ca_dir: Path
    admin_token_file: Path
    broker_public: BrokerPublic
    listen: str = f"127.0.0.1:{DEFAULT_PORT}"
    results_origin: str = ""  # of a simulated district whose file names none
    series_org: str | None = None
    series_token_dir: Path | None = None  # one file a bucket
    series_restricted: str | None = None  # where the bucket `restricted` lies, if not in `series`

    def __post_init__(self) -> None:
        ServerSettings.__post_init__(self)
        if self.results_origin and not self.simulated:
            raise OperatorError("results_origin belongs to a simulated district: a real one has it in district.toml.")


class ResultsSettings(ServerSettings, frozen=True, kw_only=True):
    """results.toml, of the result page's own process; its certificate is never the console's."""

    public_dir: Path  # what everybody may download
    listen: str = f"127.0.0.1:{DEFAULT_RESULTS_PORT}"
    volume_mib_per_minute: int = VOLUME_MIB_PER_MINUTE  # for one address

    def __post_init__(self) -> None:
        ServerSettings.__post_init__(self)
        if self.volume_mib_per_minute < 1:
            raise OperatorError("volume_mib_per_minute is at least 1.")
        if not self.simulated and self.tls_cert is None:
            raise OperatorError("A real result page needs tls_cert and tls_key: phones open nothing without https.")


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Settings = TypeVar("Settings", bound=ServerSettings)


def read_settings(path: Path) -> BackendSettings:
    """Read backend.toml; OperatorError names what is unknown, missing or malformed."""
    return _read(path, BackendSettings)


def read_results_settings(path: Path) -> ResultsSettings:
    """Read results.toml; OperatorError likewise."""
    return _read(path, ResultsSettings)


def _read(path: Path, kind: type[Settings]) -> Settings:
    try:
        return msgspec.toml.decode(path.read_bytes(), type=kind, dec_hook=_to_path)
    except OSError as exc:
        raise OperatorError("%(path)s cannot be read: %(reason)s.", path=path, reason=exc.strerror) from exc
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise OperatorError("%(path)s: %(reason)s.", path=path, reason=exc) from exc


def _to_path(kind: type, value: object) -> Path:
    if kind is not Path or not isinstance(value, str) or not value or "\0" in value:
        raise TypeError("a path is a text")
    return Path(value)
