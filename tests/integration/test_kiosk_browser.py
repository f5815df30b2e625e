"""The kiosk's browser: it ends after a code was shown, begins anew, and leaves no profile behind."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.screen.browser import LOOK_EVERY_S
from tests.support.process import wait_until
from tests.support.screens import RunningScreen, running_screen
from tests.support.visitor import Visitor, shown

_BROWSER = """#!/bin/sh
for word; do
  case $word in --user-data-dir=*) echo "$$ ${word#*=}" >>FOLDER/begun ;; esac
done
exec sleep 600
"""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A browser that notes its process and its profile, and stays until it is ended."""
    path = tmp_path / "browser"
    path.write_text(_BROWSER.replace("FOLDER", str(tmp_path)))
    path.chmod(0o755)
    return path


@pytest.fixture
def screen() -> Iterator[RunningScreen]:
    with running_screen() as running:
        yield running


def _begun(folder: Path) -> list[tuple[int, Path]]:
    path = folder / "begun"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(line.split()[0]), Path(line.split()[1])) for line in lines]


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _visit(screen: RunningScreen, *, paper: bool) -> None:
    visitor = Visitor(screen.url)
    visitor.choose("en")
    assert shown(visitor.press(paper=paper)) == "insert"
    screen.desk.insert()
    visitor.leave()


def _shows_a_code_and_begins_anew(folder: Path, screen: RunningScreen) -> bool:
    """More than one visit, should the browser not have looked at the screen before the first."""
    screen.desk.busy_until_ns.clear()
    _visit(screen, paper=False)
    time.sleep(4 * LOOK_EVERY_S)
    return len(_begun(folder)) > 1


def test_a_browser_that_has_shown_a_code_ends_with_the_visit(
    tmp_path: Path, program: Path, screen: RunningScreen
) -> None:
    port = screen.url.rpartition(":")[2]
    command = [sys.executable, "-m", "kioskwatch", "browser", "--port", port, "--program", str(program)]
    running = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: len(_begun(tmp_path)) == 1, timeout_s=20, what="the first browser")
        first, profile = _begun(tmp_path)[0]
        time.sleep(2 * LOOK_EVERY_S)  # it has looked at the screen once
        _visit(screen, paper=True)
        time.sleep(3 * LOOK_EVERY_S)
        assert len(_begun(tmp_path)) == 1, "a visit with paper ends no browser"
        wait_until(lambda: _shows_a_code_and_begins_anew(tmp_path, screen), timeout_s=60, what="the second browser")
        assert not _alive(first)
        assert not profile.exists()
    finally:
        running.terminate()
        assert running.wait(20) == 0
    assert not [pid for pid, _ in _begun(tmp_path) if _alive(pid)]
    assert not [profile for _, profile in _begun(tmp_path) if profile.exists()]


def test_without_a_browser_the_command_says_what_to_install(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kioskwatch", "browser", "--port", "1", "--program", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "apt-get install chromium" in done.stderr
