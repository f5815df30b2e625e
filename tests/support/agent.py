"""A whole agent in a test's own time: real stores and services, a fake analyser, an uplink that writes all down."""

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.codec import pack_json, unpack_json
from contracts.envelope import sign
from contracts.frames import Frame
from contracts.messages import VERSION, Ack, Birth, Down, decode_batch, encode
from contracts.topics import STREAMS, DownTopic, UpTopic
from edge.adapters.store import OutboxStore
from edge.adapters.visits import VisitDatabase
from edge.adapters.waiting import PollWaiter
from edge.core.outbox import RULES as RULES_OF_STREAMS
from edge.core.schedule import Schedule
from edge.core.sending import Sending
from edge.core.visit import State, VisitRules
from edge.release.counters import open_window
from edge.release.window import OpenWindow
from edge.service.agent import Agent, Mailbox, Parts
from edge.service.counter import CheckIn, Counter
from edge.service.desk import CheckedIn, DeskView, TurnedAway
from edge.service.downlink import Downlink
from edge.service.health import HealthTask
from edge.service.kiosk import KioskParts, KioskRules, KioskTask
from edge.service.publisher import Identity, Publisher
from edge.service.recorder import Recorder
from mqttlink.types import AckToken, Message
from tests.support.children import Codes, Seals, analyser_on
from tests.support.fake_analyser import FakeAnalyser
from tests.support.kiosk import CALENDAR, LAYOUTS, RULES, START_NS, Quality, SetClock, kiosk_rules, middle

DEVICE = "kiosk-10016-1"


@dataclass(frozen=True)
class Sent:
    """One message as an observer at the broker sees it."""

    at_ns: int
    topic: str
    payload: bytes
    content_type: str | None


@dataclass
class WritingUplink:
    """Implements edge.ports.Uplink: takes every message, says `stored`, and writes it down."""

    clock: SetClock
    mailbox: Mailbox | None = None
    sent: list[Sent] = field(default_factory=list)
    acked: list[AckToken] = field(default_factory=list)
    connected: bool = False
    taking: bool = True

    def start(self) -> None:
        self.connect()

    def connect(self) -> None:
        assert self.mailbox is not None
        self.connected = True
        self.mailbox.on_connected(session_present=False)

    def disconnect(self) -> None:
        assert self.mailbox is not None
        self.connected = False
        self.mailbox.on_disconnected("test")

    def stop(self, *, timeout_s: float) -> None:
        self.connected = timeout_s < 0

    def publish(
        self, token: int, topic: str, payload: bytes, *, sig: str | None, content_type: str | None, retain: bool = False
    ) -> bool:
        assert self.mailbox is not None
        assert sig is not None
        assert retain is topic.endswith(("/state", "/reported"))
        if not self.connected or not self.taking:
            return False
        self.sent.append(Sent(self.clock.now_ns(), topic, payload, content_type))
        self.mailbox.on_published(token, "stored")
        return True

    def ack(self, token: AckToken) -> None:
        self.acked.append(token)

    def of(self, kind: str) -> list[Sent]:
        """Messages of one kind."""
        return [one for one in self.sent if one.topic == str(UpTopic(DEVICE, kind))]


def _last_seq(stream: str, message: Sent) -> int:
    """The last record that a message carries."""
    if not RULES_OF_STREAMS[stream].joined:
        return Frame.decode(message.payload).seq
    batch = decode_batch(stream, unpack_json(message.payload, message.content_type))
    return batch.seq + batch.n - 1


@dataclass
class AgentInTestTime:
    """The agent and everything a test may touch."""

    agent: Agent
    clock: SetClock
    analyser: FakeAnalyser
    uplink: WritingUplink
    outbox: OutboxStore
    visits: VisitDatabase
    quality: Quality
    deployment: Ed25519PrivateKey
    mailbox: Mailbox
    publisher: Publisher
    downlink: Downlink
    recorder: Recorder
    kiosk: KioskTask
    codes: Codes
    seals: Seals

    def check_in(self, *, paper: bool = True) -> CheckedIn | TurnedAway:
        """Somebody checks in, as over the screen; the answer."""
        wish = CheckIn("en", paper=paper)
        self.kiosk.desk._wishes.put(wish)
        self.turns()
        return wish.wait(0)

    def test(self, word: str, run_s: float = 1800.0) -> None:
        """Somebody checks in and inserts a cartridge whose run will end in `word`."""
        self.turns(1)
        assert isinstance(self.check_in(), CheckedIn)
        self.analyser.insert(word, run_s)
        self.turns()
        assert not any(visit.state is State.RESERVED for visit in self.visits.visits), "the run did not begin"

    @property
    def view(self) -> DeskView:
        """What the screen shows now."""
        return self.kiosk.desk.view()

    def turns(self, n: int = 4) -> None:
        """Let it work without time passing."""
        for _ in range(n):
            self.agent.turn()

    def pass_time(self, seconds: float, step_s: float = 60.0) -> None:
        """Let time pass in even steps."""
        end_ns = self.clock.ns + int(seconds * 1e9)
        while self.clock.ns < end_ns:
            self.clock.ns = min(end_ns, self.clock.ns + int(step_s * 1e9))
            self.turns(6)

    def tell(self, kind: str, down: Down, *, key: Ed25519PrivateKey | None = None) -> None:
        """Let a signed down message arrive."""
        topic = str(DownTopic(DEVICE, kind))
        payload, content_type = pack_json(encode(down))
        sig = sign(key or self.deployment, topic, payload)
        self.hear(Message(topic, payload, content_type, sig, AckToken(1, 1), retain=False, dup=False))

    def judge_all(self) -> None:
        """Answer everything that was ever sent, as a gateway does."""
        for stream in STREAMS:
            hi = max((_last_seq(stream, one) for one in self.uplink.of(stream)), default=0)
            if hi:
                self.tell("ack", Ack(v=VERSION, ob=self.outbox.ob, stream=stream, hi=hi, also=[]))

    def hear(self, message: Message) -> None:
        """Let a down message arrive."""
        self.mailbox.on_message(message)
        self.turns(1)


