"""Modbus RTU against the example frames of the specification and of Sensirion's interface description."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ChecksumError, DeviceExceptionError, FrameError, WireError
from edge.wire.modbus_rtu import AnswerReader, Read, Write, crc16

# Sensirion SCD30 interface description 1.4.4 and 1.4.5, as printed there.
READ_MEASUREMENT = bytes.fromhex("61 03 00 28 00 06 4C 60")
MEASUREMENT_ANSWER = bytes.fromhex("61 03 0C 43 DB 8C 2E 41 D9 E7 FF 42 43 3A 1B 50 07")
START = bytes.fromhex("61 06 00 36 00 00 60 64")
WORDS = (0x43DB, 0x8C2E, 0x41D9, 0xE7FF, 0x4243, 0x3A1B)
QUESTION = Read(0x61, 0x28, 6)


def test_requests_are_the_bytes_of_the_interface_description() -> None:
    assert QUESTION.encode() == READ_MEASUREMENT
    assert Write(0x61, 0x36, 0).encode() == START


def test_the_crc_is_the_one_of_the_specifications_example() -> None:
    assert crc16(bytes([0x02, 0x07])) == bytes([0x41, 0x12])  # MODBUS over Serial Line V1.02, appendix B


def test_an_answer_is_read_in_every_split() -> None:
    for cut in range(len(MEASUREMENT_ANSWER)):
        reader = AnswerReader(QUESTION)
        first = reader.feed(MEASUREMENT_ANSWER[:cut])
        assert first is None
        assert reader.feed(MEASUREMENT_ANSWER[cut:]) == WORDS


def test_noise_and_a_damaged_frame_before_the_answer_are_passed_over() -> None:
    damaged = MEASUREMENT_ANSWER[:-1] + b"\xff"
    reader = AnswerReader(QUESTION)
    assert reader.feed(b"\x00\x61\x61\x03" + damaged + MEASUREMENT_ANSWER) == WORDS


@pytest.mark.parametrize("bit", range(8 * len(MEASUREMENT_ANSWER)))
def test_a_flipped_bit_never_gives_words(bit: int) -> None:
    damaged = bytearray(MEASUREMENT_ANSWER)
    damaged[bit // 8] ^= 1 << bit % 8
    reader = AnswerReader(QUESTION)
    try:
        assert reader.feed(bytes(damaged)) is None
    except DeviceExceptionError:
        pytest.fail("damage passed for an exception")


def test_the_reason_of_silence_is_kept_for_whoever_waits() -> None:
    reader = AnswerReader(QUESTION)
    reader.feed(MEASUREMENT_ANSWER[:-1] + b"\xff")
    assert isinstance(reader.fault, ChecksumError)
    other = bytes.fromhex("61 03 02 00 01 F9 8C")
    reader = AnswerReader(QUESTION)
    reader.feed(other + bytes(20))
    assert reader.fault is not None


def test_an_exception_is_told_apart_from_an_answer() -> None:
    body = bytes([0x61, 0x83, 0x06])
    with pytest.raises(DeviceExceptionError, match="06"):
        AnswerReader(QUESTION).feed(body + crc16(body))


def test_the_echo_of_a_write_must_be_the_same() -> None:
    assert AnswerReader(Write(0x61, 0x36, 0)).feed(START) == ()
    other = bytes([0x61, 0x06, 0x00, 0x36, 0x00, 0x01])
    reader = AnswerReader(Write(0x61, 0x36, 0))
    assert reader.feed(other + crc16(other)) is None
    assert isinstance(reader.fault, FrameError)


def test_endless_noise_ends_the_wait() -> None:
    reader = AnswerReader(QUESTION)
    for _ in range(16):
        assert reader.feed(bytes(64)) is None
    with pytest.raises(FrameError):
        reader.feed(bytes(64))


@given(st.lists(st.binary(max_size=64), max_size=40))
def test_garbage_gives_none_words_or_the_typed_error(pieces: list[bytes]) -> None:
    reader = AnswerReader(QUESTION)
    try:
        for piece in pieces:
            if reader.feed(piece) is not None:
                break
    except WireError:
        pass


@pytest.mark.parametrize(("unit", "register", "count"), [(0, 0, 1), (248, 0, 1), (1, 65536, 1), (1, 0, 0), (1, 0, 126)])
def test_questions_that_no_device_answers_cannot_be_built(unit: int, register: int, count: int) -> None:
    with pytest.raises(ValueError, match=r"unit|registers"):
        Read(unit, register, count)


def test_writes_that_no_frame_carries_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="16 bits"):
        Write(1, 0, 65536)
