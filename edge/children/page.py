"""One page on a loopback port of its own: what a child shows instead of paper. HTTP/1.1, GET only, a connection a page.

Nobody finds it without its path, which is drawn here; whoever guesses wrong, asks otherwise or comes under another
name than 127.0.0.1 (a page elsewhere whose name was made to point here) gets an answer without content. A browser
that connects and says nothing (they do, ahead of time) keeps nobody waiting.
"""

import contextlib
import hmac
import secrets
import socket
import time
from collections.abc import Sequence
from typing import Final

from edge.children.life import wait

MAX_REQUEST_BYTES: Final = 8 * 1024  # a browser's headers have about one
MAX_CONNECTIONS: Final = 16
SILENCE_S: Final = 5.0
PATH_BYTES: Final = 32
SEND_S: Final = 2.0

Headers = Sequence[tuple[str, str]]


def answer(request: bytes, *, host: str, path: str, page: bytes, headers: Headers) -> bytes:
    """Return the whole response to a request that has come in whole."""
    lines = request.split(b"\r\n\r\n", 1)[0].split(b"\r\n")
    words = lines[0].split(b" ")
    if len(words) != 3 or words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):  # noqa: PLR2004 -- RFC 9112, 3
        return _response("400 Bad Request")
    if words[0] != b"GET":
        return _response("405 Method Not Allowed", (("Allow", "GET"),))
    hosts = [line[5:].strip() for line in lines[1:] if line[:5].lower() == b"host:"]
    if hosts != [host.encode()]:
        return _response("421 Misdirected Request")
    if not hmac.compare_digest(words[1], path.encode()):
        return _response("404 Not Found")
    return _response("200 OK", headers, page)


def _response(status: str, headers: Headers = (), body: bytes = b"") -> bytes:
    said = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} | dict(headers)
    head = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in said.items())]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "Connection: close", "\r\n"]).encode() + body


class PageServer:
    """The page while it is served."""

    def __init__(self, page: bytes, headers: Headers) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=MAX_CONNECTIONS)
        self._listener.setblocking(False)
        self._host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._path = f"/{secrets.token_urlsafe(PATH_BYTES)}"
        self._page = page
        self._headers = headers
        self._open: dict[int, _Connection] = {}

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self._host}{self._path}"

    def filenos(self) -> list[int]:
        """The descriptors to wait on."""
        return [self._listener.fileno(), *self._open]

    def step(self) -> None:
        """Answer whoever has asked."""
        self._accept()
        for descriptor, connection in list(self._open.items()):
            if connection.asked():
                request = bytes(connection.request)
                connection.say(
                    answer(request, host=self._host, path=self._path, page=self._page, headers=self._headers)
                )
            if connection.over:
                connection.close()
                del self._open[descriptor]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = _Connection(self._listener.accept()[0])
                if len(self._open) >= MAX_CONNECTIONS:
                    connection.close()
                else:
                    self._open[connection.fileno()] = connection


class _Connection:
    """One browser's connection."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._until_s = time.monotonic() + SILENCE_S
        self.request = bytearray()
        self.over = False

    def fileno(self) -> int:
        return self._end.fileno()

    def asked(self) -> bool:
        """Read on; tell whether the request has come whole."""
        try:
            data = self._end.recv(MAX_REQUEST_BYTES)
            self.over = not data
            self.request += data
        except BlockingIOError:
            self.over = time.monotonic() >= self._until_s
        except OSError:
            self.over = True
        if len(self.request) > MAX_REQUEST_BYTES:
            self.over = True
        return not self.over and b"\r\n\r\n" in self.request

    def say(self, response: bytes) -> None:
        """Send everything: to a browser on this machine, whose buffers take it at once."""
        self.over = True
        until_s = time.monotonic() + SEND_S
        rest = memoryview(response)
        with contextlib.suppress(OSError):
            while rest and time.monotonic() < until_s:
                try:
                    rest = rest[self._end.send(rest) :]
                except BlockingIOError:
                    wait([], [self._end.fileno()], SEND_S)
            self._end.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._end.close()
