"""A kiosk: people check in, their runs are sealed and counted, ticks and windows go out.

The order that keeps the promises: a visit is durable before its order leaves; a call is sealed and counted durably, in
one transaction, before the analyser is answered; what is overdue is sealed before its tick goes out and its window
closes; a closed window's release is in the outbox before the next one closes. A result that comes after T_max is
dropped. Nothing here is logged or told by run: who can count the lines can count the people.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from contracts.clock import Clock
from contracts.messages import TQ_DISCIPLINED
from contracts.windows import NS
from edge.core.enrolment import VisitTerms
from edge.core.layouts import LayoutBook
from edge.core.outcome import AssayTable, Dialect
from edge.core.visit import VisitRules, new_sample_id
from edge.errors import StoreFullError, VisitError
from edge.ports import (
    Analyser,
    ClockQuality,
    CodeMaker,
    ControlSeen,
    Found,
    Happening,
    Ignored,
    Lost,
    OrderSettled,
    OrderWanted,
    ResultsCame,
    ResultsSealed,
    RunSeen,
    SealedRun,
    Sealer,
)
from edge.service.checkin import CheckIns
from edge.service.counter import Counter
from edge.service.desk import Fault
from edge.service.recorder import Recorder
from edge.service.runs import SealOrders, Unanswered
from edge.service.ticks import TickRules, TickWriter
from edge.store_ports import NewRecord, VisitStore

_LOG = logging.getLogger(__name__)
RETRY_S: Final = 1.0  # real time until what found no room is tried again
STRAY_S: Final = 900  # district time; an analyser asks for a waiting cartridge every two minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class KioskParts:
    """What bootstrap joins into a kiosk."""

    analyser: Analyser
    codes: CodeMaker
    sealer: Sealer
    visits: VisitStore
    counter: Counter
    recorder: Recorder
    clock: Clock
    quality: ClockQuality
    door_open: Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class KioskRules:
    """What cabinet and district say. `last_tick`: the newest that the outbox took, None for a new one."""

    visits: VisitRules
    ticks: TickRules
    last_tick: int | None
    dialect: Dialect
    layouts: LayoutBook
    window_ns: int
    utc_offset_s: int
    randbelow: Callable[[int], int]


class KioskTask:
    """One analyser and its visits."""

    def __init__(self, parts: KioskParts, rules: KioskRules) -> None:
        self._parts = parts
        self._rules = rules
        self._analyser = parts.analyser
        self._visits = parts.visits
        self._recorder = parts.recorder
        self._clock = parts.clock
        self._table = self._table_of(rules.layouts)
        self._orders = SealOrders(rules.visits, rules.dialect, utc_offset_s=rules.utc_offset_s)
        self._unanswered = Unanswered(parts.sealer, parts.visits, self._orders, parts.clock)
        self._ticks = TickWriter(parts.visits, parts.recorder, rules.ticks, last_start=rules.last_tick)
        self._check_ins = CheckIns(
            parts.counter, parts.codes, parts.visits, assay=rules.dialect.assay, rules=rules.visits, clock=parts.clock
        )
        self._release_copied = False  # unknown after a start: copying again changes nothing (C23)
        self._retry_s = 0.0
        self._waiting = False
        self._stray_until_ns = 0
        self._in_flight: str | None = None  # sample whose order is on its way to the analyser
        self._in_doubt: str | None = None  # sample whose order the analyser has, or has not
        self._no_visits: str | None = None
        self.instrument_ok = False
        self.model = ("", "")

    @property
    def desk(self) -> Counter:
        """This kiosk as its screen sees it."""
        return self._parts.counter

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
        self._table = self._table_of(layouts)

    def use_terms(self, terms: VisitTerms | str) -> None:
        """Take what visitors are told, or the sentence why nobody can be told anything: then no test starts."""
        reason = terms if isinstance(terms, str) else None
        if reason is not None and reason != self._no_visits:
            _LOG.error("%s", reason)
        self._no_visits = reason

    def step(self) -> None:
        """Do what is due, serve the screen, and hear the analyser."""
        now_s = self._clock.real_s()
        if now_s >= self._retry_s:
            try:
                self._keep_time(self._clock.now_ns())
                self._waiting = False
            except StoreFullError as exc:
                self._wait_for_room(exc)
        self._check_ins.step(self._fault(), busy=self._in_flight is not None)
        self._hear(self._analyser.step(now_s))
        self._parts.counter.show(self._check_ins.facts(self._fault()))
        self._check_ins.deliver()

    def waits_on(self) -> tuple[list[int], list[int]]:
        """Descriptors to wait on: for reading, for writing."""
        reading = [self._analyser.fileno(), self._check_ins.fileno(), self._unanswered.fileno()]
        return reading, [self._analyser.fileno()] if self._analyser.wants_write() else []

    def deadline_ns(self) -> int | None:
        """District time at which `step` is wanted at the latest."""
        now_ns = self._clock.now_ns()
        due = [self._stray_until_ns] if self._stray_until_ns > now_ns else []
        if not self._waiting:  # else RETRY_S decides
            due += [at_ns for at_ns in self._due_ns() if at_ns is not None]
        return min(due, default=None)

    def deadline_s(self) -> float:
        """Real time at which `step` is wanted at the latest."""
        due = [self._analyser.deadline_s(), self._check_ins.deadline_s(), self._unanswered.deadline_s()]
        return min([*due, self._retry_s] if self._waiting else due)

    def close(self) -> None:
        """Let instrument, children and file go."""
        self._analyser.close()
        self._check_ins.close()
        self._unanswered.close()
        self._visits.close()

    # --- time -------------------------------------------------------------------------------------------

    def _due_ns(self) -> list[int | None]:
        next_ns = self._visits.next_deadline_ns()
        being_sealed = next_ns is not None and next_ns <= self._clock.now_ns()
        due = [None if being_sealed else next_ns]
        if self._good_clock():
            due.append(self._ticks.deadline_ns())
            due.append(None if being_sealed else self._visits.open_windows[0] + self._rules.window_ns)
        return due

    def _keep_time(self, now_ns: int) -> None:
        """1 who did not come · 2 overdue runs · 3 the release that stands ready · 4 windows that are over · 5 ticks."""
        self._visits.lapse(now_ns)  # 1
        nothing_overdue = self._unanswered.step(now_ns)  # 2
        self._copy_release()  # 3
        if not self._good_clock():
            return  # a jump ahead would release windows, and publish ticks, that have not been
        while nothing_overdue and self._release_copied and self._visits.close_window(now_ns):  # 4
            self._release_copied = False
            self._copy_release()
        self._ticks.step(now_ns)  # 5

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

    # --- who may start ----------------------------------------------------------------------------------

    def _good_clock(self) -> bool:
        return self._parts.quality.now() == TQ_DISCIPLINED

    def _fault(self) -> Fault | None:
        """Return why nobody may check in; never because of a run."""
        faults: list[tuple[Fault, bool]] = [
            ("clock", not self._good_clock()),
            ("store", self._waiting or self._no_visits is not None),
            ("control", self._visits.controls.failed),
            ("analyser", not self.instrument_ok or self._clock.now_ns() < self._stray_until_ns),
            ("analyser", self._doubtful() is not None),
            ("door", self._parts.door_open()),
        ]
        return next((fault for fault, found in faults if found), None)

    def _table_of(self, layouts: LayoutBook) -> AssayTable:
        dialect = self._rules.dialect
        return dialect.table(layouts.at(self._clock.now_ns()).assay(dialect.assay).targets)

    # --- the analyser -----------------------------------------------------------------------------------

    def _hear(self, happenings: list[Happening]) -> None:
        for happening in happenings:
            match happening:
                case OrderWanted():
                    self._hear(self._answer_query())
                case ResultsCame(runs):
                    self._hear(self._have_sealed(runs))
                case ResultsSealed(runs, controls):
                    self._hear(self._keep_results(runs, controls))
                case _:
                    self._note(happening)

    def _note(self, happening: Happening) -> None:
        match happening:
            case OrderSettled(sample, delivered):
                self._settled(sample, delivered)
            case OrderSettled(_, "perhaps"):
                self._beware()
            case Found(model, firmware):
                self._present(model, firmware)
            case Lost():
                self.instrument_ok = False
                self._recorder.event("instrument", "lost")
            case OrderSettled() | Ignored():
                pass  # sent: the run has until T_max; noise was dropped by the wire already
            case _:
                raise AssertionError(f"an analyser does not say {type(happening).__name__}")

    def _present(self, model: str, firmware: str) -> None:
        self.model, self.instrument_ok = (model, firmware), True
        self._recorder.event("instrument", "found")
        if self._check_ins.facts(None).seen_at(self._clock.now_ns()).free_modules < self._rules.visits.modules:
            self._beware()  # an order may have been lost with the line, or with this agent's last run

    def _beware(self) -> None:
        """Let nobody check in for a while: a cartridge without an order may ask, and would take the next code."""
        self._stray_until_ns = self._clock.now_ns() + STRAY_S * NS

    def _answer_query(self) -> list[Happening]:
        """Order the run of whoever has checked in; none when nobody has, or the kiosk may not start.

        A cartridge that is refused would ask again and take the next visitor's code: until it is silent for a while,
        nobody can check in.
        """
        now_ns, now_s = self._clock.now_ns(), self._clock.real_s()
        try:
            if self._no_visits is not None or self._visits.controls.failed or not self._good_clock():
                raise VisitError("no test may start now")
            sample = self._doubtful() or self._begin(now_ns)
        except (VisitError, StoreFullError):
            self._stray_until_ns = now_ns + STRAY_S * NS
            return self._analyser.order(None, now_ns, now_s)
        self._in_flight, self._in_doubt = sample, None
        return self._analyser.order(sample, now_ns, now_s)

    def _begin(self, now_ns: int) -> str:
        sample = new_sample_id(self._rules.randbelow)
        self._visits.begin(now_ns, self._rules.visits, sample)
        return sample

    def _doubtful(self) -> str | None:
        """Return the sample whose order was cut off, while its run is awaited.

        If the analyser does not have it, its cartridge asks again: nobody else checks in meanwhile, so the question is
        that cartridge's, and gets the same order.
        """
        if self._in_doubt is not None and self._visits.awaited(self._in_doubt, self._clock.now_ns()) is None:
            self._in_doubt = None
        return self._in_doubt

    def _settled(self, sample: str, delivered: Literal["yes", "no", "perhaps"]) -> None:
        if sample == self._in_flight:
            self._in_flight = None
        if delivered == "no":
            self._take_back(sample)
        elif delivered == "perhaps":
            self._in_doubt = sample  # the run has until T_max

    def _take_back(self, sample: str) -> None:
        try:
            self._visits.withdraw(sample, self._clock.now_ns())
        except StoreFullError as exc:
            self._wait_for_room(exc)  # the run stays until T_max and is counted as invalid

    def _have_sealed(self, runs: tuple[RunSeen, ...]) -> list[Happening]:
        """Have the final reports of awaited runs sealed. Late, repeated and unknown ones change nothing."""
        now_ns, now_s = self._clock.now_ns(), self._clock.real_s()
        samples = dict.fromkeys(run.sample for run in runs if run.final and run.control is None)
        awaited = [self._visits.awaited(sample, now_ns) for sample in samples]
        orders = tuple(self._orders.of(run) for run in awaited if run is not None)
        return self._analyser.seal(orders, self._table, now_s)

    def _keep_results(self, runs: tuple[SealedRun, ...], controls: tuple[ControlSeen, ...]) -> list[Happening]:
        """Make the upload durable, each run in a transaction of its own, and answer the analyser."""
        now_s = self._clock.real_s()
        try:
            for run in runs:
                self._visits.settle(run)
            for control in controls:
                self._take_control(control)
        except StoreFullError as exc:
            self._wait_for_room(exc)
            return self._analyser.not_kept(now_s)
        return self._analyser.kept(now_s)

    def _take_control(self, seen: ControlSeen) -> None:
        before = self._visits.controls
        after = before.after(seen.level, holds=seen.holds)
        self._visits.set_controls(after)
        if after.failed != before.failed:
            self._recorder.event("control", "failed" if after.failed else "passed")
            _LOG.warning(
                "control %s: tests are %s", *(("failed", "stopped") if after.failed else ("passed", "allowed"))
            )
