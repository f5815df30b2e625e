"""A sensor that is sampled at fixed times of the district, and whose samples go to the stream `bulk`."""

from contracts.clock import Clock
from edge.core.readings import reading
from edge.core.schedule import Schedule
from edge.errors import RecordError
from edge.ports import ClockQuality, Found, Happening, Ignored, Lost, Sampled, Sensor
from edge.service.recorder import Recorder


class SensorTask:
    """One sensor."""

    def __init__(
        self, sensor: Sensor, *, kind: str, schedule: Schedule, recorder: Recorder, clock: Clock, quality: ClockQuality
    ) -> None:
        self._sensor = sensor
        self._kind = kind
        self._schedule = schedule
        self._recorder = recorder
        self._clock = clock
        self._quality = quality
        self._due_ns = schedule.next_after_ns(clock.now_ns())
        self.skipped = 0
        self.instrument_ok = False
        self.model = ("", "")

    def waits_on(self) -> tuple[list[int], list[int]]:
        """Descriptors to wait on: for reading, for writing."""
        fd = self._sensor.fileno()
        return [fd], [fd] if self._sensor.wants_write() else []

    def step(self) -> None:
        """Ask for a sample when it is time, and hear the sensor."""
        now_ns, now_s = self._clock.now_ns(), self._clock.real_s()
        if now_ns >= self._due_ns:
            self._due_ns = self._schedule.next_after_ns(now_ns)
            if self._recorder.full:
                self.skipped += 1  # back-pressure: a sample that could not be kept is not taken
            else:
                self._sensor.sample(now_s)
        elif self._due_ns - now_ns > self._schedule.next_after_ns(now_ns) - now_ns:
            self._due_ns = self._schedule.next_after_ns(now_ns)  # the clock was set back
        for happening in self._sensor.step(now_s):
            self._hear(happening)

    def deadline_ns(self) -> int | None:
        """District time at which `step` is wanted at the latest."""
        return self._due_ns

    def deadline_s(self) -> float:
        """Real time at which `step` is wanted at the latest."""
        return self._sensor.deadline_s()

    def close(self) -> None:
        """Let the instrument go."""
        self._sensor.close()

    def _hear(self, happening: Happening) -> None:
        match happening:
            case Sampled(values):
                self._keep(dict(values))
            case Ignored():
                self.skipped += 1
            case Found(model, firmware):
                self.model, self.instrument_ok = (model, firmware), True
                self._recorder.event("instrument", "found")
            case Lost():
                self.instrument_ok = False
                self._recorder.event("instrument", "lost")
            case _:
                raise AssertionError(f"a sensor does not say {type(happening).__name__}")

    def _keep(self, values: dict[str, float]) -> None:
        try:
            body = reading("bulk", self._kind, self._clock.now_ns(), self._quality.now(), values)
        except RecordError:
            self.skipped += 1  # outside the range of the contract: the gateway would refuse it
        else:
            self._recorder.add("bulk", body)
