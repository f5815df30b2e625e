"""E1381 frames and dialogue. Vectors were added up by hand; every decoder also gets garbage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.errors import ChecksumError, FrameError, RecordError
from firmware_sim.instruments.genexpert.messages import Order, parse_answer, usable_sample
from firmware_sim.wire.astm import Frame, FrameCollector, decode, encode
from firmware_sim.wire.astm_link import (
    BUSY_PAUSE_S,
    CONTENTION_PAUSE_S,
    MAX_MESSAGE_BYTES,
    RECEIVE_TIMEOUT_S,
    REPLY_TIMEOUT_S,
    Event,
    Failed,
    Link,
    Received,
    Sent,
    Write,
)

ENQ, ACK, NAK, EOT = b"\x05", b"\x06", b"\x15", b"\x04"
# "1L|1|N" CR ETX summed by hand: 49 + 76 + 124 + 49 + 124 + 78 + 13 + 3 = 516 = 0x204, of which 04 stays
TERMINATOR = b"\x021L|1|N\r\x0304\r\n"


def test_a_frame_has_the_bytes_of_the_standard() -> None:
    assert encode(b"L|1|N\r") == [TERMINATOR]
    assert decode(TERMINATOR[1:-1]) == Frame(1, b"L|1|N\r", last=True)


def test_a_long_text_is_cut_at_240_and_numbered_round_to_zero() -> None:
    frames = encode(b"x" * (240 * 8 + 1))
    assert [frame[1:2] for frame in frames] == [b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"0", b"1"]
    assert [len(frame) for frame in frames] == [247] * 8 + [8]
    assert [frame[-5:-4] for frame in frames] == [b"\x17"] * 8 + [b"\x03"]


@pytest.mark.parametrize(
    "body",
    [b"", b"\r", b"1\x03", b"1abc\x0300\r", b"1L|1|N\r\x0305\r", b"9L\x03B8\r", b"1L|1|N\r04\r", b"1L|1|N\r\x0304"],
)
def test_a_damaged_frame_is_refused(body: bytes) -> None:
    with pytest.raises(FrameError):
        decode(body)


def test_lower_case_digits_are_taken() -> None:
    text = b"z"  # 0x31 + 0x7A + 0x03 = 0xAE
    assert decode(b"1z\x03ae\r") == Frame(1, text, last=True)
    with pytest.raises(ChecksumError):
        decode(b"1z\x03af\r")


@given(st.binary(max_size=300))
def test_garbage_gives_a_frame_or_a_frame_error(body: bytes) -> None:
    try:
        decode(body)
    except FrameError:
        return


@given(st.binary(min_size=1, max_size=2000))
def test_what_was_cut_is_whole_again(text: bytes) -> None:
    frames = [decode(frame[1:-1]) for frame in encode(text)]
    assert b"".join(frame.text for frame in frames) == text
    assert [frame.last for frame in frames] == [False] * (len(frames) - 1) + [True]


def test_a_frame_without_end_is_dropped_before_it_fills_the_memory() -> None:
    collector = FrameCollector()
    collector.begin()
    for _ in range(63_993):
        collector.add(0x41)
    with pytest.raises(FrameError):
        collector.add(0x41)
    assert not collector.open


@given(st.binary(max_size=400))
def test_garbage_gives_an_answer_or_a_record_error(text: bytes) -> None:
    try:
        parse_answer(text)
    except RecordError:
        return


HEADER = b"H|@^\\|1||LIS|||||x^GeneXpert^6.5||P|1394-97|20211212093005\r"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEADER + b"P|1\rO|1|S1||^^^SARSCOV2|R|1|||||A||||ORH||||||||||Q\rL|1|F\r", Order("S1", "SARSCOV2")),
        (HEADER + b"O|1|S1\rL|1|F\r", Order("S1", "")),
        (HEADER + b"O|1|S1||^^^A\rO|1|S2||^^^B\rL|1|F\r", Order("S1", "A")),
        (b"H|\\^&|1\rO|1|S1||^^^A\rL|1|F\r", Order("S1", "A")),
        (b"H!@~\\!1\rO!1!S1!!~~~A\rL!1!F\r", Order("S1", "A")),
        (HEADER + b"L|1|I\r", None),
        (HEADER + b"L|1|F\r", None),
    ],
)
def test_a_hosts_answer_is_an_order_or_none(text: bytes, expected: Order | None) -> None:
    assert parse_answer(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"H|",
        b"L|1|I\r",
        HEADER,
        HEADER + b"O|1|S1\r",
        HEADER + b"L|1|N\r",
        HEADER + b"O|1|S1||^^^A|R||||||C\rL|1|F",
    ],
)
def test_what_is_no_answer_is_refused(text: bytes) -> None:
    with pytest.raises(RecordError):
        parse_answer(text)


@pytest.mark.parametrize(
    ("sample", "usable"), [("S1", True), ("", False), ("a|b", False), ("x" * 26, False), ("a\r", False)]
)
def test_a_sample_id_must_fit_a_field(sample: str, usable: bool) -> None:
    assert usable_sample(sample) is usable


# --- dialogue -----------------------------------------------------------------------------------------


def writes(events: list[Event]) -> list[bytes]:
    return [event.data for event in events if isinstance(event, Write)]


def test_a_message_goes_out_frame_by_frame_and_is_sent_at_the_last_acknowledgement() -> None:
    link = Link()
    assert writes(link.start(b"a" * 300, 0.0)) == [ENQ]
    first = writes(link.feed(ACK, 0.1))
    second = writes(link.feed(ACK, 0.2))
    assert [first[0][1:2], second[0][1:2]] == [b"1", b"2"]
    assert link.feed(ACK, 0.3) == [Write(EOT), Sent()]
    assert not link.busy
    assert link.deadline_s is None


def test_eot_in_answer_to_a_frame_counts_as_accepted() -> None:
    link = Link()
    link.start(b"a", 0.0)
    link.feed(ACK, 0.0)
    assert link.feed(EOT, 0.0) == [Write(EOT), Sent()]


def test_six_refusals_of_a_frame_are_repeated_and_a_seventh_ends_it() -> None:
    link = Link()
    link.start(b"a", 0.0)
    frame = writes(link.feed(ACK, 0.0))
    for _ in range(6):
        assert writes(link.feed(NAK, 0.0)) == frame
    assert link.feed(NAK, 0.0) == [Write(EOT), Failed("a frame was refused too often")]


@pytest.mark.parametrize("answered", [b"", ACK])
def test_fifteen_seconds_of_silence_end_an_enquiry_or_a_transfer_with_eot(answered: bytes) -> None:
    link = Link()
    link.start(b"a", 0.0)
    link.feed(answered, 1.0)
    begun = 1.0 if answered else 0.0
    assert link.deadline_s == begun + REPLY_TIMEOUT_S
    assert link.expire(begun + REPLY_TIMEOUT_S - 0.1) == []
    assert writes(link.expire(begun + REPLY_TIMEOUT_S)) == [EOT]


def test_a_busy_host_is_asked_again_after_ten_seconds_and_given_up_after_six_times() -> None:
    link, now = Link(), 0.0
    assert writes(link.start(b"a", now)) == [ENQ]
    for _ in range(5):
        assert link.feed(NAK, now) == []
        assert link.deadline_s == now + BUSY_PAUSE_S
        now += BUSY_PAUSE_S
        assert writes(link.expire(now)) == [ENQ]
    assert link.feed(NAK, now) == [Failed("the host stays busy")]
    assert not link.busy


def test_in_contention_the_instrument_asks_again_after_one_second() -> None:
    link = Link()
    link.start(b"a", 0.0)
    assert link.feed(ENQ, 0.2) == []
    assert link.deadline_s == 0.2 + CONTENTION_PAUSE_S
    assert writes(link.expire(1.2)) == [ENQ]
    assert len(writes(link.feed(ACK, 1.3))) == 1


def test_a_host_that_asks_again_while_we_pause_is_heard_first() -> None:
    link = Link()
    link.start(b"mine", 0.0)
    link.feed(ENQ, 0.0)
    assert writes(link.feed(ENQ, 0.5)) == [ACK]
    events = link.feed(TERMINATOR + EOT, 0.6)
    assert events[:2] == [Write(ACK), Received(b"L|1|N\r")]
    assert writes(events[2:]) == [ENQ], "then our own"


def test_noise_while_waiting_for_an_answer_is_ignored() -> None:
    link = Link()
    link.start(b"a", 0.0)
    assert link.feed(b"\xff\x00zz", 0.0) == []
    link.feed(ACK, 0.0)
    assert link.feed(b"\xff\x00zz", 0.0) == []


def test_a_message_is_received_at_eot_in_whatever_pieces_it_comes() -> None:
    stream = b"\x90" + ENQ + b"\xaa" + b"".join(encode(b"r" * 500)) + EOT
    for size in (1, 2, 7, 100, len(stream)):
        link, events = Link(), []
        for at in range(0, len(stream), size):
            events += link.feed(stream[at : at + size], 0.0)
        assert writes(events) == [ACK] * 4
        assert [event for event in events if isinstance(event, Received)] == [Received(b"r" * 500)]


def test_a_repeated_frame_is_acknowledged_and_counted_once() -> None:
    one, two = encode(b"r" * 300)
    link = Link()
    events = link.feed(ENQ + one + one + two + two + EOT, 0.0)
    assert writes(events) == [ACK] * 5
    assert events[-1] == Received(b"r" * 300)


def test_a_frame_out_of_order_is_refused() -> None:
    one, two = encode(b"r" * 300)
    link = Link()
    assert writes(link.feed(ENQ + two, 0.0)) == [ACK, NAK]
    assert writes(link.feed(one + two, 0.0)) == [ACK, ACK]


def test_thirty_seconds_without_a_frame_forget_a_message() -> None:
    one, _ = encode(b"r" * 300)
    link = Link()
    link.feed(ENQ + one, 0.0)
    assert link.deadline_s == RECEIVE_TIMEOUT_S
    assert link.expire(RECEIVE_TIMEOUT_S) == []
    assert writes(link.feed(TERMINATOR, 31.0)) == [], "a frame without ENQ is noise"
    assert [e for e in link.feed(ENQ + TERMINATOR + EOT, 32.0) if isinstance(e, Received)] == [Received(b"L|1|N\r")]


def test_a_new_enq_starts_the_message_over() -> None:
    one, _ = encode(b"r" * 300)
    link = Link()
    events = link.feed(ENQ + one + ENQ + TERMINATOR + EOT, 0.0)
    assert [e for e in events if isinstance(e, Received)] == [Received(b"L|1|N\r")]


def test_eot_without_a_frame_is_no_message() -> None:
    assert Link().feed(ENQ + EOT, 0.0) == [Write(ACK)]


def test_a_message_without_end_is_refused_before_it_fills_the_memory() -> None:
    link = Link()
    link.feed(ENQ, 0.0)
    frames = encode(b"r" * (MAX_MESSAGE_BYTES + 240))
    answers = [writes(link.feed(frame, 0.0))[0] for frame in frames]
    assert answers == [ACK] * (MAX_MESSAGE_BYTES // 240) + [NAK] * 2
    assert link.feed(EOT, 0.0) == [], "and what was taken of it is no message"


def test_a_message_that_the_host_breaks_off_is_no_message() -> None:
    one, _ = encode(b"r" * 300)
    assert Link().feed(ENQ + one + EOT, 0.0) == [Write(ACK), Write(ACK)]


def test_a_storm_refuses_each_frame_as_often_as_told_and_then_takes_it() -> None:
    link = Link(naks=5)
    link.feed(ENQ, 0.0)
    for frame in encode(b"r" * 300):
        answers = [writes(link.feed(frame, 0.0))[0] for _ in range(6)]
        assert answers == [NAK] * 5 + [ACK]


def test_two_messages_at_once_are_a_mistake_of_the_caller() -> None:
    link = Link()
    link.start(b"a", 0.0)
    with pytest.raises(RuntimeError, match="still on its way"):
        link.start(b"b", 0.0)


def test_a_message_started_while_the_host_speaks_follows_it() -> None:
    link = Link()
    link.feed(ENQ, 0.0)
    assert link.start(b"mine", 0.0) == []
    events = link.feed(TERMINATOR + EOT, 0.0)
    assert events[-1] == Write(ENQ)


@given(st.lists(st.binary(max_size=30) | st.sampled_from([ENQ, ACK, NAK, EOT, TERMINATOR, b"tick"]), max_size=60))
def test_no_stream_of_bytes_and_pauses_breaks_the_link(stream: list[bytes]) -> None:
    link, now = Link(), 0.0
    for piece in stream:
        if not link.busy:
            link.start(b"m" * 500, now)
        if piece == b"tick" and link.deadline_s is not None:
            now = max(now, link.deadline_s)
            link.expire(now)
        else:
            link.feed(piece, now)
        assert link.deadline_s is not None or not link.busy, "what waits has a deadline"
