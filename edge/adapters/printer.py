"""A slip printer on the network: ESC/POS over TCP, port 9100. Blocking; runs in the child that holds a code.

A connection that takes bytes proves nothing: printers take what they will never print. So the printer is asked before
(DLE EOT: online, cover, paper) and behind the slip (GS r, which waits its turn, while DLE EOT is answered at once).
Anything but the answers of docs/protocols/escpos.md is a fault of the printer. No error quotes what was sent.
"""

import contextlib
import select
import socket
import time
from types import TracebackType
from typing import Final, Literal, Self

from edge.errors import FrameError, PrinterError, SettingsError
from edge.wire.escpos import REPORT_PRINTED, Question, Status, is_report, printed_whole, question, status

PaperState = Literal["ok", "low", "out", "unknown"]
Fault = Literal["paper", "printer"]

ANSWER_S: Final = 2.0  # a status is real-time; a printer that needs longer is none
ASK_EVERY_S: Final = 0.5  # while it prints: an open cover must not cost the whole time
SEND_BYTES: Final = 16 * 1024
TRIES: Final = 3
PAUSE_S: Final = 0.3
MAX_PORT: Final = 65_535


def print_slip(where: str, data: bytes, *, timeout_s: float) -> None:
    """Print a document and return when it is on paper; PrinterError when it is not, or nobody can tell.

    A printer talks to one host at a time and may just be answering the agent, which asks how it is: so what fails
    before a byte of the slip was sent is tried again.
    """
    deadline_s = time.monotonic() + timeout_s
    for _ in range(TRIES - 1):
        with contextlib.suppress(_NotReachedError), _Printer(where, deadline_s - time.monotonic()) as printer:
            _print_on(printer, data)
            return
        time.sleep(PAUSE_S)
    with _Printer(where, deadline_s - time.monotonic()) as printer:
        _print_on(printer, data)


def _print_on(printer: "_Printer", data: bytes) -> None:
    printer.must_be_ready()
    printer.commit()
    printer.send(data + REPORT_PRINTED)
    if not printed_whole(printer.report()):
        raise PrinterError("paper", "the paper ended")
    printer.must_be_ready()


def paper_state(where: str, *, timeout_s: float) -> PaperState:
    """Return what the paper sensors say; "unknown" when the printer does not."""
    return look(where, timeout_s=timeout_s)[0]


def look(where: str, *, timeout_s: float) -> tuple[PaperState, Fault | None]:
    """Return what the paper sensors say, and what a person must mend before a slip can be printed."""
    try:
        with _Printer(where, timeout_s) as printer:
            now = printer.status()
    except PrinterError:
        return "unknown", "printer"
    return now.paper, now.fault


def printer_address(where: str) -> tuple[str, int]:
    """Read "tcp:HOST:PORT"; SettingsError otherwise."""
    kind, _, rest = where.partition(":")
    host, _, port = rest.rpartition(":")
    if kind == "tcp" and host and port.isascii() and port.isdigit() and 0 < int(port) <= MAX_PORT:
        return host.strip("[]"), int(port)
    raise SettingsError('a printer is "tcp:HOST:PORT"')


class _NotReachedError(PrinterError):
    """No connection, or one that ended before a byte of a slip was sent."""


class _Printer:
    """One connection with one deadline for all that is done on it."""

    def __init__(self, where: str, timeout_s: float) -> None:
        self._address = printer_address(where)
        self._deadline_s = time.monotonic() + timeout_s
        self._socket: socket.socket | None = None
        self._report: int | None = None  # came while a status was asked for
        self._begun = False

    def __enter__(self) -> Self:
        try:
            self._socket = socket.create_connection(self._address, self._left_s())
        except OSError as exc:
            raise self._failed(exc) from None
        self._socket.setblocking(False)
        return self

    def commit(self) -> None:
        """From here on a slip may be half on paper: nothing is tried again."""
        self._begun = True

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()

    def status(self) -> Status:
        """Ask for everything, one question at a time."""
        answers = [self._ask(number) for number in _QUESTIONS]
        try:
            return status(*answers)
        except FrameError as exc:
            raise PrinterError("printer", "no printer answers there") from exc

    def must_be_ready(self) -> None:
        """PrinterError when a person must mend something first."""
        fault = self.status().fault
        if fault is not None:
            raise PrinterError(fault, "the paper ended" if fault == "paper" else "the printer is not ready")

    def send(self, data: bytes) -> None:
        """Give it everything."""
        rest = memoryview(data)
        while rest:
            self._wait(select.POLLOUT, self._left_s())
            try:
                rest = rest[self._open.send(rest[:SEND_BYTES]) :]
            except BlockingIOError:
                continue
            except OSError as exc:
                raise self._failed(exc) from None

    def report(self) -> int:
        """Wait for the answer to GS r; while there is none, see whether the printer has stopped."""
        while True:
            answer = self._report if self._report is not None else self._byte(ASK_EVERY_S)
            if answer is None:
                self.must_be_ready()
            elif is_report(answer):
                return answer
            else:
                raise PrinterError("printer", "the printer answers what it was not asked")

    def _ask(self, number: Question) -> int:
        self.send(question(number))
        answer = self._byte(ANSWER_S)
        if answer is not None and is_report(answer):
            self._report, answer = answer, self._byte(ANSWER_S)
        if answer is None:
            raise PrinterError("printer", "the printer gives no status")
        return answer

    def _byte(self, longest_s: float) -> int | None:
        """Return the next byte; None when none came."""
        if not self._wait(select.POLLIN, min(longest_s, self._left_s())):
            return None
        try:
            data = self._open.recv(1)
        except BlockingIOError:
            return None
        except OSError as exc:
            raise self._failed(exc) from None
        if not data:
            raise self._failed(ConnectionResetError())
        return data[0]

    def _wait(self, event: int, timeout_s: float) -> bool:
        poller = select.poll()
        poller.register(self._open.fileno(), event)
        return bool(poller.poll(timeout_s * 1000))

    def _left_s(self) -> float:
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise PrinterError("printer", "the printer takes too long")
        return left_s

    def _failed(self, exc: OSError) -> PrinterError:
        kind = PrinterError if self._begun else _NotReachedError
        return kind("printer", f"the printer cannot be reached ({type(exc).__name__})")

    @property
    def _open(self) -> socket.socket:
        if self._socket is None:
            raise PrinterError("printer", "not connected")
        return self._socket


_QUESTIONS: Final[tuple[Question, ...]] = (1, 2, 4)
