"""Between broker and service: back-pressure, acknowledgements after the commit only, retention, a clean end."""

import threading
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.codec import unpack_json
from contracts.envelope import verify
from contracts.messages import Ack, GatewayState, decode_down, decode_gateway_state
from contracts.rows import Mark
from gateway.ingest.counters import Counters
from gateway.ingest.inbox import ACK_EXPIRY_S, MAX_WAITING, Inbox
from gateway.ingest.loop import IngestLoop
from gateway.ingest.projector import Projector
from gateway.ingest.service import IngestService, Judged
from gateway.ingest.verifier import INLINE_BELOW, Verifier
from mqttlink.types import AckToken, Message
from stores.errors import StoreUnavailableError, WriterLockedError
from stores.state.database import Database
from stores.state.journal import IngestBatch, IngestState
from tests.support.fakes import MemoryLink, MemorySeries
from tests.support.ingest import Bench, SetClock
from tests.support.process import wait_until
from tests.support.speaker import Said, Speaker, reading, readings

KEY = Ed25519PrivateKey.generate()
JSON = "application/vnd.kioskwatch.v1+json"


def inbox(link: MemoryLink, clock: SetClock | None = None) -> Inbox:
    made = Inbox(gateway="main", key=KEY, clock=clock or SetClock())
    made.attach(link)
    made.on_connected(session_present=True)
    return made


def message(number: int, said: Said | None = None) -> Message:
    said = said or Said("kw/v1/air-1/up/bulk", b"{}", None, None)
    return Message(said.topic, said.wire, said.content_type, said.sig, AckToken(1, number), retain=False, dup=False)


def mark(hi: int, *also: tuple[int, int], device: str = "air-1") -> Mark:
    return Mark(device, 11, "bulk", hi, also)


# --- inbox --------------------------------------------------------------------------------------------------------