@contextmanager
def agent_in_test_time(
    folder: Path,
    *,
    seed: int = 1,
    open_window_: OpenWindow | None = None,
    outbox_from: Path | None = None,
    key: Ed25519PrivateKey | None = None,
    budgets: dict[str, int] | None = None,
    now_ns: int = START_NS,
    visits_type: type[VisitDatabase] = VisitDatabase,
    kiosk_type: type[KioskTask] = KioskTask,
    rules: Callable[[VisitRules, OutboxStore], KioskRules] = kiosk_rules,
) -> Iterator[AgentInTestTime]:
    """An agent in `folder`; `outbox_from` is a file to begin with, so that two worlds have the same ob."""
    folder.mkdir(parents=True, exist_ok=True)
    if outbox_from is not None:
        shutil.copy(outbox_from, folder / "outbox.db")
    clock, quality, waiter = SetClock(now_ns), Quality(), PollWaiter()
    deployment = Ed25519PrivateKey.generate()
    outbox = OutboxStore(folder / "outbox.db", budgets=budgets)
    sending = Sending(outbox.ob, outbox.held(), outbox.next_seq(), middle)
    recorder = Recorder(outbox, sending, lambda: (clock.now_ns(), quality.now()))
    draw = open_window_ or partial(open_window, randbelow=random.Random(seed).randrange)
    visits = visits_type(
        folder / "visits.db", calendar=CALENDAR, layouts=LAYOUTS, open_window=draw, now_ns=clock.now_ns()
    )
    for connection in (outbox._connection, visits._connection):
        connection.execute("PRAGMA synchronous=OFF")  # nothing here loses power, and syncing is most of the time
    analyser = FakeAnalyser(clock)
    identity = Identity(device=DEVICE, firmware="test", ob=outbox.ob, boot=outbox.boot)
    publisher = Publisher(identity, key or Ed25519PrivateKey.generate(), outbox, sending, clock)
    codes, seals = Codes(), Seals()
    kiosk = kiosk_type(
        KioskParts(
            analyser=analyser_on(analyser, middle),
            codes=codes,
            sealer=seals,
            visits=visits,
            counter=Counter(clock, waiter),
            recorder=recorder,
            clock=clock,
            quality=quality,
            door_open=lambda: False,
        ),
        rules(RULES, outbox),
    )
    health = HealthTask(
        kind="kiosk",
        schedule=Schedule(3600, 17),
        utc_offset_s=CALENDAR.utc_offset_s,
        facts=lambda: {"outbox_pct": outbox.fill_pct(), "instrument_ok": float(kiosk.instrument_ok)},
        daily=dict,
        counts=lambda: asdict(sending.counters),
        recorder=recorder,
        clock=clock,
        quality=quality,
    )

    def born() -> None:
        publisher.say(
            "birth",
            Birth(
                v=VERSION,
                ob=outbox.ob,
                boot=outbox.boot,
                conn=publisher.conn,
                fw="test",
                ts_ns=clock.now_ns(),
                instruments=[],
                metrics=[],
                layout=1,
            ),
        )

    mailbox, uplink = Mailbox(waiter), WritingUplink(clock)
    uplink.mailbox = mailbox
    downlink = Downlink(
        deployment.public_key(),
        clock=clock,
        outbox=outbox,
        sending=sending,
        publisher=publisher,
        recorder=recorder,
        rebirth=born,
    )
    agent = Agent(
        Parts(
            clock=clock,
            waiter=waiter,
            mailbox=mailbox,
            uplink=uplink,
            outbox=outbox,
            recorder=recorder,
            publisher=publisher,
            downlink=downlink,
            instruments=[kiosk],
            tasks=[health],
            born=born,
        )
    )
    uplink.start()
    try:
        yield AgentInTestTime(
            agent,
            clock,
            analyser,
            uplink,
            outbox,
            visits,
            quality,
            deployment,
            mailbox,
            publisher,
            downlink,
            recorder,
            kiosk,
            codes,
            seals,
        )
    finally:
        kiosk.close()
        outbox.close()
        waiter.close()
