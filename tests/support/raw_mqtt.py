"""An MQTT 5 client by hand on a blocking socket (OASIS MQTT 5.0): a peer that shares no code with what is tested.

It can say what no library lets one say: any bytes as properties, any topic bytes, a packet cut short.
"""

import contextlib
import select
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Self

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, DISCONNECT = 0x10, 0x30, 0x40, 0x82, 0xE0
_CONNACK, _SUBACK, _PINGREQ = 0x20, 0x90, 0xC0
_SESSION_EXPIRY, _CONTENT_TYPE, _USER_PROPERTY = b"\x11", b"\x03", b"\x26"
_DUP, _QOS1, _RETAIN = 8, 2, 1
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A PUBLISH that came."""

    topic: str
    payload: bytes
    mid: int
    dup: bool
    retain: bool
    properties: bytes


def text(value: str | bytes) -> bytes:
    """A UTF-8 string as MQTT writes it (1.5.4); bytes go as they are, whether they are UTF-8 or not."""
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack(">H", len(raw)) + raw


def variable(number: int) -> bytes:
    """A variable byte integer (1.5.5)."""
    out = bytearray()
    while True:
        number, byte = divmod(number, 128)
        out.append(byte | (0x80 if number else 0))
        if not number:
            return bytes(out)


def properties(content_type: str | None = None, sig: str | None = None) -> bytes:
    """The properties of our messages."""
    made = b"" if content_type is None else _CONTENT_TYPE + text(content_type)
    return made if sig is None else made + user_property("sig", sig)


def user_property(name: str | bytes, value: str | bytes) -> bytes:
    """One user property (2.2.2.2, identifier 38)."""
    return _USER_PROPERTY + text(name) + text(value)


def packet(kind: int, body: bytes) -> bytes:
    """A control packet."""
    return bytes([kind]) + variable(len(body)) + body


def publish_packet(topic: str | bytes, payload: bytes, *, mid: int, props: bytes = b"", retain: bool = False) -> bytes:
    """A PUBLISH at QoS 1."""
    head = text(topic) + struct.pack(">H", mid) + variable(len(props)) + props
    return packet(PUBLISH | _QOS1 | (_RETAIN if retain else 0), head + payload)


class RawClient:
    """One connection; use as a context manager. Leaving it without `disconnect` is what the broker calls a loss."""

    def __init__(self, port: int, client_id: str, *, clean_start: bool = True, session_expiry_s: int = 0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._mid = 0
        self._pubacks: dict[int, int] = {}
        self._deliveries: deque[Delivery] = deque()
        self._other: deque[tuple[int, bytes]] = deque()
        expiry = _SESSION_EXPIRY + struct.pack(">I", session_expiry_s)
        flags = bytes([2 if clean_start else 0])
        body = text("MQTT") + b"\x05" + flags + b"\x00\x00" + variable(len(expiry)) + expiry + text(client_id)
        try:
            self._socket.sendall(packet(CONNECT, body))
            connack = self._await_other(_CONNACK)
            if connack[1] != 0:
                raise ConnectionError(f"the broker refused {client_id}: reason {connack[1]:#x}")
        except OSError:
            self._socket.close()
            raise
        self.session_present = bool(connack[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def disconnect(self) -> None:
        """Say goodbye, so that no will is sent."""
        with contextlib.suppress(OSError):
            self._socket.sendall(packet(DISCONNECT, b""))
        self._socket.close()

    def subscribe(self, topics: str) -> int:
        """Subscribe at QoS 1; return the reason code."""
        self._mid += 1
        body = struct.pack(">H", self._mid) + b"\x00" + text(topics) + b"\x01"
        self._socket.sendall(packet(SUBSCRIBE, body))
        return self._await_other(_SUBACK)[-1]

    def send(self, raw: bytes) -> None:
        """Send any bytes."""
        self._socket.sendall(raw)

    def publish(self, topic: str | bytes, payload: bytes, *, props: bytes = b"", retain: bool = False) -> int:
        """Publish at QoS 1 and return the PUBACK's reason code."""
        mid = self.begin(topic, payload, props=props, retain=retain)
        return self.reason(mid)

    def begin(self, topic: str | bytes, payload: bytes, *, props: bytes = b"", retain: bool = False) -> int:
        """Publish at QoS 1 without waiting; return the packet's number."""
        self._mid = self._mid % 65_535 + 1
        self.send(publish_packet(topic, payload, mid=self._mid, props=props, retain=retain))
        return self._mid

    def reason(self, mid: int, timeout_s: float = TIMEOUT_S) -> int:
        """The reason code of a publish's PUBACK; TimeoutError, ConnectionError."""
        deadline_s = time.monotonic() + timeout_s
        while mid not in self._pubacks:
            self._pump(deadline_s)
        return self._pubacks.pop(mid)

    def receive(self, timeout_s: float = TIMEOUT_S) -> Delivery:
        """The next message; it is not acknowledged yet. TimeoutError, ConnectionError."""
        deadline_s = time.monotonic() + timeout_s
        while not self._deliveries:
            self._pump(deadline_s)
        return self._deliveries.popleft()

    def quiet(self, seconds: float) -> bool:
        """Whether no message comes for so long."""
        with contextlib.suppress(TimeoutError):
            self._deliveries.appendleft(self.receive(seconds))
            return False
        return True

    def acknowledge(self, mid: int) -> None:
        """Send PUBACK."""
        self.send(packet(PUBACK, struct.pack(">H", mid)))

    def ping(self) -> None:
        """Send PINGREQ."""
        self.send(packet(_PINGREQ, b""))

    def _await_other(self, kind: int) -> bytes:
        deadline_s = time.monotonic() + TIMEOUT_S
        while not any(found == kind for found, _ in self._other):
            self._pump(deadline_s)
        found = next(one for one in self._other if one[0] == kind)
        self._other.remove(found)
        return found[1]

    def _pump(self, deadline_s: float) -> None:
        """Wait for bytes and sort the packets they complete."""
        left_s = deadline_s - time.monotonic()
        if left_s <= 0 or not select.select([self._socket], [], [], left_s)[0]:
            raise TimeoutError("nothing came from the broker in time")
        chunk = self._socket.recv(65_536)
        if not chunk:
            raise ConnectionError("the broker closed the connection")
        self._buffer += chunk
        while (found := _cut(self._buffer)) is not None:
            self._sort(*found)

    def _sort(self, kind: int, body: bytes) -> None:
        if kind & 0xF0 == PUBLISH:
            self._deliveries.append(_delivery(kind, body))
        elif kind == PUBACK:
            self._pubacks[struct.unpack(">H", body[:2])[0]] = body[2] if len(body) > 2 else 0
        else:
            self._other.append((kind, body))


def _cut(buffer: bytearray) -> tuple[int, bytes] | None:
    """Take one whole packet off the front; None when it is not all there."""
    length, at = 0, 1
    while True:
        if len(buffer) <= at:
            return None
        length |= (buffer[at] & 0x7F) << 7 * (at - 1)
        at += 1
        if not buffer[at - 1] & 0x80:
            break
    if len(buffer) < at + length:
        return None
    kind, body = buffer[0], bytes(buffer[at : at + length])
    del buffer[: at + length]
    return kind, body


def _delivery(kind: int, body: bytes) -> Delivery:
    (size,) = struct.unpack(">H", body[:2])
    topic, at, mid = body[2 : 2 + size], 2 + size, 0
    if kind & 0x06:
        (mid,) = struct.unpack(">H", body[at : at + 2])
        at += 2
    length, shift = 0, 0
    while True:
        byte = body[at]
        length |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            break
    props, payload = body[at : at + length], body[at + length :]
    return Delivery(topic.decode(), payload, mid, bool(kind & _DUP), bool(kind & _RETAIN), props)
