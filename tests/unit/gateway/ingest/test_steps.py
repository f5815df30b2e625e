"""The checks of one message: each with the message that breaks only it, and their order with one that breaks two."""

import gzip
import json
import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.codec import CONTENT_BINARY, CONTENT_JSON, CONTENT_JSON_GZIP, MAX_PLAIN_BYTES, MAX_WIRE_BYTES
from contracts.frames import Frame
from contracts.messages import (
    MAX_RECORDS,
    MAX_VALUES,
    VERSION,
    Event,
    Identity,
    Reading,
    ReadingBatch,
    State,
    encode,
    join,
)
from contracts.rows import DeviceReport
from gateway.ingest.steps import (
    MAX_AHEAD_S,
    Admitted,
    Received,
    Refusal,
    admit,
    judge_record,
    judge_release,
    newer,
    read,
    read_again,
)
from gateway.ingest.verifier import Verifier
from tests.support.registry import device_of, snapshot, world
from tests.support.speaker import START_NS, START_S, Said, Speaker, reading, readings

AIR, KIOSK, STRANGER = Speaker("air-1"), Speaker("kiosk-1"), Speaker("air-9")
WORLD = world(AIR, KIOSK)
KIOSK_ROW = device_of(KIOSK)
NOW_NS = START_NS + 7 * 3600 * 10**9
S = 10**9


def received(said: Said) -> Received:
    return Received(*said, received_ns=NOW_NS)


def verdict(said: Said) -> str:
    """The name of the check that refuses a message, or `taken`: 1 to 8 as ingest makes them, for one message."""
    admitted = admit(received(said), WORLD)  # 1 2 3
    if isinstance(admitted, Refusal):
        return admitted.reason
    signed = (admitted.key, said.topic, said.wire, said.sig)
    if Verifier(0).begin([signed]).result() != [True]:  # 4
        return "signature"
    content = read(admitted)  # 5
    if isinstance(content, Refusal):
        return content.reason
    if isinstance(content, Frame):
        release = judge_release(content, admitted.device, WORLD, NOW_NS)
        return release.reason if isinstance(release, Refusal) else "taken"
    reasons = [judge_record(record, admitted.kind, admitted.device, NOW_NS) for record in getattr(content, "r", [])]
    return next((reason for reason in reasons if reason is not None), "taken")  # 7 8


def with_row(row: object, **changes: object) -> Said:
    """One record, and a header that may lie."""
    message: dict[str, Any] = {
        "v": VERSION,
        "ob": 11,
        "stream": "bulk",
        "seq": 1,
        "n": 1,
        "lo": 1,
        "hist": False,
        "r": [row],
    }
    return AIR.json("bulk", json.dumps(message | changes).encode())


ROW = [START_NS, 2, {"co2_ppm": 600.0}]
GOOD = {
    "bulk": AIR.batch(1, readings(1, 20)),
    "health": AIR.batch(1, [reading(outbox_pct=10.0, disk_pct=40.0)], stream="health"),
    "event": AIR.batch(1, [Event(START_NS, 2, "clock", "good")], stream="event"),
    "state": AIR.state(),
    "birth": AIR.birth(),
    "release": KIOSK.release(1),
}


@pytest.mark.parametrize("kind", GOOD)
def test_a_message_that_breaks_nothing_is_taken(kind: str) -> None:
    assert verdict(GOOD[kind]) == "taken"


