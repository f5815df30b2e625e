"""The agent's side of the fork server: starts it, starts it again, and asks it for children.

The main thread starts and watches it (Linux ends a process whose *thread* of birth ends); any thread may ask for a
child. Asking never waits: the answer is a channel, and a child that could not be had is a channel whose other end is
gone, whatever the reason was.
"""

import itertools
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from edge.children.channel import Channel, pair
from edge.children.messages import Kill, Kind, Spawn, Warm, encode
from edge.errors import ChildError

_LOG = logging.getLogger(__name__)
STOP_S: Final = 2.0
RESTART_S: Final = 1.0  # one that ends at once must not keep the machine busy
MAX_WARM: Final = 4  # districts of one process, and their newest notice


@dataclass(frozen=True, slots=True)
class Child:
    """A child that was asked for."""

    number: int
    channel: Channel


class Children(Protocol):
    """Where children come from."""

    def spawn(self, kind: Kind, descriptors: Sequence[int] = ()) -> Child:
        """Ask for a child, with copies of these descriptors; ChildError when that is not possible now."""

    def end(self, child: Child) -> None:
        """End a child and its channel; never raises."""


class ForkServer:
    """One fork server for all agents of this process. Implements Children."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._again_s = 0.0  # not before that is it started again
        self._requests: socket.socket | None = None
        self._warm: list[bytes] = []  # said again to a server that takes another one's place

    @property
    def pid(self) -> int | None:
        """The server's process."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the server; from the main thread. ChildError when it cannot be."""
        ours, theirs = pair()
        command = [sys.executable, "-m", "edge.children", str(theirs.fileno()), str(os.getpid())]
        try:
            process = subprocess.Popen(
                command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        except OSError as exc:
            ours.close()
            raise ChildError(f"the fork server does not start: {exc.strerror}") from exc
        finally:
            theirs.close()
        with self._lock:
            before, self._requests = self._requests, ours
            for request in self._warm:
                Channel(ours).send(request)
        self._process, self._again_s = process, time.monotonic() + RESTART_S
        if before is not None:
            before.close()

    def watch(self) -> None:
        """Start the server again if it has ended; from the main thread, now and then."""
        if self._process is None or self._process.poll() is None or time.monotonic() < self._again_s:
            return
        _LOG.error("the fork server has ended and starts again")
        try:
            self.start()
        except ChildError as exc:
            _LOG.error("%s", exc)

    def spawn(self, kind: Kind, descriptors: Sequence[int] = ()) -> Child:
        """Ask for a child, with copies of these descriptors; ChildError when that is not possible now."""
        ours, theirs = pair()
        child = Child(next(self._numbers), Channel(ours))
        try:
            self._ask(encode(Spawn(child.number, kind)), [theirs.fileno(), *descriptors])
        except ChildError:
            ours.close()
            raise
        finally:
            theirs.close()
        return child

    def warm(self, notice: bytes, page_hash: str) -> None:
        """Let slips be drawn ahead as far as they say the same to everybody; without it they only come more slowly."""
        request = encode(Warm(notice, page_hash))
        with self._lock:
            if request in self._warm:
                return
            self._warm = [*self._warm, request][-MAX_WARM:]
        self._ask(request, [])

    def end(self, child: Child) -> None:
        """End a child and its channel; never raises."""
        child.channel.close()
        try:
            self._ask(encode(Kill(child.number)), [])
        except ChildError:
            _LOG.debug("a child ends without its server")  # it hears its channel end, or died with the server

    def close(self) -> None:
        """End the server and, with it, every child."""
        with self._lock:
            requests, self._requests = self._requests, None
        if requests is not None:
            requests.close()
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _ask(self, request: bytes, descriptors: Sequence[int]) -> None:
        with self._lock:
            if self._requests is None:
                raise ChildError("the fork server does not run")
            Channel(self._requests).send(request, descriptors)
