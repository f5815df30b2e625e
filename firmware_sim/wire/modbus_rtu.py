"""Modbus RTU, slave's side: requests in, answers out. No I/O, no clock.

Serial line framing and CRC as MODBUS over Serial Line V1.02 §2.5.1; functions 03, 04 and 06 and the exception codes as
MODBUS Application Protocol V1.1b3 §6 and §7. Requests of these three functions are always eight bytes.
"""

from dataclasses import dataclass
from enum import IntEnum

from firmware_sim.errors import ChecksumError, FrameError

REQUEST_BYTES = 8
MAX_PENDING_BYTES = 256  # the longest RTU frame; more without a gap is noise
READ_HOLDING, READ_INPUT, WRITE_SINGLE = 0x03, 0x04, 0x06
FUNCTIONS = (READ_HOLDING, READ_INPUT, WRITE_SINGLE)
MAX_READ_WORDS = 125
_EXCEPTION_BIT = 0x80
_CRC_START, _CRC_POLYNOMIAL = 0xFFFF, 0xA001
_SHORTEST_FRAME = 4  # address, function, CRC
_BITS_A_BYTE = 8


class ExceptionCode(IntEnum):
    """V1.1b3 §7."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    BUSY = 6


@dataclass(frozen=True, slots=True)
class Request:
    """A master's request: `value` is the number of words to read, or the word to write."""

    address: int
    function: int
    register: int
    value: int


def crc(data: bytes) -> bytes:
    """CRC-16, low byte first as it goes over the line."""
    register = _CRC_START
    for byte in data:
        register ^= byte
        for _ in range(_BITS_A_BYTE):
            register = (register >> 1) ^ _CRC_POLYNOMIAL if register & 1 else register >> 1
    return register.to_bytes(2, "little")


def decode(frame: bytes) -> Request:
    """Decode one whole request; register and value are 0 when the function is none of ours.

    Raises:
        ChecksumError: the CRC does not fit.
        FrameError: the length is wrong.
    """
    if len(frame) < _SHORTEST_FRAME:
        raise FrameError(f"{len(frame)} bytes are no Modbus frame")
    if crc(frame[:-2]) != frame[-2:]:
        raise ChecksumError("the CRC does not fit")
    if frame[1] not in FUNCTIONS:
        return Request(frame[0], frame[1], 0, 0)
    if len(frame) != REQUEST_BYTES:
        raise FrameError(f"a request of function {frame[1]} has {len(frame)} bytes")
    return Request(frame[0], frame[1], int.from_bytes(frame[2:4]), int.from_bytes(frame[4:6]))


def read_answer(request: Request, words: list[int]) -> bytes:
    """The answer to a read."""
    data = b"".join(word.to_bytes(2) for word in words)
    return _closed(bytes([request.address, request.function, len(data)]) + data)


def write_answer(request: Request) -> bytes:
    """The answer to a write: the request again."""
    return _closed(
        bytes([request.address, request.function]) + request.register.to_bytes(2) + request.value.to_bytes(2)
    )


def exception(request: Request, code: ExceptionCode) -> bytes:
    """The answer to a request that cannot be served."""
    return _closed(bytes([request.address, request.function | _EXCEPTION_BIT, code]))


class RequestReader:
    """Finds requests in a stream of bytes that may begin in the middle of noise."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[Request]:
        """Every sound request of our functions that is complete now; bytes before one are noise and dropped."""
        self._pending += data
        found: list[Request] = []
        at = 0
        while len(self._pending) - at >= REQUEST_BYTES:
            request = self._request_at(at)
            if request is not None:
                found.append(request)
                del self._pending[: at + REQUEST_BYTES]
                at = 0
            else:
                at += 1
        del self._pending[: max(0, len(self._pending) - MAX_PENDING_BYTES)]
        return found

    def silence(self) -> Request | None:
        """The line is quiet: what is pending was a frame of another length, or broken."""
        frame = bytes(self._pending)
        self._pending.clear()
        try:
            return decode(frame)
        except FrameError:
            return None

    @property
    def waiting(self) -> bool:
        """Whether bytes wait for more or for silence."""
        return bool(self._pending)

    def _request_at(self, at: int) -> Request | None:
        if self._pending[at + 1] not in FUNCTIONS:
            return None
        try:
            return decode(bytes(self._pending[at : at + REQUEST_BYTES]))
        except FrameError:
            return None


def _closed(body: bytes) -> bytes:
    return body + crc(body)