# One message for each check, which breaks this check and no other.
BREAKS: dict[str, list[Said]] = {
    "oversize": [AIR.say("bulk", bytes(MAX_WIRE_BYTES + 1))],
    "topic": [
        AIR.say("bulk", encode(reading()), topic="kw/v1/air-1/up/nothing"),
        AIR.say("bulk", encode(reading()), topic="kw/v2/air-1/up/bulk"),
        AIR.say("bulk", encode(reading()), topic="kw/v1/AIR-1/up/bulk"),
        AIR.say("bulk", encode(reading()), topic="kw/v1/air-1/down/ack"),
        GOOD["bulk"]._replace(topic=""),  # what mqttlink makes of a topic that is no UTF-8
    ],
    "unknown_device": [STRANGER.batch(1, [reading()])],
    "signature": [
        GOOD["bulk"]._replace(sig=None),
        GOOD["bulk"]._replace(sig="A" * 86),
        GOOD["bulk"]._replace(sig=GOOD["health"].sig),
        GOOD["bulk"]._replace(sig="ü" * 86),
        GOOD["bulk"]._replace(topic="kw/v1/air-1/up/health"),  # moved to another topic of the same device
        GOOD["bulk"]._replace(wire=GOOD["bulk"].wire + b" "),
        replace(STRANGER, device="air-1").batch(1, [reading()]),  # a forger's key
        GOOD["bulk"]._replace(topic="kw/v1/kiosk-1/up/bulk"),  # another device's topic
    ],
    "version": [
        with_row(ROW, v=2),
        AIR.json("state", b'{"v":2,"anything":1}'),
        KIOSK.say("release", b"\x02" + KIOSK.release(1).wire[1:], CONTENT_BINARY),
    ],
    "malformed": [
        AIR.json("bulk", b"{"),
        AIR.json("bulk", b"\xff\xfe"),
        AIR.json("bulk", b"[" * 100_000),
        with_row(ROW, n=2),
        with_row(ROW, stream="health"),
        with_row(ROW, seq=0),
        with_row(ROW, lo=2),
        with_row(ROW, ob=2**63),
        with_row(ROW, extra=1),
        with_row([START_NS, 2, {"co2_ppm": "600"}]),
        with_row([START_NS, 2, {"co2_ppm": None}]),
        with_row([START_NS, 2]),
        AIR.json("bulk", join(ob=11, stream="bulk", seq=1, lo=1, hist=False, rows=[b'[1,2,{"co2_ppm":NaN}]'])),
        AIR.batch(1, [reading()] * (MAX_RECORDS + 1)),
        AIR.say("bulk", GOOD["bulk"].wire, "text/plain"),
        AIR.say("bulk", GOOD["bulk"].wire, None),
        AIR.say("bulk", GOOD["bulk"].wire[:-3], CONTENT_JSON_GZIP),
        AIR.say("bulk", GOOD["bulk"].wire + b"\x00", CONTENT_JSON_GZIP),
        AIR.say("bulk", b"no gzip", CONTENT_JSON_GZIP),
        AIR.json("state", b'{"v":1,"ob":11,"boot":1,"conn":-1,"online":true,"fw":"1"}'),
        KIOSK.say("release", KIOSK.release(1).wire, CONTENT_JSON),
        KIOSK.say("release", KIOSK.release(1).wire[:20], CONTENT_BINARY),
    ],
    "range": [
        with_row([START_NS, 4, {"co2_ppm": 600.0}]),
        with_row([START_NS, -1, {"co2_ppm": 600.0}]),
        with_row([946_684_799 * S, 2, {"co2_ppm": 600.0}]),
        with_row([NOW_NS + (MAX_AHEAD_S + 1) * S, 2, {"co2_ppm": 600.0}]),
        with_row([2**200, 2, {"co2_ppm": 600.0}]),
        with_row([START_NS, 2, {}]),
        with_row([START_NS, 2, {f"m{number}": 1.0 for number in range(MAX_VALUES + 1)}]),
        with_row([START_NS, 2, {"co2_ppm": 40_001.0}]),
        with_row([START_NS, 2, {"co2_ppm": -1}]),
        KIOSK.release(1, start_s=START_S + 1),
        KIOSK.release(1, start_s=0),
        KIOSK.release(1, start_s=2**62),
        KIOSK.release(1, window=1),  # its end is still to come
    ],
    "allow_list": [
        with_row([START_NS, 2, {"cq": 21.5}]),
        with_row([START_NS, 2, {"co2_ppm": 600.0, "run_started": 1.0}]),
        with_row([START_NS, 2, {"outbox_pct": 10.0}]),  # health's, on bulk
        AIR.batch(1, [reading(control_ok=1.0)], stream="health"),  # a kiosk's, from an air monitor
        AIR.batch(1, [Event(START_NS, 2, "run", "ended")], stream="event"),
        AIR.batch(1, [Event(START_NS, 2, "clock", "lost")], stream="event"),
    ],
    "layout": [
        KIOSK.release(1, layout=2),
        KIOSK.release(1, counters=(7, -1)),
        KIOSK.release(1, counters=(7, -1, 3, 0)),
        KIOSK.say("release", Frame(11, 1, 1, START_S, b"\x00").encode(), CONTENT_BINARY),
    ],
}


