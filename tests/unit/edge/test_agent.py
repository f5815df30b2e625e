"""The whole agent in a test's own time: what it says, what it obeys, what it refuses, and what a full disk does."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.codec import CONTENT_BINARY, CONTENT_JSON, unpack_json
from contracts.envelope import sign, verify
from contracts.frames import Frame, ReleaseBody
from contracts.messages import (
    TQ_FREE,
    VERSION,
    Ack,
    Batch,
    Birth,
    Command,
    CommandAnswer,
    Desired,
    Rebirth,
    Reported,
    State,
    decode_batch,
    decode_document,
    encode,
)
from contracts.windows import NS
from edge.core.readings import reading
from edge.core.sending import ACK_TIMEOUT_S
from edge.store_ports import NewRecord
from mqttlink.types import AckToken, Message
from tests.support.agent import DEVICE, AgentInTestTime, Sent, agent_in_test_time
from tests.support.kiosk import LAYOUT, START_NS, WINDOW_S

HOUR_S = 3600


def _documents(agent: AgentInTestTime, kind: str) -> list[object]:
    return [decode_document(kind, unpack_json(one.payload, one.content_type)) for one in agent.uplink.of(kind)]


def _down(agent: AgentInTestTime, kind: str, payload: bytes, sig: str | None) -> None:
    agent.hear(Message(f"kw/v1/{DEVICE}/down/{kind}", payload, CONTENT_JSON, sig, AckToken(1, 7), False, False))


def _batch(message: Sent) -> Batch:
    return decode_batch("health", unpack_json(message.payload, message.content_type))


def _events(agent: AgentInTestTime) -> list[str]:
    rows = agent.outbox.rows("event", 1, 99)
    return [f"{code} {state}" for _, _, code, state in (json.loads(row.body) for row in rows)]


# --- what it says ------------------------------------------------------------------------------------------


@pytest.mark.rule("C12")
@pytest.mark.rule("C13")
def test_each_connection_begins_with_a_state_and_a_birth(tmp_path: Path) -> None:
    with agent_in_test_time(tmp_path) as agent:
        agent.publisher.will(1)
        agent.turns()
        assert [one.topic.rpartition("/")[2] for one in agent.uplink.sent][:2] == ["state", "birth"]
        agent.uplink.disconnect()
        will = agent.publisher.will(2)
        agent.uplink.connect()
        agent.turns()
        states = _documents(agent, "state")
        assert [isinstance(one, State) and (one.online, one.conn, one.boot) for one in states] == [
            (True, 1, 1),
            (True, 2, 1),
        ]
        assert len(_documents(agent, "birth")) >= 2
        last = decode_document("state", will.payload)
        assert isinstance(last, State)
        assert (last.online, last.conn) == (False, 2)
        assert will.retain


@pytest.mark.rule("C7")
def test_every_message_and_the_will_are_signed_over_topic_and_bytes(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    with agent_in_test_time(tmp_path, key=key) as agent:
        signed: list[tuple[str, bytes, str | None]] = []
        publish = agent.uplink.publish

        def watched(token: int, topic: str, payload: bytes, *, sig: str | None, **rest: object) -> bool:
            signed.append((topic, payload, sig))
            return publish(token, topic, payload, sig=sig, **rest)  # type: ignore[arg-type]

        agent.uplink.publish = watched  # type: ignore[method-assign]
        agent.pass_time(WINDOW_S + HOUR_S, 3600)
        will = agent.publisher.will(1)
        assert {topic.rpartition("/")[2] for topic, _, _ in signed} >= {"state", "birth", "event", "health", "release"}
        for topic, payload, sig in [*signed, (will.topic, will.payload, will.sig)]:
            verify(key.public_key(), topic, payload, sig)


@pytest.mark.rule("C11")
@pytest.mark.rule("C4")
def test_a_window_is_released_once_at_its_end_and_also_when_nobody_came(tmp_path: Path) -> None:
    with agent_in_test_time(tmp_path) as agent:
        agent.pass_time(WINDOW_S - 60, 3600)
        assert agent.uplink.of("release") == []
        agent.pass_time(2 * WINDOW_S, 3600)
        releases = [Frame.decode(one.payload) for one in agent.uplink.of("release")]
        assert {(frame.seq, frame.start - START_NS // NS) for frame in releases} == {(1, 0), (2, WINDOW_S)}
        assert {one.content_type for one in agent.uplink.of("release")} == {CONTENT_BINARY}
        assert len({len(one.payload) for one in agent.uplink.of("release")}) == 1
        assert all(ReleaseBody.decode(frame.body, {1: LAYOUT}).layout == 1 for frame in releases)


@pytest.mark.rule("C8")
def test_a_backlog_is_joined_and_marked_historic_and_live_records_are_not(tmp_path: Path) -> None:
    with agent_in_test_time(tmp_path) as agent:
        body = reading("health", "kiosk", START_NS, 2, {"instrument_ok": 1.0})
        agent.uplink.connected = False
        for n in (190, 10):
            for _ in range(n):
                agent.recorder.add("health", body)
            agent.turns(1)
            agent.clock.move(61 * agent.clock.speed if n == 190 else 0)
        agent.uplink.connect()
        agent.turns()
        backlog = [_batch(one) for one in agent.uplink.of("health")]
        assert [(batch.seq, batch.n, batch.hist) for batch in backlog] == [
            (1, 50, True),
            (51, 50, True),
            (101, 50, True),
            (151, 40, True),
            (191, 11, False),  # health of the hours in between came with them
        ]
        agent.pass_time(HOUR_S, 3600)
        live = _batch(agent.uplink.of("health")[-1])
        assert (live.seq, live.n, live.hist) == (202, 1, False)


@pytest.mark.rule("C18")
def test_what_was_thinned_shows_as_lo_and_as_an_event(tmp_path: Path) -> None:
    budgets = {"release": 10**6, "sealed": 10**6, "event": 10**6, "health": 2000, "bulk": 10**6}
    with agent_in_test_time(tmp_path, budgets=budgets) as agent:
        agent.uplink.connected = False
        agent.pass_time(30 * HOUR_S, 3600)
        held = agent.outbox.held()["health"]
        agent.uplink.connect()
        agent.turns()
        batch = _batch(agent.uplink.of("health")[-1])
        assert batch.lo == held[0][0] > 1
        assert agent.outbox.thinned_records == batch.lo - 1
        assert "outbox thinned" in _events(agent)


@pytest.mark.rule("C16")
def test_without_an_answer_records_stay_and_are_sent_again_and_with_one_they_go(tmp_path: Path) -> None:
    with agent_in_test_time(tmp_path) as agent:
        agent.pass_time(HOUR_S, 3600)
        before = len(agent.uplink.of("event"))
        agent.pass_time(2 * ACK_TIMEOUT_S * 600, 7200)
        assert len(agent.uplink.of("event")) > before
        for _ in range(8):  # frames go sixteen at a time
            agent.judge_all()
            agent.turns()
        assert not any(agent.outbox.held().values())


# --- what it obeys and refuses --------------------------------------------------------------------------------


@pytest.mark.rule("C7")
@pytest.mark.parametrize("sig", [None, "x" * 86, "short"])
def test_a_down_message_without_a_good_signature_moves_nothing_and_is_told_once_an_hour(
    tmp_path: Path, sig: str | None
) -> None:
    with agent_in_test_time(tmp_path) as agent:
        agent.turns()
        ack = encode(Ack(v=VERSION, ob=agent.outbox.ob, stream="event", hi=1, also=[]))
        for _ in range(5):
            _down(agent, "ack", ack, sig)
        assert agent.outbox.held()["event"][0][0] == 1
        assert _events(agent).count("down_refused signature") == 1
        assert agent.downlink.refused == 5
        assert len(agent.uplink.acked) == 5
        agent.pass_time(HOUR_S, 3600)
        _down(agent, "ack", ack, sig)
        assert _events(agent).count("down_refused signature") == 2


def test_a_message_signed_by_another_deployment_or_for_another_topic_is_refused(tmp_path: Path) -> None:
    with agent_in_test_time(tmp_path) as agent:
        agent.turns()
        ack = Ack(v=VERSION, ob=agent.outbox.ob, stream="event", hi=1, also=[])
        agent.tell("ack", ack, key=Ed25519PrivateKey.generate())
        payload = encode(ack)
        _down(agent, "ack", payload, sign(agent.deployment, f"kw/v1/{DEVICE}/down/cmd", payload))
        assert agent.outbox.held()["event"][0][0] == 1
        assert agent.downlink.refused == 2


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"v":1}',
        b"[" * 5000,
        b'{"v":1,"ob":0,"stream":"event","hi":1,"also":[]}',
        b"x" * 70_000,
    ],
)
def test_a_signed_message_that_makes_no_sense_is_counted_and_stops_nothing(tmp_path: Path, payload: bytes) -> None:
    with agent_in_test_time(tmp_path) as agent:
        agent.turns()
        _down(agent, "ack", payload, sign(agent.deployment, f"kw/v1/{DEVICE}/down/ack", payload))
        assert agent.downlink.refused == 1
        agent.judge_all()
        assert not any(agent.outbox.held().values())


def test_a_message_of_a_newer_version_is_told_as_such(tmp_path: Path) -> None:
    with agent_in_test_time(tmp_path) as agent:
        payload = b'{"v":2,"hi":1}'
        _down(agent, "ack", payload, sign(agent.deployment, f"kw/v1/{DEVICE}/down/ack", payload))
        agent.turns()
        assert "down_refused version" in _events(agent)


@pytest.mark.parametrize("topic", ["", "kw/v1/other/down/ack", "kw/v1/#", f"kw/v1/{DEVICE}/up/event", "\x00"])
def test_a_message_on_any_other_topic_is_refused(tmp_path: Path, topic: str) -> None:
    with agent_in_test_time(tmp_path) as agent:
        agent.hear(Message(topic, b"{}", CONTENT_JSON, None, AckToken(1, 1), retain=False, dup=False))
        assert agent.downlink.refused == 1


@pytest.mark.rule("C17")
def test_an_ack_from_the_future_and_one_for_another_outbox_are_refused_and_told(tmp_path: Path) -> None:
    with agent_in_test_time(tmp_path) as agent:
        agent.turns()
        for ob, hi in ((agent.outbox.ob, 10**6), (agent.outbox.ob + 1, 1)):
            agent.tell("ack", Ack(v=VERSION, ob=ob, stream="event", hi=hi, also=[]))
        assert agent.outbox.held()["event"][0][0] == 1
        agent.turns()
        assert "down_refused ack" in _events(agent)


def test_a_rebirth_is_followed_by_a_birth_and_a_flood_of_them_is_not(tmp_path: Path) -> None:
    with agent_in_test_time(tmp_path) as agent:
        agent.turns()
        before = len(_documents(agent, "birth"))
        for _ in range(20):
            agent.tell("rebirth", Rebirth(v=VERSION))
        births = _documents(agent, "birth")
        assert len(births) == before + 1
        assert isinstance(births[-1], Birth)


def test_a_desired_setting_that_this_agent_does_not_have_is_answered_by_name(tmp_path: Path) -> None:
    with agent_in_test_time(tmp_path) as agent:
        agent.tell("desired", Desired(v=VERSION, version=3, doc={"sample_period_s": 5}))
        agent.tell("desired", Desired(v=VERSION, version=4, doc={}))
        agent.turns()
        answers = [one for one in _documents(agent, "reported") if isinstance(one, Reported)]
        assert [(one.version, one.accepted) for one in answers] == [(3, False), (4, True)]
        assert answers[0].errors == ["sample_period_s: this agent has no such setting"]


def test_an_unknown_command_is_rejected_and_one_that_is_too_late_has_expired(tmp_path: Path) -> None:
    with agent_in_test_time(tmp_path) as agent:
        for name, not_after_ns in (("a", START_NS + 60 * NS), ("b", START_NS)):
            agent.tell("cmd", Command(v=VERSION, id=name, name="open", not_after_ns=not_after_ns, args={}))
        agent.turns()
        answers = [one for one in _documents(agent, "cmdresp") if isinstance(one, CommandAnswer)]
        assert [(one.id, one.state) for one in answers] == [("a", "rejected"), ("b", "expired")]


# --- clock, room, windows ---------------------------------------------------------------------------------------


def test_with_a_bad_clock_no_window_is_released_and_with_a_good_one_all_are(tmp_path: Path) -> None:
    with agent_in_test_time(tmp_path) as agent:
        agent.quality.tq = TQ_FREE
        agent.pass_time(3 * WINDOW_S, 3600)
        assert agent.uplink.of("release") == []
        agent.quality.tq = 2
        agent.turns()
        starts = [Frame.decode(one.payload).start for one in agent.uplink.of("release")]
        assert [start - START_NS // NS for start in starts] == [0, WINDOW_S, 2 * WINDOW_S]


def test_a_release_that_finds_no_room_waits_and_no_later_window_overtakes_it(tmp_path: Path) -> None:
    budgets = {"release": 110, "sealed": 10**6, "event": 10**6, "health": 10**6, "bulk": 10**6}
    with agent_in_test_time(tmp_path, budgets=budgets) as agent:
        agent.uplink.connected = False
        agent.pass_time(3 * WINDOW_S + HOUR_S, 3600)
        assert len(agent.outbox.rows("release", 1, 9)) == 1
        assert agent.visits.ready_release() is not None
        agent.uplink.connect()
        for _ in range(4):
            agent.turns()
            agent.judge_all()
            agent.pass_time(HOUR_S, 3600)
        starts = {Frame.decode(one.payload).start - START_NS // NS for one in agent.uplink.of("release")}
        assert starts == {0, WINDOW_S, 2 * WINDOW_S}


def test_when_the_disk_is_full_records_wait_and_are_kept_once_there_is_room(tmp_path: Path) -> None:
    with agent_in_test_time(tmp_path) as agent:
        agent.turns()
        agent.outbox._connection.execute("PRAGMA query_only=ON")
        agent.pass_time(3 * HOUR_S, 3600)
        assert agent.recorder.full
        agent.outbox._connection.execute("PRAGMA query_only=OFF")
        agent.turns()
        assert len(agent.outbox.rows("health", 1, 9)) == 3
        assert "outbox drained" in _events(agent)


def test_a_record_that_the_broker_refuses_stops_no_other(tmp_path: Path) -> None:
    with agent_in_test_time(tmp_path) as agent:
        agent.outbox.append([NewRecord("release", b"r", start=1)], START_NS)
        agent.turns()
        publish, refused = agent.uplink.publish, list[Sent]()

        def refusing(token: int, topic: str, payload: bytes, **rest: object) -> bool:
            if topic.endswith("/release"):
                refused.append(Sent(agent.clock.now_ns(), topic, payload, None))
                agent.mailbox.on_published(token, "refused")
                return True
            return publish(token, topic, payload, **rest)  # type: ignore[arg-type]

        agent.uplink.publish = refusing  # type: ignore[method-assign]
        agent.pass_time(WINDOW_S + HOUR_S, 3600)
        assert len(refused) <= 3  # put aside for ten minutes each time
        assert len(agent.uplink.of("health")) >= 6
        assert agent.outbox.held()["release"]


@pytest.mark.rule("C23")
def test_a_window_closed_just_before_a_power_cut_is_released_once_after_it(tmp_path: Path) -> None:
    with agent_in_test_time(tmp_path) as agent:
        agent.turns()
        assert agent.visits.close_window(START_NS + WINDOW_S * NS)  # and the power goes before the outbox has it
    released = []
    for _ in range(3):
        with agent_in_test_time(tmp_path, now_ns=START_NS + WINDOW_S * NS) as agent:
            agent.turns()
            released.append([row.start for row in agent.outbox.rows("release", 1, 9)])
    assert released == [[START_NS // NS]] * 3
