"""A stolen kiosk: a real one at work, its disk and the memory of its processes read as a thief would.

People come, get a code on paper or on the screen, and are tested with different outcomes. While a code is being handed
out, after each call and after each tick, neither the cabinet's folder nor the writable memory of agent and fork server
holds a code, what opens a record, or what a run said. What to look for the test knows from the slip, and from the
screen that a visitor sees. That the search would find it is shown in the one process that does hold it: the child.
"""

import contextlib
import http.client
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from PIL import Image

from contracts.claim import ClaimCode, parse_fragment
from contracts.clock import first_anchors
from contracts.frames import TickBody
from contracts.sealed import ResultBody, open_record
from firmware_sim.faults import MODBUS_LINE, Fault
from firmware_sim.instruments.printer.printer import Printer
from firmware_sim.outcome import Call, Ending, Outcome, Patient
from firmware_sim.transport import TcpPort
from tests.support.enrolled import START_NS, EnrolledCabinet, enrolled_cabinet
from tests.support.forensics import Needles, code_needles, disk, find, memory
from tests.support.forked import children_of
from tests.support.process import Program, accepts, free_port, wait_until
from tests.support.qr import read_slip
from tests.support.simulators import LoopThread, RunningAnalyser, running_analyser

SPEED = 600  # a tick is a second; a run of 35 minutes takes 3.5 s
DEVICE = "kiosk-10016-1"
ORIGIN = "http://localhost:8801"  # what tests.support.enrolled enrols with

PERSON = Patient("PASSPORT-X99", "Quackenbush^Ottoline", "19440229")
POSITIVE = Outcome(calls={"sars-cov-2": Call.POSITIVE}, patient=PERSON)
NEGATIVE = Outcome(patient=PERSON)
INVALID = Outcome(ending=Ending.INVALID, patient=PERSON)

# What a run said, as it stands in a transcript and in a body. A dummy's body has another day.
SAID: dict[str, bytes] = {
    "a result record": b"|^^^SARSCOV2^Xpert",
    "a positive word": b"|POSITIVE^",
    "a negative word": b"|NEGATIVE^",
    "a body": b'{"v":1,"day":"2021-',
    "a positive call": b'["sars-cov-2","positive"]',
    "a negative call": b'["sars-cov-2","negative"]',
    "an invalid call": b'["sars-cov-2","invalid"]',
    "a passport": b"PASSPORT-X99",
    "a name": b"Quackenbush",
    "a date of birth": b"19440229",
}


@dataclass
class Theft:
    """A kiosk at work, and what a thief looks for."""

    cabinet: EnrolledCabinet
    program: Program
    analyser: RunningAnalyser
    screen: int
    pictures: Path
    needles: dict[str, bytes] = field(default_factory=lambda: dict(SAID))
    looks: int = 0

    @property
    def server(self) -> int:
        """The fork server: the agent's only child."""
        (pid,) = children_of(self.program.pid)
        return pid

    def look(self) -> None:
        """Read everything; nothing of what is looked for may be there, and what must be there is."""
        places = {
            "the folder": disk(self.cabinet.folder),
            "the agent": memory(self.program.pid),
            "the fork server": memory(self.server),
        }
        there = {"the agent": DEVICE.encode(), "the fork server": b"edge.children", "the folder": DEVICE.encode()}
        found = find(self.needles | {f"known of {place}": known for place, known in there.items()}, places)
        assert {f"known of {place} in {place}" for place in there} <= found, "the search does not find what is there"
        assert not [one for one in found if not one.startswith("known of")]
        self.looks += 1

    def wanted(self, code: ClaimCode, name: str) -> None:
        """Look for this code from now on."""
        self.needles |= {f"{name}: {what}": needle for what, needle in code_needles(code).items()}

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

        wait_until(lambda: bool(own()), timeout_s=30, what="the tick of a result")
        (record,) = own()
        return ResultBody.decode(open_record(keys, record))


