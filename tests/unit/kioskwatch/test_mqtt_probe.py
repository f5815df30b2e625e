"""The two packets that prove a broker answers, on bytes laid out by hand from MQTT 5.0 §3.1 and §3.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kioskwatch.errors import BrokerError
from kioskwatch.mqtt_probe import connack_reason, connect_packet

# fixed header 10, length 16; name "MQTT", level 5, Clean Start, keep alive 10 s, no properties, client id "abc"
CONNECT_ABC = bytes.fromhex("10 10 0004 4d515454 05 02 000a 00 0003 616263".replace(" ", ""))
ACCEPTED = bytes.fromhex("20 03 00 00 00".replace(" ", ""))
# As Mosquitto 2.0.11 answers: topic alias maximum 10, receive maximum 20.
ACCEPTED_WITH_PROPERTIES = bytes.fromhex("20 09 00 00 06 22000a 210014".replace(" ", ""))
REFUSED = bytes.fromhex("20 03 00 87 00".replace(" ", ""))
LONG_LENGTH = bytes.fromhex("20 8301 00 87 80".replace(" ", "")) + b"\x00" * 128


def test_the_connect_is_the_one_laid_out_by_hand() -> None:
    assert connect_packet("abc") == CONNECT_ABC


def test_a_client_id_that_would_need_a_longer_length_is_refused() -> None:
    assert connect_packet("x" * 100)[1] == 113
    with pytest.raises(BrokerError):
        connect_packet("x" * 101)


@pytest.mark.parametrize(
    ("packet", "reason"),
    [(ACCEPTED, 0), (ACCEPTED_WITH_PROPERTIES, 0), (REFUSED, 0x87), (LONG_LENGTH, 0x87)],
)
def test_the_reason_is_read_from_any_cut_that_holds_it_and_never_before(packet: bytes, reason: int) -> None:
    seen = [connack_reason(packet[:cut]) for cut in range(len(packet) + 1)]
    known = seen.index(reason)
    assert seen == [None] * known + [reason] * (len(packet) + 1 - known)


@given(st.binary(max_size=64))
def test_garbage_gives_a_reason_a_wait_or_the_typed_error(packet: bytes) -> None:
    try:
        reason = connack_reason(packet)
    except BrokerError:
        assert not packet.startswith(b"\x20")
    else:
        assert reason is None or 0 <= reason <= 255
