"""A person at the simulated district: takes a test at the kiosk that `up` names and reads the result with the code."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contracts.claim import parse_fragment, ready_group
from tests.support.process import wait_until
from tests.support.up import RunningUp
from tests.support.visitor import Visitor, shown, slip_on_tray

READ_S = 180.0  # of a loaded machine; a minute is what it takes by itself

pytestmark = pytest.mark.timeout(420)


def _lookup(origin: str, code: str, group: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kioskwatch", "lookup", "--origin", origin]
    return subprocess.run(command, input=f"{code}\n{group}\n", capture_output=True, text=True, timeout=60, check=False)


def test_whoever_takes_a_test_reads_the_result_and_nothing_keeps_the_code(tmp_path: Path) -> None:
    state = tmp_path / "var"
    up = RunningUp(state).wait_ready()
    try:
        screen = re.search(r"Kiosk +(http://\S+)", up.text)
        origin = re.search(r"Results +(http://\S+)", up.text)
        assert screen is not None
        assert origin is not None
        person = Visitor(screen[1].rstrip("/"))
        wait_until(lambda: shown(person.choose("en")) == "info", timeout_s=60, what="a kiosk that is ready")
        began_s = time.monotonic()
        page = person.press(paper=True)
        assert shown(page) == "insert"
        address, _, fragment = slip_on_tray(page).partition("#")
        assert address.rstrip("/") == origin[1]
        claim, tick = parse_fragment(fragment)
        assert tick is not None
        code, group = str(claim), ready_group(tick)
        person.insert(page, "positive")
        wait_until(lambda: shown(person.see()) == "done", timeout_s=30, what="the cartridge to be in")

        assert _lookup(origin[1], code, group).returncode in (0, 3), "not ready, or already there"
        url = origin[1]
        wait_until(lambda: _lookup(url, code, group).returncode == 0, timeout_s=READ_S, what="the result")
        sys.stdout.write(f"read {time.monotonic() - began_s:.0f} s after the check-in\n")
        assert "positive" in _lookup(url, code, group).stdout
    finally:
        assert up.stop() == 0, up.text
    _nowhere(state, code)


def _nowhere(state: Path, code: str) -> None:
    """No file of the district holds the code, dashed or plain, or as UTF-16."""
    plain = code.replace("-", "")
    needles = [text.encode(kind) for text in (code, plain) for kind in ("ascii", "utf-16-le")]
    for path in state.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            assert not [needle for needle in needles if needle in content], f"{path} holds a code"
