"""QR symbols (ISO/IEC 18004), the one door to segno: an address to rows of dark and light modules. No I/O."""

import segno

from edge.errors import SlipError

Rows = tuple[tuple[bool, ...], ...]


def modules(data: str) -> Rows:
    """Return the symbol without its quiet zone, error correction M or better; SlipError when it does not fit."""
    try:
        symbol = segno.make(data, error="m", micro=False, boost_error=True)
    except (ValueError, UnicodeError):  # segno quotes what it was given, which nobody may see
        raise SlipError("the address does not fit a symbol") from None
    return tuple(tuple(bool(cell) for cell in row) for row in symbol.matrix)
