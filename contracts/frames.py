"""Binary messages of constant length: releases and sealed ticks (C11). No I/O.

`version(1) ‖ ob(8) ‖ seq(8) ‖ lo(8) ‖ tick or window start(8) ‖ body`, big-endian, never gzipped, exactly one record
each and never joined. The start is a tick number, or a window's start in Unix seconds. A release's body is the
number of its assay layout (4) and that layout's counters, signed 32-bit: noise makes counts negative. A tick's body
is its records of 256 bytes, always the same number of them from one kiosk.
"""

import struct
from dataclasses import dataclass, field
from typing import Final, Self

from contracts.errors import EnvelopeError, LayoutError, VersionError
from contracts.layout import AssayLayout
from contracts.messages import MAX_ID, VERSION
from contracts.sealed import RECORD_BYTES

_HEAD = struct.Struct(">BQQQQ")
HEAD_BYTES: Final = _HEAD.size
_LAYOUT = struct.Struct(">I")
COUNTER_BYTES: Final = 4
MAX_RECORDS: Final = 16  # of one kiosk in one tick: no cabinet has more modules


@dataclass(frozen=True, slots=True)
class Frame:
    """One record with its identity; the body is bytes."""

    ob: int
    seq: int
    lo: int
    start: int
    body: bytes

    def __post_init__(self) -> None:
        if not 0 < self.ob <= MAX_ID or not 0 < self.lo <= self.seq < MAX_ID or not 0 <= self.start <= MAX_ID:
            raise EnvelopeError("ob, seq and lo are positive 63-bit integers and lo is at most seq")

    def encode(self) -> bytes:
        """Return the bytes for the wire."""
        return _HEAD.pack(VERSION, self.ob, self.seq, self.lo, self.start) + self.body

    @classmethod
    def decode(cls, wire: bytes) -> Self:
        """Read a frame; VersionError or EnvelopeError."""
        if len(wire) < HEAD_BYTES:
            raise EnvelopeError(f"a frame has at least {HEAD_BYTES} bytes")
        version, ob, seq, lo, start = _HEAD.unpack_from(wire)
        if version != VERSION:
            raise VersionError("another version")
        return cls(ob, seq, lo, start, wire[HEAD_BYTES:])


@dataclass(frozen=True, slots=True)
class ReleaseBody:
    """A layout's number and its counters in the layout's order: valid, invalid, positives of each target."""

    layout: int
    counters: tuple[int, ...]

    def encode(self) -> bytes:
        """Return the body of a release; LayoutError for a counter that 32 bits cannot hold."""
        try:
            return _LAYOUT.pack(self.layout) + struct.pack(f">{len(self.counters)}i", *self.counters)
        except struct.error as exc:
            raise LayoutError("a counter is a signed 32-bit integer") from exc

    @classmethod
    def decode(cls, body: bytes, layouts: dict[int, AssayLayout]) -> Self:
        """Read a body by the layout it names; LayoutError when there is none or the length differs."""
        if len(body) < _LAYOUT.size:
            raise LayoutError("no room for a layout's number")
        (number,) = _LAYOUT.unpack_from(body)
        layout = layouts.get(number)
        if layout is None:
            raise LayoutError(f"no layout has the number {number}")
        if len(body) != _LAYOUT.size + COUNTER_BYTES * layout.counters:
            raise LayoutError(f"layout {number} has {layout.counters} counters, the body another length")
        return cls(number, struct.unpack_from(f">{layout.counters}i", body, _LAYOUT.size))


@dataclass(frozen=True, slots=True)
class TickBody:
    """The sealed records of one kiosk and tick, results and dummies; nobody but their holders tells them apart."""

    records: tuple[bytes, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not 1 <= len(self.records) <= MAX_RECORDS or any(len(record) != RECORD_BYTES for record in self.records):
            raise EnvelopeError(f"a tick has 1 to {MAX_RECORDS} records of {RECORD_BYTES} bytes")

    def encode(self) -> bytes:
        """Return the body of a tick."""
        return b"".join(self.records)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read a body; EnvelopeError unless it is 1 to 16 whole records."""
        if not body or len(body) % RECORD_BYTES or len(body) > MAX_RECORDS * RECORD_BYTES:
            raise EnvelopeError(f"a tick has 1 to {MAX_RECORDS} records of {RECORD_BYTES} bytes")
        return cls(tuple(body[at : at + RECORD_BYTES] for at in range(0, len(body), RECORD_BYTES)))
