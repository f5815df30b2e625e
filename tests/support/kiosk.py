"""A kiosk without a broker: the real task, stores, driver and link, on a shared clock, with readable counters."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from contracts.clock import Clock, ScaledClock, TimeAnchors
from contracts.frames import ReleaseBody
from contracts.layout import Assay, AssayLayout
from contracts.messages import TQ_DISCIPLINED
from contracts.sealed import dummy
from contracts.windows import NS, Calendar, to_datetime
from edge.adapters.links import make_link
from edge.adapters.store import OutboxStore
from edge.adapters.visits import VisitDatabase
from edge.adapters.waiting import PollWaiter
from edge.children.analyser import ChildAnalyser
from edge.children.keeper import ForkServer
from edge.children.sealer import ChildSealer
from edge.core.backoff import Backoff
from edge.core.layouts import layout_book
from edge.core.outcome import Dialect
from edge.core.sending import Sending
from edge.core.visit import State, VisitRules
from edge.ports import Analyser, Link, Sealer
from edge.release.counters import WindowCounters
from edge.release.window import OpenWindow, decode_blob
from edge.service.counter import CheckIn, Counter
from edge.service.desk import CheckedIn, TurnedAway
from edge.service.kiosk import KioskParts, KioskRules, KioskTask
from edge.service.recorder import Recorder
from edge.service.ticks import TickRules
from tests.support.children import Codes, Seals, analyser_on

WINDOW_S = 6 * 3600
START_NS = 1_639_285_200 * NS  # 2021-12-12 00:00 at -05:00
CALENDAR = Calendar(window_s=WINDOW_S, utc_offset_s=-5 * 3600, week_start=6)
LAYOUT = AssayLayout(1, (Assay("SARSCOV2", ("sars-cov-2",)),))
LAYOUTS = layout_book([(START_NS, LAYOUT)])
_SHUFFLE = secrets.SystemRandom().shuffle
RULES = VisitRules(places=4, modules=4, insertion_s=600, t_max_s=2700)


def open_at_zero(window_start: datetime, targets: tuple[str, ...]) -> WindowCounters:
    """Counters without noise: what tests count with, and production has no way to ask for."""
    return WindowCounters(window_start=window_start, positives=dict.fromkeys(targets, 0), valid=0, invalid=0)


def middle(low: float, high: float) -> float:
    """Jitter without chance."""
    return (low + high) / 2


class Quality:
    """A clock quality that a test sets."""

    def __init__(self, tq: int = TQ_DISCIPLINED) -> None:
        self.tq = tq

    def now(self) -> int:
        return self.tq


@dataclass
class SetClock:
    """District time that stands where a test puts it; real time moves with it, divided by the speed."""

    ns: int = START_NS
    speed: int = 600

    def now_ns(self) -> int:
        return self.ns

    def now(self) -> datetime:
        return to_datetime(self.ns)

    def real_s(self) -> float:
        return (self.ns - START_NS) / NS / self.speed

    def move(self, seconds: float) -> None:
        self.ns += int(seconds * NS)


def scaled_clock(speed: int) -> ScaledClock:
    """A district's clock that starts now."""
    now_ns = time.monotonic_ns()
    return ScaledClock(TimeAnchors(now_ns, START_NS, speed, START_NS), time.monotonic_ns)


