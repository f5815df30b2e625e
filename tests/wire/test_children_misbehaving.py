"""The agent's side of its children when these say what they must not, nothing, or too much; on real socket pairs."""

import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from contracts.sealed import RECORD_BYTES
from edge.children.analyser import ANSWER_S, PING_S, ChildAnalyser
from edge.children.channel import MAX_MESSAGE_BYTES, Channel, pair
from edge.children.keeper import Child
from edge.children.messages import (
    Came,
    CodeIssued,
    Done,
    Failed,
    FromChild,
    Kind,
    LineGone,
    OrderTest,
    Passed,
    Ping,
    Pong,
    SealRuns,
    ServeAnalyser,
    Settled,
    Spawn,
    ToChild,
    Verdict,
    Wanted,
    decode_for_child,
    encode,
    encode_sealed,
)
from edge.children.sealer import RETRY_S, ChildSealer
from edge.core.backoff import Backoff
from edge.core.visit import PublicPart
from edge.errors import ChildError
from edge.ports import (
    Found,
    Happening,
    Ignored,
    Lost,
    OrderSettled,
    OrderWanted,
    ResultsCame,
    ResultsSealed,
    RunSeen,
    SealedRun,
    SealOrder,
)
from tests.support.forked import DAY, TABLE, middle

SAMPLE = "6JDT06FXXF61J697SS0Y"
ORDER = SealOrder(SAMPLE, PublicPart(b"s" * 16, b"k" * 32, b"o" * 16), DAY, TABLE)
POSITIVE = SealedRun(SAMPLE, b"\x07" * RECORD_BYTES, True, frozenset({"sars-cov-2"}))
SEALED = encode_sealed(ResultsSealed((POSITIVE,), ()), (ORDER,))
RETRY = 1.0


class StandingLink:
    """A line that is up as soon as it is opened. Implements edge.ports.Link."""

    def __init__(self) -> None:
        self._end, self._far = os.pipe()
        self.opened = self.closed = 0

    def open(self) -> None:
        self.opened += 1

    def established(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._end

    def wants_write(self) -> bool:
        return False

    def receive(self) -> bytes:
        raise AssertionError("the agent reads nothing of what the analyser says")

    def send(self, data: bytes) -> None:
        raise AssertionError(f"the agent says {len(data)} bytes to the analyser")

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed += 1

    def let_go(self) -> None:
        os.close(self._end)
        os.close(self._far)


@dataclass
class Puppets:
    """Children whose words a test says. Implements edge.children.keeper.Children."""

    ends: list[socket.socket] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    given: list[int] = field(default_factory=list)
    absent: bool = False

    def spawn(self, kind: Kind, descriptors: Sequence[int] = ()) -> Child:
        if self.absent:
            raise ChildError("the fork server does not run")
        ours, theirs = pair()
        self.ends.append(theirs)
        self.given.append(len(descriptors))
        assert kind in ("analyser", "seal")
        return Child(len(self.ends), Channel(ours))

    def end(self, child: Child) -> None:
        child.channel.close()
        self.ended.append(child.number)

    def say(self, *messages: FromChild | bytes) -> None:
        for message in messages:
            self.ends[-1].send(message if isinstance(message, bytes) else encode(message))

    def heard(self) -> list[ToChild]:
        """What the newest child was told since it was last asked."""
        told, channel = [], Channel(self.ends[-1])
        while (message := channel.receive(decode_for_child)) is not None:
            told.append(message)
        return told

    def close(self) -> None:
        for end in self.ends:
            end.close()


@dataclass
class Scene:
    analyser: ChildAnalyser
    puppets: Puppets
    link: StandingLink
    now_s: float = 100.0

    def step(self, after_s: float = 0.0) -> list[Happening]:
        self.now_s += after_s
        return self.analyser.step(self.now_s)


@pytest.fixture
def scene() -> Iterator[Scene]:
    link, puppets = StandingLink(), Puppets()
    analyser = ChildAnalyser(link, puppets, Backoff(RETRY, RETRY, middle), assay="SARSCOV2")
    one = Scene(analyser, puppets, link)
    assert one.step() == [Found("GeneXpert", "")]
    assert puppets.heard() == [ServeAnalyser("SARSCOV2", "", None)]
    assert puppets.given == [3]  # the line and the two ends of the carry
    yield one
    analyser.close()
    puppets.close()
    link.let_go()


def test_what_a_child_says_is_passed_on(scene: Scene) -> None:
    scene.puppets.say(Wanted(), Passed("noise"), Settled(SAMPLE, "yes"), Came(((SAMPLE, None, True),)))
    assert scene.step() == [
        OrderWanted(),
        Ignored("noise"),
        OrderSettled(SAMPLE, "yes"),
        ResultsCame((RunSeen(SAMPLE, None, final=True),)),
    ]


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x00",
        b"\xc1" * 64,  # the byte that no message of msgpack has
        SEALED,  # nobody ordered it
        encode(CodeIssued(b"s" * 16, b"k" * 32, b"o" * 16, None)),
        encode(Spawn(1, "code")),
        encode(Came((("PASSPORT-X99", None, True),))),
        b"\x91" * (MAX_MESSAGE_BYTES + 1),
    ],
)
def test_nonsense_costs_the_child_and_the_line_and_both_begin_anew(scene: Scene, nonsense: bytes) -> None:
    scene.puppets.say(nonsense)
    assert scene.step() == [Lost()]
    assert scene.puppets.ended == [1]
    assert scene.link.closed == 1
    assert scene.step() == []  # not at once
    assert scene.step(RETRY) == [Found("GeneXpert", "")]
    assert len(scene.puppets.ends) == 2


