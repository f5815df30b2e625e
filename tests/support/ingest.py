"""Ingest in this process for unit tests: the real service on a real state, without broker, sockets and threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from contracts.windows import NS, to_datetime
from gateway.ingest.registry import RegistryReader
from gateway.ingest.service import IngestService, Judged
from gateway.ingest.steps import Received
from gateway.ingest.verifier import Verifier
from stores.state.cohorts import CohortStore
from stores.state.database import Database, open_for_reading, open_for_writing
from stores.state.journal import IngestState
from tests.support.speaker import START_NS, Said


@dataclass
class SetClock:
    """District time that stands where a test puts it; real time is a number of its own."""

    ns: int = START_NS + 7 * 3600 * NS
    s: float = 1000.0
    speed: int = 1

    def now_ns(self) -> int:
        return self.ns

    def now(self) -> datetime:
        return to_datetime(self.ns)

    def real_s(self) -> float:
        return self.s


@dataclass
class Bench:
    """An ingest that is handed messages and looked into; `restart` makes a new one on the same files."""

    spec: str
    clock: SetClock
    database: Database
    registry: RegistryReader
    state: IngestState
    cohorts: CohortStore
    service: IngestService

    def hear(self, *messages: Said) -> Judged:
        """One batch from the broker."""
        return self.service.process([Received(*said, received_ns=self.clock.ns) for said in messages])

    def restart(self) -> None:
        """Forget everything that is not on disk."""
        self.state = IngestState(self.database)
        self.service = IngestService(
            self.state, self.cohorts, clock=self.clock, registry=self.registry, verifier=Verifier(0)
        )

    @property
    def records(self) -> list[tuple[str, int, str, int]]:
        """(device, ob, stream, seq) of everything in the journal, as often as it is there."""
        return [
            (entry.device, entry.ob, entry.stream, entry.seq + entry.skip + offset)
            for entry in self.state.entries_after(0, 10_000)
            for offset in range(entry.n)
        ]

    @property
    def reasons(self) -> list[str]:
        """The reasons of the dead letters, oldest first."""
        return [letter.reason for _, letter in self.state.dead_letters()]


@contextmanager
def ingest_bench(spec: str) -> Iterator[Bench]:
    """An ingest on a state that has a registry."""
    clock = SetClock()
    registry = RegistryReader(lambda: open_for_reading(spec, "backend"), clock)
    with open_for_writing(spec, "ingest") as database, open_for_writing(spec, "cohorts") as sealed:
        state, cohorts = IngestState(database), CohortStore(sealed)
        service = IngestService(state, cohorts, clock=clock, registry=registry, verifier=Verifier(0))
        yield Bench(spec, clock, database, registry, state, cohorts, service)
    registry.close()
