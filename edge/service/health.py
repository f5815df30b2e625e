"""Health of the cabinet, at fixed times only: a record sent when something happens would tell when people come."""

import logging
from collections.abc import Callable, Mapping
from typing import Final

from contracts.clock import Clock
from contracts.windows import DAY_S, NS
from edge.core.readings import coarse_pct, reading
from edge.core.schedule import Schedule
from edge.errors import RecordError
from edge.ports import ClockQuality
from edge.service.recorder import Recorder

_LOG = logging.getLogger(__name__)
PERIOD_S: Final = 3600
TELL_EVERY_S: Final = 300.0  # real time between two lines of the log

Facts = Callable[[], dict[str, float]]


class HealthTask:
    """Says how the cabinet is. `facts` gives what is true now, `daily` what is said once a district day.

    `at_window_end` gives what is said once a window, after its end: stock in coarse words (DESIGN section 7).

    `counts` never counts anything about runs: the log goes to whoever reads logs.
    """

    def __init__(  # noqa: PLR0913 -- the parts it joins
        self,
        *,
        kind: str,
        schedule: Schedule,
        utc_offset_s: int,
        facts: Facts,
        daily: Facts,
        counts: Callable[[], Mapping[str, int]],
        recorder: Recorder,
        clock: Clock,
        quality: ClockQuality,
        at_window_end: Facts = dict,
        window_s: int = DAY_S,
    ) -> None:
        self._kind = kind
        self._schedule = schedule
        self._utc_offset_s = utc_offset_s
        self._facts = facts
        self._daily = daily
        self._at_window_end = at_window_end
        self._window_s = window_s
        self._counts = counts
        self._counted: Mapping[str, int] = {}
        self._tell_s = 0.0
        self._recorder = recorder
        self._clock = clock
        self._quality = quality
        self._due_ns = schedule.next_after_ns(clock.now_ns())

    def step(self) -> None:
        """Say it when it is time."""
        now_ns = self._clock.now_ns()
        next_ns = self._schedule.next_after_ns(now_ns)
        if now_ns >= self._due_ns:
            self._say(self._due_ns)
            self._log_counts()
        if self._due_ns != next_ns:
            self._due_ns = next_ns

    def deadline_ns(self) -> int | None:
        """District time at which `step` is wanted at the latest."""
        return self._due_ns

    def _log_counts(self) -> None:
        """Tell the log what was passed over, refused or repeated since the start, now and then when there is more."""
        now_s = self._clock.real_s()
        counts = {name: n for name, n in self._counts().items() if n}
        if counts != self._counted and now_s >= self._tell_s:
            self._counted, self._tell_s = counts, now_s + TELL_EVERY_S
            _LOG.info("since the start: %s", ", ".join(f"{n} {name}" for name, n in counts.items()))

    def _say(self, due_ns: int) -> None:
        """Say it as of the fixed time: how late the loop came would tell how busy it was."""
        tq = self._quality.now()
        values = {name: self._rounded(name, value) for name, value in self._facts().items()}
        if self._first_of(DAY_S, due_ns):
            values |= self._daily()
        if self._first_of(self._window_s, due_ns):
            values |= self._at_window_end()
        try:
            self._recorder.add("health", reading("health", self._kind, due_ns, tq, values | {"clock_quality": tq}))
        except RecordError:
            self._recorder.refused += 1

    def _first_of(self, span_s: int, due_ns: int) -> bool:
        return (due_ns // NS + self._utc_offset_s) % span_s < self._schedule.period_s

    @staticmethod
    def _rounded(name: str, value: float) -> float:
        return coarse_pct(value) if name.endswith("_pct") else value