@pytest.mark.parametrize("last", [None, LineGone(), Failed("ValueError")])
def test_a_child_that_ends_costs_the_line_and_leaves_its_order_in_doubt(scene: Scene, last: FromChild | None) -> None:
    assert scene.analyser.order(SAMPLE, 5, scene.now_s) == []
    assert scene.puppets.heard() == [OrderTest(SAMPLE, 5)]
    if last is None:
        scene.puppets.ends[-1].close()
    else:
        scene.puppets.say(last)
    assert scene.step() == [OrderSettled(SAMPLE, "perhaps"), Lost()]
    assert scene.analyser.order(SAMPLE, 6, scene.now_s) == [OrderSettled(SAMPLE, "no")]  # there is no line


def test_a_child_is_asked_whether_it_is_there_and_ended_when_it_is_not(scene: Scene) -> None:
    assert scene.analyser.deadline_s() == scene.now_s + PING_S
    assert scene.step(PING_S) == []
    assert scene.puppets.heard() == [Ping()]
    scene.puppets.say(Pong())
    assert scene.step(ANSWER_S) == []
    assert scene.step(PING_S) == []
    assert scene.puppets.heard() == [Ping()]
    assert scene.step(ANSWER_S) == [Lost()]
    assert scene.puppets.ended == [1]


def test_the_next_child_gets_line_name_and_the_order_that_was_not_sent(scene: Scene) -> None:
    scene.analyser.order(SAMPLE, 5, scene.now_s)
    scene.puppets.say(Done("kiosk^GeneXpert^6.5", order_waits=True))
    assert scene.step() == []  # neither lost nor found: the line stands
    assert scene.puppets.heard() == [ServeAnalyser("SARSCOV2", "kiosk^GeneXpert^6.5", OrderTest(SAMPLE, 5))]
    scene.puppets.say(Settled(SAMPLE, "yes"), Done("kiosk^GeneXpert^6.5", order_waits=False))
    scene.step()
    assert scene.puppets.heard() == [ServeAnalyser("SARSCOV2", "kiosk^GeneXpert^6.5", None)]
    assert scene.puppets.ended == [1, 2]
    assert scene.link.closed == 0


