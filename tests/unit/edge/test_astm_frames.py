"""E1381 frames against hand-made bytes: whole, in every split, with every bit damaged, and as garbage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.wire.astm_frames import (
    ACK,
    ENQ,
    MAX_FRAME_BYTES,
    NAK,
    STALL_S,
    BadFrame,
    Control,
    Frame,
    FrameReader,
    Noise,
    Token,
    checksum,
    encode,
)

# Added up by hand: 34+4C+7C+31+7C+4E+0D+03 = 207, so 07. The same frame stands in many hosts' manuals.
TERMINATOR = b"\x024L|1|N\r\x0307\r\n"
# 31+48+7C+40+5E+5C+0D+17 = 213, so 13.
HEADER_PART = b"\x021H|@^\\\r\x1713\r\n"


def _read(*pieces: bytes, pause_s: float = 0.0) -> list[Token]:
    reader = FrameReader()
    tokens: list[Token] = []
    for index, piece in enumerate(pieces):
        reader.feed(piece, index * pause_s)
        tokens.extend(reader.tokens())
    return tokens


def test_a_last_and_an_intermediate_frame_are_read() -> None:
    assert _read(TERMINATOR) == [Frame(4, b"L|1|N\r", last=True)]
    assert _read(HEADER_PART) == [Frame(1, b"H|@^\\\r", last=False)]


def test_frames_and_controls_are_read_in_every_split() -> None:
    stream = bytes([ENQ]) + HEADER_PART + bytes([ACK, NAK]) + TERMINATOR
    expected = _read(stream)
    assert expected == [
        Control(ENQ),
        Frame(1, b"H|@^\\\r", last=False),
        Control(ACK),
        Control(NAK),
        Frame(4, b"L|1|N\r", last=True),
    ]
    for cut in range(len(stream)):
        assert _read(stream[:cut], stream[cut:]) == expected
    assert _read(*(bytes([byte]) for byte in stream)) == expected


@pytest.mark.parametrize("bit", range(8 * len(TERMINATOR)))
def test_a_flipped_bit_never_leaves_a_frame_and_never_makes_a_control_of_text(bit: int) -> None:
    damaged = bytearray(TERMINATOR)
    damaged[bit // 8] ^= 1 << bit % 8
    in_checksum_case = bit % 8 == 5 and bit // 8 in (9, 10)
    for token in _read(bytes(damaged)):
        if bit // 8 > 0:
            assert isinstance(token, BadFrame | Noise) or in_checksum_case


def test_half_a_frame_is_forgotten_after_a_silence_and_what_follows_is_read() -> None:
    assert _read(TERMINATOR[:5], bytes([ENQ]), pause_s=STALL_S) == [Noise(5), Control(ENQ)]


def test_noise_before_a_frame_is_passed_over() -> None:
    assert _read(b"\xff\x00~~" + TERMINATOR) == [Noise(4), Frame(4, b"L|1|N\r", last=True)]


@pytest.mark.parametrize(
    "frame",
    [
        b"\x029L|1|N\r\x030C\r\n",  # no such frame number: 39+4C+7C+31+7C+4E+0D+03 = 20C
        b"\x024L|1|N\x05\r\x030C\r\n",  # a control character in the text, and a checksum that counts it
        b"\x024L|1|N\r\x0308\r\n",
        b"\x024L|1|N\r\x03077\n",
        b"\x02\n",
    ],
)
def test_a_complete_frame_that_breaks_a_rule_may_be_answered_with_nak(frame: bytes) -> None:
    assert [type(token) for token in _read(frame)] == [BadFrame]


def test_a_frame_without_end_does_not_fill_the_memory() -> None:
    reader = FrameReader()
    for _ in range(3 * MAX_FRAME_BYTES // 1000):
        reader.feed(b"\x02" + b"x" * 999, 0.0)
        list(reader.tokens())
        assert len(reader._buffer) <= MAX_FRAME_BYTES + 1000


def test_a_long_message_is_cut_at_240_characters_and_numbered_from_1_round_to_0() -> None:
    text = b"x" * (240 * 9 + 1) + b"\r"
    frames = encode(text)
    tokens = _read(b"".join(frames))
    assert [token.number for token in tokens if isinstance(token, Frame)] == [1, 2, 3, 4, 5, 6, 7, 0, 1, 2]
    assert [token.last for token in tokens if isinstance(token, Frame)] == [False] * 9 + [True]
    assert b"".join(token.text for token in tokens if isinstance(token, Frame)) == text


@pytest.mark.parametrize("text", [b"", b"O|1|\x05", b"a\nb", b"\x02"])
def test_what_no_frame_can_carry_is_refused_when_sent(text: bytes) -> None:
    with pytest.raises(ValueError, match="control character"):
        encode(text)


@given(st.lists(st.binary(max_size=60), max_size=8), st.floats(0, 20))
def test_garbage_gives_tokens_and_nothing_else(pieces: list[bytes], pause_s: float) -> None:
    for token in _read(*pieces, pause_s=pause_s):
        assert isinstance(token, Control | Frame | BadFrame | Noise)


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=700))
def test_what_is_encoded_is_read_back(text: str) -> None:
    tokens = _read(*encode(text.encode() + b"\r"))
    assert b"".join(token.text for token in tokens if isinstance(token, Frame)) == text.encode() + b"\r"


def test_the_checksum_is_that_of_the_hand_made_frame() -> None:
    assert checksum(b"4L|1|N\r\x03") == b"07"
