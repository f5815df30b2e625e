"""The E1381 dialogue from both ends: time-outs, refusals, contention, lost and damaged bytes, and held-back answers."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.wire.astm import (
    ANSWER_S,
    BUSY_S,
    CONTENTION_HOST_S,
    CONTENTION_INSTRUMENT_S,
    FRAME_S,
    MAX_MESSAGE_BYTES,
    MAX_RETRANSMISSIONS,
    Dialogue,
    Dropped,
    Event,
    NotSent,
    Received,
    Sent,
)
from edge.wire.astm_frames import ACK, ENQ, EOT, NAK, encode

MESSAGE = b"H|@^\\|m1\rQ|1|ALL||||||||||O@N\rL|1|N\r"
LONG = b"H|@^\\|m2\r" + b"R|1|" + b"x" * 600 + b"\rL|1|N\r"


def _host() -> Dialogue:
    return Dialogue(instrument=False)


def _bytes(*codes: int) -> bytes:
    return bytes(codes)


def _deliver(line: Dialogue, text: bytes, now_s: float = 0.0) -> list[object]:
    """Play the instrument's part up to the last frame."""
    events: list[object] = list(line.feed(_bytes(ENQ), now_s))
    for frame in encode(text):
        events += line.feed(frame, now_s)
    return events


def test_a_message_in_one_and_in_many_frames_is_received_whole() -> None:
    for text in (MESSAGE, LONG):
        assert _deliver(_host(), text) == [Received(text)]


def test_a_message_with_one_record_a_frame_is_received_whole() -> None:
    line = _host()
    line.feed(_bytes(ENQ), 0.0)
    records = [record + b"\r" for record in MESSAGE.split(b"\r")[:-1]]
    events = []
    for number, record in enumerate(records, start=1):
        frame = encode(b"x" * 240 * (number - 1) + record)[-1]  # the frame of that number
        events += line.feed(frame, 0.0)
    assert events == [Received(MESSAGE)]


def test_a_message_is_received_however_its_bytes_are_split() -> None:
    stream = _bytes(ENQ) + b"".join(encode(LONG))
    for size in (1, 2, 3, 7, 239):
        line = _host()
        events = [e for i in range(0, len(stream), size) for e in line.feed(stream[i : i + size], 0.0)]
        assert events == [Received(LONG)]


def test_the_last_frame_is_acknowledged_only_after_the_verdict() -> None:
    line = _host()
    _deliver(line, MESSAGE)
    assert line.output() == _bytes(ACK)  # to ENQ
    line.tick(1000.0)
    assert line.output() == b""
    line.accept(1000.0)
    assert line.output() == _bytes(ACK)
    assert line.feed(_bytes(EOT), 1000.0) == []


def test_a_refused_message_is_offered_again_and_can_then_be_kept() -> None:
    line = _host()
    _deliver(line, LONG)
    line.output()
    line.refuse(0.0)
    assert line.output() == _bytes(NAK)
    assert line.feed(encode(LONG)[-1], 1.0) == [Received(LONG)]
    line.accept(1.0)
    assert line.output() == _bytes(ACK)


def test_bytes_that_come_before_the_verdict_wait_for_it() -> None:
    line = _host()
    _deliver(line, MESSAGE)
    again = encode(MESSAGE)[-1]
    assert line.feed(again, 16.0) == []  # the sender lost patience
    line.output()
    assert line.accept(16.0) == []
    assert line.output() == _bytes(ACK, ACK)


def test_a_frame_sent_again_because_our_ack_was_lost_is_acknowledged_and_dropped() -> None:
    line = _host()
    frames = encode(LONG)
    line.feed(_bytes(ENQ) + frames[0], 0.0)
    line.output()
    assert line.feed(frames[0], 0.0) == []
    assert line.output() == _bytes(ACK)
    assert line.feed(frames[1] + frames[2], 0.0) == [Received(LONG)]


def test_a_skipped_frame_is_refused() -> None:
    line = _host()
    frames = encode(LONG)
    line.feed(_bytes(ENQ) + frames[0], 0.0)
    line.output()
    assert line.feed(frames[2], 0.0) == []
    assert line.output() == _bytes(NAK)


def test_an_enq_between_frames_gets_no_ack_that_would_pass_for_a_frames() -> None:
    line = _host()
    frames = encode(LONG)
    line.feed(_bytes(ENQ) + frames[0], 0.0)
    line.output()
    line.feed(_bytes(ENQ), 0.0)
    assert line.output() == b""


def test_a_transfer_that_ends_early_or_falls_silent_is_dropped_and_the_next_is_heard() -> None:
    line = _host()
    frames = encode(LONG)
    line.feed(_bytes(ENQ) + frames[0], 0.0)
    assert line.feed(_bytes(EOT), 0.0) == [Dropped("ended early")]
    line.feed(_bytes(ENQ) + frames[0], 0.0)
    assert line.tick(FRAME_S - 0.1) == []
    assert line.tick(FRAME_S) == [Dropped("no next frame")]
    assert _deliver(line, MESSAGE, FRAME_S)[-1] == Received(MESSAGE)


