"""gateway.toml: what both processes of the gateway may be told from outside. Strict: a misspelt name stops the start.

Secrets are paths, never values.
"""

import tomllib
from pathlib import Path
from typing import Final

import msgspec

from contracts.errors import ContractError
from contracts.topics import check_name
from gateway.errors import SettingsError

JOURNAL_DAYS: Final = 30
JOURNAL_MAX_BYTES: Final = 8 * 1024**3


class BrokerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[broker]`; without `ca` the connection is plain TCP, which is for 127.0.0.1 only."""

    host: str
    port: int
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


class GatewaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    state: str
    series: str
    series_org: str | None = None
    series_token_dir: Path | None = None
    series_restricted: str | None = None  # where the bucket `restricted` lies, if not in `series`
    time_file: Path | None = None  # simulated districts only
    gateway_id: str = "main"
    metrics_listen: str | None = None  # HOST:PORT for Prometheus
    broker: BrokerSettings
    deployment_key: Path
    journal_days: int = JOURNAL_DAYS
    journal_max_bytes: int = JOURNAL_MAX_BYTES
    shared: bool = False  # several ingests on one PostgreSQL, behind $share
    verifiers: int = 1  # processes that check signatures when many messages wait; 0 = none

    def __post_init__(self) -> None:
        try:
            check_name(self.gateway_id)
        except ContractError as exc:
            raise ValueError(f"gateway_id: {exc}") from exc
        if self.journal_days < 1 or self.journal_max_bytes < 1 or self.verifiers not in range(9):
            raise ValueError("journal_days and journal_max_bytes are at least 1, verifiers 0 to 8")


def read_settings(file: Path) -> GatewaySettings:
    """Read gateway.toml; SettingsError says what to mend."""
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), GatewaySettings, dec_hook=_to_path)
    except OSError as exc:
        raise SettingsError(f"{file} cannot be read: {exc.strerror}") from exc
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as exc:
        raise SettingsError(f"{file}: {exc}") from exc


def _to_path(kind: type, value: object) -> Path:
    if kind is not Path or not isinstance(value, str) or not value or "\0" in value:
        raise TypeError("a path is a text")
    return Path(value)
