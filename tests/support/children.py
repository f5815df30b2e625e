"""What a kiosk runs in child processes, behaving and in the test's own process: codes, the analyser, the sealer.

The codes are real ones, so that a test can open what the kiosk sealed; the analyser is the real wire driver.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from contracts.claim import ClaimCode
from contracts.sealed import Call, result_body, seal
from edge.adapters.links import make_link
from edge.core.backoff import Backoff
from edge.core.outcome import AssayTable, RunReport, calls_of, control_holds
from edge.core.visit import PublicPart
from edge.instruments.genexpert.driver import GenexpertDriver
from edge.instruments.line import Line
from edge.ports import (
    ControlSeen,
    Happening,
    Issued,
    IssueOrder,
    Link,
    NotIssued,
    Reported,
    ResultsCame,
    ResultsSealed,
    RunSeen,
    SealedRun,
    SealOrder,
)


def public_part(code: ClaimCode) -> PublicPart:
    keys = code.keys()
    return PublicPart(keys.slot, keys.public_key, keys.origin)


def sealed_run(order: SealOrder, calls: dict[str, Call]) -> SealedRun:
    """A run as a child seals it; calls of one word of doubt make it invalid."""
    public = order.public
    body = result_body(order.day, calls).encode()
    valid = bool(calls) and set(calls.values()) <= {"positive", "negative"}
    positives = frozenset(target for target, call in calls.items() if call == "positive") if valid else frozenset[str]()
    return SealedRun(order.sample, seal(public.slot, public.public_key, public.origin, body), valid, positives)


@dataclass
class Codes:
    """Implements CodeMaker. `refuses` is what goes wrong with the next slips; `holds` lets an order wait."""

    issued: list[tuple[ClaimCode, IssueOrder]] = field(default_factory=list)
    orders: list[IssueOrder] = field(default_factory=list)
    refuses: Literal["paper", "printer", "internal"] | None = None
    holds: bool = False
    shown: str | None = None
    closed: bool = False
    on_issue: Callable[[PublicPart], None] = lambda _public: None
    _order: IssueOrder | None = None

    def issue(self, order: IssueOrder) -> None:
        assert self._order is None, "one at a time"
        self.orders.append(order)
        self._order = order

    def step(self, now_s: float) -> Issued | NotIssued | None:  # noqa: ARG002 -- the port's
        order = self._order
        if order is None or self.holds:
            return None
        self._order = None
        if self.refuses is not None:
            return NotIssued(self.refuses)
        code = ClaimCode.generate()
        self.issued.append((code, order))
        self.shown = None if order.paper else "http://127.0.0.1:1/"
        self.on_issue(public_part(code))
        return Issued(public_part(code), self.shown)

    def fileno(self) -> int:
        return -1

    def deadline_s(self) -> float:
        return float("inf") if self._order is None or self.holds else 0.0

    def end_display(self) -> None:
        self.shown = None

    def close(self) -> None:
        self.closed = True


@dataclass
class Seals:
    """Implements Sealer. `holds` lets it be slow; `dies` makes it forget what it was asked."""

    holds: bool = False
    dies: bool = False
    asked: int = 0
    closed: bool = False
    _orders: tuple[SealOrder, ...] = ()

    def seal_no_result(self, orders: tuple[SealOrder, ...]) -> None:
        self.asked += 1
        self._orders = () if self.dies else orders

    def step(self, now_s: float) -> tuple[SealedRun, ...] | None:  # noqa: ARG002 -- the port's
        if self.holds or not self._orders:
            return None
        orders, self._orders = self._orders, ()
        return tuple(sealed_run(order, dict.fromkeys(order.table.targets.values(), "invalid")) for order in orders)

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self.closed = True


class InProcessAnalyser:
    """Implements Analyser around the real driver: parses and seals where the child would."""

    def __init__(self, driver: GenexpertDriver) -> None:
        self.driver = driver
        self._reports: tuple[RunReport, ...] = ()

    def fileno(self) -> int:
        return self.driver.fileno()

    def wants_write(self) -> bool:
        return self.driver.wants_write()

    def deadline_s(self) -> float:
        return self.driver.deadline_s()

    def step(self, now_s: float) -> list[Happening]:
        return self._without_words(self.driver.step(now_s))

    def order(self, sample: str | None, stamp_ns: int, now_s: float) -> list[Happening]:
        return self._without_words(self.driver.order(sample, stamp_ns, now_s))

    def seal(self, orders: tuple[SealOrder, ...], table: AssayTable, now_s: float) -> list[Happening]:  # noqa: ARG002
        reports, self._reports = self._reports, ()
        by_sample = {order.sample: order for order in orders}
        runs = tuple(
            sealed_run(by_sample[report.sample], calls_of(report, by_sample[report.sample].table))
            for report in reports
            if report.final and report.control is None and report.sample in by_sample
        )
        controls = tuple(
            ControlSeen(report.control, control_holds(report, table))
            for report in reports
            if report.final and report.control is not None
        )
        return [ResultsSealed(runs, controls)]

    def kept(self, now_s: float) -> list[Happening]:
        return self._without_words(self.driver.kept(now_s))

    def not_kept(self, now_s: float) -> list[Happening]:
        return self._without_words(self.driver.not_kept(now_s))

    def close(self) -> None:
        self.driver.close()

    def _without_words(self, happenings: list[Happening]) -> list[Happening]:
        said: list[Happening] = []
        for happening in happenings:
            if isinstance(happening, Reported):
                self._reports = happening.reports
                runs = tuple(RunSeen(one.sample, one.control, one.final) for one in happening.reports)
                said.append(ResultsCame(runs))
            else:
                said.append(happening)
        return said


def analyser_on(link: Link, uniform: Callable[[float, float], float]) -> InProcessAnalyser:
    """The analyser at the other end of a link."""
    line = Line(link, Backoff(0.1, 1.0, uniform))
    return InProcessAnalyser(GenexpertDriver(line, assay="SARSCOV2", new_message_id=partial(secrets.token_hex, 8)))


@dataclass
class InProcessChildren:
    """Implements KioskChildren for a whole agent of a test."""

    codes: Codes = field(default_factory=Codes)
    seals: Seals = field(default_factory=Seals)

    def analyser(self, link: str, assay: str) -> InProcessAnalyser:
        assert assay == "SARSCOV2"
        return analyser_on(make_link(link, 19_200), lambda low, high: (low + high) / 2)

    def code_maker(self) -> Codes:
        return self.codes

    def sealer(self) -> Seals:
        return self.seals
