"""ASTM E1381 frames: text to frames and a stream of bytes back to frames. No I/O, no clock.

Frame (CLSI LIS1-A §8.3): STX, frame number, text, ETB or ETX, two hexadecimal digits of the sum modulo 256 from the
number up to and with ETB/ETX, CR, LF. What the two ends say between frames is in firmware_sim.wire.astm_link.
"""

from dataclasses import dataclass

from firmware_sim.errors import ChecksumError, FrameError

STX, ETX, EOT, ENQ, ACK, LF, NAK, ETB = 0x02, 0x03, 0x04, 0x05, 0x06, 0x0A, 0x15, 0x17
FRAME_NUMBERS = 8  # 1..7, then 0
TEXT_BYTES = 240  # LIS1-A §8.3: longer texts are cut
MAX_FRAME_BYTES = 64_000  # the longest frame any LIS1-A host sends; beyond it the peer only wants our memory
_OVERHEAD_BYTES = 7  # STX, number, ETX, two digits, CR, LF
_SHORTEST_BODY = 4  # number, ETX, two digits


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame whose sum was right."""

    number: int
    text: bytes
    last: bool


def encode(text: bytes) -> list[bytes]:
    """Cut a message into frames, numbered from 1."""
    pieces = [text[at : at + TEXT_BYTES] for at in range(0, max(len(text), 1), TEXT_BYTES)]
    final = len(pieces) - 1
    return [_frame((i + 1) % FRAME_NUMBERS, piece, last=i == final) for i, piece in enumerate(pieces)]


def decode(body: bytes) -> Frame:
    """Decode what stands between STX and LF, both excluded.

    Raises:
        ChecksumError: the sum does not fit.
        FrameError: anything else is wrong.
    """
    if not body.endswith(b"\r") or len(body) <= _SHORTEST_BODY:
        raise FrameError(f"{len(body)} bytes without CR at the end, or too few")
    content, digits = body[:-3], body[-3:-1]
    end = content[-1]
    if end not in (ETX, ETB):
        raise FrameError("neither ETX nor ETB before the checksum")
    if digits.upper() != b"%02X" % (sum(content) % 256):
        raise ChecksumError("the frame's sum does not fit")
    number = content[0] - ord("0")
    if not 0 <= number < FRAME_NUMBERS:
        raise FrameError("the frame number is no digit from 0 to 7")
    return Frame(number, content[1:-1], last=end == ETX)


class FrameCollector:
    """Collects the bytes of one frame, from after its STX to its LF."""

    def __init__(self) -> None:
        self._body: bytearray | None = None

    @property
    def open(self) -> bool:
        """Whether a frame has begun."""
        return self._body is not None

    def begin(self) -> None:
        """STX: whatever was collected before it was cut off."""
        self._body = bytearray()

    def drop(self) -> None:
        """Forget a frame that has begun."""
        self._body = None

    def add(self, byte: int) -> bytes | None:
        """The body when this byte was its LF, else None.

        Raises:
            FrameError: the frame is longer than any; it is dropped.
        """
        if self._body is None:
            return None
        if byte == LF:
            body = bytes(self._body)
            self._body = None
            return body
        self._body.append(byte)
        if len(self._body) > MAX_FRAME_BYTES - _OVERHEAD_BYTES:
            self._body = None
            raise FrameError("the frame has no end")
        return None


def _frame(number: int, text: bytes, *, last: bool) -> bytes:
    content = b"%d%b%c" % (number, text, ETX if last else ETB)
    return b"\x02%b%02X\r\n" % (content, sum(content) % 256)
