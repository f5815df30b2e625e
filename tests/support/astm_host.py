"""A laboratory host on an ASTM line, written from the standard for tests: blocking, one socket, misbehaves on request.

It shares no code with firmware_sim or edge, so that a misreading in one of them cannot hide in the other.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass

STX, ETX, EOT, ENQ, ACK, NAK, ETB = b"\x02", b"\x03", b"\x04", b"\x05", b"\x06", b"\x15", b"\x17"
RECORD_TIMEOUT_S = 10.0


class LineGoneError(Exception):
    """The instrument closed or cut the line."""


def checksum(content: bytes) -> bytes:
    """Two hexadecimal digits of the sum modulo 256."""
    return f"{sum(content) & 0xFF:02X}".encode()


def frame(number: int, text: bytes, *, last: bool = True) -> bytes:
    """One frame as a host sends it."""
    content = str(number).encode() + text + (ETX if last else ETB)
    return STX + content + checksum(content) + b"\r\n"


def message(*records: str) -> bytes:
    """Records, each ended by CR."""
    return "".join(f"{record}\r" for record in records).encode("latin-1")


def order(sample: str, assay: str = "SARSCOV2") -> bytes:
    """An order download in answer to a query."""
    return message(
        "H|@^\\|TEST-1||LIS|||||kiosk^GeneXpert^6.5||P|1394-97|20211212093005",
        "P|1",
        f"O|1|{sample}||^^^{assay}|R|20211212093005|||||A||||ORH||||||||||Q",
        "L|1|F",
    )


def no_order() -> bytes:
    """The answer of a host that has nothing to run."""
    return message("H|@^\\|TEST-2||LIS|||||kiosk^GeneXpert^6.5||P|1394-97|20211212093005", "L|1|I")


@dataclass
class Received:
    """One message of the instrument: its text and the frames it came in, refused ones included."""

    text: bytes
    frames: list[bytes]

    @property
    def records(self) -> list[list[str]]:
        return [record.split("|") for record in self.text.decode("latin-1").split("\r") if record]

    def of(self, letter: str) -> list[list[str]]:
        """The records of one type."""
        return [record for record in self.records if record[0] == letter]

    @property
    def main_words(self) -> list[str]:
        """The words of the main results: those with an assay name."""
        return [record[3].split("^")[0] for record in self.of("R") if record[2].split("^")[4]]

    @property
    def sample(self) -> str:
        """The sample id of the first order record."""
        return self.of("O")[0][2]


class AstmHost:
    """Connects to an analyser and speaks the host's side."""

    def __init__(self, where: str, *, frame_patience_s: float = RECORD_TIMEOUT_S) -> None:
        name, _, port = where.rpartition(":")
        self._frame_patience_s = frame_patience_s
        self.socket = socket.create_connection((name, int(port)), timeout=RECORD_TIMEOUT_S)

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> "AstmHost":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def byte(self) -> bytes:
        """One byte; LineGoneError at the end of the line."""
        try:
            data = self.socket.recv(1)
        except ConnectionError as exc:
            raise LineGoneError from exc
        if not data:
            raise LineGoneError
        return data

    def expect(self, wanted: bytes) -> None:
        got = self.byte()
        assert got == wanted, f"expected {wanted!r}, got {got!r}"

    def put(self, data: bytes) -> None:
        self.socket.sendall(data)

    def skip_to(self, *wanted: bytes) -> bytes:
        """Drop noise until one of these bytes comes."""
        while True:
            got = self.byte()
            if got in wanted:
                return got

    def read_frame(self) -> bytes:
        """The bytes from after STX to LF, without either; what there is when the frame stops for too long."""
        body = b""
        self.socket.settimeout(self._frame_patience_s)
        try:
            while not body.endswith(b"\n"):
                body += self.byte()
                assert len(body) <= 260, "a frame is at most 247 bytes long"
        except TimeoutError:
            return body
        finally:
            self.socket.settimeout(RECORD_TIMEOUT_S)
        return body[:-1]

    def receive(self, *, refuse: Callable[[int], bool] = lambda _: False) -> Received:
        """Take one message; `refuse(turn)` says which frames (counted with repeats) get NAK although they are sound."""
        self.skip_to(ENQ)
        self.put(ACK)
        return self.receive_frames(refuse=refuse)

    def receive_frames(self, *, refuse: Callable[[int], bool] = lambda _: False) -> Received:
        """After ENQ was acknowledged: frames until EOT."""
        text, frames, expected, turn = b"", [], 1, 0
        while self.skip_to(STX, EOT) == STX:
            body = self.read_frame()
            frames.append(body)
            sound = body[-3:-1] == checksum(body[:-3]) and body[-1:] == b"\r"
            if not sound or refuse(turn):
                self.put(NAK)
            elif int(body[:1]) == expected:
                text += body[1:-4]
                expected = (expected + 1) % 8
                self.put(ACK)
            else:
                assert int(body[:1]) == (expected - 1) % 8, "the frame number is neither the next nor the last"
                self.put(ACK)
            turn += 1
        return Received(text, frames)

    def send(self, text: bytes) -> None:
        """Send one message, repeating frames that are refused, at most six times each."""
        self.put(ENQ)
        self.expect(ACK)
        pieces = [text[at : at + 240] for at in range(0, len(text), 240)]
        for i, piece in enumerate(pieces):
            data = frame((i + 1) % 8, piece, last=i == len(pieces) - 1)
            for _ in range(7):
                self.put(data)
                answer = self.byte()
                if answer == ACK:
                    break
                assert answer == NAK
            else:
                raise AssertionError("a frame was refused seven times")
        self.put(EOT)

    def order_for_query(self, sample: str, assay: str = "SARSCOV2") -> Received:
        """Take a query and answer it with one order."""
        query = self.receive()
        assert query.of("Q"), query.text
        self.send(order(sample, assay))
        return query
