"""A whole district for tests: `kioskwatch up` as an operator starts it, its words, its console, its processes."""

import contextlib
import os
import re
import shlex
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from signal import Signals
from typing import IO, Any

import httpx

from tests.support.process import free_port, wait_until

READY_S = 60.0
STOP_S = 30.0
NEW_PASSWORD = "a-long-password-for-tests"
_URL = re.compile(r"Console +(https?://\S+)")
_PASSWORD = re.compile(r"Log in +admin, password (\S+)")


class RunningUp:
    """One `kioskwatch up`. `said` is what the terminal shows, stdout and stderr apart.

    `trusting` is the authority that this machine trusts, beside its folder of authorities.
    """

    def __init__(self, state: Path, *options: str, wrapper: tuple[str, ...] = (), trusting: Path | None = None) -> None:
        self.state = state
        self.said: list[str] = []
        self.complained: list[str] = []
        names = ("--port", "--broker-port", "--results-port")
        ports = [word for name in names for word in (name, str(free_port()))]
        command = [sys.executable, "-m", "kioskwatch", "up", "--state", str(state), *ports, *options]
        self.process = subprocess.Popen(
            [*wrapper, shlex.join(command)] if wrapper else command,
            env=None if trusting is None else {**os.environ, "SSL_CERT_FILE": str(trusting)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            threading.Thread(target=_keep, args=(self.process.stdout, self.said), daemon=True),
            threading.Thread(target=_keep, args=(self.process.stderr, self.complained), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def text(self) -> str:
        """What it has said so far."""
        return "\n".join([*self.said, *self.complained])

    @property
    def url(self) -> str:
        """The console's address, once it was printed."""
        return self._first(_URL)

    @property
    def password(self) -> str:
        """The admin's first password; StopIteration when it was not printed."""
        return self._first(_PASSWORD)

    def wait_ready(self) -> "RunningUp":
        """Return once every process serves; RuntimeError with its words when it ended instead."""
        try:
            wait_until(lambda: self._ended() or "Ctrl-C stops everything" in self.text, timeout_s=READY_S, what="ready")
        except TimeoutError:
            self.process.kill()
            raise RuntimeError(f"not ready in {READY_S} s:\n{self.text}") from None
        if self._ended():
            raise RuntimeError(f"ended with {self.process.returncode}:\n{self.text}")
        return self

    def descendants(self) -> dict[int, str]:
        """Every process below this one: pid -> command line."""
        children: dict[int, list[int]] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if fields[0] != "Z":
                    children.setdefault(int(fields[1]), []).append(int(folder.name))
        found, todo = {}, [self.process.pid]
        while todo:
            for child in children.get(todo.pop(), []):
                with contextlib.suppress(OSError):
                    found[child] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                    todo.append(child)
        return found

    def pid_of(self, words: str) -> int:
        """The process whose command line has these words."""
        return next(pid for pid, line in self.descendants().items() if words in line)

    def send(self, number: Signals) -> None:
        """Send it a signal, as a terminal or a service manager does."""
        self.process.send_signal(number)

    def stop(self, number: Signals = Signals.SIGINT) -> int:
        """Ask it to end and return its exit code."""
        if not self._ended():
            self.send(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; everything of it is killed when that takes too long."""
        try:
            code = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            left = self.descendants()
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"did not end in {STOP_S} s; still there: {left}\n{self.text}") from None
        for reader in self._readers:
            reader.join(5)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        return code

    def _ended(self) -> bool:
        return self.process.poll() is not None

    def _first(self, pattern: re.Pattern[str]) -> str:
        return next(found[1] for line in list(self.said) if (found := pattern.search(line)))


class Console:
    """A signed-in officer's programs: the HTTP API with its session."""

    def __init__(self, up: RunningUp, *, password: str | None = None) -> None:
        ca = up.state / "ca" / "ca.pem"
        trust = ssl.create_default_context(cafile=str(ca))
        self.http = httpx.Client(base_url=up.url, verify=trust, timeout=20, trust_env=False)
        self.session = self._sign_in(password or up.password)
        if self.session["must_change_password"]:
            form = {
                "old": password or up.password,
                "new": NEW_PASSWORD,
                "again": NEW_PASSWORD,
                "csrf": self.session["csrf"],
            }
            changed = self.http.post("/password", data=form)
            assert changed.status_code in {200, 303}, changed.text
            self.session = self._sign_in(NEW_PASSWORD)

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401 - JSON
        """What the API answers."""
        return self.http.get(f"/api/v1{path}", params=query).raise_for_status().json()

    def values(self, bucket: str, measurement: str, field: str, **tags: str) -> list[float]:
        """Every value of a field, of whatever series, between long ago and far ahead."""
        asked: dict[str, Any] = {"bucket": bucket, "measurement": measurement, "field": field}
        asked |= {"start": "2020-01-01T00:00:00+00:00", "stop": "2030-01-01T00:00:00+00:00", "limit": "20000"}
        asked["tag"] = [f"{name}:{value}" for name, value in tags.items()]
        series = self.http.get("/api/v1/series", params=asked).raise_for_status().json()["series"]
        return [value for one in series for value in one["values"]]

    def now_ms(self) -> int:
        """District time."""
        return int(self.get("/clock")["now_ms"])

    def close(self) -> None:
        """Forget the session."""
        self.http.close()

    def _sign_in(self, password: str) -> dict[str, Any]:
        wanted = {"name": "admin", "password": password}
        origin = {"origin": str(self.http.base_url).rstrip("/")}
        answer: dict[str, Any] = (
            self.http.post("/api/v1/session", json=wanted, headers=origin).raise_for_status().json()
        )
        return answer


def _keep(pipe: IO[str], into: list[str]) -> None:
    into.extend(line.rstrip("\n") for line in pipe)
