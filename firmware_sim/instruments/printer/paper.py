"""Paper that comes out of a printer: rows of dots, and the PNG (ISO/IEC 15948) that they are looked at as. No I/O."""

import struct
import zlib

PAPER_WIDE = 72  # bytes of a row: 576 dots, 72 mm
_CHAR_ROWS = 24
_BOX = bytes([0b0111_1111, 0b1110_0000])  # what a printer without that character prints


class Paper:
    """What has come out since the last cut. `keep` False: nothing is remembered but how long it is."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._rows = bytearray()
        self.length = 0

    def raster(self, wide: int, rows: int, data: bytes) -> None:
        """Rows of a picture; what does not fit the paper is lost on its right side."""
        self.length += rows
        if self._keep:
            for at in range(0, wide * rows, wide):
                self._rows += data[at : at + min(wide, PAPER_WIDE)].ljust(PAPER_WIDE, b"\0")

    def feed(self, dots: int) -> None:
        """White rows."""
        self.raster(1, dots, bytes(dots))

    def text(self, chars: int) -> None:
        """Boxes in the place of characters."""
        line = (_BOX * chars)[:PAPER_WIDE]
        self.raster(PAPER_WIDE, _CHAR_ROWS, line.ljust(PAPER_WIDE, b"\0") * _CHAR_ROWS)

    def cut(self) -> bytes:
        """The slip as a PNG, black on white, one bit a dot; forgets it."""
        rows, self._rows, self.length = bytes(self._rows), bytearray(), 0
        height = len(rows) // PAPER_WIDE
        lines = b"".join(b"\0" + rows[y * PAPER_WIDE : (y + 1) * PAPER_WIDE] for y in range(height))
        white = bytes(byte ^ 0xFF if at % (PAPER_WIDE + 1) else 0 for at, byte in enumerate(lines))
        head = struct.pack(">IIBBBBB", PAPER_WIDE * 8, max(height, 1), 1, 0, 0, 0, 0)
        body = zlib.compress(white or b"\0" + b"\xff" * PAPER_WIDE, 9)
        return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