@pytest.mark.rule("C5")
@pytest.mark.rule("C7")
@pytest.mark.rule("C14")
@pytest.mark.parametrize(("reason", "said"), [(reason, said) for reason, all_of in BREAKS.items() for said in all_of])
def test_a_message_that_breaks_one_rule_is_refused_for_it(reason: str, said: Said) -> None:
    assert verdict(said) == reason


@pytest.mark.rule("C5")
def test_a_zip_bomb_is_refused_after_the_cap_and_never_unpacked_whole() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024), 9)
    assert len(bomb) < MAX_WIRE_BYTES
    assert verdict(AIR.say("bulk", bomb, CONTENT_JSON_GZIP)) == "oversize"
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    edge = packer.compress(b"[" + b" " * (MAX_PLAIN_BYTES - 2) + b"]") + packer.flush()
    assert verdict(AIR.say("bulk", edge, CONTENT_JSON_GZIP)) == "malformed", "the cap itself may still be looked at"


def breaking(*reasons: str) -> Said:
    """A message that breaks several checks at once; each change leaves the others broken."""
    row: list[Any] = [START_NS, 2, {"co2_ppm": 600.0}]
    header: dict[str, object] = {}
    if "allow_list" in reasons:
        row[2]["cq"] = 1.0
    if "range" in reasons:
        row[2]["co2_ppm"] = -1.0
    if "version" in reasons:
        header["v"] = 2
    said = with_row(row, **header)
    if "signature" in reasons:
        said = said._replace(sig="A" * 86)
    if "unknown_device" in reasons:
        said = said._replace(topic="kw/v1/air-9/up/bulk")
    if "topic" in reasons:
        said = said._replace(topic=f"{said.topic[:-4]}BULK")
    if "oversize" in reasons:
        said = said._replace(wire=said.wire + bytes(MAX_WIRE_BYTES))
    return said


ORDER = ["oversize", "topic", "unknown_device", "signature", "version", "range", "allow_list"]


@pytest.mark.rule("C15")
@pytest.mark.parametrize("first", range(len(ORDER)))
def test_of_several_broken_rules_the_first_of_the_contracts_order_is_named(first: int) -> None:
    for second in range(first + 1, len(ORDER)):
        assert verdict(breaking(ORDER[first], ORDER[second])) == ORDER[first]
    assert verdict(breaking(*ORDER[first:])) == ORDER[first]


def test_a_device_without_a_key_or_revoked_is_unknown() -> None:
    known = device_of(AIR)
    for status in (replace(known, public_key=None), replace(known, status="revoked")):
        found = admit(received(GOOD["bulk"]), replace(WORLD, registry=snapshot([status])))
        assert found == Refusal("unknown_device", device="air-1")


@pytest.mark.rule("C2")
def test_where_a_record_was_measured_is_the_registrys_word() -> None:
    admitted = admit(received(GOOD["bulk"]), WORLD)
    assert isinstance(admitted, Admitted)
    assert admitted.place == ("air_monitor", "hall", "z10017", False)


# --- what can still be told of a message that cannot be read ------------------------------------------------------


@pytest.mark.rule("C21")
def test_one_record_that_cannot_be_read_leaves_its_neighbours_readable() -> None:
    said = AIR.batch(5, [reading(1), b'[1,2,{"co2_ppm":"much"}]', b"null", reading(4)])
    admitted = admit(received(said), WORLD)
    assert isinstance(admitted, Admitted)
    content = read(admitted)
    assert getattr(content, "r", None) == [reading(1), None, None, reading(4)]


@pytest.mark.parametrize(
    "plain",
    [
        b'{"v":1,"ob":11,"stream":"bulk","seq":5,"n":3,"lo":2,"hist":false,"r":[NaN]}',
        b'{"v":1,"ob":11,"stream":"bulk","seq":5,"n":3,"lo":2,"hist":fal',
        b'{"v":7,"ob":11,"stream":"bulk","seq":5,"n":3,"lo":2,"later":[]}',
        b'{"lo":2,"n":3,"seq":5,"ob":11,"v":1,"r":"other order, but JSON"}',
    ],
)
def test_a_signed_message_that_cannot_be_read_still_says_which_records_it_was_to_hold(plain: bytes) -> None:
    admitted = admit(received(AIR.json("bulk", plain)), WORLD)
    assert isinstance(admitted, Admitted)
    refusal = read(admitted)
    assert isinstance(refusal, Refusal)
    assert refusal.identity == Identity(ob=11, seq=5, n=3, lo=2)


