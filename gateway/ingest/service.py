"""Ingest, one batch from top to bottom.

    begin    1-3  size, topic, known device      steps.admit
             4    signature                      Verifier.begin
    finish   5    schema version                 steps.read
             6-8  replay, ranges, allow-list     Judging.accept
             sealed ticks                        CohortStore.add: durable before they are marked (C24)
             commit                              IngestState.commit: journal, marks and all else, ONE transaction (C16)
    then, and only then                          acknowledgements: to the broker by the inbox, to devices from the marks

One batch is checked on another core while the batch before it is finished. What cannot be committed is not
acknowledged: the batch stays in hand and is tried again, and nothing more is read. A message that no commit takes,
whatever the reason, is put aside alone.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from contracts.clock import Clock
from contracts.cohorts import oldest_cohort
from contracts.messages import Batch, Reading
from contracts.registry import Device
from contracts.rows import Mark
from contracts.windows import NS, tick_of
from gateway.ingest import safety, steps
from gateway.ingest.handover import Handover
from gateway.ingest.judging import Judging, Known, shown
from gateway.ingest.safety import Watch, WatchKey
from gateway.ingest.steps import Admitted, Received, Refusal
from gateway.ingest.verifier import Checking, Verifier
from gateway.ingest.world import World
from stores.errors import ConflictError, StoreAuthError, StoreUnavailableError, WriterLockedError
from stores.state.cohorts import MAX_DELETED, CohortStore
from stores.state.dead_letters import DeadLetter
from stores.state.journal import IngestBatch, IngestState

_LOG = logging.getLogger(__name__)

MAX_BATCH: Final = 500  # messages a commit: the fsync is shared, and a crash costs a resend of as many at most
CONFLICTS: Final = 5  # tries of one batch beside other ingests, each after learning what they have judged
RESUME_S: Final = 24 * 3600  # of district time: how far back a restart looks for what the safety rules remembered
RESUME_ENTRIES: Final = 5_000  # and no further than this, so that it stays a matter of a second

# The store's trouble, not a message's: the same batch is tried again.
_PASSING: Final = (StoreUnavailableError, StoreAuthError, WriterLockedError)

Checked = tuple[Received, Admitted | Refusal]


@dataclass(frozen=True, slots=True)
class Judged:
    """What a committed batch allows: the marks to acknowledge, and devices that shall say again what they are."""

    marks: Sequence[Mark]
    reborn: frozenset[str]
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Begun:
    """A batch whose signatures are being checked."""

    verdicts: Sequence[Checked]
    signatures: Checking

    def checked(self) -> list[Checked]:
        """Return each message with the verdict of checks 1 to 4."""
        held = iter(self.signatures.result())
        return [
            (received, verdict if isinstance(verdict, Refusal) or next(held) else Refusal("signature"))
            for received, verdict in self.verdicts
        ]


class Registry(Protocol):
    """What is needed of `registry.RegistryReader`."""

    def world(self) -> World:
        """Return the registry as it is known."""

    def world_with(self, device: str) -> World:
        """Return it after a look for a device that it does not hold."""


class IngestService:
    """Judges messages and makes the judgement durable."""

    def __init__(
        self, state: IngestState, cohorts: CohortStore, *, clock: Clock, registry: Registry, verifier: Verifier
    ) -> None:
        self._state = state
        self._cohorts = cohorts
        self._clock = clock
        self._registry = registry
        self._verifier = verifier
        self.handover = Handover()
        self._known = Known(watches=self._resumed())
        self.reload()

    def reload(self) -> None:
        """Learn from the store what is judged and said."""
        self._known.marks = self._state.load_marks()
        self._known.reports = {(report.device, report.kind): report for report in self._state.reports()}

    def process(self, messages: Sequence[Received]) -> Judged:
        """Judge and commit a batch; StoreError leaves nothing changed, so that the same call may be made again."""
        return self.finish(self.begin(messages))

    def begin(self, messages: Sequence[Received]) -> Begun:
        """Make checks 1 to 3 and begin with 4."""
        world = self._registry.world()
        verdicts = [(received, self._admit(received, world)) for received in messages]  # 1 2 3
        admitted = [verdict for _, verdict in verdicts if isinstance(verdict, Admitted)]
        signed = [(one.key, one.received.topic, one.received.wire, one.received.sig) for one in admitted]
        return Begun(verdicts, self._verifier.begin(signed))  # 4

    def _admit(self, received: Received, world: World) -> Admitted | Refusal:
        verdict = steps.admit(received, world)
        if isinstance(verdict, Refusal) and verdict.device is not None:
            return steps.admit(received, self._registry.world_with(verdict.device))
        return verdict

    def finish(self, begun: Begun) -> Judged:
        """Make checks 5 to 8 and commit; StoreError leaves nothing changed: call it again with the same batch."""
        return self._finish(begun.checked())

    def _finish(self, checked: Sequence[Checked]) -> Judged:
        try:
            return self._committed(checked)
        except _PASSING:
            raise
        except Exception as exc:  # noqa: BLE001 -- whatever one message does to us, its neighbours go on
            self._state.commit(IngestBatch())  # raises when it is the store that cannot do anything
            if len(checked) == 1:
                return self._put_aside(checked[0][0], exc)
        half = len(checked) // 2
        parts = [self._finish(checked[:half]), self._finish(checked[half:])]
        counts = sum((Counter(part.counts) for part in parts), Counter[str]())
        marks = {mark.key: mark for part in parts for mark in part.marks}
        return Judged(list(marks.values()), parts[0].reborn | parts[1].reborn, dict(counts))

    def forget_expired(self) -> bool:
        """Delete cohorts one hour after the last of their results expired (C26); tell whether there is more to do."""
        complete = tick_of(self._clock.now_ns()) - 1
        return self._cohorts.forget(oldest_cohort(complete)) >= MAX_DELETED

    def _committed(self, checked: Sequence[Checked]) -> Judged:
        for _ in range(CONFLICTS - 1):
            judging = self._judge(checked)
            try:
                return self._commit(judging)
            except ConflictError:  # another ingest was first with some of these records
                self.reload()
        return self._commit(self._judge(checked))

    def _commit(self, judging: Judging) -> Judged:
        self._cohorts.add(list(judging.ticks.values()))
        last_id = self._state.commit(judging.batch())
        judging.settle()
        self.handover.put(last_id - len(judging.entries) + 1, judging.entries, judging.decoded)
        return Judged(list(judging.marks.values()), frozenset(judging.reborn), dict(+judging.counts))

    def _judge(self, checked: Sequence[Checked]) -> Judging:
        judging = self._judging()
        for received, verdict in checked:
            if isinstance(verdict, Refusal):
                judging.refuse(received, verdict)
                continue
            content = steps.read(verdict)  # 5
            if isinstance(content, Refusal):
                judging.refuse_signed(verdict, content)
            else:
                judging.accept(verdict, content)  # 6 7 8
        return judging

    def _judging(self) -> Judging:
        world, now_ns = self._registry.world(), self._clock.now_ns()
        return Judging(self._known, world, now_ns, self._state.has_release, self._cohorts.body_of)

    def _put_aside(self, received: Received, exc: Exception) -> Judged:
        """Count a message that nothing takes; it is not judged, so its device keeps what it holds."""
        _LOG.error("a message of %d bytes is put aside: %s", len(received.wire), type(exc).__name__)
        letter = DeadLetter(
            device=None,
            topic=shown(received.topic),
            reason="defect",
            received_ns=received.received_ns,
            size_bytes=len(received.wire),
        )
        self._state.commit(IngestBatch(dead_letters=[letter], counts={"defect": 1}))
        return Judged((), frozenset(), {"defect": 1})

    # --- after a restart --------------------------------------------------------------------------------

    def _resumed(self) -> dict[WatchKey, Watch]:
        world, now_ns = self._registry.world(), self._clock.now_ns()
        if not world.registry.rules:
            return {}
        readings = self._readings(world, now_ns - RESUME_S * NS)
        return safety.resume(self._state.signal_states().values(), readings, world, now_ns)

    def _readings(self, world: World, since_ns: int) -> list[tuple[Device, Reading]]:
        """Return the journalled readings received since an instant, oldest first."""
        newest_first: list[list[tuple[Device, Reading]]] = []
        for entry in self._state.newest_first("bulk"):
            if entry.received_ns < since_ns or len(newest_first) == RESUME_ENTRIES:
                break
            device = world.registry.devices.get(entry.device)
            content = steps.read_again(entry.stream, entry.payload, entry.content_type)
            if device is not None and isinstance(content, Batch):
                records = content.r[entry.skip : entry.skip + entry.n]
                newest_first.append([(device, record) for record in records if isinstance(record, Reading)])
        return [reading for readings in reversed(newest_first) for reading in readings]

    # --- redrive ------------------------------------------------------------------------------------------

    def redrive(self) -> tuple[int, int]:
        """Judge every dead letter that has its payload anew; return how many were taken, and how many stay."""
        taken = stay = after_id = 0
        while letters := self._state.dead_letters(after_id):
            for number, letter in letters:
                after_id = number
                batch = self._judged_again(letter, number)
                if batch is None:
                    stay += 1
                else:
                    self._state.commit(batch)
                    taken += 1
        return taken, stay

    def _judged_again(self, letter: DeadLetter, number: int) -> IngestBatch | None:
        """Return the batch that takes a dead letter's records; None when they are refused as before."""
        if letter.payload is None or letter.seq is None or letter.n is None:
            return None
        received = Received(letter.topic, letter.payload, letter.content_type, letter.sig, letter.received_ns)
        ((_, verdict),) = self.begin([received]).checked()
        if isinstance(verdict, Refusal):
            return None
        judging, content = self._judging(), steps.read(verdict)
        if isinstance(content, Refusal):
            return None
        if not judging.take_again(verdict, content, letter.seq, letter.seq + letter.n - 1):
            return None
        return judging.batch(redriven=[number])
