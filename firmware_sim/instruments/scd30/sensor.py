"""The sensor's end of its line: requests are answered after three milliseconds, broken ones end in silence."""

import asyncio
from collections.abc import Callable

from firmware_sim.instruments.scd30.registers import Sensor
from firmware_sim.transport import Cable
from firmware_sim.wire.modbus_rtu import Request, RequestReader

ANSWER_AFTER_S = 0.003  # Interface Description §1.1: the master leaves at least this much before it reads
SILENCE_S = 0.03  # real; several times 3.5 characters at 19 200 baud, as a pty has no bit clock


class SensorLine:
    """Implements Endpoint for one sensor."""

    def __init__(self, sensor: Sensor, now_ns: Callable[[], int]) -> None:
        self._sensor = sensor
        self._now_ns = now_ns
        self._reader = RequestReader()
        self._cable: Cable | None = None
        self._silence: asyncio.TimerHandle | None = None

    def plugged(self, line: Cable) -> None:
        """A master is there."""
        self._cable = line
        self._reader = RequestReader()

    def heard(self, data: bytes) -> None:
        """Bytes from the master."""
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        for request in self._reader.feed(data):
            self._answer(request)
        if self._reader.waiting:
            self._silence = asyncio.get_running_loop().call_later(SILENCE_S, self._quiet)

    def unplugged(self) -> None:
        """The master is gone."""
        self._cable = None
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _quiet(self) -> None:
        self._silence = None
        request = self._reader.silence()
        if request is not None:
            self._answer(request)

    def _answer(self, request: Request) -> None:
        answer = self._sensor.serve(request, self._now_ns())
        if answer is not None and self._cable is not None:
            asyncio.get_running_loop().call_later(ANSWER_AFTER_S, self._cable.write, answer)