@pytest.mark.parametrize("plain", [b"", b"[]", b'{"v":1,"ob":11,"stream":"bulk","seq":5,"n":51,"lo":2,', b'{"ob":1}'])
def test_one_that_does_not_say_so_judges_nothing(plain: bytes) -> None:
    admitted = admit(received(AIR.json("bulk", plain)), WORLD)
    assert isinstance(admitted, Admitted)
    assert read(admitted) == Refusal("malformed")


# --- documents ------------------------------------------------------------------------------------------------


def known_state(conn: int, *, online: bool = True, ob: int = 11, boot: int = 3) -> DeviceReport:
    body = encode(State(v=VERSION, ob=ob, boot=boot, conn=conn, online=online, fw="1"))
    return DeviceReport(
        device="air-1", kind="state", ob=ob, boot=boot, conn=conn, enrolment=1, received_ns=0, body=body
    )


@pytest.mark.rule("C12")
@pytest.mark.rule("C13")
@pytest.mark.parametrize(
    ("boot", "conn", "online", "taken"),
    [
        (3, 7, False, True),  # the will of this connection
        (3, 6, False, False),  # the will of an older one
        (3, 8, True, True),
        (3, 7, True, True),
        (4, 1, True, True),  # a new start counts its connections anew
        (2, 99, True, False),
    ],
)
def test_the_newest_connection_has_the_word(boot: int, conn: int, online: bool, taken: bool) -> None:
    said = State(v=VERSION, ob=11, boot=boot, conn=conn, online=online, fw="1")
    assert newer(known_state(7), said) is taken


@pytest.mark.rule("C13")
def test_a_connection_that_has_ended_does_not_come_back() -> None:
    again = State(v=VERSION, ob=11, boot=3, conn=7, online=True, fw="1")
    assert not newer(known_state(7, online=False), again)
    assert newer(None, again)
    assert newer(known_state(99, ob=12), again), "which outbox may speak is judged before"


# --- whatever comes -------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)
KINDS = st.sampled_from(["release", "event", "health", "bulk", "state", "birth", "reported", "cmdresp", "sealed"])
TYPES = st.sampled_from([CONTENT_JSON, CONTENT_JSON_GZIP, CONTENT_BINARY, None, "x"])


def judged(content: object, kind: str) -> None:
    """Make checks 7 and 8 of whatever was read."""
    if isinstance(content, Frame):
        judge_release(content, KIOSK_ROW, WORLD, NOW_NS)
    for record in getattr(content, "r", []):
        judge_record(record, kind, device_of(AIR), NOW_NS)


@given(KINDS, st.binary(max_size=200), TYPES)
def test_garbage_that_is_signed_is_refused_and_nothing_else(kind: str, wire: bytes, content_type: str | None) -> None:
    admitted = admit(received(AIR.say(kind, wire, content_type)), WORLD)
    assert isinstance(admitted, Admitted)
    judged(read(admitted), kind)
    read_again(kind if kind in {"release", "event", "health", "bulk"} else "bulk", wire, content_type or "")


@given(KINDS, JSON)
def test_any_json_is_refused_or_read_and_nothing_else(kind: str, content: object) -> None:
    admitted = admit(received(AIR.json(kind, json.dumps(content).encode())), WORLD)
    assert isinstance(admitted, Admitted)
    judged(read(admitted), kind)


@given(st.text(max_size=80))
def test_any_topic_is_refused_or_known(topic: str) -> None:
    assert isinstance(admit(Received(topic, b"", None, None, NOW_NS), WORLD), Refusal)


@given(st.integers(), st.integers(), st.dictionaries(st.sampled_from(["co2_ppm", "humidity_pct", "x"]), st.floats()))
def test_a_record_that_passes_is_one_that_the_store_can_hold(ts_ns: int, tq: int, values: dict[str, float]) -> None:
    if judge_record(Reading(ts_ns, tq, values), "bulk", device_of(AIR), NOW_NS) is None:
        assert all(0 <= value <= 40_000 for value in values.values())
        assert 0 < ts_ns < 2**63
        assert 0 <= tq <= 3


def test_a_batch_that_was_journalled_is_read_again_as_it_was() -> None:
    said = GOOD["bulk"]
    content = read_again("bulk", said.wire, said.content_type or "")
    assert isinstance(content, ReadingBatch)
    assert content.r == readings(1, 20)
