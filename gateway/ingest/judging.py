"""One batch under judgement: what it will change, gathered until the commit makes it so. Memory only, no I/O but reads.

Everything learned stays in this object until the commit; a batch that cannot be committed leaves no trace.
"""

import zlib
from collections import ChainMap, Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from contracts.codec import CONTENT_BINARY, CONTENT_JSON, CONTENT_JSON_GZIP
from contracts.frames import Frame
from contracts.messages import Batch, Document, Event, Identity, Reading, ReadingBatch, encode
from contracts.rows import DeviceReport, Mark, MarkKey, ReleaseRow, ReportKind
from contracts.signals import Signal
from contracts.windows import NS
from gateway.ingest import safety, steps
from gateway.ingest.marks import Range, TooManyGapsError, new_mark, take
from gateway.ingest.safety import Watch, WatchKey
from gateway.ingest.steps import Admitted, Content, Reason, Received, Refusal
from gateway.ingest.world import World
from stores.state.cohorts import SealedTick
from stores.state.dead_letters import DeadLetter
from stores.state.journal import IngestBatch, JournalEntry

SEEN_EVERY_NS: Final = 30 * NS  # of district time: "last heard" is not worth a write for every message
MAX_DAYS: Final = 128  # a device's backlog is no longer; what is older than the oldest of so many came too often
MAX_TOPIC_CHARS: Final = 128  # of a letter's; ours are shorter
_CONTENT_TYPES: Final = frozenset({CONTENT_BINARY, CONTENT_JSON, CONTENT_JSON_GZIP})


DailyKey = tuple[str, str]  # device, metric


@dataclass(slots=True)
class Known:
    """What earlier commits made true; changed only by `Judging.settle`."""

    marks: dict[MarkKey, Mark] = field(default_factory=dict)
    reports: dict[tuple[str, str], DeviceReport] = field(default_factory=dict)
    watches: dict[WatchKey, Watch] = field(default_factory=dict)
    unreadable: dict[tuple[str, str], int] = field(default_factory=dict)  # (device, kind) -> sum of the last one
    days: dict[DailyKey, frozenset[int]] = field(default_factory=dict)  # said on these days; memory only


