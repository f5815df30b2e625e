"""`kioskwatch up`: starts a district on this machine and supervises it until Ctrl-C.

Exit codes: 0 stopped as asked, 2 a person must act (one sentence on stderr). Whatever ends this process ends every
process of the district; starting again goes on where it was.
"""

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from types import FrameType
from typing import Final

from kioskwatch import machine, preparation
from kioskwatch.checks import prepare_folder, take_lock
from kioskwatch.errors import OPERATOR_MUST_ACT, OperatorError
from kioskwatch.folder import StateFolder
from kioskwatch.options import UpOptions, parse
from kioskwatch.progress import Progress
from kioskwatch.run import DistrictRun

PRIVATE_UMASK: Final = 0o077  # every file of every process is its owner's alone


def main(argv: Sequence[str]) -> int:
    """Run a district; return the exit code."""
    try:
        options = parse(argv)
        os.umask(PRIVATE_UMASK)
        return _run(options)
    except OperatorError as exc:
        print(f"kioskwatch up: {exc}", file=sys.stderr, flush=True)
        return OPERATOR_MUST_ACT


def _run(options: UpOptions) -> int:
    folder = StateFolder(options.state)
    prepare_folder(folder.root)
    lock = take_lock(folder.lock)
    try:
        stop = _StopSignals()
        progress = Progress(machine.monotonic_s)
        kind = "real devices" if options.real else "a simulated district"
        progress.plain(f"kioskwatch: {kind}, everything is kept in {folder.root}")
        district = preparation.prepare(options, now=machine.real_now(), progress=progress)
        while True:
            run = DistrictRun(district, progress, stop)
            if not run.until_stopped():
                return OPERATOR_MUST_ACT if run.given_up else 0
            progress.plain("Simulated time has reached today: it goes on at the speed of the world.")
            district = replace(district, options=replace(options, start=None, speed=None))
    finally:
        os.close(lock)


class _StopSignals:
    """Ctrl-C, SIGTERM and a closed terminal ask for a clean end; asking again ends everything at once."""

    def __init__(self) -> None:
        self._asked = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)

    @property
    def asked(self) -> int:
        """How often."""
        return self._asked

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked += 1
