"""Starts real programs for tests: free ports, waiting until they answer, and an end that is certain."""

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

POLL_S = 0.02
STOP_TIMEOUT_S = 10.0


def free_port() -> int:
    """A TCP port on loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Whether something takes connections on this loopback port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_until(condition: Callable[[], bool], *, timeout_s: float, what: str) -> None:
    """Return once the condition holds; TimeoutError naming `what` otherwise. Seconds are real ones."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s} s")
        time.sleep(POLL_S)


class Program:
    """One child process that can be started, killed and started again on the same files."""

    def __init__(
        self,
        command: list[str],
        *,
        log: Path,
        ready: Callable[[], bool],
        ready_timeout_s: float = 20.0,
        env: dict[str, str] | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self._command = command
        self._log = log
        self._ready = ready
        self._ready_timeout_s = ready_timeout_s
        self._env = env
        self._user = user
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *failed: object) -> None:
        self.kill()  # whatever a failed test left running would be the next test's trouble

    @property
    def pid(self) -> int:
        """Of the running process; RuntimeError when it does not run."""
        if self._process is None:
            raise RuntimeError(f"{self._command[0]} does not run")
        return self._process.pid

    def start(self) -> None:
        """Start and return once it is ready; RuntimeError with the end of its log when it ends instead."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._env, user=self._user
            )
        try:
            wait_until(self._ready_or_ended, timeout_s=self._ready_timeout_s, what=self._command[0])
        except TimeoutError:
            self.kill()
            raise
        if self._process.poll() is not None:
            tail = self._log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self._command[0]} ended with {self._process.returncode} instead of starting:\n{tail}")

    def kill(self) -> None:
        """As a power cut would: SIGKILL, without a chance to tidy up."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, and insist after ten seconds."""
        self._end(self._stop_signal)

    def _ready_or_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None or self._ready()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
