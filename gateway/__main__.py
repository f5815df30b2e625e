"""`kioskwatch gateway ingest|analyse|rebuild|redrive|verify --settings FILE`."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.errors import GatewayError, SettingsError
from gateway.settings import GatewaySettings, read_settings
from mqttlink.errors import LinkSettingsError
from stores.errors import SchemaTooNewError, SpecError, StoreError, WriterLockedError

OPERATOR: Final = 2  # exit code: the operator must do something
CRASHED: Final = 1  # the supervisor starts it again

# One clear sentence and exit code 2; every other StoreError may pass by itself, so the supervisor tries again.
_OPERATORS = (SettingsError, LinkSettingsError, WriterLockedError, SchemaTooNewError, SpecError)


def main(argv: list[str] | None = None) -> int:
    """Run one of the gateway's commands; return the exit code."""
    parser = argparse.ArgumentParser(prog="kioskwatch gateway", description=__doc__)
    parser.add_argument("command", choices=sorted(_COMMANDS))
    parser.add_argument("--settings", type=Path, required=True, help="gateway.toml")
    given = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # its plugins introduce themselves at every start
    try:
        return _COMMANDS[given.command](read_settings(given.settings))
    except _OPERATORS as exc:
        print(f"kioskwatch gateway {given.command}: {exc}", file=sys.stderr)
        return OPERATOR
    except (GatewayError, StoreError) as exc:
        print(f"kioskwatch gateway {given.command}: {exc}", file=sys.stderr)
        return CRASHED


def _ingest(settings: GatewaySettings) -> int:
    from gateway.ingest.bootstrap import opened

    with opened(settings) as ingest:
        ingest.run()
    return 0


def _rebuild(settings: GatewaySettings) -> int:
    from gateway.ingest.bootstrap import rebuild

    print(f"{rebuild(settings)} records projected from the journal")
    return 0


def _redrive(settings: GatewaySettings) -> int:
    from gateway.ingest.bootstrap import redrive

    taken, stay = redrive(settings)
    print(f"{taken} dead letters taken, {stay} stay")
    return 0


def _analyse(settings: GatewaySettings) -> int:
    from gateway.analyse.bootstrap import run

    return run(settings)


def _verify(settings: GatewaySettings) -> int:
    from gateway.analyse.bootstrap import verify

    said, holds = verify(settings)
    print("\n".join(said))
    return 0 if holds else CRASHED


_COMMANDS: Final[dict[str, Callable[[GatewaySettings], int]]] = {
    "analyse": _analyse,
    "ingest": _ingest,
    "rebuild": _rebuild,
    "redrive": _redrive,
    "verify": _verify,
}

if __name__ == "__main__":
    sys.exit(main())
