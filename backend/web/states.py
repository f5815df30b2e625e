"""Another process's state, opened when it is first asked for and again when its file was replaced. Read-only."""

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from contracts.errors import ContractError
from contracts.messages import Birth, decode_document
from contracts.rows import DeviceReport, ReleaseRow
from stores.errors import StoreError
from stores.state.database import Database, Owner, open_for_reading, state_file
from stores.state.release_log import chain_part, releases_of
from stores.state.reports import load_reports
from stores.state.signals import SignalRow, signals_after

T = TypeVar("T")


class OtherState:
    """The state of `owner`; StoreUnavailableError while its writer has not made it yet."""

    def __init__(self, spec: str, owner: Owner) -> None:
        self._spec = spec
        self._owner = owner
        self._file = state_file(spec, owner)
        self._lock = threading.Lock()
        self._open: tuple[Database, int] | None = None

    def ask(self, question: Callable[[Database], T]) -> T:
        """Ask; after an error it is opened anew at the next question."""
        database = self._database()
        try:
            return question(database)
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of it."""
        with self._lock:
            if self._open is not None:
                self._open[0].close()
                self._open = None

    def _database(self) -> Database:
        identity = self._identity()
        with self._lock:
            if self._open is not None and self._open[1] != identity:
                self._open[0].close()
                self._open = None
            if self._open is None:
                self._open = (open_for_reading(self._spec, self._owner), identity)
            return self._open[0]

    def _identity(self) -> int:
        """A restored or remade file has another inode: the open one would show the old state for ever."""
        try:
            return self._file.stat().st_ino if self._file is not None else 0
        except OSError:
            return -1


def instrument_models(state: OtherState) -> dict[str, str]:
    """Return what each device last said that its first instrument is: kind and model."""
    found: dict[str, str] = {}
    for report in state.ask(load_reports):
        if report.kind != "birth":
            continue
        with contextlib.suppress(ContractError):  # of a newer version, or damaged: unknown
            birth = decode_document(report.kind, report.body)
            if isinstance(birth, Birth) and birth.instruments:
                found[report.device] = f"{birth.instruments[0].kind} {birth.instruments[0].model}".strip()
    return found


class Signals:
    """The signals of a state, as alerts ask for them."""

    def __init__(self, state: OtherState, name: str) -> None:
        self._state = state
        self.name = name

    def after(self, last_id: int, limit: int) -> Sequence[SignalRow]:
        """Return the next signals."""
        return self._state.ask(lambda database: signals_after(database, last_id, limit))


class Reports:
    """What ingest heard of devices."""

    def __init__(self, state: OtherState) -> None:
        self._state = state

    def load(self, device: str | None) -> Sequence[DeviceReport]:
        """Return the newest reports of all devices, or of one."""
        return self._state.ask(lambda database: load_reports(database, device))


class Releases:
    """What kiosks released, as ingest received it."""

    def __init__(self, state: OtherState) -> None:
        self._state = state

    def of(self, device: str, limit: int) -> Sequence[ReleaseRow]:
        """Return a kiosk's newest releases, the newest window first."""
        return self._state.ask(lambda database: releases_of(database, device, limit))

    def head(self) -> tuple[bytes, int]:
        """Return the chain's head and how many releases it closes."""
        found = self._state.ask(lambda database: chain_part(database, 0, 0))
        return found.head, found.head_number