def test_a_full_queue_stops_the_reading_and_a_half_empty_one_lets_it_go_on() -> None:
    link = MemoryLink()
    made = inbox(link)
    for number in range(MAX_WAITING):
        assert link.reading
        made.on_message(message(number))
    assert not link.reading
    made.take(MAX_WAITING // 2, 0.0)
    assert not link.reading
    made.take(1, 0.0)
    assert link.reading


def test_what_is_held_is_not_read_before_it_is_let_go() -> None:
    link = MemoryLink()
    made = inbox(link)
    made.on_message(message(1))
    made.hold(held=True)
    assert [one.ack.mid for one in made.take(9, 0.0)] == [1]
    assert not link.reading
    made.hold(held=False)
    assert link.reading


def test_messages_of_a_lost_connection_are_dropped_for_the_broker_sends_them_again() -> None:
    link = MemoryLink()
    made = inbox(link)
    for number in range(MAX_WAITING):
        made.on_message(message(number))
    made.on_disconnected("cable")
    assert made.take(9, 0.0) == []
    assert link.reading


@pytest.mark.rule("C16")
@pytest.mark.rule("C17")
def test_after_the_commit_the_broker_is_answered_in_order_and_each_device_by_its_newest_mark() -> None:
    link = MemoryLink()
    made = inbox(link)
    made.send_due()
    link.published.clear()
    taken = [message(number) for number in (3, 1, 2)]
    assert link.acked == []
    made.committed(taken, Judged([mark(5, (7, 9)), mark(2, device="air-2")], frozenset({"air-3"}), {}))
    assert [token.mid for token in link.acked] == [3, 1, 2]
    assert link.topics() == ["kw/v1/air-3/down/rebirth", "kw/v1/air-1/down/ack", "kw/v1/air-2/down/ack"]
    topic, wire, sig = link.published[1]
    verify(KEY.public_key(), topic, wire, sig)
    ack = decode_down("ack", unpack_json(wire, JSON))
    assert isinstance(ack, Ack)
    assert (ack.ob, ack.stream, ack.hi, ack.also) == (11, "bulk", 5, [(7, 9)])
    assert link.expiries[-1] == ACK_EXPIRY_S


def test_acknowledgements_wait_for_room_and_only_the_newest_of_a_stream_is_sent() -> None:
    link = MemoryLink(window=0)
    made = inbox(link)
    for hi in (1, 2, 3):
        made.committed([], Judged([mark(hi)], frozenset(), {}))
    assert link.published == []
    link.window = 10
    made.send_due()
    acks = [decode_down("ack", unpack_json(wire, JSON)) for topic, wire, _ in link.published if topic.endswith("ack")]
    assert [getattr(ack, "hi", None) for ack in acks] == [3]
    assert "kw/v1/_gw/main/state" in link.retained


@pytest.mark.rule("C13")
def test_the_gateways_will_and_its_goodbye_say_that_nobody_listens() -> None:
    link = MemoryLink()
    made = inbox(link)
    will = made.will(1)
    verify(KEY.public_key(), will.topic, will.payload, will.sig)
    assert decode_gateway_state(will.payload) == GatewayState(v=1, online=False)
    made.send_due()
    assert decode_gateway_state(link.retained["kw/v1/_gw/main/state"]).online
    made.goodbye(0.0)
    assert not decode_gateway_state(link.retained["kw/v1/_gw/main/state"]).online
    made.on_published(link.tokens[-1], "failed")
    made.on_published(link.tokens[-1], "no_subscriber")
    assert made.no_subscriber == 1


# --- the loop -------------------------------------------------------------------------------------------------


class Flaky(IngestState):
    """A state that can do nothing for a while."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.failures: list[Exception] = []

    def commit(self, batch: IngestBatch) -> int:
        if self.failures:
            raise self.failures.pop(0)
        return super().commit(batch)


class Rig:
    """A loop in a thread of its own, on a real state, with a link in memory."""

    def __init__(self, bench: Bench, *, max_bytes: int = 10**9) -> None:
        self.link, self.series, self.state = MemoryLink(), MemorySeries(), Flaky(bench.database)
        self.clock, self.ready = bench.clock, threading.Event()
        self.inbox = inbox(self.link, bench.clock)
        service = IngestService(
            self.state, bench.cohorts, clock=bench.clock, registry=bench.registry, verifier=Verifier(0)
        )
        self.counters = Counters(series=self.series, district=lambda: "turtle-bay", clock=bench.clock)
        self.projector = Projector(
            reading=bench.state,
            writing=IngestState(bench.database),
            series=self.series,
            district=lambda: "turtle-bay",
            clock=bench.clock,
            handover=service.handover,
            tell=lambda _waiting: None,
        )
        self.loop = IngestLoop(
            inbox=self.inbox,
            service=service,
            state=self.state,
            projector=self.projector,
            clock=bench.clock,
            retention=(30, max_bytes),
            counters=self.counters,
        )
        self.raised: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Rig":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.stop()
        self._thread.join()
        if self.projector._thread.ident is not None:
            self.projector.stop()

    def _run(self) -> None:
        try:
            self.loop.run(self.ready.set)
        except Exception as exc:  # noqa: BLE001 -- handed to the test
            self.raised = exc

    def until(self, holds: Callable[[], bool], what: str) -> None:
        wait_until(holds, timeout_s=10, what=what)


@pytest.mark.rule("C16")
def test_nothing_is_acknowledged_while_the_journal_cannot_be_written_and_all_of_it_after(
    bench: Bench, air: Speaker, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(bench)
    rig.state.failures = [StoreUnavailableError("away"), StoreUnavailableError("away")]
    with rig:
        rig.inbox.on_message(message(1, air.batch(1, readings(1, 2))))
        rig.until(lambda: not rig.link.reading, "the stop of reading")
        assert rig.link.acked == []
        rig.until(lambda: bool(rig.link.acked), "the acknowledgement")
        assert len(bench.records) == 2
        rig.until(lambda: rig.link.reading, "reading again")
    assert [record.levelname for record in caplog.records if "journal:" in record.message] == ["ERROR", "WARNING"]
    assert rig.ready.is_set()


def test_another_writer_ends_the_loop_instead_of_being_waited_for(bench: Bench, air: Speaker) -> None:
    rig = Rig(bench)
    rig.state.failures = [WriterLockedError("another process writes")]
    with rig:
        rig.inbox.on_message(message(1, air.batch(1, readings(1, 2))))
        rig.until(lambda: rig.raised is not None, "its end")
    assert isinstance(rig.raised, WriterLockedError)
    assert rig.link.acked == []


def test_a_projector_that_ended_ends_the_loop(bench: Bench) -> None:
    rig = Rig(bench)
    rig.projector.failure = ZeroDivisionError()
    with rig:
        rig.until(lambda: rig.raised is not None, "its end")
    assert isinstance(rig.raised, ZeroDivisionError)


@pytest.mark.rule("C20")
def test_when_rows_not_yet_projected_fill_the_journal_reading_stops_and_goes_on_when_they_are(
    bench: Bench, air: Speaker, caplog: pytest.LogCaptureFixture
) -> None:
    said = air.batch(1, readings(1, 20))
    rig = Rig(bench, max_bytes=len(said.wire))
    rig.series.failing = [StoreUnavailableError("away", retry_after_s=0.01)]
    with rig:
        rig.inbox.on_message(message(1, said))
        rig.until(lambda: bool(rig.link.acked), "the acknowledgement")
        bench.clock.s += 20
        rig.until(lambda: rig.loop.held, "the stop")
        assert not rig.link.reading
        assert len(bench.records) == 20, "rows not yet projected are never removed"
        rig.projector.start()
        rig.until(lambda: not rig.loop.held and rig.link.reading, "reading again")
    said_so = [record.message for record in caplog.records if record.message.startswith("ingest ")]
    assert "stops reading" in said_so[0]
    assert "reads again" in said_so[1]


@pytest.mark.rule("C20")
def test_old_projected_rows_and_old_letters_go(bench: Bench, air: Speaker) -> None:
    rig = Rig(bench)
    with rig:
        rig.inbox.on_message(message(1, air.batch(1, [*readings(1, 2), reading(3, co2_ppm=-1)])))
        rig.until(lambda: bool(rig.link.acked), "the acknowledgement")
        rig.projector.start()
        rig.until(lambda: rig.projector.cursor == 1, "the projection")
        bench.clock.ns += 31 * 86_400 * 10**9
        bench.clock.s += 20
        rig.until(lambda: bench.records == [] and bench.reasons == [], "the clean-up")
    assert bench.state.counts()["letters_expired"] == 1


def test_a_district_minutes_counts_are_a_line_of_their_own(bench: Bench) -> None:
    series = MemorySeries()
    counters = Counters(series=series, district=lambda: "turtle-bay", clock=bench.clock)
    counters.add({"records": 7, "signature": 2, "range": 1})
    counters.tell(lambda: 4)
    bench.clock.ns += 60 * 10**9
    counters.add({"records": 1})
    counters.tell(lambda: 0)
    bench.clock.s += 5
    counters.tell(lambda: 0)
    first, second = (point.fields for point in series.points.values())
    assert (first["records"], first["refused"], first["dead_letters"], first["waiting"]) == (7, 2, 1, 4)
    assert (second["records"], second["refused"]) == (1, 0)


# --- signatures -------------------------------------------------------------------------------------------------


def test_workers_find_what_inline_checking_finds_and_a_killed_one_costs_nothing() -> None:
    air, said = Speaker(), Speaker().batch(1, readings(1, 1))
    good = air.batch(1, readings(1, 1))
    batch = [(air.public_key, *_signed(good if number % 3 else said)) for number in range(INLINE_BELOW * 3)]
    expected = [bool(number % 3) for number in range(INLINE_BELOW * 3)]
    assert Verifier(0).begin(batch).result() == expected
    verifier = Verifier(2)
    try:
        assert verifier.begin(batch).result() == expected
        pool = verifier._pool
        assert pool is not None
        for process in list(getattr(pool, "_processes", {}).values()):
            process.kill()
        assert verifier.begin(batch).result() == expected, "checked here"
        wait_until(lambda: verifier.begin(batch).result() == expected, timeout_s=10, what="a new pool")
    finally:
        verifier.close()


def _signed(said: Said) -> tuple[str, bytes, str | None]:
    return said.topic, said.wire, said.sig


def test_an_enrolled_key_that_is_none_refuses_and_nothing_else() -> None:
    said = Speaker().batch(1, readings(1, 1))
    assert Verifier(0).begin([(b"short", *_signed(said)), (b"", *_signed(said))]).result() == [False, False]
