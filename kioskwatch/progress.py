"""What the operator sees: one line a step with its time, then where to go. Implements the supervisor's Reporter."""

import contextlib
import sys
from collections.abc import Callable
from typing import Final, TextIO

WIDTH: Final = 12
_WHEN_READY: Final = {
    "backend": "serves the console and the API",
    "broker": "answers",
    "history": "public history is imported",
    "ingest": "takes what devices send",
    "results": "serves the result page",
    "analyse": "rolls releases up and looks for outbreaks",
    "simulators": "instruments are on",
    "edge": "every cabinet's agent runs",
}


class Progress:
    """Prints to the terminal. The admin password passes through here once and is kept nowhere."""

    def __init__(self, clock_s: Callable[[], float], out: TextIO = sys.stdout) -> None:
        self._clock_s = clock_s
        self._start_s = clock_s()
        self._out = out
        self._password: str | None = None

    def step(self, name: str, text: str) -> None:
        """Say that something is done."""
        self._print(f"[{self._clock_s() - self._start_s:6.1f} s] {name:<{WIDTH}} {text}")

    def plain(self, text: str = "") -> None:
        """Print a line as it stands."""
        self._print(text)

    def ready(self, name: str, took_s: float) -> None:
        """A process serves, or a step is done."""
        self.step(name, f"{_WHEN_READY.get(name, 'ready')} ({took_s:.1f} s)")

    def crashed(self, name: str, reason: str, again_in_s: float) -> None:
        """A process ended and will be started again."""
        self.step(name, f"CRASHED: {reason}; starting it again in {again_in_s:.0f} s, its log is logs/{name}.log")

    def gave_up(self, name: str, sentence: str) -> None:
        """A process will not be started again."""
        self.step(name, f"STOPPED: {sentence}")

    def mended(self, name: str, what: str) -> None:
        """Something in the way of a start was put aside."""
        self.step(name, what)

    def said(self, name: str, line: str) -> None:
        """A process has something for the operator; the password waits until the address is printed."""
        word, _, rest = line.partition(" ")
        if word == "admin-password":
            self._password = rest
        else:
            self.step(name, rest)

    def killed(self, name: str) -> None:
        """A process did not end when asked."""
        self.step(name, "did not stop in time and was killed; what it had not finished comes again")

    def take_password(self) -> str | None:
        """Return the admin password of a first start, once."""
        password, self._password = self._password, None
        return password

    def _print(self, line: str) -> None:
        with contextlib.suppress(OSError):  # a terminal that went away stops nothing
            print(line, file=self._out, flush=True)
