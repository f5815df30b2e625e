"""Does an MQTT 5 broker really answer? One CONNECT, its CONNACK, and a clean end.

An open port proves nothing: Mosquitto listens before its certificates are read, and any program may hold the port.
Packets as MQTT 5.0 §3.1, §3.2, §3.14. No session is kept: the name used here must be nobody else's.
"""

import socket
import ssl
from dataclasses import dataclass
from typing import Final

from kioskwatch.errors import BrokerError

KEEP_ALIVE_S: Final = 10
MAX_CONNACK_BYTES: Final = 1024  # what we read of a stranger; Mosquitto's CONNACK has 30
MAX_CLIENT_ID_BYTES: Final = 100  # keeps a CONNECT's remaining length in one byte
_CONNECT: Final = b"\x10"
_CONNACK: Final = b"\x20"
_CLEAN_START: Final = 0x02
_NO_PROPERTIES: Final = b"\x00"
_TWO_LENGTH_BYTES: Final = b"\x80"  # a length of 128 or more sets the top bit of its first byte
_DISCONNECT: Final = b"\xe0\x00"


@dataclass(frozen=True, slots=True)
class Target:
    """A broker to ask. `tls` None is plain TCP."""

    host: str
    port: int
    client_id: str
    tls: ssl.SSLContext | None = None


def probe(target: Target, *, timeout_s: float = 2.0) -> None:
    """Return when the broker accepted a connection; BrokerError with the reason otherwise. Real seconds."""
    try:
        with socket.create_connection((target.host, target.port), timeout=timeout_s) as plain:
            if target.tls is None:
                _greet(plain, target.client_id)
            else:
                with target.tls.wrap_socket(plain, server_hostname=target.host) as secured:
                    _greet(secured, target.client_id)
    except OSError as exc:  # ssl.SSLError and time-outs included
        raise BrokerError(f"{target.host}:{target.port} does not answer as an MQTT broker: {exc}") from exc


def connect_packet(client_id: str) -> bytes:
    """Return a CONNECT with Clean Start, no properties and no will."""
    name = client_id.encode()
    if len(name) > MAX_CLIENT_ID_BYTES:
        raise BrokerError(f"a probe's client id has at most {MAX_CLIENT_ID_BYTES} bytes")
    flags_and_times = bytes([_CLEAN_START]) + KEEP_ALIVE_S.to_bytes(2) + _NO_PROPERTIES
    body = b"\x00\x04MQTT\x05" + flags_and_times + len(name).to_bytes(2) + name
    return _CONNECT + bytes([len(body)]) + body


def connack_reason(packet: bytes) -> int | None:
    """Return the reason code of a CONNACK, None while bytes are missing; BrokerError when it is something else."""
    if packet and not packet.startswith(_CONNACK):
        raise BrokerError("what listens there is not an MQTT broker")
    length_bytes = 2 if packet[1:2] >= _TWO_LENGTH_BYTES else 1
    at = 1 + length_bytes + 1  # behind the packet type, its length and the session flag
    return packet[at] if len(packet) > at else None


def _greet(connection: socket.socket, client_id: str) -> None:
    connection.sendall(connect_packet(client_id))
    received = b""
    while (reason := connack_reason(received)) is None:
        more = connection.recv(MAX_CONNACK_BYTES)
        if not more:
            raise BrokerError("the broker closed the connection instead of answering")
        received += more
    if reason != 0:
        raise BrokerError(f"the broker refused the connection with reason 0x{reason:02x}")
    connection.sendall(_DISCONNECT)
