"""Real processes for the supervisor: started in a group of their own, bound to our life, their words kept in a log.

No process outlives us: the kernel kills each child when `up` dies in whatever way (PR_SET_PDEATHSIG), and a child's
own children are in its group, which is killed before it is started again. stdout is a short protocol (`ready`,
`say …`, `admin-password …`) and is never written to a log by this module.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
from pathlib import Path
from typing import IO, Final

from kioskwatch.supervisor import PrepareError, ProcessPlan

LOG_LIMIT_BYTES: Final = 8 * 1024 * 1024  # a process; one older file of the same size is kept
READ_BYTES: Final = 65_536
MAX_LINE_BYTES: Final = 4_096  # a longer line is cut: it may come from anywhere, and is shown on a terminal
MAX_SHOWN_CHARS: Final = 300
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_libc: Final = ctypes.CDLL(None, use_errno=True)


class LogFile:
    """Appends to a file and begins a new one at the limit. A log that cannot be written stops nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = path.stat().st_size if path.exists() else 0

    def write(self, content: bytes) -> None:
        """Append."""
        with contextlib.suppress(OSError):
            if self._size > LOG_LIMIT_BYTES:
                self._path.replace(self._path.with_suffix(".log.1"))
                self._size = 0
            with self._path.open("ab") as file:
                self._size += file.write(content)


class LocalChild:
    """A process of this machine, and the group that it leads."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: LogFile) -> None:
        self._process = process
        self._log = log
        self._words = b""
        self._errors = b""
        self._last = ""
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)

    @property
    def pid(self) -> int:
        """Its process id, which is its group's too."""
        return self._process.pid

    def lines(self) -> list[str]:
        """Return new whole lines of stdout; stderr goes to the log on the way."""
        self._read_errors()
        self._words += _read(self._process.stdout)
        *whole, self._words = self._words.split(b"\n")
        self._words = self._words[-MAX_LINE_BYTES:]
        return [_shown(line) for line in whole]

    def exit_code(self) -> int | None:
        """Return its exit code, None while it runs."""
        if self._process.returncode is None and _has_ended(self._process.pid):
            self._kill_group()  # while the ended leader still holds the group's number
            self._read_errors()
        return self._process.poll()

    def last_words(self) -> str:
        """Return the last line of its stderr."""
        return self._last

    def note(self, line: str) -> None:
        """Put a line into its log."""
        self._log.write(f"stdout: {line}\n".encode())

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the process itself."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def reload(self) -> None:
        """Send SIGHUP to the process itself."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """Kill the whole group and collect the process."""
        if self._process.returncode is None:
            self._kill_group()
            self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None and not pipe.closed:
                pipe.close()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _read_errors(self) -> None:
        new = _read(self._process.stderr)
        if not new:
            return
        self._log.write(new)
        *whole, self._errors = (self._errors + new).split(b"\n")
        self._errors = self._errors[-MAX_LINE_BYTES:]
        spoken = [line for line in whole if line.strip()]
        if spoken:
            self._last = _shown(spoken[-1])


class LocalLauncher:
    """Starts processes of this machine, with their logs in one folder."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs

    def launch(self, plan: ProcessPlan) -> LocalChild:
        """Start one; PrepareError when it cannot be started at all."""
        parent = os.getpid()

        def die_with_parent() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died before the line above
                os._exit(1)

        try:
            process = subprocess.Popen(
                plan.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - `up` has one thread: no lock can be held
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        except OSError as exc:
            raise PrepareError(f"{plan.command[0]} cannot be started: {exc}") from exc
        log = LogFile(self._logs / f"{plan.name}.log")
        log.write(f"--- started as process {process.pid}\n".encode())
        return LocalChild(process, log)


def _has_ended(pid: int) -> bool:
    """Look whether a child has ended and leave it for `poll` to collect."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _read(pipe: IO[bytes] | None) -> bytes:
    if pipe is None or pipe.closed:
        return b""
    got = b""
    with contextlib.suppress(BlockingIOError):
        while len(got) < 16 * READ_BYTES and (more := os.read(pipe.fileno(), READ_BYTES)):
            got += more
    return got


def _shown(line: bytes) -> str:
    """Return a line as a terminal may show it: no control characters, not endless."""
    text = line[:MAX_LINE_BYTES].decode(errors="replace").rstrip("\r")
    return "".join(c if c.isprintable() else "?" for c in text)[:MAX_SHOWN_CHARS]
