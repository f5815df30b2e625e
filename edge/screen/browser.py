"""`kioskwatch browser --port PORT`: the browser before which a kiosk's visitors stand.

Its profile lies in memory and is thrown away with it. A code that was shown on the screen has been in the browser's
memory, so the browser ends when that visit is over, and a new one begins (DESIGN section 6). Exit codes: 0 told to
stop, 2 there is no browser to start.
"""

import argparse
import http.client
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

DONE: Final = 0
OPERATOR_MUST_ACT: Final = 2
PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 -- a folder of our own is made in it
LOOK_EVERY_S: Final = 0.5
ANSWER_S: Final = 5.0
END_S: Final = 5.0
AGAIN_S: Final = 2.0
MAX_ANSWER_BYTES: Final = 4096
FLAGS: Final = (
    "--kiosk",
    "--incognito",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-features=Translate,MediaRouter",
    "--disable-pinch",
    "--disable-sync",
    "--overscroll-history-navigation=0",
)


def main(argv: Sequence[str]) -> int:
    """Run browsers until told to stop; return the exit code."""
    parser = argparse.ArgumentParser(prog="kioskwatch browser", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="[screen] port of the cabinet")
    parser.add_argument("--program", help=f"the browser (default: the first of {', '.join(PROGRAMS)})")
    given = parser.parse_args(argv)
    program = given.program or next((path for path in map(shutil.which, PROGRAMS) if path is not None), None)
    if program is None or shutil.which(program) is None:
        sys.stderr.write(
            "kioskwatch browser: there is no Chromium: apt-get install chromium, or name it by --program\n"
        )
        return OPERATOR_MUST_ACT
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    while not stop.is_set():
        _one_browser(program, given.port, stop.wait)
    return DONE


def _one_browser(program: str, port: int, sleep: Callable[[float], bool]) -> None:
    """Run one browser until it ends, a code was shown or `sleep` says that all is over; leave nothing of it."""
    base = IN_MEMORY if IN_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="kioskwatch-browser-", dir=base, ignore_cleanup_errors=True) as profile:
        command = [program, *FLAGS, f"--user-data-dir={profile}", f"http://127.0.0.1:{port}/"]
        browser = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            _watch(browser, port, sleep)
        finally:
            _end(browser)


def _watch(browser: "subprocess.Popen[bytes]", port: int, sleep: Callable[[float], bool]) -> None:
    before = None
    while not sleep(LOOK_EVERY_S):
        if browser.poll() is not None:
            sleep(AGAIN_S)
            return
        now = _mark(port)
        if before is not None and now is not None and now != before:
            return
        before = now or before


def _mark(port: int) -> str | None:
    """Return the screen's mark, which is another one after each code that was shown; None without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/browser")
        mark = json.loads(connection.getresponse().read(MAX_ANSWER_BYTES))["shown"]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None  # the agent starts anew
    finally:
        connection.close()
    return mark if isinstance(mark, str) else None


def _end(browser: "subprocess.Popen[bytes]") -> None:
    browser.terminate()
    try:
        browser.wait(END_S)
    except subprocess.TimeoutExpired:
        browser.kill()
        browser.wait()
