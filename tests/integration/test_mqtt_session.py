"""mqttlink on a real Mosquitto: what a session promises, with the broker behaving and with it killed."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mqttlink.session import Session
from mqttlink.types import AckToken, LinkSettings, Outcome, Will, WillFactory
from tests.support.listener import Listener
from tests.support.mosquitto import MosquittoServer
from tests.support.process import free_port, wait_until
from tests.support.raw_mqtt import RawClient, properties, publish_packet, user_property

UP, DOWN = "kw/v1/kiosk-1/up/bulk", "kw/v1/kiosk-1/down/ack"
ALL_UP = "kw/v1/+/up/#"


@contextmanager
def running(
    port: int,
    *,
    listener: Listener,
    subscriptions: tuple[str, ...] = (ALL_UP,),
    will: WillFactory | None = None,
    **given: float | str,
) -> Iterator[Session]:
    """A started session with short waits; the rest goes to its settings."""
    usual: dict[str, Any] = {"client_id": "gw", "reconnect_min_s": 0.05, "reconnect_max_s": 0.2}
    settings = LinkSettings(host="127.0.0.1", port=port, **{**usual, **given})
    session = Session(settings, handler=listener, subscriptions=subscriptions, will=will)
    listener.session = session
    session.start()
    try:
        yield session
    finally:
        session.stop(timeout_s=2.0)


def connected(listener: Listener, times: int = 1) -> None:
    listener.until(lambda: len(listener.sessions_present) >= times, f"connection {times}")


def arrived(listener: Listener, count: int) -> None:
    listener.until(lambda: len(listener.messages) >= count, f"{count} messages")


# --- the session outlives the connection ------------------------------------------------------------------


@pytest.mark.rule("C2")
def test_what_is_published_while_the_process_is_away_waits_for_it(mosquitto: MosquittoServer) -> None:
    with running(mosquitto.port, listener=Listener()) as session:
        wait_until(lambda: session.connected, timeout_s=5, what="connection")
        time.sleep(0.2)  # the subscription
    with RawClient(mosquitto.port, "kiosk-1") as device:
        for number in range(20):
            assert device.publish(UP, b"%d" % number) == 0
    back = Listener(acknowledges=True)
    with running(mosquitto.port, listener=back):
        arrived(back, 20)
    assert back.sessions_present == [True]
    assert back.payloads() == [b"%d" % number for number in range(20)]


@pytest.mark.rule("C2")
def test_the_client_id_is_the_one_given_so_a_second_session_takes_the_first_ones_place(
    mosquitto: MosquittoServer,
) -> None:
    first, second = Listener(), Listener()
    with running(mosquitto.port, listener=first, reconnect_min_s=5.0, reconnect_max_s=5.0):
        connected(first)
        with running(mosquitto.port, listener=second):
            first.until(lambda: bool(first.reasons), "the first one's end")


def test_a_message_that_was_not_acknowledged_comes_again_after_a_reconnect_and_an_old_token_does_nothing(
    mosquitto: MosquittoServer,
) -> None:
    listener = Listener()
    with running(mosquitto.port, listener=listener) as session, RawClient(mosquitto.port, "kiosk-1") as device:
        connected(listener)
        time.sleep(0.2)
        for number in range(3):
            assert device.publish(UP, b"%d" % number) == 0
        arrived(listener, 3)
        session.ack(listener.messages[0].ack)
        time.sleep(0.1)
        cut(listener, mosquitto)
        arrived(listener, 5)
        assert listener.payloads()[3:] == [b"1", b"2"]
        assert all(message.dup for message in listener.messages[3:])
        old, new = listener.messages[1].ack, listener.messages[3].ack
        assert (old.mid, old.generation != new.generation) == (new.mid, True), "the same packet, another connection"
        session.ack(old)
        wait_until(lambda: session.counters.stale_acks == 1, timeout_s=5, what="the old token's count")
        cut(listener, mosquitto)
        arrived(listener, 7)
    assert listener.payloads()[5:] == [b"1", b"2"], "the old token acknowledged nothing"


def cut(listener: Listener, mosquitto: MosquittoServer) -> None:
    """Let somebody else take the client id for a moment: the session stays, the connection goes."""
    times = len(listener.sessions_present)
    RawClient(mosquitto.port, "gw", clean_start=False, session_expiry_s=60).disconnect()
    connected(listener, times + 1)


@pytest.mark.rule("C1")
def test_messages_are_acknowledged_by_the_caller_alone_and_in_the_order_received(mosquitto: MosquittoServer) -> None:
    listener = Listener()
    with running(mosquitto.port, listener=listener, receive_maximum=5) as session:
        connected(listener)
        time.sleep(0.2)
        with RawClient(mosquitto.port, "kiosk-1") as device:
            for number in range(5):
                device.publish(UP, b"%d" % number)
            arrived(listener, 5)
        for message in listener.messages:
            session.ack(message.ack)
        time.sleep(0.1)
        cut(listener, mosquitto)
        time.sleep(0.3)
        assert len(listener.messages) == 5, "all were acknowledged: nothing comes again"
    assert listener.payloads() == [b"%d" % number for number in range(5)]


# --- publishing -----------------------------------------------------------------------------------------------


@pytest.mark.rule("C1")
def test_a_publish_that_nobody_subscribed_to_is_told_from_one_that_is_stored(mosquitto: MosquittoServer) -> None:
    listener = Listener()
    with running(mosquitto.port, listener=listener, subscriptions=()) as session:
        connected(listener)
        assert outcome_of(session, listener, 1) == "no_subscriber"
        with RawClient(mosquitto.port, "kiosk-1") as device:
            assert device.subscribe(DOWN) == 1
            assert outcome_of(session, listener, 2, "text", "s") == "stored"
            delivery = device.receive()
    assert (delivery.payload, delivery.properties) == (b"{}", properties("text", "s"))


def outcome_of(
    session: Session, listener: Listener, token: int, content_type: str | None = None, sig: str | None = None
) -> Outcome:
    assert session.publish(token, DOWN, b"{}", sig=sig, content_type=content_type)
    listener.until(lambda: token in listener.outcomes, f"publish {token}")
    (outcome,) = listener.outcomes[token]
    return outcome


@pytest.mark.rule("C1")
def test_a_publish_that_the_brokers_rules_forbid_is_refused_for_good(tmp_path: Path) -> None:
    port, rules = free_port(), tmp_path / "acl"
    rules.write_text("topic read #\ntopic write kw/v1/kiosk-1/down/#\n")
    lines = ["user root", f"listener {port} 127.0.0.1", "allow_anonymous true", f"acl_file {rules}"]
    broker = MosquittoServer(tmp_path / "broker", port=port, lines=lines)
    broker.start()
    listener = Listener()
    with running(port, listener=listener, subscriptions=()) as session:
        connected(listener)
        assert session.publish(1, "kw/v1/kiosk-2/down/ack", b"{}", sig=None)
        listener.until(lambda: 1 in listener.outcomes, "the refusal")
        assert listener.outcomes[1] == ["refused"]
    broker.program.stop()


def test_a_payload_above_the_brokers_limit_is_refused_before_it_costs_the_connection(tmp_path: Path) -> None:
    port = free_port()
    lines = ["user root", f"listener {port} 127.0.0.1", "allow_anonymous true", "max_packet_size 20000"]
    broker = MosquittoServer(tmp_path / "broker", port=port, lines=lines)
    broker.start()
    listener = Listener()
    with running(port, listener=listener, subscriptions=()) as session:
        connected(listener)
        assert session.publish(1, DOWN, bytes(20_000), sig=None)
        assert session.publish(2, DOWN, bytes(18_000), sig=None)
        assert session.publish(3, "kw/+/down", b"", sig=None), "a wildcard is no topic"
        listener.until(lambda: len(listener.outcomes) == 3, "three ends")
    assert listener.outcomes == {1: ["refused"], 2: ["no_subscriber"], 3: ["refused"]}
    assert len(listener.sessions_present) == 1
    broker.program.stop()


def test_the_window_bounds_what_is_under_way_and_each_publish_ends_once(mosquitto: MosquittoServer) -> None:
    listener = Listener()
    with running(mosquitto.port, listener=listener, max_inflight=4, subscriptions=()) as session:
        connected(listener)
        os.kill(mosquitto.program.pid, signal.SIGSTOP)
        taken = [token for token in range(1, 11) if session.publish(token, DOWN, b"", sig=None)]
        assert (taken, session.under_way) == ([1, 2, 3, 4], 4)
        os.kill(mosquitto.program.pid, signal.SIGCONT)
        listener.until(lambda: len(listener.outcomes) == 4, "four ends")
        assert session.under_way == 0
        assert session.publish(11, DOWN, b"", sig=None)
        listener.until(lambda: 11 in listener.outcomes, "the eleventh")
    assert all(len(ends) == 1 for ends in listener.outcomes.values())


def test_publishes_under_way_when_the_broker_dies_end_as_failed_and_are_never_sent_again(
    mosquitto: MosquittoServer,
) -> None:
    listener = Listener()
    with running(mosquitto.port, listener=listener, subscriptions=()) as session:
        connected(listener)
        os.kill(mosquitto.program.pid, signal.SIGSTOP)
        for token in range(10):
            assert session.publish(token, DOWN, b"%d" % token, sig=None)
        mosquitto.program.kill()
        listener.until(lambda: len(listener.outcomes) == 10, "ten ends")
        assert all(ends == ["failed"] for ends in listener.outcomes.values())
        assert not session.publish(11, DOWN, b"", sig=None)
        mosquitto.start()
        connected(listener, 2)
        with RawClient(mosquitto.port, "kiosk-1") as device:
            device.subscribe(DOWN)
            assert device.quiet(0.5)
            assert session.publish(12, DOWN, b"new", sig=None)
            assert device.receive().payload == b"new"


# --- back-pressure ------------------------------------------------------------------------------------------


def test_a_paused_session_reads_nothing_keeps_its_connection_and_loses_nothing(mosquitto: MosquittoServer) -> None:
    listener = Listener(acknowledges=True)
    payload = bytes(50_000)
    with running(mosquitto.port, listener=listener, keepalive_s=2) as session:
        connected(listener)
        time.sleep(0.2)
        session.pause_reading()
        with RawClient(mosquitto.port, "kiosk-1") as device:
            for _ in range(100):
                assert device.publish(UP, payload) == 0
        time.sleep(4.0)  # twice the keep-alive: the broker would end a silent connection at 1.5 times
        assert len(listener.messages) <= 1
        session.resume_reading()
        arrived(listener, 100)
    assert len(listener.sessions_present) == 1


def test_a_paused_session_comes_back_after_the_broker_was_away(mosquitto: MosquittoServer) -> None:
    listener = Listener(acknowledges=True)
    with running(mosquitto.port, listener=listener) as session:
        connected(listener)
        session.pause_reading()
        mosquitto.program.kill()
        mosquitto.start()
        connected(listener, 2)
        time.sleep(0.2)
        with RawClient(mosquitto.port, "kiosk-1") as device:
            assert device.publish(UP, b"waits") == 0
        time.sleep(0.3)
        assert (len(listener.messages), len(listener.sessions_present)) == (0, 2), "held, and one connection for good"
        session.resume_reading()
        arrived(listener, 1)


# --- what goes wrong --------------------------------------------------------------------------------------------


def test_a_handler_that_raises_is_counted_and_the_next_message_is_heard(mosquitto: MosquittoServer) -> None:
    listener = Listener()
    listener.failing = ZeroDivisionError
    with running(mosquitto.port, listener=listener) as session, RawClient(mosquitto.port, "kiosk-1") as device:
        connected(listener)
        time.sleep(0.2)
        for _ in range(3):
            device.publish(UP, b"{}")
        arrived(listener, 3)
        wait_until(lambda: session.counters.handler_errors == 4, timeout_s=5, what="the count")  # and on_connected
        listener.failing = None
        device.publish(UP, b"{}")
        arrived(listener, 4)
        assert session.counters.connections == 1


@pytest.mark.parametrize(
    "poison",
    [
        publish_packet(UP, b"p", mid=1, props=user_property("﻿", "x")),
        publish_packet(UP, b"p", mid=1, props=user_property("a", "b") * 2000),
        publish_packet(UP + "﻿", b"p", mid=1),
        publish_packet(UP, b"", mid=1),
        publish_packet(UP, b"p", mid=1, props=b"\x09" + b"\x00\x02\xff\xfe"),
    ],
    ids=["U+FEFF as a property", "2000 properties", "U+FEFF in the topic", "no payload", "correlation data"],
)
def test_no_message_that_a_broker_forwards_ends_the_session(mosquitto: MosquittoServer, poison: bytes) -> None:
    listener = Listener(acknowledges=True)
    with running(mosquitto.port, listener=listener, client_id="gw") as session:
        connected(listener)
        time.sleep(0.2)
        with RawClient(mosquitto.port, "kiosk-1") as device:
            device.send(poison)
            assert device.reason(1) in {0, 0x10}
            device.publish(UP, b"neighbour", props=properties("j", "s"))
            listener.until(lambda: b"neighbour" in listener.payloads(), "the neighbour")
        assert listener.messages[-1].sig == "s"
        assert (session.counters.connections, session.counters.loop_errors) == (1, 0)


@pytest.mark.parametrize("persistence", [True, False])
def test_the_session_is_there_again_after_the_broker_was_killed(tmp_path: Path, persistence: bool) -> None:
    broker = MosquittoServer(tmp_path / "broker", persistence=persistence)
    broker.start()
    listener = Listener(acknowledges=True)
    with running(broker.port, listener=listener) as session:
        connected(listener)
        broker.program.kill()
        listener.until(lambda: bool(listener.reasons), "the loss")
        assert not session.connected
        broker.start()
        connected(listener, 2)
        with RawClient(broker.port, "kiosk-1") as device:
            wait_until(lambda: device.publish(UP, b"again") == 0, timeout_s=5, what="the subscription's return")
        listener.until(lambda: b"again" in listener.payloads(), "the message")
    broker.program.stop()


def test_a_broker_that_fell_silent_is_given_up_within_one_and_a_half_keep_alives(mosquitto: MosquittoServer) -> None:
    listener = Listener()
    with running(mosquitto.port, listener=listener, keepalive_s=2):
        connected(listener)
        os.kill(mosquitto.program.pid, signal.SIGSTOP)
        stopped_s = time.monotonic()
        listener.until(lambda: bool(listener.reasons), "the discovery")
        assert time.monotonic() - stopped_s <= 3.0 + 0.2
        assert listener.reasons[0].startswith("nothing heard")
        os.kill(mosquitto.program.pid, signal.SIGCONT)
        connected(listener, 2)


def test_a_peer_that_takes_the_connection_and_never_answers_is_tried_again_and_nothing_is_taken_for_sending() -> None:
    listener = Listener()
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        running(mute.getsockname()[1], listener=listener, connect_timeout_s=0.3) as session,
    ):
        wait_until(lambda: session.counters.attempts >= 3, timeout_s=10, what="a third attempt")
        assert not session.connected
        assert not session.publish(0, DOWN, b"", sig=None)
    assert listener.sessions_present == []


# --- the will, and going in peace -----------------------------------------------------------------------------


def will(attempt: int) -> Will:
    return Will("kw/v1/kiosk-1/up/state", b"gone %d" % attempt, "sig", delay_s=1)


@pytest.mark.rule("C13")
def test_the_will_of_the_present_connection_is_said_after_its_delay_and_not_after_a_goodbye(
    mosquitto: MosquittoServer,
) -> None:
    port = mosquitto.port
    with RawClient(port, "watcher") as watcher:
        assert watcher.subscribe(ALL_UP) == 1
        listener = Listener()
        with running(port, listener=listener, client_id="kiosk-1", subscriptions=(), will=will, keepalive_s=60):
            connected(listener)
        assert watcher.quiet(1.5), "it said goodbye"
        listener = Listener()
        with running(port, listener=listener, client_id="kiosk-1", will=will, subscriptions=()) as session:
            connected(listener)
            RawClient(port, "kiosk-1", clean_start=False, session_expiry_s=60).__exit__(None, None, None)
            connected(listener, 2)
            assert watcher.quiet(1.5), "back within the delay"
            assert session.counters.attempts == 2
            cut_off(session)
            delivery = watcher.receive(5.0)
    assert (delivery.payload, delivery.properties) == (b"gone 2", user_property("sig", "sig"))


def cut_off(session: Session) -> None:
    """End the session's thread without a goodbye, as a dead process would."""
    connection = session._connection
    assert connection is not None
    connection.close("killed")
    session._stop.set()


