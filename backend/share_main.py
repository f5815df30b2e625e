"""`kioskwatch share export|key|register`: gives an authority what an agreement covers, and says what was given.

    share export --agreement NAME --from DATE --to DATE --out DIR   both days included, in the district's calendar
    share key                                                       the public key that a receiver needs, once
    share register                                                  who took what

`kioskwatch share verify`, for the receiver, is a command of its own and needs none of this. Exit codes: 0 done, 2 the
operator must do something (one sentence on stderr), 1 a crash.
"""

import argparse
import contextlib
import datetime
import getpass
import hashlib
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from backend.accounts.audit import AuditLog
from backend.bootstrap import apply_district_file, open_core, opened_for_sharing, read_district
from backend.clocks import district_clock, wall_ns
from backend.devices.authority import ensure_sharing_key
from backend.errors import BackendError
from backend.settings import BackendSettings, read_settings
from backend.sharing import packages
from backend.sharing.admin_routes import ShareRequest, register
from backend.sharing.rules import Request, district_day, grant
from backend.sharing.service import SHARED, taken_of
from backend.web.client import NotRunningError, ask
from contracts.errors import SharingError
from contracts.sharing import MANIFEST, SIGNATURE, entries, public_text
from contracts.windows import NS
from stores.errors import SchemaTooNewError, SpecError, StoreError, WriterLockedError
from stores.state.database import open_for_reading
from stores.state.devices import load_registry

OPERATOR_MUST_ACT: Final = 2
CRASHED: Final = 1
DEFAULT_SETTINGS: Final = Path("var/backend.toml")
_STOPS: Final = (WriterLockedError, SchemaTooNewError, SpecError)
_HASH_SHOWN: Final = 16

log = logging.getLogger("backend.share")


def main(argv: Sequence[str]) -> int:
    """Run one command."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    wanted = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace, BackendSettings], int] = wanted.run
    try:
        return run(wanted, read_settings(wanted.settings))
    except (BackendError, SharingError, *_STOPS) as exc:
        return _refuse(str(exc), OPERATOR_MUST_ACT)
    except StoreError as exc:
        return _refuse(str(exc), CRASHED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kioskwatch share", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    export = _command(commands, "export", "write a signed package for an authority", _export)
    export.add_argument("--agreement", required=True, metavar="NAME", help="an [[agreement]] of district.toml")
    export.add_argument("--from", dest="first_day", required=True, type=_day, metavar="DATE", help="first day, whole")
    export.add_argument("--to", dest="last_day", required=True, type=_day, metavar="DATE", help="last day, whole")
    export.add_argument("--out", required=True, type=Path, metavar="DIR", help="where the package goes")
    for option, dest in (("--level", "levels"), ("--target", "targets"), ("--environment", "environment")):
        less = "less than all that the agreement covers; may be repeated"
        export.add_argument(option, dest=dest, action="append", default=[], help=less)
    _command(commands, "key", "print the public key that a receiver needs; made at the first use", _key)
    _command(commands, "register", "print who took what, the newest first", _register)
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    run: Callable[[argparse.Namespace, BackendSettings], int],
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text)
    command.add_argument("--settings", type=Path, default=DEFAULT_SETTINGS, metavar="FILE")
    command.set_defaults(run=run)
    return command


def _day(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError("a date looks like 2026-01-31") from exc


# --- export -----------------------------------------------------------------------------------------------


def _export(wanted: argparse.Namespace, settings: BackendSettings) -> int:
    request = Request(
        agreement=wanted.agreement,
        first_day=wanted.first_day,
        last_day=wanted.last_day,
        levels=tuple(wanted.levels),
        targets=tuple(wanted.targets),
        environment=tuple(wanted.environment),
    )
    now_ns = district_clock(settings.time_file).now_ns()
    file = read_district(settings)
    with opened_for_sharing(settings, now_ns) as sources:
        today = district_day(now_ns, sources.registry.district.calendar)
        granted = grant(file.agreement, request, today)
        files = packages.make(granted, sources, ensure_sharing_key(settings.ca_dir))
    archive = packages.place(
        wanted.out, packages.name_of(granted), files, lambda packed: _note(settings, request, files, packed)
    )
    _tell(f"{archive}: {len(files)} files for {granted.agreement.recipient}")
    return 0


def _note(settings: BackendSettings, request: Request, files: Mapping[str, bytes], packed: bytes) -> None:
    """Put the package into the register: the running backend's, or the state itself when none runs."""
    hashes = [f"{entry.name}={entry.sha256}" for entry in entries(files) if entry.name not in (MANIFEST, SIGNATURE)]
    body = {
        "agreement": request.agreement,
        "first_day": request.first_day.isoformat(),
        "last_day": request.last_day.isoformat(),
        "operator": getpass.getuser()[:63],
        "package": hashlib.sha256(packed).hexdigest(),
        "files": "\n".join(hashes),
    }
    token, certificate = settings.admin_token_file, settings.tls_cert
    try:
        ask(settings.host, settings.port, "/admin/v1/share", body, token_file=token, certificate=certificate)
    except NotRunningError:
        with contextlib.closing(open_core(settings)) as core:
            apply_district_file(core)
            register(core.sharing, core.registry.get(), ShareRequest.model_validate(body))


# --- key, register ----------------------------------------------------------------------------------------


def _key(_wanted: argparse.Namespace, settings: BackendSettings) -> int:
    _tell(public_text(ensure_sharing_key(settings.ca_dir).public_key()))
    return 0


def _register(_wanted: argparse.Namespace, settings: BackendSettings) -> int:
    clock = district_clock(settings.time_file)
    with open_for_reading(settings.state, "backend") as database:
        audit = AuditLog(database, clock=clock, wall_s=lambda: wall_ns() // NS)
        rows, broken_at = audit.latest(action=SHARED), audit.broken_at()
        calendar = load_registry(database).district.calendar
    for taken in map(taken_of, rows):
        day, period = district_day(taken.at_ns, calendar), f"{taken.first_day}..{taken.last_day}"
        package = taken.package[:_HASH_SHOWN]
        _tell(f"{taken.row:>6} {day} {taken.agreement:<24} {period} {taken.operator:<16} {package}")
    if broken_at is not None:
        return _refuse(f"the audit log is broken at row {broken_at}: compare it with the newest backup", CRASHED)
    return 0


def _tell(line: str) -> None:
    print(line)  # noqa: T201 - a command's answer


def _refuse(sentence: str, code: int) -> int:
    print(f"kioskwatch share: {sentence}", file=sys.stderr)  # noqa: T201 - the one sentence for the operator
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
