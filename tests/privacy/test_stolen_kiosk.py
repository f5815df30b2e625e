"""A stolen kiosk: a real one at work, its disk and the memory of its processes read as a thief would.

People come, get a code on paper or on the screen, and are tested with different outcomes. While a code is being handed
out, after each call and after each tick, neither the cabinet's folder nor the writable memory of agent and fork server
holds a code, what opens a record, or what a run said. What to look for the test knows from the slip, and from the
screen that a visitor sees. That the search would find it is shown in the one process that does hold it: the child.
"""

import http.client
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from contracts.claim import ClaimCode
from firmware_sim.outcome import Call, Ending, Outcome, Patient
from tests.support.forensics import Needles, code_needles, disk, find, memory
from tests.support.forked import children_of
from tests.support.process import accepts, wait_until
from tests.support.whole_kiosk import DEVICE, WholeKiosk, whole_kiosk

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
class Thief:
    """Who reads everything that a kiosk has, and what they look for."""

    kiosk: WholeKiosk
    needles: dict[str, bytes] = field(default_factory=lambda: dict(SAID))
    looks: int = 0

    def look(self) -> None:
        """Read everything; nothing of what is looked for may be there, and what must be there is."""
        places = {
            "the folder": disk(self.kiosk.cabinet.folder),
            "the agent": memory(self.kiosk.program.pid),
            "the fork server": memory(self.kiosk.server),
        }
        there = {"the agent": DEVICE.encode(), "the fork server": b"edge.children", "the folder": DEVICE.encode()}
        found = find(self.needles | {f"known of {place}": known for place, known in there.items()}, places)
        assert {f"known of {place} in {place}" for place in there} <= found, "the search does not find what is there"
        assert not [one for one in found if not one.startswith("known of")]
        self.looks += 1

    def wanted(self, code: ClaimCode, name: str) -> None:
        """Look for this code from now on."""
        self.needles |= {f"{name}: {what}": needle for what, needle in code_needles(code).items()}


@pytest.mark.timeout(240)
def test_disk_and_memory_of_a_stolen_kiosk_say_nothing_of_its_visitors(tmp_path: Path) -> None:
    visits = {"first": (POSITIVE, "positive"), "second": (NEGATIVE, "negative"), "third": (INVALID, "invalid")}
    codes: dict[str, ClaimCode] = {}
    with whole_kiosk(tmp_path) as kiosk:
        thief = Thief(kiosk)
        for name, (outcome, _) in visits.items():
            codes[name] = kiosk.code_on_paper()
            thief.wanted(codes[name], name)
            thief.look()  # the slip is out, the cartridge is not in
            kiosk.analyser.insert(outcome)
        for name, (_, call) in visits.items():
            assert kiosk.result(codes[name]).calls == (("sars-cov-2", call),)
            thief.look()  # its tick is over
        assert thief.looks == 6


@pytest.mark.timeout(120)
def test_a_code_that_is_on_the_screen_is_in_the_child_that_shows_it_and_nowhere_else(tmp_path: Path) -> None:
    with whole_kiosk(tmp_path) as kiosk:
        thief = Thief(kiosk)
        page = kiosk.check_in(paper=False)
        shown = re.search(r'<iframe class="code" src="([^"]+)"', page)
        assert shown is not None
        url = urlsplit(shown[1])
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
        connection.request("GET", url.path)
        groups = re.findall(r"<strong>([0-9A-Z ]+)</strong>", connection.getresponse().read().decode())
        connection.close()
        code = ClaimCode.parse("".join(groups[:2]))
        thief.wanted(code, "shown")
        thief.look()
        held = set[str]()
        for child in children_of(kiosk.server):
            held |= find(code_needles(code), {"a child": memory(child)})
        assert {"symbols in a child", "private key in a child", "dashes in a child"} <= held  # what it is made of
        kiosk.analyser.insert(NEGATIVE)  # the visit goes on, and the code is shown no more
        wait_until(lambda: not accepts(url.port or 0), timeout_s=20, what="the end of the page")
        thief.look()
        assert kiosk.result(code).calls == (("sars-cov-2", "negative"),)
        thief.look()


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
