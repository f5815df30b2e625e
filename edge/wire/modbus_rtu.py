"""Modbus RTU, the master's side of one line: requests to bytes, answers in any split to words. Sans-I/O.

MODBUS over Serial Line V1.02 (frame, CRC) and Application Protocol V1.1b3 (functions 03 and 06, exceptions, section 7).
A pty or a USB adapter keeps no 3.5-character silence, so an answer's length follows from its function instead. RTU has
no transaction number: the caller asks one question at a time and clears the line before the next.
"""

import struct
from dataclasses import dataclass

from edge.errors import ChecksumError, DeviceExceptionError, FrameError

READ_HOLDING, WRITE_SINGLE = 0x03, 0x06
MAX_READ_WORDS = 125  # V1.1b3 6.3
MAX_ADDRESS = 247  # V1.02 2.2
MAX_WORD = 0xFFFF
EXCEPTION_FLAG = 0x80

_CRC_BYTES = 2
_EXCEPTION_BYTES = 5
_HEAD_BYTES = 2  # address, function: enough to tell an exception from an answer
_MAX_BUFFER_BYTES = 1024  # four of the longest frames (256, V1.02 2.3)


def crc16(data: bytes) -> bytes:
    """Return the CRC as it stands on the wire, low byte first (V1.02 6.2.2: polynomial A001, start FFFF)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


@dataclass(frozen=True, slots=True)
class Read:
    """Read `count` holding registers from `register` on."""

    unit: int
    register: int
    count: int

    def __post_init__(self) -> None:
        """Refuse what no device could answer."""
        if not 1 <= self.unit <= MAX_ADDRESS or not 0 <= self.register <= MAX_WORD:
            raise ValueError("unit is 1 to 247, a register 16 bits")
        if not 1 <= self.count <= MAX_READ_WORDS:
            raise ValueError(f"{MAX_READ_WORDS} registers at most")

    @property
    def function(self) -> int:
        """The function code."""
        return READ_HOLDING

    def encode(self) -> bytes:
        """Return the request's frame."""
        body = struct.pack(">BBHH", self.unit, READ_HOLDING, self.register, self.count)
        return body + crc16(body)

    def answer_bytes(self) -> int:
        """How long the answer is."""
        return 3 + 2 * self.count + _CRC_BYTES

    def words(self, body: bytes) -> tuple[int, ...]:
        """Take the registers out of an answer whose CRC holds; FrameError if it answers something else."""
        if body[2] != 2 * self.count:
            raise FrameError("the byte count is not that of the question")
        return struct.unpack(f">{self.count}H", body[3:])


@dataclass(frozen=True, slots=True)
class Write:
    """Write one register."""

    unit: int
    register: int
    value: int

    def __post_init__(self) -> None:
        """Refuse what does not fit a frame."""
        if not 1 <= self.unit <= MAX_ADDRESS or not 0 <= self.register <= MAX_WORD or not 0 <= self.value <= MAX_WORD:
            raise ValueError("unit is 1 to 247, a register and its value 16 bits")

    @property
    def function(self) -> int:
        """The function code."""
        return WRITE_SINGLE

    def encode(self) -> bytes:
        """Return the request's frame."""
        body = struct.pack(">BBHH", self.unit, WRITE_SINGLE, self.register, self.value)
        return body + crc16(body)

    def answer_bytes(self) -> int:
        """How long the answer is: an echo of the request."""
        return 6 + _CRC_BYTES

    def words(self, body: bytes) -> tuple[int, ...]:
        """Check the echo; FrameError if it differs."""
        if body != self.encode()[:-_CRC_BYTES]:
            raise FrameError("the echo differs from what was written")
        return ()


Request = Read | Write


class AnswerReader:
    """Collects the answer to one request, byte by byte if need be, passing over noise before it."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._buffer = bytearray()
        self._fault: ChecksumError | FrameError | None = None

    @property
    def fault(self) -> ChecksumError | FrameError | None:
        """What was wrong with the newest frame that could not be used; the reason to give after a time-out."""
        return self._fault

    def feed(self, data: bytes) -> tuple[int, ...] | None:
        """Take bytes; the answer's registers, or None while it is not there.

        A damaged frame is passed over, for a good one may follow it (a device that answers twice, noise that looks like
        a head). DeviceExceptionError when the device says no; FrameError when nothing but noise comes.
        """
        self._buffer += data
        while True:
            start = self._find_head()
            if start is None:
                break
            del self._buffer[:start]
            size = _EXCEPTION_BYTES if self._buffer[1] & EXCEPTION_FLAG else self._request.answer_bytes()
            if len(self._buffer) < size:
                return None
            words = self._judge(bytes(self._buffer[:size]))
            if words is not None:
                return words
            del self._buffer[0]
        if len(self._buffer) > _MAX_BUFFER_BYTES:
            raise FrameError("nothing but noise on the line")
        return None

    def _find_head(self) -> int | None:
        functions = (self._request.function, self._request.function | EXCEPTION_FLAG)
        for at in range(len(self._buffer) - _HEAD_BYTES + 1):
            if self._buffer[at] == self._request.unit and self._buffer[at + 1] in functions:
                return at
        return None

    def _judge(self, frame: bytes) -> tuple[int, ...] | None:
        body, crc = frame[:-_CRC_BYTES], frame[-_CRC_BYTES:]
        if crc16(body) != crc:
            self._fault = ChecksumError("CRC does not hold")
            return None
        if body[1] & EXCEPTION_FLAG:
            raise DeviceExceptionError(f"exception {body[2]:02d}")
        try:
            return self._request.words(body)
        except FrameError as exc:
            self._fault = exc
            return None
