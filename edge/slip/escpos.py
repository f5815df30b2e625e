"""A bitmap to ESC/POS: initialise, raster in bands, feed, cut. Pure. docs/protocols/escpos.md says what the bytes are.

Printers look for real-time commands (DLE EOT, DLE ENQ, DLE DC4) in everything they are sent, pictures included: rows
that would hold one get one dot more, so that no picture can ask for a status, let alone open a drawer or switch off.
"""

import re
from typing import Final

from edge.slip.raster import Bitmap

INITIALISE: Final = b"\x1b@"
RASTER: Final = b"\x1dv0\x00"  # GS v 0, normal size
FEED_DOTS: Final = b"\x1bJ"
CUT: Final = b"\x1dV\x42\x00"  # GS V 66 0: feed to the cutter, cut but for one point
BAND_ROWS: Final = 128  # small enough for a printer's buffer of 16 KiB

_REAL_TIME: Final = re.compile(rb"\x10(?=[\x04\x05\x14])")


def document(bitmap: Bitmap) -> bytes:
    """Return the whole document; its cut is part of it."""
    wide = (bitmap.width + 7) // 8
    parts = [INITIALISE]
    for top in range(0, bitmap.height, BAND_ROWS):
        rows = min(BAND_ROWS, bitmap.height - top)
        head = RASTER + wide.to_bytes(2, "little") + rows.to_bytes(2, "little")
        parts.append(head + _REAL_TIME.sub(b"\x18", bitmap.data[top * wide : (top + rows) * wide]))
    return b"".join((*parts, FEED_DOTS, b"\x18", CUT, INITIALISE))
