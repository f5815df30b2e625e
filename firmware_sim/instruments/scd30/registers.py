"""The SCD30's registers: a request in, an answer out. No I/O, no clock; `now_ns` is simulated.

After Sensirion, Interface Description SCD30 Sensor Module, version 1.0 (May 2020), §1.4. The table is in
docs/protocols/scd30.md.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from firmware_sim.chance import below, normal, uniform
from firmware_sim.clock import NS_PER_S
from firmware_sim.errors import SimulatorError
from firmware_sim.faults import Fault
from firmware_sim.instruments.scd30.room import Air
from firmware_sim.wire.modbus_rtu import (
    FUNCTIONS,
    MAX_READ_WORDS,
    WRITE_SINGLE,
    ExceptionCode,
    Request,
    exception,
    read_answer,
    write_answer,
)

ADDRESS = 0x61
FIRMWARE = 0x0342  # 3.66

(FIRMWARE_VERSION, INTERVAL, DATA_READY, MEASUREMENT, RESET, START, STOP, ALTITUDE, RECALIBRATION, SELF_CALIBRATION) = (
    0x20,
    0x25,
    0x27,
    0x28,
    0x34,
    0x36,
    0x37,
    0x38,
    0x39,
    0x3A,
)
TEMPERATURE_OFFSET = 0x3B
DEFAULT_INTERVAL_S = 2
_MEASUREMENT_WORDS = 6
_LARGEST_WORD = 0xFFFF

_CO2_SD_PPM, _TEMPERATURE_SD_C, _HUMIDITY_SD_PCT = 5.0, 0.05, 0.2
_RANGE_PPM = (0.0, 40_000.0)  # what the sensor puts out; it is specified from 400 to 10 000
_NOISE_EVERY, _NOISE_PPM = 5, 800.0
_DRIFT_PPM_PER_H = 2.0
_BUSY_EVERY_OK = 5  # nak_storm: every fifth request is served
_LATE_EVERY, _LATE_S = 10, 3600


class _RefusedError(SimulatorError):
    def __init__(self, code: ExceptionCode) -> None:
        super().__init__(code.name)
        self.code = code


@dataclass(frozen=True, slots=True)
class _Setting:
    """A register that is written and read back."""

    default: int
    allowed: Callable[[int], bool]


_LOWEST_MBAR, _HIGHEST_MBAR = 700, 1400
_SETTINGS: Mapping[int, _Setting] = MappingProxyType(
    {
        INTERVAL: _Setting(DEFAULT_INTERVAL_S, range(2, 1801).__contains__),
        START: _Setting(0, lambda mbar: mbar == 0 or _LOWEST_MBAR <= mbar <= _HIGHEST_MBAR),
        ALTITUDE: _Setting(0, range(_LARGEST_WORD + 1).__contains__),
        RECALIBRATION: _Setting(400, range(400, 2001).__contains__),
        SELF_CALIBRATION: _Setting(0, range(2).__contains__),
        TEMPERATURE_OFFSET: _Setting(0, range(_LARGEST_WORD + 1).__contains__),
    }
)
_COMMANDS = (RESET, STOP)  # written with 1, never read


class Sensor:
    """The registers of one sensor and what it has measured."""

    def __init__(
        self, air: Callable[[int], Air], *, name: str, seed: int, now_ns: int, fault: Fault = Fault.NONE
    ) -> None:
        self._air = air
        self._key = (name, seed)
        self._fault = fault
        self._settings = {register: setting.default for register, setting in _SETTINGS.items()}
        self._measuring = True  # kept through power cuts; it was started when the sensor was installed
        self._start_ns = now_ns
        self._next_ns = now_ns
        self._bias_ppm = 0.0
        self._samples = 0
        self._requests = 0
        self._ready = False
        self._latest = air(now_ns)

    def serve(self, request: Request, now_ns: int) -> bytes | None:
        """The answer, or None when the request is for somebody else."""
        if request.address != ADDRESS:
            return None
        self._requests += 1
        if self._fault is Fault.NAK_STORM and self._requests % _BUSY_EVERY_OK:
            return exception(request, ExceptionCode.BUSY)
        self._measure(now_ns)
        try:
            if request.function not in FUNCTIONS:
                raise _RefusedError(ExceptionCode.ILLEGAL_FUNCTION)
            if request.function == WRITE_SINGLE:
                self._write(request.register, request.value, now_ns)
                return write_answer(request)
            return read_answer(request, self._read(request.register, request.value))
        except _RefusedError as refused:
            return exception(request, refused.code)

    # --- registers --------------------------------------------------------------------------------------

    def _read(self, register: int, count: int) -> list[int]:
        if not 1 <= count <= MAX_READ_WORDS:
            raise _RefusedError(ExceptionCode.ILLEGAL_VALUE)
        words = {FIRMWARE_VERSION: FIRMWARE, DATA_READY: int(self._ready), **self._settings}
        latest = self._latest
        packed = struct.pack(">3f", latest.co2_ppm, latest.temperature_c, latest.humidity_pct)
        words |= {MEASUREMENT + i: word for i, word in enumerate(struct.unpack(f">{_MEASUREMENT_WORDS}H", packed))}
        span = range(register, register + count)
        if any(at not in words for at in span):
            raise _RefusedError(ExceptionCode.ILLEGAL_ADDRESS)
        if MEASUREMENT in span:
            self._ready = False
        return [words[at] for at in span]

    def _write(self, register: int, value: int, now_ns: int) -> None:
        setting = _SETTINGS.get(register)
        if setting is None and register not in _COMMANDS:
            raise _RefusedError(ExceptionCode.ILLEGAL_ADDRESS)
        if not (value == 1 if setting is None else setting.allowed(value)):
            raise _RefusedError(ExceptionCode.ILLEGAL_VALUE)
        if register == STOP:
            self._measuring, self._ready = False, False
            return
        if register == RESET:
            self._ready, self._next_ns = False, now_ns
            return
        self._settings[register] = value
        if register == START:
            self._measuring, self._next_ns = True, now_ns
        elif register == RECALIBRATION:
            self._bias_ppm += value - self._latest.co2_ppm

    # --- measuring --------------------------------------------------------------------------------------

    def _measure(self, now_ns: int) -> None:
        """Take the measurement that is due; of several missed ones only the newest is kept, as in the sensor."""
        if not self._measuring or now_ns < self._next_ns:
            return
        self._samples += 1
        interval_s = self._settings[INTERVAL]
        if self._fault is Fault.CLOCK_JUMP and self._samples % _LATE_EVERY == 0:
            interval_s += _LATE_S
        self._next_ns = now_ns + interval_s * NS_PER_S
        self._ready = True
        if self._fault is not Fault.STUCK or self._samples == 1:
            self._latest = self._reading(now_ns)

    def _reading(self, now_ns: int) -> Air:
        true = self._air(now_ns)
        key = (*self._key, now_ns)
        co2_ppm = true.co2_ppm + self._bias_ppm + _CO2_SD_PPM * normal(*key, "co2") + self._error_ppm(now_ns)
        low, high = _RANGE_PPM
        return Air(
            min(max(co2_ppm, low), high),
            true.temperature_c
            - self._settings[TEMPERATURE_OFFSET] / 100.0
            + _TEMPERATURE_SD_C * normal(*key, "temperature"),
            min(max(true.humidity_pct + _HUMIDITY_SD_PCT * normal(*key, "humidity"), 0.0), 100.0),
        )

    def _error_ppm(self, now_ns: int) -> float:
        if self._fault is Fault.DRIFT:
            return _DRIFT_PPM_PER_H * (now_ns - self._start_ns) / NS_PER_S / 3600.0
        if self._fault is Fault.NOISE and below(_NOISE_EVERY, *self._key, now_ns, "which") == 0:
            return _NOISE_PPM * (2.0 * uniform(*self._key, now_ns, "much") - 1.0)
        return 0.0
