"""ESC/POS as a printer hears it: a stream of bytes to things to do. No I/O, no clock.

After docs/protocols/escpos.md. Real-time commands are looked for in everything, pictures included, as printers do; the
rest waits its turn. What no printer knows is dropped, and the bytes behind it are taken for text: just as on paper.
"""

from collections.abc import Iterator
from dataclasses import dataclass

MAX_ROWS = 4095
MAX_WIDE = 255  # bytes of a row

_DLE, _EOT, _ENQ, _DC4 = 0x10, 0x04, 0x05, 0x14
_ESC, _GS, _LF = 0x1B, 0x1D, 0x0A
_PRINTABLE = 0x20
_STATUSES = range(1, 5)
_LINE_DOTS = 30
_RASTER_HEAD = 8


@dataclass(frozen=True, slots=True)
class Status:
    """DLE EOT n: answer at once."""

    number: int


@dataclass(frozen=True, slots=True)
class Mischief:
    """A real-time command that no slip has any business with: a drawer opened, the power cut."""


@dataclass(frozen=True, slots=True)
class Reset:
    """ESC @."""


@dataclass(frozen=True, slots=True)
class Raster:
    """A picture: rows of `wide` bytes, 1 = black, highest bit left."""

    wide: int
    rows: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Feed:
    """White paper."""

    dots: int


@dataclass(frozen=True, slots=True)
class Text:
    """Characters of a font that this printer does not have."""

    chars: int


@dataclass(frozen=True, slots=True)
class Cut:
    """The paper is cut."""


@dataclass(frozen=True, slots=True)
class Report:
    """GS r n: answer when everything before it is printed."""

    number: int


Urgent = Status | Mischief
Order = Reset | Raster | Feed | Text | Cut | Report

# Parameters of commands that change looks which this printer does not have: how many bytes to pass over.
_PASSED = {(_ESC, ord(c)): 1 for c in "aEGMRt!3-{ "} | {(_ESC, ord("2")): 0, (_GS, ord("!")): 1, (_GS, ord("a")): 1}


class Decoder:
    """Give it bytes as they come; it gives what is urgent and, in order, what is to be done."""

    def __init__(self) -> None:
        self._held = b""
        self._waiting = bytearray()

    def feed(self, data: bytes) -> tuple[list[Urgent], list[Order]]:
        """Take bytes."""
        urgent = list(self._urgent(data))
        return urgent, list(self._orders())

    def _urgent(self, data: bytes) -> Iterator[Urgent]:
        data = self._held + data
        self._held = b""
        at = 0
        while (found := data.find(_DLE, at)) >= 0:
            self._waiting += data[at:found]
            rest = data[found : found + 3]
            if len(rest) < 3 and (len(rest) == 1 or rest[1] in (_EOT, _ENQ, _DC4)):  # noqa: PLR2004 - DLE, code, n
                self._held = data[found:]
                return
            if rest[1] == _EOT and rest[2] in _STATUSES:
                yield Status(rest[2])
                at = found + 3
            elif rest[1] in (_ENQ, _DC4):
                yield Mischief()
                at = found + 3
            else:
                self._waiting.append(_DLE)
                at = found + 1
        self._waiting += data[at:]

    def _orders(self) -> Iterator[Order]:
        while self._waiting:
            taken, order = self._next()
            if taken == 0:
                return  # the rest of it has not come
            del self._waiting[:taken]
            if order is not None:
                yield order

    def _next(self) -> tuple[int, Order | None]:
        """How many bytes make the first order, and the order; 0 while it is not whole."""
        first = self._waiting[0]
        if first in (_ESC, _GS):
            return self._command()
        if first == _LF:
            return 1, Feed(_LINE_DOTS)
        return 1, Text(1) if first >= _PRINTABLE else None

    def _command(self) -> tuple[int, Order | None]:
        waiting = self._waiting
        if len(waiting) < 2:  # noqa: PLR2004 - lead and letter
            return 0, None
        lead, letter = waiting[0], waiting[1]
        if (lead, letter) == (_GS, ord("v")):
            return self._raster()
        if (lead, letter) in _PASSED:
            length = 2 + _PASSED[lead, letter]
            return (length, None) if len(waiting) >= length else (0, None)
        if (lead, letter) == (_ESC, ord("@")):
            return 2, Reset()
        return self._with_parameter(lead, letter)

    def _with_parameter(self, lead: int, letter: int) -> tuple[int, Order | None]:
        if (lead, chr(letter)) not in _ONE_PARAMETER:
            return 2, None
        if len(self._waiting) < 3:  # noqa: PLR2004 - lead, letter, n
            return 0, None
        number = self._waiting[2]
        if (lead, letter) == (_GS, ord("V")):
            longer = number >= ord("A")  # functions B and up carry one more byte: how far to feed before
            return (4 if longer else 3, Cut()) if len(self._waiting) >= 3 + longer else (0, None)
        if lead == _GS:
            return 3, Report(number)
        return 3, Feed(number if letter == ord("J") else number * _LINE_DOTS)

    def _raster(self) -> tuple[int, Order | None]:
        waiting = self._waiting
        if len(waiting) < _RASTER_HEAD:
            return 0, None
        wide, rows = waiting[4] | waiting[5] << 8, waiting[6] | waiting[7] << 8
        if waiting[2] != ord("0") or not 0 < wide <= MAX_WIDE or not 0 < rows <= MAX_ROWS:
            return _RASTER_HEAD, None
        end = _RASTER_HEAD + wide * rows
        if len(waiting) < end:
            return 0, None
        return end, Raster(wide, rows, bytes(waiting[_RASTER_HEAD:end]))


_ONE_PARAMETER = {(_GS, "V"), (_GS, "r"), (_ESC, "J"), (_ESC, "d")}
