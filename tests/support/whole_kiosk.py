"""A whole kiosk: the real edge process and its fork server, simulated analyser and printer, people at its screen."""

import contextlib
import http.client
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from PIL import Image

from contracts.claim import ClaimCode, parse_fragment
from contracts.clock import TimeAnchors, first_anchors
from contracts.frames import TickBody
from contracts.sealed import ResultBody, open_record
from firmware_sim.clock import DistrictClock
from firmware_sim.faults import MODBUS_LINE, Fault
from firmware_sim.instruments.printer.printer import Printer
from firmware_sim.transport import TcpPort
from tests.support.enrolled import START_NS, EnrolledCabinet, enrolled_cabinet
from tests.support.forked import children_of
from tests.support.process import Program, free_port, wait_until
from tests.support.qr import read_slip
from tests.support.simulators import LoopThread, RunningAnalyser, running_analyser

SPEED = 600  # a tick is a second; a run of 35 minutes takes 3.5 s
DEVICE = "kiosk-10016-1"
ORIGIN = "http://localhost:8801"  # what tests.support.enrolled enrols with


@dataclass
class WholeKiosk:
    """A kiosk at work."""

    cabinet: EnrolledCabinet
    program: Program
    analyser: RunningAnalyser
    screen: int
    pictures: Path

    @property
    def server(self) -> int:
        """The fork server: the agent's only child."""
        (pid,) = children_of(self.program.pid)
        return pid

    def ask(self, method: str, path: str, **form: str) -> tuple[str, str]:
        """Ask the kiosk's screen; the page and where it sends to."""
        host = f"127.0.0.1:{self.screen}"
        connection = http.client.HTTPConnection("127.0.0.1", self.screen, timeout=60)
        try:
            headers = {"Origin": f"http://{host}", "Content-Type": "application/x-www-form-urlencoded"}
            connection.request(method, path, urlencode(form) if form else None, headers)
            response = connection.getresponse()
            return response.read().decode(), response.getheader("Location") or ""
        finally:
            connection.close()

    def check_in(self, *, paper: bool) -> str:
        """Check in as a visitor does; the page that asks for the cartridge."""
        _, visit = self.ask("GET", "/en")
        token = visit.rpartition("/")[2]

        def inserted() -> bool:
            self.ask("POST", "/check-in", token=token, paper="1" if paper else "0")
            return 'data-screen="insert"' in self.ask("GET", visit)[0]

        wait_until(inserted, timeout_s=20, what="a check-in")
        return self.ask("GET", visit)[0]

    def code_on_paper(self) -> ClaimCode:
        """Check in and read the code off the slip that came out."""
        before = len(list(self.pictures.glob("*.png")))
        self.check_in(paper=True)
        slips = sorted(self.pictures.glob("*.png"))
        assert len(slips) == before + 1
        with Image.open(slips[-1]) as picture:
            address = read_slip(picture)
        assert address.startswith(f"{ORIGIN}/#1.")
        return parse_fragment(urlsplit(address).fragment)[0]

    def records(self) -> list[bytes]:
        """What every tick in the outbox says."""
        outbox = self.cabinet.folder / "outbox.db"
        with contextlib.closing(sqlite3.connect(f"file:{outbox}?mode=ro", uri=True)) as database:
            bodies = database.execute("SELECT body FROM records WHERE stream = 'sealed'").fetchall()
        return [record for (body,) in bodies for record in TickBody.decode(body).records]

    def result(self, code: ClaimCode) -> ResultBody:
        """Wait for the tick that has the code's record, and open it as its holder would."""
        keys = code.keys()

        def own() -> list[bytes]:
            return [record for record in self.records() if record.startswith(keys.slot)]

        wait_until(lambda: bool(own()), timeout_s=60, what="the tick of a result")
        (record,) = own()
        return ResultBody.decode(open_record(keys, record))


@dataclass(frozen=True, kw_only=True)
class Making:
    """How a kiosk is made: alone and fast, if nothing else is said."""

    insertion_s: int = 12000
    t_max_s: int = 2700
    broker_port: int | None = None  # None: nobody listens, what is sealed stays in the outbox, in reach of the thief
    anchors: TimeAnchors | None = None
    files: Path | None = None  # a folder of files to begin with
    analyser_clock: DistrictClock | None = None


@contextmanager
def whole_kiosk(folder: Path, making: Making | None = None) -> Iterator[WholeKiosk]:
    """A kiosk whose files lie in `folder`/cabinet, and whose slips come out in `folder`/pictures."""
    making = making or Making()
    pictures = folder / "pictures"
    pictures.mkdir(parents=True)
    if making.files is not None:
        shutil.copytree(making.files, folder / "cabinet")
    screen = free_port()
    with (
        _printer(pictures) as printer,
        running_analyser(speed=SPEED, clock=making.analyser_clock, answer_timeout_s=2.0) as analyser,
    ):
        cabinet = enrolled_cabinet(
            folder / "cabinet",
            DEVICE,
            kind="kiosk",
            instrument=(
                f'kind = "genexpert"\nlink = "tcp:{analyser.where}"\nassay = "SARSCOV2"\n'
                f"insertion_s = {making.insertion_s}\nt_max_s = {making.t_max_s}\n"
                f'[printer]\nlink = "{printer}"\n[screen]\nport = {screen}'
            ),
            broker_port=making.broker_port or free_port(),
            anchors=making.anchors or first_anchors(time.monotonic_ns(), START_NS, SPEED),
        )
        log = cabinet.folder / "edge.log"
        program = Program(
            [sys.executable, "-m", "kioskwatch", "edge", str(cabinet.settings)],
            log=log,
            ready=lambda: log.exists() and "ready\n" in log.read_text(),
        )
        program.start()
        try:
            yield WholeKiosk(cabinet, program, analyser, screen, pictures)
        finally:
            program.stop()
            assert "Traceback" not in log.read_text(), log.read_text()


@contextmanager
def _printer(pictures: Path) -> Iterator[str]:
    thread = LoopThread()
    printer = Printer("printer", pictures=pictures)

    async def build() -> tuple[TcpPort, str]:
        port = TcpPort(printer, host="127.0.0.1", port=0, fault=Fault.NONE, line=MODBUS_LINE)
        return port, await port.open()

    try:
        port, where = thread.run(build())
        try:
            yield f"tcp:{where}"
        finally:
            thread.call(port.close)
    finally:
        thread.close()
