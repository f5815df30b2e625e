"""A kiosk's analyser: starts runs, counts their calls, and releases windows.

The order that keeps the promises: a run is reserved durably before its order leaves; a call is counted durably before
the analyser is answered; what is overdue is counted before its window closes; a closed window's release is in the
outbox before the next one closes. Nothing here is logged or told by run: who can count the lines can count the people.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Final

from contracts.clock import Clock
from contracts.messages import TQ_DISCIPLINED
from contracts.windows import NS, tick_of, tick_start_ns
from edge.core.enrolment import VisitTerms
from edge.core.layouts import LayoutBook
from edge.core.outcome import AssayTable, RunReport, assay_table, calls_of
from edge.core.visit import VisitRules, new_sample_id
from edge.errors import ReleaseError, StoreFullError, VisitError
from edge.ports import (
    ClockQuality,
    Found,
    Happening,
    Ignored,
    Lost,
    NewRecord,
    OrderSettled,
    OrderWanted,
    Reported,
    VisitStore,
    WireAnalyser,
)
from edge.service.recorder import Recorder

_LOG = logging.getLogger(__name__)
RETRY_S: Final = 1.0  # real time until what found no room is tried again


class KioskTask:
    """One analyser and its visits."""

    def __init__(  # noqa: PLR0913 -- the parts it joins
        self,
        analyser: WireAnalyser,
        visits: VisitStore,
        *,
        layouts: LayoutBook,
        table_of: Callable[[LayoutBook, int], AssayTable],
        rules: VisitRules,
        window_ns: int,
        recorder: Recorder,
        clock: Clock,
        quality: ClockQuality,
        randbelow: Callable[[int], int],
    ) -> None:
        self._analyser = analyser
        self._visits = visits
        self._table_of = table_of
        self._table = table_of(layouts, clock.now_ns())
        self._rules = rules
        self._window_ns = window_ns
        self._recorder = recorder
        self._clock = clock
        self._quality = quality
        self._randbelow = randbelow
        self._tick: int | None = None
        self._release_copied = False  # unknown after a start: copying again changes nothing (C23)
        self._retry_s = 0.0
        self._waiting = False
        self._no_visits: str | None = None
        self.instrument_ok = False
        self.model = ("", "")

    @property
    def driver(self) -> WireAnalyser:
        """The instrument, for waiting."""
        return self._analyser

    @property
    def control_ok(self) -> float | None:
        """1 when the controls hold, 0 when one failed, None before the first."""
        controls = self._visits.controls
        if controls.failed:
            return 0.0
        return None if controls.positive_holds is None and controls.negative_holds is None else 1.0

    def use_layouts(self, layouts: LayoutBook) -> None:
        """Take a new list of layouts."""
        self._visits.use_layouts(layouts)
        self._table = self._table_of(layouts, self._clock.now_ns())

    def use_terms(self, terms: VisitTerms | str) -> None:
        """Take what visitors are told, or the sentence why nobody can be told anything: then no test starts."""
        reason = terms if isinstance(terms, str) else None
        if reason is not None and reason != self._no_visits:
            _LOG.error("%s", reason)
        self._no_visits = reason

    def step(self) -> None:
        """Do what is due, and hear the analyser."""
        now_s = self._clock.real_s()
        if now_s >= self._retry_s:
            try:
                self._keep_time(self._clock.now_ns())
                self._waiting = False
            except StoreFullError as exc:
                self._wait_for_room(exc)
        self._hear(self._analyser.step(now_s))

    def deadline_ns(self) -> int | None:
        """District time at which `step` is wanted at the latest."""
        overdue_ns = self._visits.next_deadline_ns()
        due = [] if overdue_ns is None else [overdue_ns]
        if self._quality.now() == TQ_DISCIPLINED:
            next_tick_ns = tick_start_ns(tick_of(self._clock.now_ns()) + 1)
            due += [next_tick_ns, self._visits.open_windows[0] + self._window_ns]
        return min(due, default=None)

    def deadline_s(self) -> float:
        """Real time at which `step` is wanted at the latest."""
        return self._analyser.deadline_s()

    def close(self) -> None:
        """Let instrument and file go."""
        self._analyser.close()
        self._visits.close()

    # --- time -------------------------------------------------------------------------------------------

    def _keep_time(self, now_ns: int) -> None:
        """1 overdue runs · 2 the release that stands ready · 3 windows that are over · 4 the tick's rewriting."""
        self._visits.expire(now_ns)  # 1
        self._copy_release()  # 2
        if self._quality.now() != TQ_DISCIPLINED:
            return  # a jump ahead would release windows that have not been
        while self._release_copied and self._visits.close_window(now_ns):  # 3
            self._release_copied = False
            self._copy_release()
        if tick_of(now_ns) != self._tick:  # 4
            self._visits.tick(now_ns)
            self._tick = tick_of(now_ns)

    def _copy_release(self) -> None:
        """Put the newest closed window into the outbox, which ignores it if it is there already."""
        if self._release_copied:
            return
        ready = self._visits.ready_release()
        if ready is None:
            self._release_copied = True
            return
        start_ns, body = ready
        self._release_copied = self._recorder.commit(NewRecord("release", body, start=start_ns // NS))
        if not self._release_copied:
            raise StoreFullError("a release waits for room in the outbox")

    def _wait_for_room(self, exc: StoreFullError) -> None:
        self._retry_s = self._clock.real_s() + RETRY_S
        if not self._waiting:
            self._waiting = True
            _LOG.warning("visits: no room, the analyser is held back: %s", exc)

    # --- the analyser -----------------------------------------------------------------------------------

    def _hear(self, happenings: list[Happening]) -> None:
        for happening in happenings:
            match happening:
                case OrderWanted():
                    self._hear(self._answer_query())
                case OrderSettled(sample, "no"):
                    self._forget(sample)
                case Reported(reports):
                    self._hear(self._answer_reports(reports))
                case Found(model, firmware):
                    self._present(model, firmware)
                case Lost():
                    self.instrument_ok = False
                    self._recorder.event("instrument", "lost")
                case OrderSettled() | Ignored():
                    pass  # sent, or perhaps: the run has until T_max; noise was dropped by the wire already
                case _:
                    raise AssertionError(f"an analyser does not say {type(happening).__name__}")

    def _present(self, model: str, firmware: str) -> None:
        self.model, self.instrument_ok = (model, firmware), True
        self._recorder.event("instrument", "found")

    def _answer_query(self) -> list[Happening]:
        """Reserve a run and order it; order none when the kiosk may not or cannot start."""
        now_ns = self._clock.now_ns()
        sample: str | None = new_sample_id(self._randbelow)
        if self._no_visits is not None or self._visits.controls.failed or self._quality.now() != TQ_DISCIPLINED:
            sample = None
        try:
            if sample is not None:
                self._visits.start(now_ns, self._rules, sample, self._table.assay)
        except (VisitError, ReleaseError, StoreFullError):
            sample = None
        return self._analyser.order(sample, now_ns, self._clock.real_s())

    def _forget(self, sample: str) -> None:
        try:
            self._visits.withdraw(sample, self._clock.now_ns())
        except StoreFullError as exc:
            self._wait_for_room(exc)  # the run stays until T_max and is counted as invalid

    def _answer_reports(self, reports: tuple[RunReport, ...]) -> list[Happening]:
        now_s = self._clock.real_s()
        try:
            for report in reports:
                self._take(report)
        except StoreFullError as exc:
            self._wait_for_room(exc)
            return self._analyser.not_kept(now_s)
        return self._analyser.kept(now_s)

    def _take(self, report: RunReport) -> None:
        """Count one final report. Late, repeated and unknown ones find no run that waits, and change nothing."""
        if not report.final:
            return
        if report.control is not None:
            self._control(report)
            return
        now_ns = self._clock.now_ns()
        self._visits.expire(now_ns)  # a report that comes at T_max or after it is late
        try:
            self._visits.finish(report.sample, calls_of(report, self._table), now_ns)
        except (VisitError, ReleaseError) as exc:
            _LOG.error("a report does not fit its window: %s", exc)

    def _control(self, report: RunReport) -> None:
        before = self._visits.controls
        after = before.after(report, self._table)
        self._visits.set_controls(after)
        if after.failed != before.failed:
            self._recorder.event("control", "failed" if after.failed else "passed")
            _LOG.warning(
                "control %s: tests are %s", *(("failed", "stopped") if after.failed else ("passed", "allowed"))
            )


def table_of(layouts: LayoutBook, now_ns: int, *, assay: str, result_codes: Mapping[str, str]) -> AssayTable:
    """Return the table by which the analyser's words become calls; LayoutError if the layout has no such assay."""
    return assay_table(assay, layouts.at(now_ns).assay(assay).targets, result_codes)
