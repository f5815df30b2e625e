"""Sensirion SCD30 over Modbus RTU: which registers to ask, and what their words mean. Pure.

Interface Description SCD30 Sensor Module, version 1.0 (May 2020): 1.1 Modbus, 1.4 commands. Line: 19 200 baud 8N1.
"""

import math
import struct
from dataclasses import dataclass

from edge.errors import RecordError
from edge.wire.modbus_rtu import Read, Write

BAUD = 19_200
UNIT = 0x61

FIRMWARE = Read(UNIT, 0x0020, 1)
DATA_READY = Read(UNIT, 0x0027, 1)
MEASUREMENT = Read(UNIT, 0x0028, 6)
START_MEASURING = Write(UNIT, 0x0036, 0)  # 0: no correction for ambient pressure

_FLOATS = struct.Struct(">3f")


@dataclass(frozen=True, slots=True)
class AirSample:
    """One measurement."""

    co2_ppm: float
    temperature_c: float
    humidity_pct: float


def decode_firmware(words: tuple[int, ...]) -> str:
    """Return "major.minor"; RecordError on the wrong number of words."""
    (version,) = _exactly(words, FIRMWARE)
    return f"{version >> 8}.{version & 0xFF}"


def decode_data_ready(words: tuple[int, ...]) -> bool:
    """Tell whether a measurement waits; RecordError for anything but 0 and 1."""
    (ready,) = _exactly(words, DATA_READY)
    if ready not in (0, 1):
        raise RecordError("data ready is neither 0 nor 1")
    return ready == 1


def decode_measurement(words: tuple[int, ...]) -> AirSample:
    """Return the sample; RecordError for what no float32 of a sensor can be."""
    values = _FLOATS.unpack(struct.pack(">6H", *_exactly(words, MEASUREMENT)))
    if not all(math.isfinite(value) for value in values):
        raise RecordError("a value is no number")
    return AirSample(*(round(value, 3) for value in values))  # below the sensor's resolution


def _exactly(words: tuple[int, ...], request: Read) -> tuple[int, ...]:
    if len(words) != request.count:
        raise RecordError(f"{len(words)} registers where {request.count} belong")
    return words
