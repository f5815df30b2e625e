"""mqttlink on a real Mosquitto: what a session promises while the broker behaves."""

import os
import signal
import time
from pathlib import Path

import pytest

from mqttlink.session import Session
from mqttlink.types import Outcome
from tests.support.listener import Listener
from tests.support.mosquitto import MosquittoServer
from tests.support.process import free_port, wait_until
from tests.support.raw_mqtt import RawClient, properties
from tests.support.sessions import DOWN, UP, arrived, connected, running

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
