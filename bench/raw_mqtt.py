"""A publisher that costs next to nothing: MQTT 5 packets by hand on a blocking socket (OASIS MQTT 5.0, §3.1, §3.3).

Only what a load needs: CONNECT, PUBLISH at QoS 1 with content type and signature, a window of unacknowledged
packets. It shares no code with mqttlink, so what it measures is never measured by itself.
"""

import socket
import struct
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from bench.load import Message

_CONNECT, _PUBLISH_QOS1, _DISCONNECT = 0x10, 0x32, b"\xe0\x00"
_PUBACK = 0x40
_CONTENT_TYPE, _USER_PROPERTY = b"\x03", b"\x26"
WINDOW = 100  # Mosquitto's Receive Maximum in the configurations used here
_CHUNK_BYTES = 65_536


class RawPublisher:
    """One connection; use as a context manager."""

    def __init__(self, port: int, client_id: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._packet_id = 0
        # CleanStart, keep-alive off, no properties.
        body = _text("MQTT") + b"\x05\x02\x00\x00" + b"\x00" + _text(client_id)
        self._socket.sendall(_packet(_CONNECT, body))
        kind, connack = next(self._packets())
        if kind != 0x20 or connack[1] != 0:
            raise ConnectionError(f"the broker refused {client_id}: reason {connack[1]:#x}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def publish(self, messages: Iterable[Message]) -> int:
        """Send all, a window at a time, and return how many the broker took; ConnectionError when it refuses one."""
        sent = 0
        window: list[bytes] = []
        for message in messages:
            window.append(self._publish_packet(message))
            if len(window) == WINDOW:
                sent += self._exchange(window)
                window = []
        return sent + self._exchange(window)

    def close(self) -> None:
        """Say DISCONNECT."""
        self._socket.sendall(_DISCONNECT)

    def _publish_packet(self, message: Message) -> bytes:
        self._packet_id = self._packet_id % 65_535 + 1
        properties = b""
        if message.content_type:
            properties += _CONTENT_TYPE + _text(message.content_type)
        if message.sig:
            properties += _USER_PROPERTY + _text("sig") + _text(message.sig)
        head = _text(message.topic) + struct.pack(">H", self._packet_id) + _varint(len(properties)) + properties
        return _packet(_PUBLISH_QOS1, head + message.payload)

    def _exchange(self, window: list[bytes]) -> int:
        self._socket.sendall(b"".join(window))
        packets = self._packets()
        for _ in window:
            kind, body = next(packets)
            reason = body[2] if len(body) > 2 else 0  # §3.4.2: the reason may be left out
            if kind != _PUBACK or reason >= 0x80:  # §2.4: 0x80 and up is failure
                raise ConnectionError(f"the broker answered packet {kind:#x} with reason {reason:#x}")
        return len(window)

    def _packets(self) -> Iterator[tuple[int, bytes]]:
        """Packets from the broker; all that come here are shorter than 128 bytes."""
        while True:
            while len(self._buffer) >= 2 and len(self._buffer) >= 2 + self._buffer[1]:
                end = 2 + self._buffer[1]
                packet, self._buffer = self._buffer[:end], self._buffer[end:]
                yield packet[0], packet[2:]
            received = self._socket.recv(_CHUNK_BYTES)
            if not received:
                raise ConnectionError("the broker closed the connection")
            self._buffer += received


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack(">H", len(raw)) + raw


def _varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, low = divmod(value, 128)
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def _packet(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + _varint(len(body)) + body
