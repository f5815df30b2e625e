"""A PUBLISH whose bytes are laid out by hand from OASIS MQTT 5.0, 3.3, and everything that a sender may do to it."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mqttlink.errors import PacketError
from mqttlink.publish_packet import MAX_PROPERTIES, PublishPacket, decode_publish

# 2.2.2.2: user property 26, then two strings of two length bytes each. `sig` = `s1`.
SIG = bytes.fromhex("26 0003 736967 0002 7331")
# content type 03: `j`.
TYPE = bytes.fromhex("03 0001 6a")
QOS1, DUP_RETAIN_QOS1 = 0x32, 0x3B


def body(properties: bytes, *, topic: bytes = b"a/b", length: bytes | None = None, payload: bytes = b"{}") -> bytes:
    """Topic, packet number 7, property length, properties, payload."""
    head = len(topic).to_bytes(2) + topic + b"\x00\x07"
    return head + (bytes([len(properties)]) if length is None else length) + properties + payload


def test_topic_number_type_signature_and_payload_are_read() -> None:
    assert decode_publish(QOS1, body(TYPE + SIG)) == PublishPacket("a/b", 7, "j", "s1", b"{}", retain=False, dup=False)


def test_the_flags_are_read_and_a_message_of_qos_0_has_no_number() -> None:
    flagged = decode_publish(DUP_RETAIN_QOS1, body(SIG))
    assert (flagged.dup, flagged.retain) == (True, True)
    assert decode_publish(0x30, b"\x00\x01a\x00x") == PublishPacket("a", 0, None, None, b"x", retain=False, dup=False)


@pytest.mark.parametrize(
    "other",
    [
        bytes.fromhex("01 01"),  # payload format
        bytes.fromhex("02 0000012c"),  # expiry
        bytes.fromhex("08 0001 72"),  # response topic
        bytes.fromhex("09 0002 ff00"),  # correlation data
        bytes.fromhex("0b 8001"),  # subscription identifier 128
        bytes.fromhex("23 0001"),  # topic alias
        bytes.fromhex("26 0003 efbbbf 0001 78"),  # a user property named U+FEFF, which paho refuses
        bytes.fromhex("26 0001 ff 0001 fe"),  # a user property that is no UTF-8
        bytes.fromhex("03 0001 ff"),  # a content type that is no UTF-8
    ],
)
def test_every_other_property_is_stepped_over(other: bytes) -> None:
    assert decode_publish(QOS1, body(other + SIG)).sig == "s1"


@pytest.mark.parametrize(
    "region",
    [
        SIG + b"\x7f",  # no such property
        SIG + b"\x11\x00\x00\x00\x01",  # a session's expiry has no place here
        SIG[:-1],  # cut
        SIG + b"\x03\x00\x05j",  # longer than the region
        b"\x0b\xff\xff\xff\xff\x01" + SIG,  # five bytes of a variable integer
    ],
)
def test_properties_that_cannot_be_read_leave_the_message_unsigned_and_its_payload_whole(region: bytes) -> None:
    packet = decode_publish(QOS1, body(region))
    assert (packet.sig, packet.content_type, packet.payload) == (None, None, b"{}")


def test_the_first_signature_counts_and_thousands_of_properties_are_not_looked_at() -> None:
    assert decode_publish(QOS1, body(SIG + bytes.fromhex("26 0003 736967 0002 7332"))).sig == "s1"
    many = bytes.fromhex("26 0000 0000") * 20_000 + SIG
    packet = decode_publish(QOS1, body(many, length=vbi(len(many))))
    assert (packet.sig, packet.payload) == (None, b"{}")
    few = bytes.fromhex("26 0000 0000") * (MAX_PROPERTIES - 1) + SIG
    assert decode_publish(QOS1, body(few, length=vbi(len(few)))).sig == "s1"


def test_a_signature_or_content_type_of_any_length_is_not_kept() -> None:
    long = b"\x03" + (60_000).to_bytes(2) + b"t" * 60_000 + b"\x26\x00\x03sig" + (60_000).to_bytes(2) + b"s" * 60_000
    packet = decode_publish(QOS1, body(long, length=vbi(len(long))))
    assert (packet.content_type, packet.sig, packet.payload) == (None, None, b"{}")


def test_a_topic_that_is_no_text_is_empty() -> None:
    assert decode_publish(QOS1, body(SIG, topic=b"kw/\xff")).topic == ""
    assert decode_publish(QOS1, body(SIG, topic=b"k" * 60_000)).topic == ""


@pytest.mark.parametrize("cut", range(len(body(b""))))
def test_a_packet_cut_before_its_payload_is_the_brokers_fault(cut: int) -> None:
    whole = body(TYPE + SIG)
    payload_at = len(whole) - 2
    with pytest.raises(PacketError):
        decode_publish(QOS1, whole[: min(cut, payload_at - 1)])


def test_qos_2_was_never_asked_for() -> None:
    with pytest.raises(PacketError):
        decode_publish(0x34, body(SIG))


@given(st.integers(0x30, 0x3F), st.binary(max_size=300))
@example(0x32, b"")
@example(0x32, b"\xff\xff")
def test_no_bytes_give_anything_but_a_packet_or_its_error(header: int, raw: bytes) -> None:
    with contextlib.suppress(PacketError):
        decode_publish(header, raw)


@given(st.binary(max_size=100))
def test_whatever_the_properties_are_the_payload_is_what_follows_them(region: bytes) -> None:
    assert decode_publish(QOS1, body(region, payload=b"payload")).payload == b"payload"


def vbi(number: int) -> bytes:
    """A variable byte integer (1.5.5)."""
    out = b""
    while number > 127:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])
