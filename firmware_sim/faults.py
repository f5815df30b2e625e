"""The fault menu, and what it does to bytes on their way out. Pure.

In: a frame, its turn (0, 1, 2… since the link began) and where its checksum stands. Out: steps for the transport.
Faults of what an instrument *means* (drift, stuck, late, …) are the instruments' own; here is only what a cable does.
Single control characters (ENQ, ACK, EOT) always pass: E1381 has no way to tell a damaged one from noise.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from firmware_sim.chance import below
from firmware_sim.errors import ConfigError


class Fault(StrEnum):
    """Names as on the command line and in district files."""

    NONE = "none"
    NOISE = "noise"
    TRUNCATED_FRAME = "truncated_frame"
    WRONG_CHECKSUM = "wrong_checksum"
    SLOW = "slow"
    UNPLUG = "unplug"
    NAK_STORM = "nak_storm"
    DUPLICATE = "duplicate"
    DRIFT = "drift"
    STUCK = "stuck"
    CLOCK_JUMP = "clock_jump"
    LATE = "late"
    CONTROL_FAILED = "control_failed"
    PAPER_LOW = "paper_low"
    PAPER_OUT = "paper_out"
    PAPER_ENDS = "paper_ends"
    COVER_OPEN = "cover_open"
    GARBAGE = "garbage"


# What only an analyser can do wrong, and all that a printer can.
ANALYSER_ONLY = frozenset({Fault.LATE, Fault.CONTROL_FAILED})
PRINTER_ONLY = frozenset({Fault.PAPER_LOW, Fault.PAPER_OUT, Fault.PAPER_ENDS, Fault.COVER_OPEN, Fault.GARBAGE})

SHORTEST_DAMAGED_BYTES = 5
REPLUG_S = 2.0  # real seconds without a cable
_NOISE_EVERY, _BIT_EVERY = 3, 6
_NOISE_BYTES_MAX = 8
_TRUNCATED_EVERY = 5
_CHECKSUM_EVERY = 4
_UNPLUG_EVERY = 20
_DUPLICATE_EVERY = 3
_SLOW_PAUSE_S = 0.05
_HIGH_BIT = 0x80


@dataclass(frozen=True, slots=True)
class Send:
    """Put bytes on the line, `pause_s` real seconds after the step before."""

    data: bytes
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Unplug:
    """Take the cable out for REPLUG_S."""


Step = Send | Unplug


@dataclass(frozen=True, slots=True)
class Line:
    """What of a protocol the cable's faults need to know."""

    checksum: slice  # where it stands in a frame
    slow_bytes: int  # how many bytes come at once on a slow line
    duplicates: bool  # whether the cable may double a frame (a stop-and-wait protocol would lose step)


ASTM_LINE = Line(checksum=slice(-4, -2), slow_bytes=16, duplicates=False)
MODBUS_LINE = Line(checksum=slice(-2, None), slow_bytes=4, duplicates=True)


# Kind of instrument -> the faults that it can have.
MENUS: Mapping[str, tuple[Fault, ...]] = MappingProxyType(
    {
        "genexpert": tuple(fault for fault in Fault if fault not in PRINTER_ONLY),
        "scd30": tuple(fault for fault in Fault if fault not in PRINTER_ONLY | ANALYSER_ONLY),
        "printer": tuple(fault for fault in Fault if fault in PRINTER_ONLY | {Fault.NONE, Fault.SLOW, Fault.UNPLUG}),
    }
)


def parse(name: str, *, kind: str) -> Fault:
    """The fault of that name.

    Raises:
        ConfigError: there is none, or this instrument cannot have it; the sentence lists those it can.
    """
    if name not in MENUS[kind]:
        raise ConfigError(f"there is no fault {name!r} here; choose one of {', '.join(MENUS[kind])}")
    return Fault(name)


def damage(fault: Fault, frame: bytes, turn: int, line: Line) -> list[Step]:
    """What comes out of the cable when the instrument puts this frame in."""
    change = _CABLE_FAULTS.get(fault)
    if change is None or len(frame) < SHORTEST_DAMAGED_BYTES:
        return [Send(frame)]
    return change(frame, turn, line)


def _every(period: int, turn: int) -> bool:
    return turn % period == period - 1


def _noise(frame: bytes, turn: int, line: Line) -> list[Step]:  # noqa: ARG001 - as the table calls it
    if _every(_BIT_EVERY, turn):
        at = 2 + below(len(frame) - 4, "flipped", turn)  # neither the frame's first byte nor its end
        frame = frame[:at] + bytes([frame[at] ^ 1]) + frame[at + 1 :]
    if not _every(_NOISE_EVERY, turn):
        return [Send(frame)]
    count = 1 + below(_NOISE_BYTES_MAX, "noise", turn)
    garbage = bytes(_HIGH_BIT | below(_HIGH_BIT, "noise", turn, i) for i in range(count))
    return [Send(garbage + frame)]


def _truncated_frame(frame: bytes, turn: int, line: Line) -> list[Step]:  # noqa: ARG001 - as the table calls it
    return [Send(frame[: len(frame) // 2] if _every(_TRUNCATED_EVERY, turn) else frame)]


def _wrong_checksum(frame: bytes, turn: int, line: Line) -> list[Step]:
    if not _every(_CHECKSUM_EVERY, turn):
        return [Send(frame)]
    start, stop, _ = line.checksum.indices(len(frame))
    return [Send(frame[:start] + bytes(byte ^ 1 for byte in frame[start:stop]) + frame[stop:])]


def _slow(frame: bytes, turn: int, line: Line) -> list[Step]:  # noqa: ARG001 - as the table calls it
    pieces = [frame[at : at + line.slow_bytes] for at in range(0, len(frame), line.slow_bytes)]
    return [Send(piece, _SLOW_PAUSE_S) for piece in pieces]


def _unplug(frame: bytes, turn: int, line: Line) -> list[Step]:  # noqa: ARG001 - as the table calls it
    return [Send(frame[: len(frame) // 2]), Unplug()] if _every(_UNPLUG_EVERY, turn) else [Send(frame)]


def _duplicate(frame: bytes, turn: int, line: Line) -> list[Step]:
    return [Send(frame + frame if line.duplicates and _every(_DUPLICATE_EVERY, turn) else frame)]


_CABLE_FAULTS: Mapping[Fault, Callable[[bytes, int, Line], list[Step]]] = MappingProxyType(
    {
        Fault.NOISE: _noise,
        Fault.TRUNCATED_FRAME: _truncated_frame,
        Fault.WRONG_CHECKSUM: _wrong_checksum,
        Fault.SLOW: _slow,
        Fault.UNPLUG: _unplug,
        Fault.DUPLICATE: _duplicate,
    }
)
