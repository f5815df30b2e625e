"""Slips on their real wire: the driver against a printer that was written from the manual alone, with every fault."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from contracts.notice import LANGUAGES
from edge.adapters.printer import paper_state, print_slip, printer_address
from edge.errors import PrinterError, SettingsError
from edge.slip.slip import slip_bytes
from firmware_sim.faults import MODBUS_LINE, Fault
from firmware_sim.instruments.printer.printer import Printer
from firmware_sim.transport import TcpPort
from tests.support.process import free_port
from tests.support.simulators import LoopThread
from tests.support.slips import slip

PICTURES = os.environ.get("KIOSKWATCH_SCREENSHOTS")
SLIP = slip_bytes(slip("en"))


@dataclass
class Running:
    where: str
    pictures: Path
    refill: Callable[[], None]

    @property
    def slips(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(self.pictures.glob("*.png"))]


@contextmanager
def running_printer(pictures: Path, fault: Fault = Fault.NONE) -> Iterator[Running]:
    thread = LoopThread()
    printer = Printer("kiosk-test", fault=fault, pictures=pictures)

    async def build() -> tuple[TcpPort, str]:
        port = TcpPort(printer, host="127.0.0.1", port=0, fault=Fault.NONE, line=MODBUS_LINE, first_stays=True)
        printer.unplug = port.unplug
        return port, await port.open()

    try:
        port, where = thread.run(build())
        try:
            yield Running(f"tcp:{where}", pictures, lambda: thread.call(printer.refill))
        finally:
            thread.call(port.close)
    finally:
        thread.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_slip_comes_out_in_every_language(tmp_path: Path, language: str) -> None:
    with running_printer(tmp_path) as printer:
        print_slip(printer.where, slip_bytes(slip(language)), timeout_s=10)
        assert len(printer.slips) == 1
        assert 1000 < int.from_bytes(printer.slips[0][20:24]) < 2500  # rows of the picture
        if PICTURES is not None:
            folder = Path(PICTURES) / "kiosk"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"slip-{language}.png").write_bytes(printer.slips[0])  # the slip of a test code


def test_the_picture_on_paper_is_the_picture_that_was_drawn(tmp_path: Path) -> None:
    from PIL import Image  # noqa: PLC0415 -- only to look at what came out

    with running_printer(tmp_path) as printer:
        print_slip(printer.where, SLIP, timeout_s=10)
        paper = Image.open(tmp_path / "slip-001.png").convert("1")
    bands, at = [], SLIP.index(b"\x1dv0")
    while SLIP[at : at + 3] == b"\x1dv0":
        rows = int.from_bytes(SLIP[at + 6 : at + 8], "little")
        bands.append(SLIP[at + 8 : at + 8 + 72 * rows])
        at += 8 + 72 * rows
    drawn = Image.frombytes("1", (576, sum(map(len, bands)) // 72), b"".join(bands))
    printed = paper.crop((0, 0, 576, drawn.height)).point(lambda dot: 0 if dot else 255)
    assert printed.tobytes() == drawn.tobytes()


def test_one_slip_follows_another(tmp_path: Path) -> None:
    with running_printer(tmp_path) as printer:
        for _ in range(3):
            print_slip(printer.where, SLIP, timeout_s=10)
        assert len(printer.slips) == 3
        assert len(set(printer.slips)) == 1


@pytest.mark.parametrize(
    ("fault", "reason", "slips"),
    [
        (Fault.PAPER_OUT, "paper", 0),
        (Fault.PAPER_ENDS, "paper", 0),
        (Fault.COVER_OPEN, "printer", 0),
        (Fault.UNPLUG, "printer", 0),
        (Fault.GARBAGE, "printer", 0),
    ],
)
def test_a_fault_is_told_by_what_a_person_must_mend(tmp_path: Path, fault: Fault, reason: str, slips: int) -> None:
    with running_printer(tmp_path, fault) as printer:
        began_s = time.monotonic()
        with pytest.raises(PrinterError) as caught:
            print_slip(printer.where, SLIP, timeout_s=20)
        assert caught.value.reason == reason
        assert len(printer.slips) == slips
        assert time.monotonic() - began_s < 15, "a fault that shows must not cost the whole time"


@pytest.mark.parametrize("fault", [Fault.SLOW, Fault.PAPER_LOW])
def test_what_is_no_fault_prints(tmp_path: Path, fault: Fault) -> None:
    with running_printer(tmp_path, fault) as printer:
        print_slip(printer.where, SLIP, timeout_s=20)
        assert len(printer.slips) == 1


def test_a_slow_printer_is_given_up_at_the_deadline(tmp_path: Path) -> None:
    with running_printer(tmp_path, Fault.SLOW) as printer, pytest.raises(PrinterError, match="too long") as caught:
        print_slip(printer.where, SLIP, timeout_s=0.4)
    assert caught.value.reason == "printer"


def test_after_a_new_roll_the_paper_is_there_again(tmp_path: Path) -> None:
    with running_printer(tmp_path, Fault.PAPER_OUT) as printer:
        assert paper_state(printer.where, timeout_s=5) == "out"
        printer.refill()
        assert paper_state(printer.where, timeout_s=5) == "ok"


@pytest.mark.parametrize(("fault", "state"), [(Fault.NONE, "ok"), (Fault.PAPER_LOW, "low"), (Fault.GARBAGE, "unknown")])
def test_the_paper_is_told_in_three_words(tmp_path: Path, fault: Fault, state: str) -> None:
    with running_printer(tmp_path, fault) as printer:
        assert paper_state(printer.where, timeout_s=5) == state


def test_a_slip_waits_for_a_printer_that_is_just_being_asked_how_it_is(tmp_path: Path) -> None:
    with running_printer(tmp_path) as printer:
        with socket.create_connection(printer_address(printer.where)):
            asked = threading.Thread(target=print_slip, args=(printer.where, SLIP), kwargs={"timeout_s": 10})
            asked.start()
            time.sleep(0.1)
        asked.join()
        assert len(printer.slips) == 1


def test_a_printer_that_is_not_there_is_a_fault_of_the_printer() -> None:
    where = f"tcp:127.0.0.1:{free_port()}"
    with pytest.raises(PrinterError) as caught:
        print_slip(where, SLIP, timeout_s=2)
    assert caught.value.reason == "printer"
    assert paper_state(where, timeout_s=2) == "unknown"


def test_a_printer_whose_line_swallows_everything_is_a_fault_of_the_printer_too() -> None:
    with ExitStack() as stack, socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        for _ in range(8):  # nobody accepts, and once the queue is full the kernel drops whoever asks (listen(2))
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        with pytest.raises(PrinterError) as caught:
            print_slip(f"tcp:127.0.0.1:{server.getsockname()[1]}", SLIP, timeout_s=0.5)
    assert caught.value.reason == "printer"


@pytest.mark.parametrize(
    "where", ["", "tcp:", "tcp:host", "tcp:host:0", "tcp:host:99999", "usb:lp0", "serial:/dev/lp0"]
)
def test_what_is_no_address_is_refused(where: str) -> None:
    with pytest.raises(SettingsError):
        printer_address(where)
