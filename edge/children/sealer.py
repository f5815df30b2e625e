"""Has "no result, please test again" sealed in a short-lived child. Implements edge.ports.Sealer.

The orders stand until they are sealed: a child that ends without a word is followed by another one.
"""

import logging
from typing import Final

from edge.children.keeper import Child, Children
from edge.children.messages import Failed, decode_from_child, decode_sealed, encode, is_sealed, seal_runs
from edge.core.outcome import AssayTable
from edge.errors import ChildError
from edge.ports import SealedRun, SealOrder

_LOG = logging.getLogger(__name__)

ANSWER_S: Final = 10.0
RETRY_S: Final = 0.5

_NO_CONTROLS: Final = AssayTable("", {})


class ChildSealer:
    """Seals in children, one at a time."""

    def __init__(self, children: Children) -> None:
        self._children = children
        self._orders: tuple[SealOrder, ...] = ()
        self._child: Child | None = None
        self._due_s = 0.0  # of the next attempt, or of the child's answer

    def seal_no_result(self, orders: tuple[SealOrder, ...]) -> None:
        """Seal these; a call while others are under way replaces them."""
        self._end_child()
        self._orders, self._due_s = orders, 0.0

    def step(self, now_s: float) -> tuple[SealedRun, ...] | None:
        """Return what was sealed since, once; None while nothing is ready."""
        if not self._orders:
            return None
        try:
            return self._work(now_s)
        except ChildError as exc:
            _LOG.error("sealing is tried again: %s", exc)
            self._end_child()
            self._due_s = now_s + RETRY_S
        return None

    def fileno(self) -> int:
        """The descriptor to wait on; -1 while there is none."""
        return -1 if self._child is None else self._child.channel.fileno()

    def deadline_s(self) -> float:
        """When `step` is wanted at the latest; infinite while there is nothing to wait for."""
        return self._due_s if self._orders else float("inf")

    def close(self) -> None:
        """End the child, if there is one."""
        self._end_child()
        self._orders = ()

    def _work(self, now_s: float) -> tuple[SealedRun, ...] | None:
        if self._child is None:
            if now_s < self._due_s:
                return None
            self._child = self._children.spawn("seal")
            self._child.channel.send(encode(seal_runs(self._orders, _NO_CONTROLS)))
            self._due_s = now_s + ANSWER_S
        sealed = self._child.channel.receive(self._read)
        if sealed is not None:
            self._end_child()
            self._orders = ()
        elif now_s >= self._due_s:
            raise ChildError("the child does not answer")
        return sealed

    def _read(self, data: memoryview) -> tuple[SealedRun, ...]:
        if not is_sealed(data):
            message = decode_from_child(data)
            raise ChildError(f"the child failed ({message.what})" if isinstance(message, Failed) else "no answer")
        runs = decode_sealed(data, self._orders).runs
        if {run.sample for run in runs} != {order.sample for order in self._orders}:
            raise ChildError("not all of the orders are sealed")
        return runs

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            self._children.end(child)
