"""Messages between agent, fork server and children: one kernel packet each, over a pair of Unix sockets.

SOCK_SEQPACKET keeps the bounds of a message and the descriptors that go with it together, so nothing has to be joined
from pieces. What is received lands in one fixed buffer, which its reader overwrites: see `Channel.receive`.
"""

import contextlib
import socket
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from edge.errors import ChildError

MAX_MESSAGE_BYTES: Final = 80 * 1024  # the longest is a notice (64 KiB); an upload of 64 runs has 17 KiB
MAX_DESCRIPTORS: Final = 4

T = TypeVar("T")


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected ends that never block and that no other program inherits; ChildError."""
    try:
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except OSError as exc:
        raise ChildError(f"no socket pair: {exc.strerror}") from exc
    for end in ends:
        end.setblocking(False)
    return ends


class Channel:
    """One end. Every method raises ChildError when the other end is gone or does not keep to the protocol."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._buffer = bytearray()

    def fileno(self) -> int:
        """The descriptor to wait on; -1 once closed."""
        return self._end.fileno()

    def send(self, message: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send one message whole, without ever waiting."""
        if not 0 < len(message) <= MAX_MESSAGE_BYTES or len(descriptors) > MAX_DESCRIPTORS:
            raise ChildError("a message is too long")
        try:
            if descriptors:
                socket.send_fds(self._end, [message], list(descriptors))
            else:
                self._end.send(message)
        except OSError as exc:  # also when it would block: whoever takes so little is not there any more
            raise ChildError(f"send: {exc.strerror}") from exc

    def receive(self, read: Callable[[memoryview], T]) -> T | None:
        """Let `read` have one message, if there is one, and overwrite it at once; `read` keeps no view of it."""
        if not self._buffer:
            self._buffer = bytearray(MAX_MESSAGE_BYTES)
        try:
            size = self._end.recv_into(self._buffer, MAX_MESSAGE_BYTES, socket.MSG_TRUNC)
        except BlockingIOError:
            return None
        except OSError as exc:
            raise ChildError(f"receive: {exc.strerror}") from exc
        if size == 0:
            raise ChildError("the other end is gone")
        kept = min(size, MAX_MESSAGE_BYTES)
        try:
            if size > kept:
                raise ChildError("a message is too long")
            with memoryview(self._buffer)[:size] as view:
                return read(view)
        finally:
            self._buffer[:kept] = bytes(kept)

    def close(self) -> None:
        """Let it go; never raises."""
        with contextlib.suppress(OSError):
            self._end.close()


def receive_with_descriptors(end: socket.socket) -> tuple[bytes, list[int]] | None:
    """Return one message and its descriptors, which are the caller's to close; None when none waits. ChildError."""
    try:
        message, descriptors, flags, _ = socket.recv_fds(end, MAX_MESSAGE_BYTES, MAX_DESCRIPTORS)
    except BlockingIOError:
        return None
    except OSError as exc:
        raise ChildError(f"receive: {exc.strerror}") from exc
    if not message:
        raise ChildError("the other end is gone")
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        for descriptor in descriptors:
            socket.close(descriptor)
        raise ChildError("a message is too long")
    return message, list(descriptors)
