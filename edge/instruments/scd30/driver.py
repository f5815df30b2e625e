"""One SCD30 on its line: finds it, starts it measuring, reads a sample when asked. Implements edge.ports.Sensor.

Questions follow each other one at a time; each is asked again a few times before all of them are given up, which costs
one sample and nothing else. Times are real seconds: they belong to the wire, not to the district.
"""

from collections import deque
from dataclasses import asdict
from typing import Final

from edge.errors import DeviceExceptionError, RecordError, WireError
from edge.instruments.line import Line
from edge.instruments.scd30.codec import (
    DATA_READY,
    FIRMWARE,
    MEASUREMENT,
    START_MEASURING,
    decode_data_ready,
    decode_firmware,
    decode_measurement,
)
from edge.ports import Found, Happening, Ignored, Lost, Sampled
from edge.wire.modbus_rtu import AnswerReader, Request

MODEL: Final = "SCD30"
ANSWER_S: Final = 1.0  # the longest answer takes 9 ms at 19 200 baud
TRIES: Final = 6
PAUSE_S: Final = 0.1  # before the same question again
READY_TRIES: Final = 50  # x PAUSE_S: longer than the sensor's shortest interval of 2 s
LOST_AFTER: Final = 3  # given up so often in a row: the sensor does not answer any more

_NEVER = float("inf")
_INTRODUCTION: Final[tuple[Request, ...]] = (FIRMWARE, START_MEASURING)
_SAMPLE: Final[tuple[Request, ...]] = (DATA_READY, MEASUREMENT)


class Scd30Driver:
    """The state of one sensor."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._questions: deque[Request] = deque()
        self._reader: AnswerReader | None = None  # of the first question, once it was asked
        self._due_s = 0.0  # when to ask it, or to stop waiting for its answer
        self._tries = 0
        self._not_ready = 0
        self._sampling = False
        self._failures = 0
        self._firmware: str | None = None
        self._found = False
        self._happenings: list[Happening] = []

    def fileno(self) -> int:
        """The descriptor to wait on; -1 while there is none."""
        return self._line.fileno()

    def wants_write(self) -> bool:
        """Whether to wait for writing too."""
        return self._line.wants_write()

    def deadline_s(self) -> float:
        """When `step` is wanted at the latest."""
        return min(self._line.deadline_s(), self._due_s if self._questions else _NEVER)

    def sample(self, now_s: float) -> None:
        """Ask for one sample; one `Sampled` or `Ignored` follows."""
        if self._sampling:
            return
        self._sampling = True
        if not self._questions:
            self._due_s = now_s
        self._questions.extend(_SAMPLE if self._firmware is not None or self._questions else _INTRODUCTION + _SAMPLE)

    def step(self, now_s: float) -> list[Happening]:
        """Read, write and let time pass."""
        step = self._line.step(now_s)
        if step.change == "up":
            self._restart(now_s)
        elif step.change == "down":
            self._lost("line lost")
        elif not self._line.up and self._sampling:
            self._fail("no line")
        if step.data:
            self._hear(step.data, now_s)
        if self._line.up and self._questions and self._due_s <= now_s:
            self._time_is_up(now_s)
        happenings, self._happenings = self._happenings, []
        return happenings

    def close(self) -> None:
        """Let the line go."""
        self._line.close()

    # --- one question after another ---------------------------------------------------------------------

    def _restart(self, now_s: float) -> None:
        self._reader, self._tries, self._due_s = None, 0, now_s
        self._questions = deque(_INTRODUCTION + (_SAMPLE if self._sampling else ()))

    def _time_is_up(self, now_s: float) -> None:
        """Ask the first question, or give up waiting for its answer."""
        if self._reader is not None:
            self._ask_again("no answer" if self._reader.fault is None else "damaged answer", now_s)
            return
        self._tries += 1
        self._reader, self._due_s = AnswerReader(self._questions[0]), now_s + ANSWER_S
        if self._line.send(self._questions[0].encode(), now_s).change == "down":
            self._lost("line lost")

    def _hear(self, data: bytes, now_s: float) -> None:
        if self._reader is None:
            return  # nobody asked: an answer that came twice, or noise
        try:
            words = self._reader.feed(data)
        except DeviceExceptionError:
            self._ask_again("exception", now_s)
        except WireError:
            self._ask_again("noise", now_s)
        else:
            if words is not None:
                self._answered(self._questions.popleft(), words, now_s)

    def _ask_again(self, reason: str, now_s: float) -> None:
        self._reader, self._due_s = None, now_s + PAUSE_S
        if self._tries >= TRIES:
            self._fail(reason)

    def _answered(self, request: Request, words: tuple[int, ...], now_s: float) -> None:
        self._reader, self._tries, self._due_s, self._failures = None, 0, now_s, 0
        try:
            self._take(request, words, now_s)
        except RecordError:
            self._fail("no measurement")

    def _take(self, request: Request, words: tuple[int, ...], now_s: float) -> None:
        if request is FIRMWARE:
            self._firmware = decode_firmware(words)
        elif request is DATA_READY and not decode_data_ready(words):
            self._not_ready += 1
            if self._not_ready >= READY_TRIES:
                self._fail("not ready")
                return
            self._questions.appendleft(DATA_READY)
            self._due_s = now_s + PAUSE_S
        elif request is MEASUREMENT:
            values = asdict(decode_measurement(words))
            self._sampling, self._not_ready = False, 0
            self._happenings.append(Sampled(values))
        if not self._found and self._firmware is not None:
            self._found = True
            self._happenings.insert(0, Found(MODEL, self._firmware))

    # --- what goes wrong --------------------------------------------------------------------------------

    def _fail(self, reason: str) -> None:
        """Give up what was asked; after some failures in a row the sensor counts as lost."""
        self._questions.clear()
        self._reader, self._tries, self._not_ready = None, 0, 0
        self._failures += 1
        if self._sampling:
            self._sampling = False
            self._happenings.append(Ignored(reason))
        if self._failures >= LOST_AFTER:
            self._not_there()

    def _lost(self, reason: str) -> None:
        self._fail(reason)
        self._not_there()

    def _not_there(self) -> None:
        self._firmware = None  # another sensor may be there when it answers again
        if self._found:
            self._found = False
            self._happenings.append(Lost())
