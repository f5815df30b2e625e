"""Sleeping until something happens: descriptors, a word from another thread, or time. Implements edge.ports.Waiter."""

import contextlib
import os
import select
from collections.abc import Iterable
from typing import Final

_LONGEST_S: Final = 3600.0
_DRAIN_BYTES: Final = 4096


class PollWaiter:
    """poll(2) and a pipe: no limit on descriptors, unlike select(2)."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def wait(self, reading: Iterable[int], writing: Iterable[int], timeout_s: float) -> None:
        """Sleep until a descriptor is ready, `wake` was called or the time is over."""
        wanted: dict[int, int] = {self._read: select.POLLIN}
        for fd in reading:
            wanted[fd] = wanted.get(fd, 0) | select.POLLIN
        for fd in writing:
            wanted[fd] = wanted.get(fd, 0) | select.POLLOUT
        poller = select.poll()
        for fd, events in wanted.items():
            if fd >= 0:
                poller.register(fd, events)
        ready = poller.poll(max(0.0, min(timeout_s, _LONGEST_S)) * 1000)
        if any(fd == self._read for fd, _ in ready):
            with contextlib.suppress(BlockingIOError):
                os.read(self._read, _DRAIN_BYTES)

    def wake(self) -> None:
        """End the sleep, from any thread."""
        with contextlib.suppress(BlockingIOError):  # full: it will wake all the same
            os.write(self._write, b"\0")

    def close(self) -> None:
        """Let the pipe go."""
        os.close(self._read)
        os.close(self._write)
