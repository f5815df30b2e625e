"""Lines to instruments: TCP, and serial ports through pyserial. Nothing here blocks. Implements edge.ports.Link."""

import contextlib
import errno
import os
import select
import socket
from abc import ABC, abstractmethod
from typing import Final

import serial

from edge.errors import LinkError, SettingsError

READ_BYTES: Final = 4096
MAX_UNSENT_BYTES: Final = 256 * 1024  # a peer that reads nothing for so long is gone
MAX_PORT: Final = 65_535

_BAD_FD: Final = -1


class _BufferedLink(ABC):
    """What both kinds share: bytes the line does not take yet, and one kind of error."""

    def __init__(self) -> None:
        self._unsent = bytearray()

    @abstractmethod
    def established(self) -> bool:
        """Whether it can be used now."""

    @abstractmethod
    def _write(self, data: bytes) -> int:
        """Give the line what it takes; OSError."""

    def wants_write(self) -> bool:
        """Whether the descriptor should be waited on for writing too."""
        return bool(self._unsent)

    def send(self, data: bytes) -> None:
        """Write, or keep what the line does not take yet."""
        self._unsent += data
        if len(self._unsent) > MAX_UNSENT_BYTES:
            raise LinkError("the instrument takes no bytes any more")
        self.flush()

    def flush(self) -> None:
        """Write what was kept."""
        if not self._unsent or not self.established():
            return
        try:
            taken = self._write(bytes(self._unsent))
        except BlockingIOError:
            return
        except OSError as exc:
            raise LinkError(f"write: {_reason(exc)}") from exc
        del self._unsent[:taken]


class TcpLink(_BufferedLink):
    """A connection that this end opens."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._address = (host, port)
        self._socket: socket.socket | None = None
        self._connected = False

    def open(self) -> None:
        """Begin to connect."""
        self.close()
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(*self._address, type=socket.SOCK_STREAM)[0]
            self._socket = socket.socket(family, kind, protocol)
            self._socket.setblocking(False)
            code = self._socket.connect_ex(address)
        except OSError as exc:
            self.close()
            raise LinkError(f"connect: {_reason(exc)}") from exc
        if code not in (0, errno.EINPROGRESS):
            self.close()
            raise LinkError(f"connect: {os.strerror(code)}")

    def established(self) -> bool:
        """Whether the connection stands; LinkError when it was refused."""
        if self._socket is None or self._connected:
            return self._connected
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise LinkError(f"connect: {os.strerror(code)}")
        try:
            self._socket.getpeername()
        except OSError:
            return False
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connected = True
        return True

    def fileno(self) -> int:
        """The descriptor to wait on; -1 while there is none."""
        return self._socket.fileno() if self._socket is not None else _BAD_FD

    def wants_write(self) -> bool:
        """Also while connecting: that is how its end shows."""
        return super().wants_write() or (self._socket is not None and not self._connected)

    def receive(self) -> bytes:
        """Return what has come; LinkError at its end."""
        if self._socket is None:
            raise LinkError("not connected")
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError as exc:
            raise LinkError(f"read: {_reason(exc)}") from exc
        if not data:
            raise LinkError("the other end closed the connection")
        return data

    def close(self) -> None:
        """Close it; never raises."""
        self._unsent.clear()
        self._connected = False
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None

    def _write(self, data: bytes) -> int:
        if self._socket is None:
            raise OSError(errno.ENOTCONN, "not connected")
        return self._socket.send(data)


class SerialLink(_BufferedLink):
    """A serial port or a pty, 8 data bits, no parity, one stop bit."""

    def __init__(self, path: str, baud: int) -> None:
        super().__init__()
        self._path = path
        self._baud = baud
        self._port: serial.Serial | None = None

    def open(self) -> None:
        """Open the port."""
        self.close()
        try:
            self._port = serial.Serial(self._path, self._baud, timeout=0, write_timeout=0, exclusive=True)
            self._port.reset_input_buffer()
        except (OSError, ValueError) as exc:  # pyserial's own error is an OSError
            self.close()
            raise LinkError(f"open: {_reason(exc)}") from exc

    def established(self) -> bool:
        """A port is there or not."""
        return self._port is not None

    def fileno(self) -> int:
        """The descriptor to wait on; -1 while there is none."""
        return self._port.fileno() if self._port is not None else _BAD_FD

    def receive(self) -> bytes:
        """Return what has come; LinkError when the port is gone."""
        if self._port is None:
            raise LinkError("not open")
        try:
            return bytes(self._port.read(READ_BYTES))
        except (OSError, TypeError, ValueError) as exc:  # pyserial: a port closed under it, a descriptor above 1023
            raise LinkError(f"read: {_reason(exc)}") from exc

    def close(self) -> None:
        """Close it; never raises."""
        self._unsent.clear()
        if self._port is not None:
            with contextlib.suppress(OSError):
                self._port.close()
            self._port = None

    def _write(self, data: bytes) -> int:
        if self._port is None:
            raise OSError(errno.ENOTCONN, "not open")
        poller = select.poll()
        poller.register(self._port.fileno(), select.POLLOUT)
        if not poller.poll(0):
            raise BlockingIOError  # pyserial would try for ever
        return self._port.write(data) or 0


def make_link(spec: str, baud: int) -> TcpLink | SerialLink:
    """Build a link from "tcp:HOST:PORT" or "serial:PATH"; SettingsError otherwise."""
    kind, _, rest = spec.partition(":")
    if kind == "serial" and rest:
        return SerialLink(rest, baud)
    host, _, port = rest.rpartition(":")
    if kind == "tcp" and host and port.isascii() and port.isdigit() and 0 < int(port) <= MAX_PORT:
        return TcpLink(host.strip("[]"), int(port))
    raise SettingsError('a link is "tcp:HOST:PORT" or "serial:PATH"')


def _reason(exc: Exception) -> str:
    """Return a reason without the foreign library's habit of quoting what it read."""
    code = getattr(exc, "errno", None)
    return os.strerror(code) if isinstance(code, int) else type(exc).__name__
