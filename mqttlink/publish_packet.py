"""A received PUBLISH, from its bytes to what a handler sees (OASIS MQTT 5.0, 3.3). Pure.

paho ends the connection over a property it does not like: U+FEFF in a user property is enough, and brokers forward it.
The broker would then deliver the same message again for ever, so one sender could silence everybody. Here a message
whose properties cannot be read simply has none: unsigned, it is refused like any other, and the next one is read.
"""

from dataclasses import dataclass
from typing import Final

from mqttlink.errors import PacketError

CONTENT_TYPE: Final = 3
USER_PROPERTY: Final = 38
SIGNATURE: Final = "sig"
MAX_TEXT_BYTES: Final = (
    256  # of a content type or a signature; ours are shorter, and they wait in memory with the payload
)
MAX_PROPERTIES: Final = 32  # the contract needs two; a sender may add thousands to one packet

# How many bytes a property of PUBLISH takes behind its identifier (2.2.2.2); those with a length of their own below.
_FIXED: Final = {1: 1, 2: 4, 35: 2}
_PREFIXED: Final = frozenset({CONTENT_TYPE, 8, 9})
_SUBSCRIPTION: Final = 11  # a variable byte integer, once for every subscription that fits
_MAX_VARIABLE_BYTES: Final = 4
_MORE: Final = 0x80


@dataclass(frozen=True, slots=True)
class PublishPacket:
    """One PUBLISH; `topic` is '' when it is no UTF-8, and what its properties do not say is None."""

    topic: str
    mid: int  # 0 at QoS 0
    content_type: str | None
    sig: str | None
    payload: bytes
    retain: bool
    dup: bool


def decode_publish(header: int, body: bytes | bytearray) -> PublishPacket:
    """Read what follows the fixed header; PacketError when the broker itself framed it wrong."""
    qos = header >> 1 & 3
    if qos > 1:
        raise PacketError("a PUBLISH at a QoS that nobody asked for")
    try:
        topic_end = 2 + int.from_bytes(body[:2])
        properties_at = topic_end + (2 if qos else 0)
        length, start = _variable(body, properties_at)
    except IndexError as exc:
        raise PacketError("a PUBLISH that is cut short") from exc
    end = start + length
    if end > len(body):
        raise PacketError("a PUBLISH whose properties reach beyond its end")
    content_type, sig = _properties(bytes(body[start:end]))
    return PublishPacket(
        topic=_text(body[2:topic_end]) or "",
        mid=int.from_bytes(body[topic_end:properties_at]),
        content_type=content_type,
        sig=sig,
        payload=bytes(body[end:]),
        retain=bool(header & 1),
        dup=bool(header & 8),
    )


def _properties(region: bytes) -> tuple[str | None, str | None]:
    """Return the content type and the signature; both None when the region cannot be read to where they stand."""
    content_type = sig = None
    at = 0
    try:
        for _ in range(MAX_PROPERTIES):
            if at >= len(region):
                break
            identifier, at = region[at], at + 1
            if identifier == CONTENT_TYPE:
                value, at = _prefixed(region, at)
                content_type = _text(value)
            elif identifier == USER_PROPERTY:
                name, at = _prefixed(region, at)
                value, at = _prefixed(region, at)
                if sig is None and _text(name) == SIGNATURE:
                    sig = _text(value)
            else:
                at = _behind(identifier, region, at)
    except (IndexError, KeyError):
        return None, None
    return content_type, sig


def _behind(identifier: int, region: bytes, at: int) -> int:
    """Return where a property that nobody needs ends; KeyError for one that a PUBLISH cannot have."""
    if identifier in _PREFIXED:
        return _prefixed(region, at)[1]
    if identifier == _SUBSCRIPTION:
        return _variable(region, at)[1]
    return at + _FIXED[identifier]


def _prefixed(region: bytes, at: int) -> tuple[bytes, int]:
    end = at + 2 + int.from_bytes(region[at : at + 2])
    if end > len(region) or at + 2 > len(region):
        raise IndexError
    return region[at + 2 : end], end


def _variable(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """Return a variable byte integer (1.5.5) and where it ends; IndexError when it does not."""
    value = 0
    for place in range(_MAX_VARIABLE_BYTES):
        byte = data[at + place]
        value |= (byte & ~_MORE) << 7 * place
        if not byte & _MORE:
            return value, at + place + 1
    raise IndexError


def _text(raw: bytes | bytearray) -> str | None:
    if len(raw) > MAX_TEXT_BYTES:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