def test_an_order_that_a_child_never_read_is_sent_by_the_next_one_and_a_refusal_is_not(scene: Scene) -> None:
    scene.puppets.say(Done("", order_waits=False))
    scene.analyser.order(SAMPLE, 5, scene.now_s)  # crosses the child's last word
    scene.step()
    assert scene.puppets.heard() == [ServeAnalyser("SARSCOV2", "", OrderTest(SAMPLE, 5))]
    scene.puppets.say(Settled(SAMPLE, "no"))
    scene.step()
    scene.analyser.order(None, 6, scene.now_s)
    scene.puppets.say(Done("", order_waits=False))
    scene.step()
    assert scene.puppets.heard() == [ServeAnalyser("SARSCOV2", "", None)]


def test_without_a_fork_server_the_line_waits(scene: Scene) -> None:
    scene.puppets.absent = True
    scene.puppets.say(Done("", order_waits=False))
    assert scene.step() == [Lost()]
    assert scene.step(RETRY) == []
    scene.puppets.absent = False
    assert scene.step(RETRY) == [Found("GeneXpert", "")]


@pytest.mark.parametrize("kept", [True, False])
def test_what_a_run_said_is_overwritten_in_the_agent(scene: Scene, kept: bool) -> None:
    scene.puppets.say(Came(((SAMPLE, None, True),)))
    scene.step()
    scene.analyser.seal((ORDER,), TABLE, scene.now_s)
    (told,) = scene.puppets.heard()
    assert isinstance(told, SealRuns)
    scene.puppets.say(SEALED)
    (sealed,) = scene.step()
    assert sealed == ResultsSealed((POSITIVE,), ())
    child = scene.analyser._child
    assert child is not None
    assert len(child.channel._buffer) == MAX_MESSAGE_BYTES
    assert bytes(child.channel._buffer).strip(b"\0") == b""
    (scene.analyser.kept if kept else scene.analyser.not_kept)(scene.now_s)
    assert scene.puppets.heard() == [Verdict(kept)]
    assert sealed == ResultsSealed((SealedRun(SAMPLE, b"", False, frozenset()),), ())


def test_a_line_that_ends_before_the_verdict_leaves_nothing_of_the_run_either(scene: Scene) -> None:
    scene.analyser.seal((ORDER,), TABLE, scene.now_s)
    scene.puppets.say(SEALED)
    (sealed,) = scene.step()
    scene.puppets.ends[-1].close()
    assert scene.step() == [Lost()]
    assert sealed == ResultsSealed((SealedRun(SAMPLE, b"", False, frozenset()),), ())
    assert scene.analyser.kept(scene.now_s) == []


def test_a_child_that_ends_as_soon_as_it_has_sealed_leaves_nothing_that_could_be_kept(scene: Scene) -> None:
    scene.analyser.seal((ORDER,), TABLE, scene.now_s)
    assert len(scene.puppets.heard()) == 1
    scene.puppets.say(Passed("noise"), SEALED)
    scene.puppets.ends[-1].close()  # before the agent has read: killed, or with the fork server
    assert scene.step() == [Ignored("noise"), Lost()]  # the analyser was not answered, and offers it again


def test_a_sealer_tries_again_until_all_of_its_orders_are_sealed() -> None:
    puppets = Puppets()
    sealer = ChildSealer(puppets)
    other = SealOrder("S5TJJC58FGSAK2HKY8MB", ORDER.public, DAY, TABLE)
    both = (ORDER, other)
    sealer.seal_no_result(both)
    assert sealer.step(0.0) is None
    puppets.say(SEALED)  # one of two
    assert sealer.step(0.1) is None
    assert sealer.step(0.1 + RETRY_S) is None  # the next child
    runs = tuple(SealedRun(order.sample, bytes(RECORD_BYTES), False, frozenset()) for order in both)
    puppets.say(encode_sealed(ResultsSealed(runs, ()), both))
    assert sealer.step(1.0) == runs
    assert puppets.ended == [1, 2]
    assert sealer.step(1.1) is None
    puppets.close()
