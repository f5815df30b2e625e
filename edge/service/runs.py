"""Runs and their sealing, as far as the agent takes part: the orders to seal, and runs that nobody answered for.

A run without an answer by T_max is sealed as "no result, please test again" and counted as invalid, by the same steps
and in the same time as any other; so is one that a power cut left open.
"""

from dataclasses import replace
from typing import Final

from contracts.clock import Clock
from contracts.windows import NS, to_datetime
from edge.core.outcome import Dialect
from edge.core.visit import VisitRules
from edge.ports import Sealer, SealOrder
from edge.store_ports import AwaitedRun, VisitStore

ASK_AGAIN_S: Final = 10.0  # real time without a word of the sealer


class SealOrders:
    """Makes the order to seal a run."""

    def __init__(self, rules: VisitRules, dialect: Dialect, *, utc_offset_s: int) -> None:
        self._rules = rules
        self._dialect = dialect
        self._utc_offset_s = utc_offset_s

    def of(self, run: AwaitedRun) -> SealOrder:
        """Return it, with the district's day of the start and the targets that the run's window counts."""
        start_ns = run.deadline_ns - self._rules.t_max_s * NS
        day = to_datetime(start_ns + self._utc_offset_s * NS).date().isoformat()
        return SealOrder(run.sample, run.public, day, self._dialect.table(run.targets))


class Unanswered:
    """Seals and counts what is overdue."""

    def __init__(self, sealer: Sealer, visits: VisitStore, orders: SealOrders, clock: Clock) -> None:
        self._sealer = sealer
        self._visits = visits
        self._orders = orders
        self._clock = clock
        self._asked: frozenset[str] = frozenset()
        self._again_s = 0.0

    def step(self, now_ns: int) -> bool:
        """Ask for what is overdue, keep what was sealed; tell whether nothing is overdue any more."""
        now_s = self._clock.real_s()
        self._keep(now_s)
        overdue = self._visits.overdue(now_ns)
        samples = frozenset(run.sample for run in overdue)
        if samples and (samples != self._asked or now_s >= self._again_s):
            self._sealer.seal_no_result(tuple(self._orders.of(run) for run in overdue))
            self._asked, self._again_s = samples, now_s + ASK_AGAIN_S
            self._keep(now_s)
            return not self._visits.overdue(now_ns)
        return not samples

    def fileno(self) -> int:
        """The descriptor to wait on; -1 while there is none."""
        return self._sealer.fileno()

    def deadline_s(self) -> float:
        """When `step` is wanted at the latest."""
        return self._again_s if self._asked else float("inf")

    def close(self) -> None:
        """End the child, if there is one."""
        self._sealer.close()

    def _keep(self, now_s: float) -> None:
        sealed = self._sealer.step(now_s)
        if sealed is None:
            return
        for run in sealed:  # what this sealer says is never a result
            self._visits.settle(replace(run, valid=False, positives=frozenset()))
        self._asked = frozenset()
