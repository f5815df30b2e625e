"""Projects the journal into the series store, by a persisted cursor (contract rule C19). A thread of its own.

The cursor moves only after the store has said that the lines are durable; writing some of them again after a crash
changes nothing. An outage delays charts and nothing else: the projector waits and tries again, for ever. Lines that the
store never will take become dead letters, the others go on.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

from contracts.clock import Clock
from contracts.errors import ContractError
from contracts.frames import Frame
from contracts.messages import Batch
from gateway.ingest.points import line_of
from gateway.ingest.service import Handover
from gateway.ingest.steps import Admitted, Content, Received, Refusal, read
from gateway.ingest.world import World
from stores.errors import LinesRefusedError, StoreError, StoreUnavailableError
from stores.series.port import TimeSeriesStore
from stores.state.journal import PROJECTED, DeadLetter, IngestBatch, IngestState, JournalEntry

_LOG = logging.getLogger(__name__)

CHUNK: Final = 500  # entries a write: 10 000 lines of 20-record messages, two of InfluxDB's favourite batches
IDLE_S: Final = 0.02  # real time between two looks at an idle journal; a part of the latency bar
RETRY_MIN_S: Final = 0.5
RETRY_MAX_S: Final = 60.0

Line = tuple[JournalEntry, int, bytes]  # entry, seq, line


class Projector:
    """Moves the cursor `PROJECTED` along the journal."""

    def __init__(
        self,
        *,
        reading: IngestState,
        writing: IngestState,
        series: TimeSeriesStore,
        world: Callable[[], World],
        clock: Clock,
        handover: Handover,
        tell: Callable[[Callable[[], int]], None],
    ) -> None:
        """`tell` is called often, with a way to learn how many entries wait; it may block on the store."""
        self._reading = reading
        self._writing = writing
        self._series = series
        self._world = world
        self._clock = clock
        self._handover = handover
        self._tell = tell
        self._cursor = reading.cursor(PROJECTED)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="projector", daemon=True)
        self.failing_since_s: float | None = None  # real time
        self.projected_records = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the chunk at hand; what is left waits in the journal."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

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
            except StoreError as exc:
                if self.failing_since_s is None:
                    self.failing_since_s = self._clock.real_s()
                    _LOG.warning("series store: %s; charts wait, nothing else does", exc)
                named = exc.retry_after_s if isinstance(exc, StoreUnavailableError) else None
                self._stop.wait(named if named is not None else wait_s)
                wait_s = min(2 * wait_s, RETRY_MAX_S)
                continue
            if self.failing_since_s is not None:
                _LOG.warning("series store: back after %.0f s", self._clock.real_s() - self.failing_since_s)
                self.failing_since_s, wait_s = None, RETRY_MIN_S
            if not moved:
                self._stop.wait(IDLE_S)

    def _waiting(self) -> int:
        return max(0, self._reading.last_entry_id() - self._cursor)

    def step(self) -> bool:
        """Project one chunk; False when nothing waits. StoreError: nothing moved, try again."""
        entries = self._reading.entries_after(self._cursor, CHUNK)
        if not entries:
            return False
        buckets: dict[str, list[Line]] = {}
        letters: list[DeadLetter] = []
        world = self._world()
        for entry in entries:
            self._lines_of(entry, world, buckets, letters)
        for bucket, lines in buckets.items():
            letters += self._write(bucket, lines)
        last = entries[-1].id
        counts = {"projection": len(letters)} if letters else {}
        self._writing.commit(IngestBatch(cursors={PROJECTED: last}, dead_letters=letters, counts=counts))
        self._cursor = last
        self.projected_records += sum(entry.n for entry in entries)
        return True

    def _lines_of(
        self, entry: JournalEntry, world: World, buckets: dict[str, list[Line]], letters: list[DeadLetter]
    ) -> None:
        device = world.registry.devices.get(entry.device)
        content = self._handover.take(entry.id) or _read_again(entry, world)
        if isinstance(content, Frame):
            return  # releases are analyse's to roll up, from the table of releases
        if device is None or not isinstance(content, Batch):  # left the registry, or this program reads it no more
            letters.append(_letter(entry, entry.seq + entry.skip, self._clock.now_ns()))
            return
        for offset in range(entry.skip, entry.skip + entry.n):
            seq = entry.seq + offset
            bucket, line = line_of(content.r[offset], seq, device, world)
            buckets.setdefault(bucket, []).append((entry, seq, line))

    def _write(self, bucket: str, lines: Sequence[Line]) -> list[DeadLetter]:
        try:
            self._series.write(bucket, b"\n".join([line for _, _, line in lines]))
        except LinesRefusedError as exc:
            _LOG.warning("series store refused %d lines of bucket %s: see the dead letters", len(exc.bad), bucket)
            now_ns = self._clock.now_ns()
            return [_letter(lines[index][0], lines[index][1], now_ns) for index, _ in exc.bad]
        return []


def _read_again(entry: JournalEntry, world: World) -> Content | None:
    """Decode a journalled payload; it passed every check when it was journalled."""
    device = world.registry.devices.get(entry.device)
    if device is None:
        return None
    topic = f"kw/v1/{entry.device}/up/{entry.stream}"
    received = Received(topic, entry.payload, entry.content_type, None, entry.received_ns)
    try:
        content = read(Admitted(received, device, entry.stream))
    except ContractError:
        return None
    return None if isinstance(content, Refusal) else content


def _letter(entry: JournalEntry, seq: int, now_ns: int) -> DeadLetter:
    """The payload stays in the journal; this row says that its record is on no chart."""
    return DeadLetter(
        device=entry.device,
        topic=f"kw/v1/{entry.device}/up/{entry.stream}",
        stream=entry.stream,
        ob=entry.ob,
        seq=seq,
        reason="projection",
        received_ns=now_ns,
        size_bytes=len(entry.payload),
    )
