"""mqttlink on a real Mosquitto that is killed, falls silent or forwards poison; the will, and going in peace."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from mqttlink.session import Session
from mqttlink.types import AckToken, Will
from tests.support.listener import Listener
from tests.support.mosquitto import MosquittoServer
from tests.support.process import wait_until
from tests.support.raw_mqtt import RawClient, properties, publish_packet, user_property
from tests.support.sessions import ALL_UP, DOWN, UP, arrived, connected, running

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