@dataclass(slots=True)
class Judging:
    """The batch at hand."""

    known: Known
    world: World
    now_ns: int
    has_release: Callable[[str, int], bool]
    sealed_body: Callable[[str, int], bytes | None]
    entries: list[JournalEntry] = field(default_factory=list)
    decoded: list[Content] = field(default_factory=list)  # of each entry, for the projection
    marks: dict[MarkKey, Mark] = field(default_factory=dict)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    releases: dict[tuple[str, int], ReleaseRow] = field(default_factory=dict)
    ticks: dict[tuple[str, int], SealedTick] = field(default_factory=dict)  # for the cohort store, before the commit
    signals: list[Signal] = field(default_factory=list)
    reports: dict[tuple[str, str], DeviceReport] = field(default_factory=dict)
    watches: dict[WatchKey, Watch] = field(default_factory=dict)
    unreadable: dict[tuple[str, str], int] = field(default_factory=dict)
    days: dict[DailyKey, frozenset[int]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    reborn: set[str] = field(default_factory=set)  # devices that must say again what they are

    def refuse(self, received: Received, refusal: Refusal) -> None:
        """Count and note a message that nobody is known to have signed, or that is not taken here."""
        self.counts[refusal.reason] += 1
        self._letter(received, refusal.reason)

    def refuse_signed(self, admitted: Admitted, refusal: Refusal) -> None:
        """Keep a device's message that cannot be read, and judge the records it was meant to hold."""
        identity = refusal.identity
        if identity is None:
            self._unreadable(admitted, refusal.reason)
        elif self._own_outbox(admitted, identity.ob):
            for first, last in self._take(admitted, identity):
                self._refused(admitted, refusal.reason, identity.ob, first, last)

    def accept(self, admitted: Admitted, content: Content) -> None:
        """Checks 6 to 8 for a message that was read."""
        if not self._own_outbox(admitted, content.ob):
            return
        if isinstance(content, Frame):
            self._frame(admitted, content)
        elif isinstance(content, Batch):
            self._batch(admitted, content)
        else:
            self._document(admitted, content)

    def take_again(self, admitted: Admitted, content: Content, first: int, last: int) -> bool:
        """Checks 7 and 8 anew for records whose dead letter is redriven; their mark has judged them long ago.

        True if any of them is taken; those that are not get letters of their own.
        """
        if isinstance(content, Frame):
            self._judged_release(admitted, content)
        elif isinstance(content, Batch) and content.seq <= first and last < content.seq + content.n:
            self._judged(admitted, content, first, last)
        return bool(self.entries)

    def batch(self, *, redriven: Sequence[int] = ()) -> IngestBatch:
        """Return what the commit shall make durable."""
        return IngestBatch(
            entries=self.entries,
            marks=list(self.marks.values()),
            dead_letters=self.dead_letters,
            releases=list(self.releases.values()),
            signals=self.signals,
            reports=list(self.reports.values()),
            counts=dict(+self.counts),
            redriven=redriven,
        )

    def settle(self) -> None:
        """The commit succeeded: what this batch learned is known now."""
        self.known.marks.update(self.marks)
        self.known.reports.update(self.reports)
        self.known.watches.update(self.watches)
        self.known.unreadable.update(self.unreadable)
        self.known.days.update(self.days)

    # --- 6 replay -------------------------------------------------------------------------------------

    def _own_outbox(self, admitted: Admitted, ob: int) -> bool:
        """C12: another outbox speaks for a device only after a newer enrolment, and the old one then never again."""
        device = admitted.device
        seen = self._report(device.id, "seen")
        if seen is not None and seen.ob != ob and device.enrolment <= seen.enrolment:
            self.counts["foreign_outbox"] += 1
            self._letter(admitted.received, "foreign_outbox", admitted)
            return False
        if seen is None or seen.ob != ob:
            self._save(admitted, "seen", ob, 0, 0, b"")
        elif self.now_ns - seen.received_ns >= SEEN_EVERY_NS:
            # It stays with the enrolment under which it was first heard: what the broker still holds of an old outbox
            # comes after the newer enrolment, and must not shut the new outbox out.
            self.reports[device.id, "seen"] = replace(seen, received_ns=self.now_ns)
        return True

    def _take(self, admitted: Admitted, identity: Identity) -> list[Range]:
        """Judge records: the ranges not judged before. The mark moves in this batch only."""
        key = (admitted.device.id, identity.ob, admitted.kind)
        mark = self.marks.get(key) or self.known.marks.get(key)
        if mark is None:
            mark = new_mark(key, identity.lo)
            if admitted.device.id not in self.reborn and self._report(admitted.device.id, "birth") is None:
                self.reborn.add(admitted.device.id)
        self.marks[key] = mark  # whatever becomes of these records, the device is told where it stands
        last = identity.seq + identity.n - 1
        try:
            fresh, mark, missing = take(mark, identity.seq, last, identity.lo)
        except TooManyGapsError:
            self.counts["too_many_gaps"] += identity.n
            return []
        self.marks[key] = mark
        self.counts["thinned"] += missing
        self.counts["duplicates"] += identity.n - sum(end - start + 1 for start, end in fresh)
        return fresh

    # --- 7 ranges, 8 allow-list ---------------------------------------------------------------------------

    def _batch(self, admitted: Admitted, batch: Batch) -> None:
        for first, last in self._take(admitted, Identity(batch.ob, batch.seq, batch.n, batch.lo)):
            self._judged(admitted, batch, first, last)

    def _judged(self, admitted: Admitted, batch: Batch, first: int, last: int) -> None:
        """Journal what passes, in runs as long as they come; each record that does not is a letter."""
        part = slice(first - batch.seq, last + 1 - batch.seq)
        if isinstance(batch, ReadingBatch) and steps.all_hold(
            batch.r[part], admitted.kind, admitted.device.kind, self.now_ns
        ):
            self._entry(admitted, batch, first, last)
            taken: Sequence[Reading] = batch.r[part]
        else:
            taken = self._judged_singly(admitted, batch, batch.r[part], first)
        if admitted.kind == "bulk":
            self._watch(admitted, taken)

    def _judged_singly(
        self, admitted: Admitted, batch: Batch, records: Sequence[Reading | Event | None], first: int
    ) -> list[Reading]:
        taken: list[Reading] = []
        run = first
        for seq, record in enumerate(records, start=first):
            reason = steps.judge_record(record, admitted.kind, admitted.device, self.now_ns)
            if reason is None and isinstance(record, Reading) and self._said_today(admitted.device.id, record):
                reason = "too_often"
            if reason is not None:
                self._refused(admitted, reason, batch.ob, seq, seq)
                self._entry(admitted, batch, run, seq - 1)
                run = seq + 1
            elif isinstance(record, Reading):
                taken.append(record)
        self._entry(admitted, batch, run, first + len(records) - 1)
        return taken

    def _said_today(self, device: str, record: Reading) -> bool:
        """C28: whether one of the record's daily metrics was said on its day before; else it is said now."""
        day = self.world.calendar.day_start_ns(record.ts_ns)
        keys = [(device, name) for name in steps.daily_of(record)]
        said = {key: self.days.get(key, self.known.days.get(key, frozenset())) for key in keys}
        full = any(len(days) >= MAX_DAYS and day < min(days) for days in said.values())
        if full or any(day in days for days in said.values()):
            return True
        self.days.update({key: frozenset(sorted(days | {day})[-MAX_DAYS:]) for key, days in said.items()})
        return False

    def _entry(self, admitted: Admitted, content: Batch | Frame, first: int, last: int) -> None:
        """Journal the records `first` to `last`; none when the run is empty."""
        if first > last:
            return
        received, place = admitted.received, admitted.place
        count = last - first + 1
        self.counts["records"] += count
        self.decoded.append(content)
        self.entries.append(
            JournalEntry(
                id=0,
                device=admitted.device.id,
                kind=place.kind,
                site=place.site,
                zone=place.zone,
                restricted=place.restricted,
                ob=content.ob,
                stream=admitted.kind,
                seq=content.seq,
                n=count,
                skip=first - content.seq,
                received_ns=received.received_ns,
                content_type=received.content_type or "",
                payload=received.wire,
            )
        )

    def _watch(self, admitted: Admitted, readings: Sequence[Reading]) -> None:
        watches = ChainMap(self.watches, self.known.watches)
        changed, signals = safety.evaluate(watches, readings, admitted.device, self.world, self.now_ns)
        self.watches.update(changed)
        self.signals += signals

    def _frame(self, admitted: Admitted, frame: Frame) -> None:
        if not self._take(admitted, Identity(frame.ob, frame.seq, 1, frame.lo)):
            return
        if admitted.kind == "sealed":
            self._judged_tick(admitted, frame)
        else:
            self._judged_release(admitted, frame)

    def _judged_tick(self, admitted: Admitted, frame: Frame) -> None:
        """C24: what is taken goes to the cohort store alone; of what is not, nothing but the reason stays."""
        key = (admitted.device.id, frame.start)
        reason = steps.judge_tick(frame, admitted.device, self.now_ns)
        if reason is None:
            held = self.ticks[key].body if key in self.ticks else self.sealed_body(*key)
            if held is not None and held != frame.body:
                reason = "second_tick"
        if reason is not None:
            self._refused(admitted, reason, frame.ob, frame.seq, frame.seq)
            return
        self.counts["ticks"] += 1
        self.ticks[key] = SealedTick(*key, frame.body)

    def _judged_release(self, admitted: Admitted, frame: Frame) -> None:
        device, start_ns = admitted.device, frame.start * NS
        verdict = steps.judge_release(frame, device, self.world, self.now_ns)
        key = (device.id, start_ns)
        if not isinstance(verdict, Refusal) and (key in self.releases or self.has_release(*key)):
            verdict = Refusal("second_release")
        if isinstance(verdict, Refusal):
            # Keeping a second draw for a window would be a second look at it (C22).
            keep = verdict.reason != "second_release"
            self._refused(admitted, verdict.reason, frame.ob, frame.seq, frame.seq, keep=keep)
            return
        self._entry(admitted, frame, frame.seq, frame.seq)
        self.releases[key] = ReleaseRow(
            device=device.id,
            zone=self.world.zone_of(device, start_ns),
            window_start_ns=start_ns,
            window_s=self.world.calendar.window_s,
            layout=verdict.layout,
            counters=verdict.counters,
            ob=frame.ob,
            seq=frame.seq,
            received_ns=admitted.received.received_ns,
            late=verdict.late,
        )

    def _document(self, admitted: Admitted, document: Document) -> None:
        kind: ReportKind = admitted.kind  # type: ignore[assignment]  # a document's kinds are report kinds
        if not steps.newer(self._report(admitted.device.id, kind), document):
            self.counts["stale_documents"] += 1
            return
        self.counts["documents"] += 1
        self._save(admitted, kind, document.ob, document.boot, document.conn, encode(document))

    # --- helpers ------------------------------------------------------------------------------------------

    def _report(self, device: str, kind: str) -> DeviceReport | None:
        return self.reports.get((device, kind)) or self.known.reports.get((device, kind))

    def _save(self, admitted: Admitted, kind: ReportKind, ob: int, boot: int, conn: int, body: bytes) -> None:
        device = admitted.device
        self.reports[device.id, kind] = DeviceReport(
            device=device.id,
            kind=kind,
            ob=ob,
            boot=boot,
            conn=conn,
            enrolment=device.enrolment,
            received_ns=self.now_ns,
            body=body,
        )

    def _refused(
        self, admitted: Admitted, reason: Reason, ob: int, first: int, last: int, *, keep: bool = True
    ) -> None:
        """Note records that a device signed and that cannot be taken; they are judged by this."""
        self.counts[reason] += last - first + 1
        self._letter(admitted.received, reason, admitted, ob=ob, seq=first, n=last - first + 1, keep=keep)

    def _unreadable(self, admitted: Admitted, reason: Reason) -> None:
        """Note a message that tells not even which records it holds; the device sends it again for ever."""
        key, summed = (admitted.device.id, admitted.kind), zlib.crc32(admitted.received.wire)
        if self.unreadable.get(key, self.known.unreadable.get(key)) == summed:
            self.counts["unreadable_again"] += 1
            return
        self.unreadable[key] = summed
        self.counts[reason] += 1
        self._letter(admitted.received, reason, admitted, keep=True)

    def _letter(
        self,
        received: Received,
        reason: Reason,
        admitted: Admitted | None = None,
        *,
        ob: int | None = None,
        seq: int | None = None,
        n: int | None = None,
        keep: bool = False,
    ) -> None:
        keep = keep and admitted is not None and admitted.kind != "sealed"  # C24
        self.dead_letters.append(
            DeadLetter(
                device=None if admitted is None else admitted.device.id,
                topic=shown(received.topic),
                stream=None if admitted is None else admitted.kind,
                ob=ob,
                seq=seq,
                n=n,
                reason=reason,
                received_ns=received.received_ns,
                size_bytes=len(received.wire),
                content_type=received.content_type if keep and received.content_type in _CONTENT_TYPES else None,
                sig=received.sig if keep else None,
                payload=received.wire if keep else None,
            )
        )


def shown(topic: str) -> str:
    """Return a peer's topic, cut and harmless; one of ours is not changed."""
    return "".join(char if char.isascii() and char.isprintable() else "?" for char in topic[:MAX_TOPIC_CHARS])
