"""Asks for codes, one at a time, each from a child of its own. Implements edge.ports.CodeMaker.

A child that ends without a word, or takes longer than a printer may, is "internal": nothing of its code is left, and
whoever reserved a place for it gives it back.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from contracts.cohorts import readable_from_ns
from contracts.notice import Notice, encode_notice
from edge.children.keeper import Child, Children
from edge.children.life import PRINT_S
from edge.children.messages import CodeIssued, CodeNotIssued, Failed, FromChild, IssueCode, decode_from_child, encode
from edge.core.visit import PublicPart
from edge.errors import ChildError
from edge.ports import Issued, IssueOrder, NotIssued

_LOG = logging.getLogger(__name__)

ANSWER_S: Final = PRINT_S + 10.0  # forking, drawing and a busy machine

_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class SlipTerms:
    """What every slip of this kiosk says."""

    printer: str | None  # "tcp:HOST:PORT"; None: this kiosk has none
    origin: str  # of the result page, without a slash at its end
    page_hash: str
    notice: Notice
    when_text: Callable[[int], str]  # an instant, UTC ns, as a slip writes it


class ChildCodeMaker:
    """Makes codes in children."""

    def __init__(self, children: Children, terms: SlipTerms | None = None) -> None:
        self._children = children
        self._terms: SlipTerms | None = None
        self._notice = b""
        self.use_terms(terms)
        self._child: Child | None = None
        self._waiting = False  # for the child's answer; afterwards it shows its code
        self._until_s: float | None = None  # None: the clock starts with the first step
        self._refused: NotIssued | None = None

    def use_terms(self, terms: SlipTerms | None) -> None:
        """Take what the newest enrolment says, for the codes that follow; with None there are none."""
        self._terms = terms
        self._notice = b"" if terms is None else encode_notice(terms.notice)

    def issue(self, order: IssueOrder) -> None:
        """Begin; `step` tells how it went. A code that is still shown is shown no more."""
        self.end_display()
        self._refused, self._until_s = None, None
        self._waiting = True
        terms = self._terms
        if terms is None or (order.paper and terms.printer is None):
            self._refused = NotIssued("internal" if terms is None else "printer")
            return
        try:
            self._child = self._children.spawn("code")
            self._child.channel.send(encode(self._order(order, terms)))
        except ChildError as exc:
            self._refuse(exc)

    def step(self, now_s: float) -> Issued | NotIssued | None:
        """Return how the order ended, once; None while it has not."""
        if not self._waiting:
            self._watch_display()
            return None
        if self._until_s is None:
            self._until_s = now_s + ANSWER_S
        answer = self._refused or self._hear(now_s)
        if answer is None:
            return None
        self._waiting, self._refused, self._until_s = False, None, None
        if isinstance(answer, NotIssued) or answer.code_url is None:
            self._end_child()
        return answer

    def fileno(self) -> int:
        """The descriptor to wait on; -1 while there is none."""
        return -1 if self._child is None else self._child.channel.fileno()

    def deadline_s(self) -> float:
        """When `step` is wanted at the latest; infinite while there is nothing to wait for."""
        if not self._waiting:
            return _NEVER
        return 0.0 if self._refused is not None or self._until_s is None else self._until_s

    def end_display(self) -> None:
        """End the child that shows a code, if there is one."""
        self._end_child()

    def close(self) -> None:
        """End every child."""
        self._end_child()

    def _order(self, order: IssueOrder, terms: SlipTerms) -> IssueCode:
        return IssueCode(
            printer=terms.printer if order.paper else None,
            ready_tick=order.ready_tick,
            ready_at=terms.when_text(readable_from_ns(order.ready_tick)),
            expires_at=terms.when_text(order.expires_ns),
            language=order.language,
            origin=terms.origin,
            page_hash=terms.page_hash,
            notice=self._notice,
        )

    def _hear(self, now_s: float) -> Issued | NotIssued | None:
        try:
            answer = None if self._child is None else self._child.channel.receive(_read)
        except ChildError as exc:
            return self._refuse(exc)
        if answer is None and self._until_s is not None and now_s >= self._until_s:
            return self._refuse(ChildError("it takes too long"))
        return answer

    def _refuse(self, exc: ChildError) -> NotIssued:
        _LOG.error("no code was made: %s", exc)
        self._end_child()
        self._refused = NotIssued("internal")
        return self._refused

    def _watch_display(self) -> None:
        """Let go of a child that ended of itself."""
        if self._child is None:
            return
        try:
            self._child.channel.receive(_read)
        except ChildError:
            self._end_child()

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            self._children.end(child)


def _read(data: memoryview) -> Issued | NotIssued:
    message: FromChild = decode_from_child(data)
    match message:
        case CodeIssued(slot, public_key, origin, code_url):
            return Issued(PublicPart(slot, public_key, origin), code_url)
        case CodeNotIssued(reason):
            return NotIssued(reason)
        case Failed(what):
            raise ChildError(f"the child failed ({what})")
        case _:
            raise ChildError("the child says what it cannot mean")
