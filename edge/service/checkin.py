"""Check-in on the agent's side: reserve, have a code made and handed out, complete; or give everything back.

The place is reserved before the code is made, so that the slip can say when the result is ready; nothing is counted
and nothing can be tested before the visit has its code's public part, durably. Whoever gets no slip leaves no trace.
"""

import contextlib

from contracts.clock import Clock
from contracts.cohorts import expires_ns, readable_from_ns
from edge.core.visit import State, Visit, VisitRules
from edge.errors import StoreFullError, VisitError
from edge.ports import CodeMaker, Issued, IssueOrder, NotIssued
from edge.service.counter import CheckIn, Counter
from edge.service.desk import CheckedIn, Facts, Fault, TurnedAway
from edge.store_ports import Reservation, VisitStore


class CheckIns:
    """One check-in at a time."""

    def __init__(
        self, counter: Counter, codes: CodeMaker, visits: VisitStore, *, assay: str, rules: VisitRules, clock: Clock
    ) -> None:
        self._counter = counter
        self._codes = codes
        self._visits = visits
        self._assay = assay
        self._rules = rules
        self._clock = clock
        self._under_way: tuple[CheckIn, Reservation] | None = None
        self._code_url: str | None = None
        self._decided: list[tuple[CheckIn, CheckedIn | TurnedAway]] = []
        for row, visit in enumerate(visits.visits):  # of a run of this agent that ended meanwhile
            if visit.state is State.RESERVED and visit.public is None:
                with contextlib.suppress(StoreFullError):  # it lapses
                    visits.give_back(row)

    def step(self, fault: Fault | None, *, busy: bool) -> None:
        """Hear the maker of codes, and decide about who wants to check in; `deliver` gives the answers out.

        Nobody may check in while the kiosk is `busy` with what a moment ends.
        """
        issued = self._codes.step(self._clock.real_s())
        if issued is not None and self._under_way is not None:
            wish, reservation = self._under_way
            self._under_way = None
            self._decide(wish, self._concluded(wish, reservation, issued))
        if self._code_url is not None and (self._counter.left() or self._expected() is None):
            self._code_url = None
            self._codes.end_display()
        while (wanted := self._counter.take()) is not None:
            self._begin(wanted, fault, busy=busy)

    def fileno(self) -> int:
        """The descriptor to wait on; -1 while there is none."""
        return self._codes.fileno()

    def deadline_s(self) -> float:
        """When `step` is wanted at the latest."""
        return self._codes.deadline_s()

    def facts(self, fault: Fault | None) -> Facts:
        """Return what a screen may know."""
        taken = (visit.busy_until_ns for visit in self._visits.visits if visit.state is not State.FREE)
        expected = self._expected()
        return Facts(
            fault=fault or self._counter.printer_fault,
            modules=self._rules.modules,
            busy_until_ns=tuple(sorted(taken)),
            issuing=self._under_way is not None,
            expected=None if expected is None else self._checked_in(expected),
        )

    def deliver(self) -> None:
        """Give the answers out: after the screen was shown the facts that go with them."""
        for wish, answer in self._decided:
            wish.answer(answer)
        self._decided.clear()

    def close(self) -> None:
        """Let nobody wait, and end every child."""
        self.deliver()
        while (wish := self._counter.take()) is not None:
            wish.answer(TurnedAway("internal"))
        if self._under_way is not None:
            self._under_way[0].answer(TurnedAway("internal"))
        self._codes.close()

    # --- helpers ------------------------------------------------------------------------------------------

    def _decide(self, wish: CheckIn, answer: CheckedIn | TurnedAway) -> None:
        self._decided.append((wish, answer))

    def _begin(self, wish: CheckIn, fault: Fault | None, *, busy: bool) -> None:
        if busy or self._under_way is not None:
            self._decide(wish, TurnedAway("busy"))
        elif fault is not None:
            self._decide(wish, TurnedAway(fault))
        elif not wish.given_up:
            self._reserve(wish)

    def _reserve(self, wish: CheckIn) -> None:
        try:
            reservation = self._visits.reserve(self._clock.now_ns(), self._rules, self._assay)
        except VisitError:
            self._decide(wish, TurnedAway("busy"))
        except StoreFullError:
            self._decide(wish, TurnedAway("store"))
        else:
            self._under_way = (wish, reservation)
            tick = reservation.ready_tick
            self._codes.end_display()
            self._codes.issue(IssueOrder(wish.language, wish.paper, tick, expires_ns(tick)))

    def _concluded(self, wish: CheckIn, reservation: Reservation, issued: Issued | NotIssued) -> CheckedIn | TurnedAway:
        if isinstance(issued, NotIssued):
            self._give_back(reservation)
            if issued.reason == "internal":
                return TurnedAway("internal")
            self._counter.printer_said(issued.reason)
            return TurnedAway(issued.reason)
        if wish.paper:
            self._counter.printer_said(None)
        try:
            if wish.given_up:
                raise VisitError("nobody waits for this code any more")
            self._visits.complete(reservation.row, issued.public, self._clock.now_ns())
        except (VisitError, StoreFullError) as exc:
            self._codes.end_display()
            self._give_back(reservation)
            return TurnedAway("store" if isinstance(exc, StoreFullError) else "internal")
        self._code_url = issued.code_url
        self._counter.left()  # said of whoever was there before
        return self._checked_in(self._visits.visits[reservation.row])

    def _give_back(self, reservation: Reservation) -> None:
        with contextlib.suppress(StoreFullError):  # it lapses
            self._visits.give_back(reservation.row)

    def _expected(self) -> Visit | None:
        """Return the visit whose cartridge is awaited."""
        found = (one for one in self._visits.visits if one.state is State.RESERVED and one.public is not None)
        return next(found, None)

    def _checked_in(self, visit: Visit) -> CheckedIn:
        tick = visit.ready_tick
        return CheckedIn(readable_from_ns(tick), expires_ns(tick), visit.insert_until_ns, self._code_url)
