"""The analyser as the agent sees it: opens its line, and has children talk on it. Implements edge.ports.Analyser.

The agent holds the line's descriptor and never reads from it. A child serves until one upload is over and ends; the
next one gets the same line and what the child before had received beyond. A child that dies, hangs (a ping goes
unanswered) or says what makes no sense costs the line: it is closed and opened again, and the analyser offers again
whatever was not acknowledged. What a run said passes through one buffer that is overwritten, and through objects that
`kept` and `not_kept` empty.
"""

import logging
import os
from typing import Final, Literal

from edge.children.keeper import Child, Children
from edge.children.messages import (
    Came,
    Done,
    Failed,
    FromChild,
    LineGone,
    OrderTest,
    Passed,
    Ping,
    Pong,
    ServeAnalyser,
    Settled,
    ToChild,
    Verdict,
    Wanted,
    decode_from_child,
    decode_sealed,
    encode,
    is_sealed,
    seal_runs,
)
from edge.core.backoff import Backoff
from edge.core.outcome import AssayTable
from edge.errors import ChildError, LinkError
from edge.instruments.genexpert.driver import MODEL
from edge.instruments.line import OPEN_TIMEOUT_S
from edge.ports import (
    Found,
    Happening,
    Ignored,
    Link,
    Lost,
    OrderSettled,
    OrderWanted,
    ResultsCame,
    ResultsSealed,
    RunSeen,
    SealOrder,
)

_LOG = logging.getLogger(__name__)

PING_S: Final = 20.0
ANSWER_S: Final = 10.0  # a child that sleeps in poll answers at once, on a busy machine within a second

_NEVER = float("inf")