@dataclass
class Kiosk:
    """A running kiosk; `counts` looks into the open windows, as no one outside a test can."""

    task: KioskTask
    visits: VisitDatabase
    outbox: OutboxStore
    recorder: Recorder
    analyser: Analyser
    codes: Codes
    seals: Sealer
    clock: Clock
    quality: Quality
    waiter: PollWaiter

    def turn(self) -> None:
        self.task.step()
        self.recorder.flush()

    def until(self, holds: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Work until something holds; an AssertionError after the time-out."""
        end_s = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < end_s, "it did not come in time"
            self.turn()
            self.waiter.wait(*self.task.waits_on(), 0.01)

    def check_in(self, *, paper: bool = True) -> CheckedIn | TurnedAway:
        """Somebody checks in, as over the screen; the answer."""
        wish = CheckIn("en", paper=paper)
        self.task.desk._wishes.put(wish)
        self.until(wish._answered.is_set)
        return wish.wait(0)

    def expect(self) -> None:
        """Somebody checks in as soon as the kiosk allows it."""
        self.until(lambda: isinstance(self.check_in(), CheckedIn))

    @property
    def started(self) -> bool:
        """Whether a run is under way."""
        return any(visit.state is State.RUNNING for visit in self.visits.visits)

    def work(self, seconds: float) -> None:
        """Work for a while."""
        end_s = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end_s, seconds + 5)

    @property
    def counts(self) -> Mapping[str, int]:
        """Valid, invalid and positives over both open windows and every one that was released."""
        total = {"valid": 0, "invalid": 0, "positives": 0}
        bodies = [decode_blob(self.visits._blob(slot))[1] for slot in (0, 1)]
        bodies += [row.body for row in self.outbox.rows("release", 1, 500)]
        for body in bodies:
            for name, value in zip(total, ReleaseBody.decode(body, {1: LAYOUT}).counters, strict=True):
                total[name] += value
        return total

    @property
    def runs(self) -> int:
        """How many runs have been counted."""
        return self.counts["valid"] + self.counts["invalid"]


def kiosk_rules(
    rules: VisitRules,
    outbox: OutboxStore,
    *,
    offset_s: int = 20,
    dummy_: Callable[[], bytes] = dummy,
    shuffle: Callable[[list[bytes]], None] = _SHUFFLE,
) -> KioskRules:
    """What district and cabinet say to a kiosk of these tests; its ticks go out `offset_s` after their start."""
    return KioskRules(
        visits=rules,
        ticks=TickRules(places=rules.places, offset_ns=offset_s * NS, dummy=dummy_, shuffle=shuffle),
        last_tick=outbox.last_start("sealed"),
        dialect=Dialect("SARSCOV2", {}),
        layouts=LAYOUTS,
        window_ns=CALENDAR.window_ns,
        utc_offset_s=CALENDAR.utc_offset_s,
        randbelow=secrets.randbelow,
    )


@contextmanager
def kiosk(
    folder: Path,
    link: Link | str,
    clock: Clock,
    *,
    rules: VisitRules = RULES,
    open_window: OpenWindow = open_at_zero,
    server: ForkServer | None = None,
) -> Iterator[Kiosk]:
    """A kiosk whose files lie in `folder`; with a fork server, analyser and sealer work in real children."""
    outbox = OutboxStore(folder / "outbox.db")
    sending = Sending(outbox.ob, outbox.held(), outbox.next_seq(), middle)
    quality, waiter = Quality(), PollWaiter()
    recorder = Recorder(outbox, sending, lambda: (clock.now_ns(), quality.now()))
    visits = VisitDatabase(
        folder / "visits.db", calendar=CALENDAR, layouts=LAYOUTS, open_window=open_window, now_ns=clock.now_ns()
    )
    wire = make_link(f"tcp:{link}", 19_200) if isinstance(link, str) else link
    analyser: Analyser = analyser_on(wire, middle)
    seals: Sealer = Seals()
    if server is not None:
        analyser = ChildAnalyser(wire, server, Backoff(0.1, 1.0, middle), assay="SARSCOV2")
        seals = ChildSealer(server)
    codes = Codes()
    task = KioskTask(
        KioskParts(
            analyser=analyser,
            codes=codes,
            sealer=seals,
            visits=visits,
            counter=Counter(clock, waiter),
            recorder=recorder,
            clock=clock,
            quality=quality,
            door_open=lambda: False,
        ),
        kiosk_rules(rules, outbox),
    )
    try:
        yield Kiosk(task, visits, outbox, recorder, analyser, codes, seals, clock, quality, waiter)
    finally:
        task.close()
        outbox.close()
        waiter.close()
