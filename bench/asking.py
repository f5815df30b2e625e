"""Asks a server of this machine over and over, by hand on sockets: this end of the wire costs next to nothing."""

import selectors
import socket
import time

CONNECTIONS = 16
RUN_S = 4.0
RUNS = 3
_CHUNK_BYTES = 262_144


def request(path: str, cookie: str) -> bytes:
    """A GET as it goes over the wire."""
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    return (head + (f"Cookie: {cookie}\r\n" if cookie else "") + "\r\n").encode()


def rate(port: int, requests: list[bytes]) -> float:
    """Answers a second over keep-alive connections, one request under way on each.

    The answers are of one length, which the first tells: after it bytes are only counted, so that this end of the wire
    costs next to nothing.
    """
    length = _answer_bytes(port, requests[0])
    selector = selectors.DefaultSelector()
    missing: dict[socket.socket, int] = {}
    turn = 0
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        selector.register(connection, selectors.EVENT_READ)
        connection.sendall(requests[turn % len(requests)])
        missing[connection] = length
        turn += 1
    answered = 0
    started = time.monotonic()
    while time.monotonic() - started < RUN_S:
        for key, _ in selector.select(1.0):
            connection = key.fileobj  # type: ignore[assignment]  # sockets alone are registered
            received = len(connection.recv(_CHUNK_BYTES))
            if not received:
                raise RuntimeError(f"port {port} closed a connection after {answered} answers")
            missing[connection] -= received
            if missing[connection] <= 0:
                missing[connection] += length
                answered += 1
                connection.sendall(requests[turn % len(requests)])
                turn += 1
    rate = answered / (time.monotonic() - started)
    selector.close()
    for connection in missing:
        connection.close()
    return rate


def _answer_bytes(port: int, request: bytes) -> int:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(_CHUNK_BYTES)
        head = answer.partition(b"\r\n\r\n")[0]
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the request was answered with {head.splitlines()[0]!r}")
        length = next(int(line[15:]) for line in head.lower().splitlines() if line.startswith(b"content-length:"))
        return len(head) + 4 + length