def test_a_message_without_terminator_never_grows_beyond_its_cap() -> None:
    line = _host()
    line.feed(_bytes(ENQ), 0.0)
    part = b"R" * 239
    seen = set()
    for number in range(1, 2 * MAX_MESSAGE_BYTES // 240):
        frame = encode(b"x" * 240 * ((number - 1) % 8) + part + b"y" * 2)[(number - 1) % 8]
        seen.update(line.feed(frame, 0.0))
    assert seen <= {Dropped("message too long"), Dropped("bad frame")}
    assert Dropped("message too long") in seen
    assert len(line._text) <= MAX_MESSAGE_BYTES


def test_a_message_is_sent_frame_by_frame_and_sent_means_that_its_last_frame_was_taken() -> None:
    line = _host()
    line.send(LONG, 0.0)
    assert line.output() == _bytes(ENQ)
    for frame in encode(LONG):
        assert line.feed(_bytes(ACK), 0.0) == []
        assert line.output() == frame
    assert line.feed(_bytes(ACK), 0.0) == [Sent()]
    assert line.output() == _bytes(EOT)
    assert not line.sending


def test_eot_in_answer_to_a_frame_is_taken_as_ack() -> None:
    line = _host()
    line.send(MESSAGE, 0.0)
    line.feed(_bytes(ACK), 0.0)
    assert line.feed(_bytes(EOT), 0.0) == [Sent()]


def test_a_refused_frame_is_sent_six_times_more_and_then_the_peer_certainly_does_not_have_it() -> None:
    line = _host()
    line.send(MESSAGE, 0.0)
    line.feed(_bytes(ACK), 0.0)
    for _ in range(MAX_RETRANSMISSIONS):
        line.output()
        assert line.feed(_bytes(NAK), 0.0) == []
        assert line.output() == encode(MESSAGE)[0]
    assert line.feed(_bytes(NAK), 0.0) == [NotSent(perhaps=False)]
    assert line.output() == _bytes(EOT)


def test_silence_after_the_last_frame_leaves_it_open_whether_the_peer_has_the_message() -> None:
    line = _host()
    line.send(LONG, 0.0)
    line.feed(_bytes(ACK), 0.0)
    assert line.tick(ANSWER_S - 0.1) == []
    assert line.tick(ANSWER_S) == [NotSent(perhaps=False)]  # two frames were still to come
    line.send(MESSAGE, 20.0)
    line.feed(_bytes(ACK), 20.0)
    assert line.tick(20.0 + ANSWER_S) == [NotSent(perhaps=True)]


def test_a_connection_lost_after_the_last_frame_leaves_it_open_too() -> None:
    line = _host()
    line.send(MESSAGE, 0.0)
    assert line.disconnected() == [NotSent(perhaps=False)]
    line.send(MESSAGE, 0.0)
    line.feed(_bytes(ACK), 0.0)
    assert line.disconnected() == [NotSent(perhaps=True)]
    assert line.output() == b""


def test_a_busy_peer_is_asked_again_after_ten_seconds_and_given_up_in_the_end() -> None:
    line = _host()
    line.send(MESSAGE, 0.0)
    now_s = 0.0
    for _ in range(MAX_RETRANSMISSIONS):
        line.output()
        assert line.feed(_bytes(NAK), now_s) == []
        assert line.tick(now_s + BUSY_S - 0.1) == []
        assert line.output() == b""
        now_s += BUSY_S
        line.tick(now_s)
        assert line.output() == _bytes(ENQ)
    assert line.feed(_bytes(NAK), now_s) == [NotSent(perhaps=False)]


def test_when_both_ask_at_once_the_instrument_asks_again_first() -> None:
    instrument, host = Dialogue(instrument=True), _host()
    for line in (instrument, host):
        line.send(MESSAGE, 0.0)
        line.output()
        line.feed(_bytes(ENQ), 0.0)
        assert line.output() == b""
    host.tick(CONTENTION_INSTRUMENT_S)
    assert host.output() == b""
    instrument.tick(CONTENTION_INSTRUMENT_S)
    assert instrument.output() == _bytes(ENQ)
    host.feed(_bytes(ENQ), CONTENTION_INSTRUMENT_S)
    assert host.output() == _bytes(ACK)
    assert CONTENTION_HOST_S > CONTENTION_INSTRUMENT_S


def test_what_the_host_wanted_to_send_follows_when_the_instruments_transfer_ends() -> None:
    line = _host()
    line.send(LONG, 0.0)
    line.feed(_bytes(ENQ), 0.0)
    _deliver(line, MESSAGE, 1.0)
    line.accept(1.0)
    line.output()
    line.feed(_bytes(EOT), 1.0)
    assert line.output() == _bytes(ENQ)


def test_a_message_can_be_withdrawn_until_its_first_byte_leaves() -> None:
    line = _host()
    line.feed(_bytes(ENQ), 0.0)
    line.send(MESSAGE, 0.0)
    assert line.withdraw()
    line.feed(_bytes(EOT), 0.0)
    line.output()
    line.send(MESSAGE, 0.0)
    assert not line.withdraw()


def test_one_message_at_a_time_and_one_verdict_a_message() -> None:
    line = _host()
    line.send(MESSAGE, 0.0)
    with pytest.raises(ValueError, match="one message"):
        line.send(MESSAGE, 0.0)
    with pytest.raises(ValueError, match="no message to judge"):
        line.accept(0.0)


@given(st.lists(st.tuples(st.binary(max_size=40), st.floats(0, 40)), max_size=12), st.booleans())
def test_garbage_and_silence_never_break_the_dialogue(steps: list[tuple[bytes, float]], send: bool) -> None:
    line, now_s = _host(), 0.0
    if send:
        line.send(MESSAGE, now_s)
    for data, pause_s in steps:
        now_s += pause_s
        events = line.feed(data, now_s) + line.tick(now_s)
        if any(isinstance(event, Received) for event in events):
            line.accept(now_s)
    line.tick(now_s + 100)
    line.tick(now_s + 200)
    line.disconnected()
    assert not line.sending


Damage = Callable[[bytes], bytes]


def _flip(bit: int) -> Damage:
    def damage(data: bytes) -> bytes:
        if not data:
            return data
        changed = bytearray(data)
        changed[bit // 8 % len(changed)] ^= 1 << bit % 8
        return bytes(changed)

    return damage


def _cut(size: int) -> Damage:
    return lambda data: data[: size % (len(data) + 1)]


def _keep(data: bytes) -> bytes:
    return data


damages = st.one_of(
    st.just(_keep), st.just(_keep), st.builds(_flip, st.integers(0, 4000)), st.builds(_cut, st.integers(0, 300))
)


class _Line:
    """A sender and a receiver with a wire between them that damages what the script says."""

    def __init__(self, script: list[Damage], text: bytes) -> None:
        self.sender, self.receiver = Dialogue(instrument=True), _host()
        self.faults = iter(script)
        self.kept: list[bytes] = []
        self.outcome: Sent | NotSent | None = None
        self.now_s = 0.0
        self.sender.send(text, 0.0)

    def step(self) -> None:
        self.now_s += 0.01
        up = self.sender.output()
        self._hear(self.receiver.feed(next(self.faults, _keep)(up), self.now_s))
        down = self.receiver.output()
        self._hear(self.sender.feed(next(self.faults, _keep)(down), self.now_s))
        if not up and not down:
            self.now_s = max(self.now_s, min(self.sender.deadline_s, self.receiver.deadline_s, self.now_s + 40))
            self._hear(self.sender.tick(self.now_s) + self.receiver.tick(self.now_s))

    def _hear(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Received):
                self.kept.append(event.text)
                self._hear(self.receiver.accept(self.now_s))
            elif isinstance(event, Sent | NotSent):
                self.outcome = event


@given(st.lists(damages, max_size=30), st.sampled_from([MESSAGE, LONG]))
def test_sent_means_kept_by_the_receiver_whatever_single_bits_and_tails_are_lost(
    script: list[Damage], text: bytes
) -> None:
    line = _Line(script, text)
    for _ in range(200):
        line.step()
        if line.outcome is not None:
            break
    assert set(line.kept) <= {text}
    if line.outcome == Sent():
        assert line.kept
    if line.outcome == NotSent(perhaps=False):
        assert not line.kept


def test_a_sender_hears_a_peer_that_forgot_the_transfer_and_begins_its_own() -> None:
    line = _host()
    line.send(LONG, 0.0)
    line.feed(_bytes(ACK), 0.0)
    line.output()
    assert line.feed(_bytes(ENQ), 0.0) == [NotSent(perhaps=False)]
    assert line.output() == _bytes(ACK)
    assert _deliver(line, MESSAGE) == [Received(MESSAGE)]


def test_a_transfer_that_a_lost_line_cuts_off_is_dropped() -> None:
    line = _host()
    line.feed(_bytes(ENQ) + encode(LONG)[0], 0.0)
    assert line.disconnected() == [Dropped("disconnected")]
    assert line.deadline_s == float("inf")
    assert not line.withdraw()


def test_a_message_that_waits_for_a_busy_peer_can_be_withdrawn() -> None:
    line = _host()
    line.send(MESSAGE, 0.0)
    line.feed(_bytes(NAK), 0.0)
    assert line.withdraw()
    assert line.deadline_s == float("inf")
    assert not line.judging


def test_an_enq_that_comes_twice_before_any_frame_is_answered_twice() -> None:
    line = _host()
    line.feed(_bytes(ENQ), 0.0)
    line.feed(_bytes(ENQ), 0.0)
    assert line.output() == _bytes(ACK, ACK)


def test_a_transfer_without_any_frame_ends_quietly() -> None:
    line = _host()
    line.feed(_bytes(ENQ), 0.0)
    assert line.tick(FRAME_S) == []
    line.feed(_bytes(ENQ), FRAME_S)
    assert line.feed(_bytes(EOT), FRAME_S) == []
