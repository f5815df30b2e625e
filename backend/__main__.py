"""`kioskwatch backend serve`, `kioskwatch user …`, `kioskwatch device …`: arguments in, exit code out.

While the backend runs, the two commands ask it; when none runs they take its state themselves for a moment. Exit
codes: 0 done, 2 the operator must do something (one sentence on stderr), 1 a crash.
"""

import argparse
import contextlib
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from backend.accounts.admin_routes import UserRequest, act_on_accounts
from backend.accounts.roles import ROLES
from backend.bootstrap import Backend, apply_district_file, open_core
from backend.devices.admin_routes import DeviceRequest, act_on_device
from backend.devices.release_log import SHOWN, as_text, log_lines
from backend.errors import BackendError, OperatorError
from backend.settings import BackendSettings, read_settings
from backend.web.client import NotRunningError, ask
from backend.web.server import Certificate, check_certificate, listen, serve
from stores.errors import SchemaTooNewError, SpecError, StoreError, WriterLockedError
from stores.state.database import open_for_reading
from stores.state.devices import load_registry
from stores.state.release_log import releases_of

OPERATOR_MUST_ACT: Final = 2
CRASHED: Final = 1
MAX_RELEASES: Final = 100_000  # of one kiosk: 68 years of windows of six hours
DEFAULT_SETTINGS: Final = Path("var/backend.toml")
_STOPS: Final = (WriterLockedError, SchemaTooNewError, SpecError)

log = logging.getLogger("backend")


def main(argv: Sequence[str]) -> int:
    """Run one command."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for library in ("uvicorn", "alembic"):
        logging.getLogger(library).setLevel(logging.WARNING)
    wanted = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace, BackendSettings], int] = wanted.run
    try:
        return run(wanted, read_settings(wanted.settings))
    except (BackendError, *_STOPS) as exc:
        return _refuse(str(exc))
    except StoreError as exc:
        log.error("a store failed at the start: %s", exc)
        return CRASHED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kioskwatch backend", description=__doc__)
    parser.set_defaults(settings=DEFAULT_SETTINGS)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _command(commands, "serve", "the console and the API", _serve)
    users = commands.add_parser("user", help="accounts of officers and technicians")
    actions = users.add_subparsers(required=True, metavar="ACTION")
    for action, text in _USER_ACTIONS.items():
        command = _command(actions, action, text, _user)
        if action != "list":
            command.add_argument("name")
        if action == "add":
            command.add_argument("--role", required=True, choices=ROLES)
    devices = commands.add_parser("device", help="enrolment tokens and withdrawal")
    actions = devices.add_subparsers(required=True, metavar="ACTION")
    for action, text in _DEVICE_ACTIONS.items():
        _command(actions, action, text, _device).add_argument("device")
    released = _command(actions, "release-log", "print what a kiosk released, the newest first", _release_log)
    released.add_argument("device")
    released.add_argument("--limit", type=int, default=SHOWN, metavar="N", help="how many windows")
    return parser


_USER_ACTIONS: Final = {
    "add": "make an account and print its first password",
    "list": "print all accounts",
    "reset": "give an account a new first password and print it",
    "disable": "close an account; its sessions end",
    "enable": "open it again",
}
_DEVICE_ACTIONS: Final = {
    "token": "make a one-time token for enrolment and print it",
    "revoke": "withdraw a device's certificates",
}


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    run: Callable[[argparse.Namespace, BackendSettings], int],
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text)
    command.add_argument("--settings", type=Path, default=DEFAULT_SETTINGS, metavar="FILE")
    command.set_defaults(run=run, action=name)
    return command


# --- serve ----------------------------------------------------------------------------------------------


def _serve(_wanted: argparse.Namespace, settings: BackendSettings) -> int:
    certificate = None
    if settings.tls_cert is not None and settings.tls_key is not None:
        certificate = Certificate(settings.tls_cert, settings.tls_key)
        check_certificate(certificate)
    listener = listen(settings.host, settings.port)
    with contextlib.closing(listener), contextlib.closing(open_core(settings)) as core:
        for line in apply_district_file(core):
            log.info("registry: %s", line)
        core.enrolment.write_revocations()
        password = core.accounts.first_start()
        with contextlib.closing(Backend(core)) as backend:
            if password is not None:
                print(f"admin-password {password}", flush=True)  # noqa: T201 - the terminal alone, never the log
            started = serve(
                backend.app, listener, certificate=certificate, ready=_say_ready, stopping=backend.hub.close
            )
    return 0 if started else CRASHED


def _say_ready() -> None:
    print("ready", flush=True)  # noqa: T201 - the supervisor waits for this line


# --- user, device -----------------------------------------------------------------------------------------


def _user(wanted: argparse.Namespace, settings: BackendSettings) -> int:
    body = {"action": wanted.action, "name": getattr(wanted, "name", ""), "role": getattr(wanted, "role", "")}
    try:
        answer = _ask(settings, "/admin/v1/user", body)
    except NotRunningError:
        with contextlib.closing(open_core(settings)) as core:
            answer = msgspec.to_builtins(act_on_accounts(core.accounts, UserRequest.model_validate(body)))
    if answer.get("password"):
        _tell(f"first password of {wanted.name}: {answer['password']}")
    for account in answer.get("accounts") or ():
        _tell(f"{account['name']:<24} {account['role']:<12} {account['state']}")
    return 0


def _device(wanted: argparse.Namespace, settings: BackendSettings) -> int:
    body = {"action": wanted.action, "device": wanted.device}
    try:
        answer = _ask(settings, "/admin/v1/device", body)
    except NotRunningError:
        with contextlib.closing(open_core(settings)) as core:
            apply_district_file(core)
            answer = msgspec.to_builtins(act_on_device(core.enrolment, DeviceRequest.model_validate(body)))
    if answer.get("token"):
        _tell(f"{answer['token']}")
    else:
        _tell(f"{wanted.device}: {answer.get('certificates')} certificates withdrawn")
    return 0


def _release_log(wanted: argparse.Namespace, settings: BackendSettings) -> int:
    with open_for_reading(settings.state, "backend") as database:
        registry = load_registry(database)
    with open_for_reading(settings.state, "ingest") as database:
        found = releases_of(database, wanted.device, min(max(1, wanted.limit), MAX_RELEASES))
    if not found:
        raise OperatorError("Nothing was received from a kiosk %(device)s.", device=wanted.device)
    for line in log_lines(found):
        _tell(as_text(line, registry.district.utc_offset_s))
    return 0


def _ask(settings: BackendSettings, path: str, body: dict[str, str]) -> dict[str, Any]:
    return ask(
        settings.host, settings.port, path, body, token_file=settings.admin_token_file, certificate=settings.tls_cert
    )


def _tell(line: str) -> None:
    print(line)  # noqa: T201 - a command's answer


def _refuse(sentence: str) -> int:
    print(f"kioskwatch backend: {sentence}", file=sys.stderr)  # noqa: T201 - the one sentence for the operator
    return OPERATOR_MUST_ACT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
