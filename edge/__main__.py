"""`kioskwatch edge CABINET.toml …`: agents of one or more cabinets. `--print`: one instrument, no broker, no key."""

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from contracts.errors import ContractError
from edge.bootstrap import PRINTABLE, build, print_instrument
from edge.children.confine import keep_memory_private
from edge.children.keeper import ForkServer
from edge.core.backoff import Backoff
from edge.errors import (
    ChildError,
    EdgeError,
    EnrolmentRefusedError,
    ReleaseError,
    SettingsError,
    StoreLockedError,
    StoreTooNewError,
)
from edge.front import Front
from edge.settings import LoadedCabinet, load_cabinets
from mqttlink.errors import LinkSettingsError

_LOG = logging.getLogger(__name__)

DONE: Final = 0
OPERATOR_MUST_ACT: Final = 2
RESTART_S: Final = (1.0, 30.0)
JOIN_S: Final = 8.0  # the supervisor waits ten

_LOG_FORMAT = "%(levelname)s %(threadName)s %(name)s: %(message)s"  # a thread has the name of its device

_FATAL = (
    SettingsError,
    EnrolmentRefusedError,
    StoreLockedError,
    StoreTooNewError,
    ReleaseError,
    ContractError,
    LinkSettingsError,
)


class _Host:
    """Agents of several cabinets, each in a thread of its own: one that fails stops no other."""

    def __init__(self, cabinets: Sequence[LoadedCabinet], server: ForkServer | None) -> None:
        self._server = server
        self._front = None if server is None else Front()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._starting = {cabinet.cabinet.device.id for cabinet in cabinets}
        self._given_up: set[str] = set()
        self._threads = [
            threading.Thread(target=self._host, args=(cabinet,), name=cabinet.cabinet.device.id, daemon=True)
            for cabinet in cabinets
        ]

    def run(self) -> int:
        """Run until told to stop; return the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        for thread in self._threads:
            thread.start()
        while not self._stop.wait(0.5):
            if not any(thread.is_alive() for thread in self._threads):
                break
            if self._server is not None:
                self._server.watch()
        for thread in self._threads:
            thread.join(JOIN_S)
        if self._front is not None:
            self._front.close()
        return OPERATOR_MUST_ACT if len(self._given_up) == len(self._threads) else DONE

    def _host(self, loaded: LoadedCabinet) -> None:
        """Keep one agent running; give it up when only an operator can help."""
        device = loaded.cabinet.device.id
        backoff = Backoff(*RESTART_S, lambda low, high: (low + high) / 2)
        while not self._stop.is_set():
            try:
                self._run_once(loaded)
            except _FATAL as exc:
                self._given_up.add(device)
                self._started(device)
                _say(f"{device}: {exc}")
                return
            except EdgeError as exc:
                _LOG.error("%s: stopped, and starts again: %s", device, exc)
            except Exception as exc:  # noqa: BLE001 -- the loop's edge: counted, told without payload, begun anew
                _LOG.error("%s: failed (%s), and starts again", device, type(exc).__name__)
            self._stop.wait(backoff.wait_s())

    def _run_once(self, loaded: LoadedCabinet) -> None:
        with ExitStack() as closing:
            agent = build(loaded, self._stop.wait, closing, self._server, self._front)
            if agent is not None:
                self._started(loaded.cabinet.device.id)
                agent.run(self._stop.is_set)

    def _started(self, device: str) -> None:
        """Say `ready` once every agent has either begun or been given up, and at least one has begun."""
        with self._lock:
            if device not in self._starting:
                return
            self._starting.remove(device)
            if not self._starting and len(self._given_up) < len(self._threads):
                print("ready", flush=True)  # noqa: T201 -- the supervisor waits for this line


def main(argv: list[str]) -> int:
    """Run the command; return its exit code."""
    options = _options().parse_args(argv)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=_LOG_FORMAT)
    try:
        if options.print:
            return _print(options.instrument, options.link)
        paths = [*options.cabinets, *(options.cabinet or [])]
        if not paths:
            raise SettingsError(
                "which cabinet? `kioskwatch edge CABINET.toml`, or --print with --instrument and --link"
            )
        return _host(load_cabinets(paths))
    except (SettingsError, ChildError) as exc:
        _say(str(exc))
        return OPERATOR_MUST_ACT


def _host(cabinets: Sequence[LoadedCabinet]) -> int:
    """Run the agents, with a fork server if one of them is a kiosk: it is begun before any key is read or thread made.

    It is a program of its own, so it inherits nothing of this one's memory, also when it has to be begun again later.
    """
    keep_memory_private()
    if not any(section.kind == "genexpert" for one in cabinets for section in one.cabinet.instrument):
        return _Host(cabinets, None).run()
    server = ForkServer()
    server.start()
    try:
        return _Host(cabinets, server).run()
    finally:
        server.close()


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kioskwatch edge", description=__doc__)
    parser.add_argument("cabinets", nargs="*", type=Path, metavar="CABINET.toml", help="settings of a cabinet")
    parser.add_argument("--cabinet", nargs="+", type=Path, metavar="CABINET.toml", help="the same")
    parser.add_argument(
        "--print", action="store_true", help="show what one instrument says; needs no broker and no key"
    )
    parser.add_argument("--instrument", choices=PRINTABLE, default="scd30")
    parser.add_argument("--link", help="serial:PATH, tcp:HOST:PORT, a path or HOST:PORT")
    return parser


def _print(instrument: str, link: str | None) -> int:
    if link is None:
        raise SettingsError("--print needs --link PATH or --link HOST:PORT")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    print_instrument(instrument, link, stop.is_set, lambda line: print(line, flush=True))  # noqa: T201 -- asked for
    return DONE


def _say(sentence: str) -> None:
    sys.stderr.write(f"kioskwatch edge: {sentence}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
