"""ASTM E1381 (CLSI LIS1-A) frames: bytes to tokens and back. Pure; no dialogue here, that is `astm.py`.

    STX n text ETB|ETX c c CR LF        n = frame number 0-7, cc = sum of n..ETB|ETX modulo 256 in hexadecimal

A frame runs from STX to LF, which no text may hold; whatever else a flipped bit puts between them is damage of this
frame and never a control character: an ENQ that was no ENQ would be acknowledged, and the sender would take that for
the proof that its frame was kept. Only a frame that came to its end is answered at all; one that stops half way is
forgotten after a silence, for an answer to it would be taken for an answer to the next.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

STX, ETX, EOT, ENQ, ACK, LF, NAK, ETB = 0x02, 0x03, 0x04, 0x05, 0x06, 0x0A, 0x15, 0x17

SEND_TEXT_BYTES = 240  # LIS1-A 8.3.1.1: every receiver takes this much
MAX_FRAME_BYTES = 64_000  # LIS1-A 8.3.1.1: the most that parties may agree on

STALL_S = 5.0  # silence after which half a frame is given up; a sender waits 15 s before it goes on (LIS1-A 8.5.2)

_CONTROLS = frozenset({ENQ, ACK, NAK, EOT})
_BEGINNINGS = frozenset({STX, *_CONTROLS})
_FORBIDDEN_IN_TEXT = re.compile(rb"[\x01-\x06\x0a\x10-\x17]")  # LIS1-A 8.3.1.2
_TAIL_BYTES = 5  # ETB|ETX c c CR LF
_TAIL = re.compile(rb"([\x03\x17])([0-9A-Fa-f]{2})\r\n")


@dataclass(frozen=True, slots=True)
class Control:
    """One of ENQ, ACK, NAK, EOT outside a frame."""

    code: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame whose checksum holds; `last` says that ETX ended it."""

    number: int
    text: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class BadFrame:
    """A complete frame that may not be trusted: answer NAK."""

    reason: str


@dataclass(frozen=True, slots=True)
class Noise:
    """Bytes that were no frame, or the beginning of one that never ended: count them, say nothing."""

    size_bytes: int


Token = Control | Frame | BadFrame | Noise


def checksum(covered: bytes) -> bytes:
    """Return the two hexadecimal digits for `n text ETB|ETX`."""
    return b"%02X" % (sum(covered) % 256)


def encode(text: bytes) -> list[bytes]:
    """Cut a message into frames, numbered from 1; ValueError when it is empty or holds a control character."""
    if not text or _FORBIDDEN_IN_TEXT.search(text):
        raise ValueError("a message is not empty and has no control character but CR")
    cuts = range(0, len(text), SEND_TEXT_BYTES)
    frames = []
    for index, start in enumerate(cuts):
        end = ETX if start == cuts[-1] else ETB
        covered = b"%d%b%c" % ((index + 1) % 8, text[start : start + SEND_TEXT_BYTES], end)
        frames.append(b"%c%b%b\r\n" % (STX, covered, checksum(covered)))
    return frames


class FrameReader:
    """Turns received bytes, in whatever pieces they come, into tokens."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._last_fed_s = 0.0
        self._stale = 0

    def feed(self, data: bytes, now_s: float) -> None:
        """Take bytes as they came."""
        if self._buffer and now_s - self._last_fed_s >= STALL_S:
            self._stale = len(self._buffer)
        self._last_fed_s = now_s
        self._buffer += data

    def clear(self) -> None:
        """Forget what is left: the connection it came by is gone."""
        self._buffer.clear()
        self._stale = 0

    def rest(self) -> bytes:
        """Take what is left."""
        left = bytes(self._buffer)
        self.clear()
        return left

    def tokens(self) -> Iterator[Token]:
        """Give what is complete, one at a time: a caller that stops here leaves the rest for later."""
        while self._buffer:
            first = self._buffer[0]
            if self._stale:
                size, self._stale = self._stale, 0
                yield self._drop(size)
            elif first in _CONTROLS:
                del self._buffer[0]
                yield Control(first)
            elif first != STX:
                junk = (i for i, byte in enumerate(self._buffer) if byte in _BEGINNINGS)
                yield self._drop(next(junk, len(self._buffer)))
            elif (end := self._buffer.find(LF)) >= 0:
                frame = bytes(self._buffer[1 : end + 1])
                del self._buffer[: end + 1]
                yield _judge(frame)
            elif len(self._buffer) > MAX_FRAME_BYTES:
                yield self._drop(len(self._buffer))
            else:
                return

    def _drop(self, size: int) -> Noise:
        del self._buffer[:size]
        return Noise(size)


def _judge(frame: bytes) -> Token:
    """Judge `n text ETB|ETX c c CR LF`."""
    tail = _TAIL.fullmatch(frame[-_TAIL_BYTES:])
    if tail is None or len(frame) > MAX_FRAME_BYTES:
        return BadFrame("layout")
    covered = frame[: 1 - _TAIL_BYTES]
    if checksum(covered) != tail[2].upper():
        return BadFrame("checksum")
    if not b"0" <= covered[:1] <= b"7" or _FORBIDDEN_IN_TEXT.search(covered, 1, len(covered) - 1):
        return BadFrame("content")
    return Frame(number=covered[0] - ord("0"), text=covered[1:-1], last=tail[1][0] == ETX)