def test_what_was_taken_is_sent_before_the_goodbye(mosquitto: MosquittoServer) -> None:
    with RawClient(mosquitto.port, "kiosk-1") as device:
        device.subscribe(DOWN)
        listener = Listener()
        with running(mosquitto.port, listener=listener, subscriptions=(), max_inflight=100) as session:
            connected(listener)
            for token in range(100):
                assert session.publish(token, DOWN, b"%d" % token, sig=None)
            session.stop(timeout_s=3.0)
        assert [device.receive().payload for _ in range(100)] == [b"%d" % token for token in range(100)]
    assert set(map(tuple, listener.outcomes.values())) == {("stored",)}


def test_stopping_ends_soon_whatever_the_broker_does(mosquitto: MosquittoServer) -> None:
    listener = Listener()
    with running(mosquitto.port, listener=listener, subscriptions=()) as session:
        connected(listener)
        os.kill(mosquitto.program.pid, signal.SIGSTOP)
        assert session.publish(1, DOWN, b"{}", sig=None)
        started_s = time.monotonic()
        session.stop(timeout_s=1.5)
        assert time.monotonic() - started_s <= 2.0
        os.kill(mosquitto.program.pid, signal.SIGCONT)


def test_acknowledging_after_the_end_does_nothing(mosquitto: MosquittoServer) -> None:
    listener = Listener()
    with running(mosquitto.port, listener=listener) as session:
        connected(listener)
    session.ack(AckToken(1, 1))
    assert not session.publish(1, DOWN, b"", sig=None)
