"""Handing an E1381 line from one dialogue to the next, between two transfers: nothing lost, nothing read twice."""

import pytest

from edge.wire.astm import FRAME_S, Dialogue, Received
from edge.wire.astm_frames import ENQ, EOT, encode

MESSAGE = b"H|@^\\|m1\rQ|1|ALL||||||||||O@N\rL|1|N\r"
LONG = b"H|@^\\|m2\r" + b"R|1|" + b"x" * 600 + b"\rL|1|N\r"
NEXT = b"H|@^\\|m3\rO|1|another\rL|1|N\r"


def _host() -> Dialogue:
    return Dialogue(instrument=False)


def _bytes(*codes: int) -> bytes:
    return bytes(codes)


def _deliver(line: Dialogue, text: bytes) -> None:
    """Play the instrument's part up to the last frame."""
    line.feed(_bytes(ENQ), 0.0)
    for frame in encode(text):
        line.feed(frame, 0.0)


def _transfer(text: bytes) -> bytes:
    return _bytes(ENQ) + b"".join(encode(text)) + _bytes(EOT)


def _one_after_the_other(pieces: list[bytes]) -> list[bytes]:
    """Receive with a new dialogue for each message, as children do; every answer is waited for in its place."""
    received, line, waiting = [], _host(), list(pieces)
    while waiting:
        for event in line.feed(waiting.pop(0), 0.0):
            assert isinstance(event, Received), event
            received.append(event.text)
            line.finish()
            assert line.accept(0.0) == []
        if line.finished:
            waiting.insert(0, line.rest())
            line = _host()
            waiting = [piece for piece in waiting if piece]
    assert not line.judging
    return received


@pytest.mark.parametrize("text", [MESSAGE, LONG])
def test_a_line_is_handed_on_at_every_byte_and_nothing_is_lost_or_read_twice(text: bytes) -> None:
    stream = _transfer(text) + _transfer(NEXT) + _transfer(MESSAGE)
    for cut in range(len(stream) + 1):
        assert _one_after_the_other([piece for piece in (stream[:cut], stream[cut:]) if piece]) == [text, NEXT, MESSAGE]


def test_a_line_is_handed_on_when_bytes_come_one_by_one() -> None:
    stream = _transfer(LONG) + _transfer(NEXT)
    assert _one_after_the_other([bytes((byte,)) for byte in stream]) == [LONG, NEXT]


def test_a_dialogue_that_finishes_is_not_finished_before_its_transfer_is() -> None:
    line = _host()
    _deliver(line, MESSAGE)
    line.finish()
    finished = [line.finished]
    line.accept(0.0)
    finished.append(line.finished)  # the end of the transfer is missing
    line.feed(_bytes(EOT, ENQ), 0.0)
    assert [*finished, line.finished] == [False, False, True]
    assert line.rest() == _bytes(ENQ)


def test_a_refused_message_comes_again_to_the_same_dialogue() -> None:
    line = _host()
    _deliver(line, MESSAGE)
    line.finish()
    line.refuse(0.0)
    assert not line.finished
    assert line.feed(encode(MESSAGE)[-1], 0.0) == [Received(MESSAGE)]


def test_a_message_of_ours_that_waits_is_left_to_the_next_dialogue() -> None:
    line = _host()
    _deliver(line, MESSAGE)
    line.send(NEXT, 0.0)
    line.finish()
    line.accept(0.0)
    line.output()
    line.feed(_bytes(EOT), 0.0)
    assert line.finished
    assert line.output() == b""
    assert line.tick(1e9) == []
    assert line.withdraw()


def test_a_finishing_dialogue_whose_peer_falls_silent_is_finished_after_the_standard_s_time() -> None:
    line = _host()
    _deliver(line, MESSAGE)
    line.finish()
    line.accept(0.0)
    line.tick(FRAME_S)
    assert line.finished
