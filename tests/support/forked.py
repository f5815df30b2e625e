"""A real fork server for tests, and a small agent that drives the analyser through it and opens what it sealed."""

import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from contracts.claim import ClaimCode, ClaimKeys
from contracts.sealed import ResultBody, open_record
from edge.adapters.links import make_link
from edge.adapters.waiting import PollWaiter
from edge.children.analyser import ChildAnalyser
from edge.children.keeper import Children, ForkServer
from edge.core.backoff import Backoff
from edge.core.outcome import AssayTable
from edge.core.visit import PublicPart, new_sample_id
from edge.ports import ControlSeen, Happening, OrderSettled, OrderWanted, ResultsCame, ResultsSealed, SealOrder
from tests.support.process import wait_until

TABLE = AssayTable("SARSCOV2", {"SARSCOV2": "sars-cov-2"})
DAY = "2021-12-12"


def middle(low: float, high: float) -> float:
    """Jitter without chance."""
    return (low + high) / 2


@contextmanager
def fork_server() -> Iterator[ForkServer]:
    """A fork server that ends with the test."""
    server = ForkServer()
    server.start()
    try:
        yield server
    finally:
        server.close()


def revive(server: ForkServer) -> None:
    """Let the agent's main thread notice that its server has ended, and begin it again."""
    ended = server.pid

    def begun() -> bool:
        server.watch()
        return server.pid != ended

    wait_until(begun, timeout_s=10, what="another fork server")


def children_of(pid: int) -> list[int]:
    """The living children of a process, by the kernel's word."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == pid:
                found.append(int(entry.name))
    return sorted(found)


def state_of(pid: int) -> str:
    """R, S, Z, …; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def the_child(server: ForkServer) -> int:
    """The one child that lives; it may be on its way still."""
    wait_until(lambda: len(children_of(server.pid or 0)) == 1, timeout_s=5, what="one child")
    return children_of(server.pid or 0)[0]


def kill(pid: int, how: signal.Signals = signal.SIGKILL) -> None:
    """End a process as a fault would."""
    os.kill(pid, how)


def keys_of() -> tuple[ClaimKeys, PublicPart]:
    """A code's keys, and what the agent knows of it."""
    keys = ClaimCode.generate().keys()
    return keys, PublicPart(keys.slot, keys.public_key, keys.origin)


@dataclass
class Ward:
    """An agent without files: orders whenever it is asked, keeps what is sealed, once a sample."""

    analyser: ChildAnalyser
    waiter: PollWaiter = field(default_factory=PollWaiter)
    said: list[Happening] = field(default_factory=list)
    keys: dict[str, ClaimKeys] = field(default_factory=dict)
    results: dict[str, ResultBody] = field(default_factory=dict)
    counted: dict[str, tuple[bool, frozenset[str]]] = field(default_factory=dict)
    controls: list[ControlSeen] = field(default_factory=list)
    orders: bool = True
    refusals: int = 0  # so many uploads are not kept at first
    before: Callable[[Happening], None] = lambda _: None

    def turn(self) -> None:
        self._hear(self.analyser.step(time.monotonic()))

    def until(self, holds: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Work until something holds; an AssertionError after the time-out."""
        end_s = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < end_s, "it did not come in time"
            self.turn()
            self.waiter.wait([self.analyser.fileno()], self._writing(), 0.02)

    def work(self, seconds: float) -> None:
        """Work for a while."""
        end_s = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end_s, seconds + 5)

    def count(self, kind: type) -> int:
        """How often something was said."""
        return sum(isinstance(one, kind) for one in self.said)

    def _writing(self) -> list[int]:
        return [self.analyser.fileno()] if self.analyser.wants_write() else []

    def _hear(self, happenings: list[Happening]) -> None:
        while happenings:
            happening = happenings.pop(0)
            self.said.append(happening)
            self.before(happening)
            happenings += self._answer(happening, time.monotonic())

    def _answer(self, happening: Happening, now_s: float) -> list[Happening]:
        match happening:
            case OrderWanted():
                return self.analyser.order(self._order(), 1_639_285_200 * 10**9, now_s)
            case OrderSettled(sample, "no"):
                self.keys.pop(sample, None)
            case ResultsCame(runs):
                awaited = dict.fromkeys(run.sample for run in runs if run.final and run.sample is not None)
                orders = tuple(self._seal_order(sample) for sample in awaited if sample in self.keys)
                return self.analyser.seal(orders, TABLE, now_s)
            case ResultsSealed():
                return self._keep(happening, now_s)
        return []

    def _order(self) -> str | None:
        if not self.orders:
            return None
        sample = new_sample_id(secrets.randbelow)
        self.keys[sample] = keys_of()[0]
        return sample

    def _seal_order(self, sample: str) -> SealOrder:
        keys = self.keys[sample]
        return SealOrder(sample, PublicPart(keys.slot, keys.public_key, keys.origin), DAY, TABLE)

    def _keep(self, sealed: ResultsSealed, now_s: float) -> list[Happening]:
        if self.refusals:
            self.refusals -= 1
            return self.analyser.not_kept(now_s)
        for run in sealed.runs:
            assert run.sample not in self.counted, "counted twice"
            self.counted[run.sample] = (run.valid, run.positives)
            self.results[run.sample] = ResultBody.decode(open_record(self.keys.pop(run.sample), run.record))
        self.controls += sealed.controls
        return self.analyser.kept(now_s)


@contextmanager
def ward(children: Children, where: str) -> Iterator[Ward]:
    """An agent on an analyser at `where`."""
    analyser = ChildAnalyser(make_link(f"tcp:{where}", 0), children, Backoff(0.1, 1.0, middle), assay="SARSCOV2")
    one = Ward(analyser)
    try:
        yield one
    finally:
        analyser.close()
        one.waiter.close()
