"""One GeneXpert-flavoured analyser on its line. Implements edge.ports.WireAnalyser.

Joins the line, the E1381 dialogue and the record codec. A message with results is not acknowledged before `kept`; every
other message at once. Whatever cannot be read is answered politely all the same, or the analyser would offer it for
ever. Nothing here logs: how often an analyser speaks is how often people come.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from contracts.windows import to_datetime
from edge.core.outcome import RunReport
from edge.errors import RecordError
from edge.instruments.genexpert.codec import (
    Item,
    OrderQuery,
    OrderReturned,
    QueryWithdrawn,
    decode,
    encode_no_order,
    encode_order,
)
from edge.instruments.line import Line, Step
from edge.ports import Found, Happening, Ignored, Lost, OrderSettled, OrderWanted, Reported
from edge.wire.astm import TEXT_DROPPED, Dialogue, Dropped, Event, NotSent, Received, Sent

MODEL: Final = "GeneXpert"
ORDER_S: Final = 60.0  # the analyser asks no more after so long (docs/protocols/genexpert.md, section 2)

_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class HandOver:
    """What one driver of a line leaves to the next: nothing of it was read, or it is public."""

    system: str  # the analyser's name for itself
    rest: bytes  # received, and to be fed first
    order_waits: bool  # the order under way has not begun to leave


class GenexpertDriver:
    """The state of one analyser. `new_message_id` makes the ids of our own messages.

    `once`: after one message that may say something of a person or a run, it reads no further and is `finished`.
    """

    def __init__(
        self, line: Line, *, assay: str, new_message_id: Callable[[], str], system: str = "", once: bool = False
    ) -> None:
        self._line = line
        self._once = once
        self._assay = assay
        self._new_message_id = new_message_id
        self._dialogue = Dialogue(instrument=False)
        self._system = system
        self._ordered: str | None = None  # sample id of the order under way
        self._give_up_s = _NEVER
        self._happenings: list[Happening] = []

    def fileno(self) -> int:
        """The descriptor to wait on; -1 while there is none."""
        return self._line.fileno()

    def wants_write(self) -> bool:
        """Whether to wait for writing too."""
        return self._line.wants_write()

    def deadline_s(self) -> float:
        """When `step` is wanted at the latest."""
        return min(self._line.deadline_s(), self._dialogue.deadline_s, self._give_up_s)

    def step(self, now_s: float) -> list[Happening]:
        """Read, write and let time pass."""
        self._line_step(self._line.step(now_s), now_s)
        self._hear(self._dialogue.tick(now_s), now_s)
        if now_s >= self._give_up_s:
            self._give_up_s = _NEVER
            self._withdraw()
        return self._said(now_s)

    def order(self, sample: str | None, stamp_ns: int, now_s: float) -> list[Happening]:
        """Answer `OrderWanted` with one order, or with none."""
        self._withdraw()
        if not self._line.up or self._dialogue.sending:
            if sample is not None:
                self._happenings.append(OrderSettled(sample, "no"))
            return self._said(now_s)
        message = {"system": self._system, "message_id": self._new_message_id()}
        now = to_datetime(stamp_ns)
        if sample is None:
            text = encode_no_order(**message, now=now)
        else:
            text = encode_order(sample, self._assay, **message, now=now)
        self._ordered, self._give_up_s = sample, now_s + ORDER_S
        self._dialogue.send(text, now_s)
        return self._said(now_s)

    def kept(self, now_s: float) -> list[Happening]:
        """Answer `Reported`: it is durable."""
        if self._dialogue.judging:  # else the line went meanwhile, and the analyser offers it again
            self._hear(self._dialogue.accept(now_s), now_s)
        return self._said(now_s)

    def not_kept(self, now_s: float) -> list[Happening]:
        """Answer `Reported`: it could not be kept now; the analyser offers it again."""
        if self._dialogue.judging:
            self._hear(self._dialogue.refuse(now_s), now_s)
        return self._said(now_s)

    @property
    def finished(self) -> bool:
        """Whether it has read all that it may read, and everything that it said has left."""
        return self._dialogue.finished and not self._line.wants_write()

    @property
    def judging(self) -> bool:
        """Whether an upload waits for `kept` or `not_kept`; nothing more need be read meanwhile."""
        return self._dialogue.judging

    def hand_over(self) -> HandOver:
        """Leave a `finished` line to the next driver."""
        return HandOver(self._system, self._dialogue.rest(), self._dialogue.withdraw())

    def close(self) -> None:
        """Let the line go."""
        self._line.close()

    # --- line and dialogue ------------------------------------------------------------------------------

    def _said(self, now_s: float) -> list[Happening]:
        """Write what the dialogue wants to say, and hand over what has happened."""
        self._line_step(self._line.send(self._dialogue.output(), now_s), now_s)
        happenings, self._happenings = self._happenings, []
        return happenings

    def _line_step(self, step: Step, now_s: float) -> None:
        if step.change == "up":
            self._happenings.append(Found(MODEL, ""))
        elif step.change == "down":
            self._hear(self._dialogue.disconnected(), now_s)
            self._happenings.append(Lost())
        if step.data:
            self._hear(self._dialogue.feed(step.data, now_s), now_s)

    def _hear(self, events: list[Event], now_s: float) -> None:
        for event in events:
            match event:
                case Received(text):
                    self._read(text, now_s)
                case Sent():
                    self._settle("yes")
                case NotSent(perhaps):
                    self._settle("perhaps" if perhaps else "no")
                case Dropped(reason):
                    self._happenings.append(Ignored(reason))
                    if self._once and reason in TEXT_DROPPED:
                        self._dialogue.finish()

    def _read(self, text: bytes, now_s: float) -> None:
        try:
            items = decode(text)
        except RecordError:
            self._happenings.append(Ignored("record"))
            items = ()
        if self._once and not (items and all(isinstance(item, OrderQuery | QueryWithdrawn) for item in items)):
            self._dialogue.finish()
        reports = tuple(item for item in items if isinstance(item, RunReport))
        if reports:
            self._happenings.append(Reported(reports))
            return  # `kept` or `not_kept` goes on
        self._hear(self._dialogue.accept(now_s), now_s)
        for item in items:
            self._act(item)

    def _act(self, item: Item) -> None:
        match item:
            case OrderQuery(system):
                self._system = system
                self._happenings.append(OrderWanted())
            case QueryWithdrawn():
                self._withdraw()
            case OrderReturned(sample) if sample is not None:
                self._happenings.append(OrderSettled(sample, "no"))

    def _withdraw(self) -> None:
        """Take an answer back that has not begun to leave."""
        if self._dialogue.withdraw():
            self._settle("no")

    def _settle(self, delivered: Literal["yes", "no", "perhaps"]) -> None:
        sample, self._ordered = self._ordered, None
        self._give_up_s = _NEVER
        if sample is not None:
            self._happenings.append(OrderSettled(sample, delivered))