class ChildAnalyser:
    """One analyser."""

    def __init__(self, link: Link, children: Children, backoff: Backoff, *, assay: str) -> None:
        self._link = link
        self._children = children
        self._backoff = backoff
        self._assay = assay
        self._state: Literal["closed", "opening", "up"] = "closed"
        self._until_s = 0.0
        self._child: Child | None = None
        self._carry: tuple[int, int] | None = None
        self._ping_s = self._answer_s = _NEVER
        self._system = ""
        self._order: OrderTest | None = None  # not settled yet
        self._orders: tuple[SealOrder, ...] | None = None  # what the child was told to seal
        self._sealed: ResultsSealed | None = None  # waits for `kept` or `not_kept`
        self._happenings: list[Happening] = []

    # --- edge.ports.Analyser ------------------------------------------------------------------------------

    def fileno(self) -> int:
        """The descriptor to wait on; -1 while there is none."""
        if self._child is not None:
            return self._child.channel.fileno()
        return self._link.fileno() if self._state == "opening" else -1

    def wants_write(self) -> bool:
        """Whether to wait for writing too."""
        return self._state == "opening" and self._link.wants_write()

    def deadline_s(self) -> float:
        """When `step` is wanted at the latest."""
        return min(self._ping_s, self._answer_s) if self._state == "up" else self._until_s

    def step(self, now_s: float) -> list[Happening]:
        """Open the line, hear the child, and let time pass."""
        try:
            if self._state == "up":
                self._hear(now_s)
            else:
                self._open(now_s)
        except (ChildError, LinkError) as exc:
            self._lose(now_s, exc)
        return self._said()

    def order(self, sample: str | None, stamp_ns: int, now_s: float) -> list[Happening]:
        """Answer `OrderWanted` with one order, or with none."""
        if self._state != "up":
            return [] if sample is None else [OrderSettled(sample, "no")]
        self._order = OrderTest(sample, stamp_ns)
        self._tell(self._order, now_s)
        return self._said()

    def seal(self, orders: tuple[SealOrder, ...], table: AssayTable, now_s: float) -> list[Happening]:
        """Answer `ResultsCame`: seal these runs, drop the others, judge controls by `table`."""
        if self._state == "up":
            self._orders = orders
            self._tell(seal_runs(orders, table), now_s)
        return self._said()

    def kept(self, now_s: float) -> list[Happening]:
        """Answer `ResultsSealed`: it is durable."""
        return self._judge(now_s, kept=True)

    def not_kept(self, now_s: float) -> list[Happening]:
        """Answer `ResultsCame` or `ResultsSealed`: it could not be kept now; the analyser offers it again."""
        return self._judge(now_s, kept=False)

    def close(self) -> None:
        """Let line and child go."""
        self._let_go()
        self._state, self._until_s = "closed", _NEVER

    # --- the line -------------------------------------------------------------------------------------------

    def _open(self, now_s: float) -> None:
        if self._state == "closed":
            if now_s < self._until_s:
                return
            self._state, self._until_s = "opening", now_s + OPEN_TIMEOUT_S
            self._link.open()
        if self._link.established():
            self._carry = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            self._begin(now_s)
            self._state = "up"
            self._backoff.reset()
            self._happenings.append(Found(MODEL, ""))
        elif now_s >= self._until_s:
            raise LinkError("the line did not open in time")

    def _lose(self, now_s: float, exc: ChildError | LinkError) -> None:
        """Close the line: whatever was half-way the analyser offers again."""
        if self._state == "up":
            if isinstance(exc, ChildError):
                _LOG.error("the analyser's line begins anew: %s", exc)
            # what was sealed and is not handed over yet is forgotten with the line: there is nothing left to keep
            self._happenings = [one for one in self._happenings if not isinstance(one, ResultsSealed)]
            if self._order is not None and self._order.sample is not None:
                self._happenings.append(OrderSettled(self._order.sample, "perhaps"))
            self._happenings.append(Lost())
        self._let_go()
        self._state, self._until_s = "closed", now_s + self._backoff.wait_s()

    def _let_go(self) -> None:
        self._end_child()
        self._link.close()
        for descriptor in self._carry or ():
            os.close(descriptor)
        self._carry = self._order = self._orders = None
        self._forget_sealed()

    # --- the child ------------------------------------------------------------------------------------------

    def _begin(self, now_s: float) -> None:
        """Have the next child serve the line."""
        if self._carry is None:
            raise ChildError("there is no line")
        self._child = self._children.spawn("analyser", (self._link.fileno(), *self._carry))
        self._child.channel.send(encode(ServeAnalyser(self._assay, self._system, self._order)))
        self._ping_s, self._answer_s = now_s + PING_S, _NEVER

    def _end_child(self) -> None:
        child, self._child = self._child, None
        self._ping_s = self._answer_s = _NEVER
        if child is not None:
            self._children.end(child)

    def _hear(self, now_s: float) -> None:
        while self._child is not None and (heard := self._child.channel.receive(self._read)) is not None:
            if isinstance(heard, ResultsSealed):
                self._orders, self._sealed = None, heard
                self._happenings.append(heard)
            else:
                self._act(heard, now_s)
        if now_s >= self._answer_s:
            raise ChildError("the analyser's child does not answer")
        if now_s >= self._ping_s:
            self._ping_s, self._answer_s = _NEVER, now_s + ANSWER_S
            self._send(Ping())

    def _read(self, data: memoryview) -> FromChild | ResultsSealed:
        if not is_sealed(data):
            return decode_from_child(data)
        if self._orders is None:
            raise ChildError("sealed runs that nobody ordered")
        return decode_sealed(data, self._orders)

    def _act(self, message: FromChild, now_s: float) -> None:
        match message:
            case Pong():
                self._ping_s, self._answer_s = now_s + PING_S, _NEVER
            case Done(system, order_waits):
                self._next(system, order_waits=order_waits, now_s=now_s)
            case LineGone():
                raise LinkError("the analyser is gone")
            case Failed(what):
                raise ChildError(f"its child failed ({what})")
            case _:
                self._happenings.append(self._happening(message))

    def _happening(self, message: FromChild) -> Happening:
        match message:
            case Wanted():
                return OrderWanted()
            case Settled(sample, delivered):
                self._settled(sample)
                return OrderSettled(sample, delivered)
            case Came(runs):
                return ResultsCame(tuple(RunSeen(*run) for run in runs))
            case Passed(reason):
                return Ignored(reason)
            case _:
                raise ChildError("its child says what it cannot mean")

    def _settled(self, sample: str) -> None:
        if self._order is not None and self._order.sample == sample:
            self._order = None

    def _next(self, system: str, *, order_waits: bool, now_s: float) -> None:
        """One child is done; the next one takes the order along that this one could not send."""
        if self._order is not None and self._order.sample is None and not order_waits:
            self._order = None
        self._system = system
        self._end_child()
        self._begin(now_s)

    def _judge(self, now_s: float, *, kept: bool) -> list[Happening]:
        self._forget_sealed()
        self._orders = None
        if self._state == "up":  # else the line went meanwhile, and the analyser offers it again
            self._tell(Verdict(kept), now_s)
        return self._said()

    def _forget_sealed(self) -> None:
        """Empty the objects that said how a run ended: freed memory keeps what it pointed to."""
        sealed, self._sealed = self._sealed, None
        for run in () if sealed is None else sealed.runs:
            for name, nothing in (("record", b""), ("valid", False), ("positives", frozenset())):
                object.__setattr__(run, name, nothing)

    def _tell(self, message: ToChild, now_s: float) -> None:
        try:
            self._send(message)
        except ChildError as exc:
            self._lose(now_s, exc)

    def _send(self, message: ToChild) -> None:
        if self._child is None:
            raise ChildError("there is no child")
        self._child.channel.send(encode(message))

    def _said(self) -> list[Happening]:
        happenings, self._happenings = self._happenings, []
        return happenings
