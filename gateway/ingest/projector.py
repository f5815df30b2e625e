"""Projects the journal into the series store, by a persisted cursor (contract rule C19). A thread of its own.

The cursor moves only after the store has said that the lines are durable; writing some of them again after a crash
changes nothing. An outage delays charts and nothing else: the projector waits and tries again, for ever. Lines that the
store never will take become dead letters, the others go on.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from contracts.clock import Clock
from contracts.messages import Batch
from gateway.ingest.handover import Handed, Handover
from gateway.ingest.points import lines_of
from gateway.ingest.steps import read_again
from gateway.ingest.world import Place
from stores.errors import LinesRefusedError, StoreError, StoreUnavailableError, WriterLockedError
from stores.series.port import TimeSeriesStore
from stores.state.dead_letters import DeadLetter
from stores.state.journal import PROJECTED, IngestBatch, IngestState, JournalEntry

_LOG = logging.getLogger(__name__)

CHUNK: Final = 500  # entries a write: 10 000 lines of 20-record messages, two of InfluxDB's favourite batches
IDLE_S: Final = 0.02  # real time between two looks at an idle journal; a part of the latency bar
RETRY_MIN_S: Final = 0.5
RETRY_MAX_S: Final = 60.0  # also for a wait that the store itself names
STOP_S: Final = 1.0  # what a write under way at the end is waited for; the next start repeats it


@dataclass(slots=True)
class _Lines:
    """The lines of one bucket, and which records they are."""

    lines: list[str] = field(default_factory=list)
    records: list[tuple[JournalEntry, int]] = field(default_factory=list)  # entry, seq


class Projector:
    """Moves the cursor `PROJECTED` along the journal."""

    def __init__(
        self,
        *,
        reading: IngestState,
        writing: IngestState,
        series: TimeSeriesStore,
        district: Callable[[], str],
        clock: Clock,
        handover: Handover,
        tell: Callable[[Callable[[], int]], None],
    ) -> None:
        """`tell` is called often, with a way to learn how many entries wait; it may block on the store."""
        self._reading = reading
        self._writing = writing
        self._series = series
        self._district = district
        self._clock = clock
        self._handover = handover
        self._tell = tell
        self._cursor = reading.cursor(PROJECTED)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="projector", daemon=True)
        self._failing_since_s: float | None = None  # real time
        self.projected_records = 0
        self.failure: BaseException | None = None  # why the thread ended by itself

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, soon; what is left waits in the journal."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)

    def restart(self) -> None:
        """Take up the cursor as it is stored now."""
        self._cursor = self._reading.cursor(PROJECTED)

    @property
    def cursor(self) -> int:
        """The newest journal number that is projected."""
        return self._cursor

    def _run(self) -> None:
        wait_s = RETRY_MIN_S
        while not self._stop.is_set():
            try:
                moved = self.step()
                self._tell(self._waiting)
            except WriterLockedError as exc:
                self.failure = exc
                return
            except StoreError as exc:
                self._failing(exc)
                named = exc.retry_after_s if isinstance(exc, StoreUnavailableError) else None
                self._stop.wait(min(named, RETRY_MAX_S) if named is not None else wait_s)
                wait_s = min(2 * wait_s, RETRY_MAX_S)
            except BaseException as exc:  # noqa: BLE001 -- the thread's edge: the process ends and starts anew
                self.failure = exc
                return
            else:
                self._working()
                wait_s = RETRY_MIN_S
                if not moved:
                    self._stop.wait(IDLE_S)

    def _failing(self, exc: StoreError) -> None:
        if self._failing_since_s is None and not self._stop.is_set():
            self._failing_since_s = self._clock.real_s()
            _LOG.warning("series store: %s; charts wait, nothing else does", exc)

    def _working(self) -> None:
        if self._failing_since_s is not None:
            _LOG.warning("series store: back after %.0f s", self._clock.real_s() - self._failing_since_s)
            self._failing_since_s = None

    def _waiting(self) -> int:
        return max(0, self._reading.last_entry_id() - self._cursor)

    def step(self) -> bool:
        """Project one chunk; False when nothing waits. StoreError: nothing moved, try again."""
        handed = self._handover.take(self._cursor, CHUNK) or self._journalled()
        if not handed:
            return False
        buckets: dict[str, _Lines] = {}
        letters: list[DeadLetter] = []
        district = self._district()
        for one in handed:
            self._lines_of(one, district, buckets, letters)
        for bucket, lines in buckets.items():
            letters += self._write(bucket, lines)
        last = handed[-1].id
        counts = {"projection": len(letters)} if letters else {}
        self._writing.commit(IngestBatch(cursors={PROJECTED: last}, dead_letters=letters, counts=counts))
        self._cursor = last
        self.projected_records += sum(one.entry.n for one in handed)
        return True

    def _journalled(self) -> list[Handed]:
        return [
            Handed(entry.id, entry, read_again(entry.stream, entry.payload, entry.content_type))
            for entry in self._reading.entries_after(self._cursor, CHUNK)
        ]

    def _lines_of(self, one: Handed, district: str, buckets: dict[str, _Lines], letters: list[DeadLetter]) -> None:
        _, entry, content = one
        if entry.stream == "release":
            return  # analyse rolls releases up, from a table of their own
        place = Place(entry.kind, entry.site, entry.zone, entry.restricted)
        first = entry.seq + entry.skip
        records = content.r[entry.skip : entry.skip + entry.n] if isinstance(content, Batch) else [None] * entry.n
        lines = lines_of(records, first, entry.device, place, district)
        for seq, found in enumerate(lines, start=first):
            if found is None:  # this program reads the message, or knows the metric, no more
                letters.append(_letter(entry, seq, self._clock.now_ns()))
                continue
            bucket, line = found
            into = buckets.get(bucket)
            if into is None:
                into = buckets[bucket] = _Lines()
            into.lines.append(line)
            into.records.append((entry, seq))

    def _write(self, bucket: str, lines: _Lines) -> Sequence[DeadLetter]:
        try:
            self._series.write(bucket, "\n".join(lines.lines).encode())
        except LinesRefusedError as exc:
            _LOG.warning("series store refused %d lines of bucket %s: see the dead letters", len(exc.bad), bucket)
            now_ns = self._clock.now_ns()
            return [_letter(*lines.records[index], now_ns) for index, _ in exc.bad]
        return ()


def _letter(entry: JournalEntry, seq: int, now_ns: int) -> DeadLetter:
    """The payload stays in the journal; this row says that its record is on no chart."""
    return DeadLetter(
        device=entry.device,
        topic=f"kw/v1/{entry.device}/up/{entry.stream}",
        stream=entry.stream,
        ob=entry.ob,
        seq=seq,
        n=1,
        reason="projection",
        received_ns=now_ns,
        size_bytes=len(entry.payload),
    )
