"""Ingest, one batch from top to bottom.

    1-3  size, topic, known device      steps.admit
    4    signature                      Verifier.verify, the whole batch
    5    schema version                 steps.read
    6-8  replay, ranges, allow-list     Judging.accept
    commit                              IngestState.commit: journal, marks and all else in ONE transaction (C16)
    then, and only then                 acknowledgements: to the broker by the inbox, to devices from the marks

What cannot be committed is not acknowledged: the batch stays in hand and is tried again, and nothing more is read.
"""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from contracts.clock import Clock
from contracts.rows import Mark
from gateway.ingest import safety, steps
from gateway.ingest.judging import Judging, Known
from gateway.ingest.steps import Admitted, Content, Received, Refusal
from gateway.ingest.verifier import Signed, Verifier
from gateway.ingest.world import World
from stores.errors import ConflictError
from stores.state.journal import IngestBatch, IngestState

_LOG = logging.getLogger(__name__)

MAX_BATCH: Final = 500  # messages a commit: the fsync is shared, and a crash costs a resend of as many at most
HANDED_OVER: Final = 4000  # decoded entries kept for the projection; beyond it the projection reads the journal


@dataclass(frozen=True, slots=True)
class Judged:
    """What a committed batch allows: the marks to acknowledge, and devices that shall say again what they are."""

    marks: Sequence[Mark]
    reborn: frozenset[str]
    counts: dict[str, int]


class Handover:
    """Decoded entries on their way to the projection, by journal number: spares reading and decoding them again."""

    def __init__(self) -> None:
        self._entries: OrderedDict[int, Content] = OrderedDict()

    def put(self, first_id: int, contents: Sequence[Content]) -> None:
        """Leave the contents of consecutive entries; the oldest go when there are too many."""
        for number, content in enumerate(contents, start=first_id):
            self._entries[number] = content
        while len(self._entries) > HANDED_OVER:
            self._entries.popitem(last=False)

    def take(self, number: int) -> Content | None:
        """Return and forget the content of an entry; None when it is not here (any more)."""
        return self._entries.pop(number, None)


class Registry(Protocol):
    """What is needed of `registry.RegistryReader`."""

    def world(self) -> World:
        """Return the registry as it is known."""

    def world_with(self, device: str) -> World:
        """Return it after a look for a device that it does not hold."""


class IngestService:
    """Judges messages and makes the judgement durable."""

    def __init__(self, state: IngestState, *, clock: Clock, registry: Registry, verifier: Verifier) -> None:
        self._state = state
        self._clock = clock
        self._registry = registry
        self._verifier = verifier
        self.handover = Handover()
        self._known = Known()
        self.reload()

    def reload(self) -> None:
        """Learn from the store what is known."""
        self._known = Known(
            marks=self._state.load_marks(),
            reports={(report.device, report.kind): report for report in self._state.reports()},
            watches={key: safety.resumed(signal) for key, signal in self._state.signal_states().items()},
        )

    def process(self, messages: Sequence[Received]) -> Judged:
        """Judge and commit a batch; StoreError leaves nothing changed, so that the same call may be made again."""
        judging = self._judge(messages)
        try:
            last_id = self._state.commit(judging.batch())
        except ConflictError:  # another ingest was first with some of these records
            self.reload()
            judging = self._judge(messages)
            last_id = self._state.commit(judging.batch())
        judging.settle()
        self.handover.put(last_id - len(judging.entries) + 1, judging.decoded)
        return Judged(list(judging.marks.values()), frozenset(judging.reborn), dict(judging.counts))

    def _judge(self, messages: Sequence[Received]) -> Judging:
        judging = self._judging()
        admitted = self._admitted(messages, judging)  # 1 2 3
        signed: list[Signed] = [(one.key, one.received.topic, one.received.wire, one.received.sig) for one in admitted]
        for one, holds in zip(admitted, self._verifier.verify(signed), strict=True):
            if not holds:  # 4
                judging.refuse(one.received, Refusal("signature"))
                continue
            content = steps.read(one)  # 5
            if isinstance(content, Refusal):
                judging.refuse(one.received, content, one if content.reason != "not_taken_here" else None)
            else:
                judging.accept(one, content)  # 6 7 8
        return judging

    def _judging(self) -> Judging:
        return Judging(self._known, self._registry.world(), self._clock.now_ns(), self._state.has_release)

    def _admitted(self, messages: Sequence[Received], judging: Judging) -> list[Admitted]:
        admitted: list[Admitted] = []
        for received in messages:
            verdict = steps.admit(received, judging.world)
            if isinstance(verdict, Refusal) and verdict.device is not None:
                judging.world = self._registry.world_with(verdict.device)
                verdict = steps.admit(received, judging.world)
            if isinstance(verdict, Refusal):
                judging.refuse(received, verdict)
            else:
                admitted.append(verdict)
        return admitted

    def redrive(self) -> tuple[int, int]:
        """Judge every dead letter that has its payload anew; return how many were taken, and how many stay."""
        taken = stay = after_id = 0
        while letters := self._state.dead_letters(after_id):
            for number, letter in letters:
                after_id = number
                if letter.payload is None or letter.seq is None:
                    stay += 1
                    continue
                received = Received(letter.topic, letter.payload, letter.content_type, letter.sig, letter.received_ns)
                batch = self._rejudged(received, letter.seq, number)
                if batch is None:
                    stay += 1
                else:
                    self._state.commit(batch)
                    taken += 1
        return taken, stay

    def _rejudged(self, received: Received, seq: int, number: int) -> IngestBatch | None:
        """Return the batch that takes one record of a dead letter; None when it is refused as before."""
        judging = self._judging()
        verdict = steps.admit(received, judging.world)
        if isinstance(verdict, Refusal):
            return None
        if not self._verifier.verify([(verdict.key, received.topic, received.wire, received.sig)])[0]:
            return None
        content = steps.read(verdict)
        if isinstance(content, Refusal) or not judging.take_again(verdict, content, seq):
            return None
        return judging.batch(redriven=[number])