@contextmanager
def _theft(folder: Path) -> Iterator[Theft]:
    pictures = folder / "pictures"
    pictures.mkdir()
    screen = free_port()
    with _printer(pictures) as printer, running_analyser(speed=SPEED) as analyser:
        cabinet = enrolled_cabinet(
            folder / "cabinet",
            DEVICE,
            kind="kiosk",
            instrument=(
                f'kind = "genexpert"\nlink = "tcp:{analyser.where}"\nassay = "SARSCOV2"\n'
                f'insertion_s = 12000\n[printer]\nlink = "{printer}"\n[screen]\nport = {screen}'
            ),
            broker_port=free_port(),  # nobody: what is sealed stays in the outbox, in reach of the thief
            anchors=first_anchors(time.monotonic_ns(), START_NS, SPEED),
        )
        log = cabinet.folder / "edge.log"
        program = Program(
            [sys.executable, "-m", "kioskwatch", "edge", str(cabinet.settings)],
            log=log,
            ready=lambda: log.exists() and "ready\n" in log.read_text(),
        )
        program.start()
        try:
            yield Theft(cabinet, program, analyser, screen, pictures)
        finally:
            program.stop()
            if "Traceback" in log.read_text():
                pytest.fail(log.read_text())


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


@pytest.mark.timeout(240)
def test_disk_and_memory_of_a_stolen_kiosk_say_nothing_of_its_visitors(tmp_path: Path) -> None:
    visits = {"first": (POSITIVE, "positive"), "second": (NEGATIVE, "negative"), "third": (INVALID, "invalid")}
    codes: dict[str, ClaimCode] = {}
    with _theft(tmp_path) as kiosk:
        for name, (outcome, _) in visits.items():
            codes[name] = kiosk.code_on_paper()
            kiosk.wanted(codes[name], name)
            kiosk.look()  # the slip is out, the cartridge is not in
            kiosk.analyser.insert(outcome)
        for name, (_, call) in visits.items():
            assert kiosk.result(codes[name]).calls == (("sars-cov-2", call),)
            kiosk.look()  # its tick is over
        assert kiosk.looks == 6


@pytest.mark.timeout(120)
def test_a_code_that_is_on_the_screen_is_in_the_child_that_shows_it_and_nowhere_else(tmp_path: Path) -> None:
    with _theft(tmp_path) as kiosk:
        page = kiosk.check_in(paper=False)
        shown = re.search(r'<iframe class="code" src="([^"]+)"', page)
        assert shown is not None
        url = urlsplit(shown[1])
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
        connection.request("GET", url.path)
        groups = re.findall(r"<strong>([0-9A-Z ]+)</strong>", connection.getresponse().read().decode())
        connection.close()
        code = ClaimCode.parse("".join(groups[:2]))
        kiosk.wanted(code, "shown")
        kiosk.look()
        held = set[str]()
        for child in children_of(kiosk.server):
            held |= find(code_needles(code), {"a child": memory(child)})
        assert {"symbols in a child", "private key in a child", "dashes in a child"} <= held  # what it is made of
        kiosk.analyser.insert(NEGATIVE)  # the visit goes on, and the code is shown no more
        wait_until(lambda: not accepts(url.port or 0), timeout_s=20, what="the end of the page")
        kiosk.look()
        assert kiosk.result(code).calls == (("sars-cov-2", "negative"),)
        kiosk.look()


_THIEF_S_PRACTICE = """
import sys, time
from contracts.claim import ClaimCode
code = ClaimCode.parse(sys.stdin.readline())
kept = [str(code), code.symbols, f"\\u4ee3\\u7801 {code}", code.keys().private_key]
print("ready", flush=True)
time.sleep(60)
"""


def test_the_search_finds_what_is_planted_in_a_process_and_on_the_disk(tmp_path: Path) -> None:
    code = ClaimCode.generate()
    needles: Needles = code_needles(code)
    planted = subprocess.Popen(
        [sys.executable, "-c", _THIEF_S_PRACTICE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert planted.stdin is not None
    assert planted.stdout is not None
    try:
        planted.stdin.write(f"{code}\n")
        planted.stdin.flush()
        assert planted.stdout.readline() == "ready\n"
        found = find(needles, {"memory": memory(planted.pid)})
        assert {f"{what} in memory" for what in ("dashes", "symbols", "dashes, UTF-16", "private key")} <= found
    finally:
        planted.kill()
        planted.communicate()
    for name, needle in needles.items():
        (tmp_path / "left").write_bytes(b"\0" * 100 + needle + b"\0" * 100)
        assert f"{name} in a folder" in find(needles, {"a folder": disk(tmp_path)})
