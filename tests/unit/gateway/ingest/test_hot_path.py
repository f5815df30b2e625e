"""What ingest does for a whole message at once gives what the rule says of each of its parts."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.envelope import verify
from contracts.errors import SignatureError
from contracts.messages import Reading
from gateway.ingest.handover import MAX_RECORDS, Handover
from gateway.ingest.steps import all_hold, judge_record
from gateway.ingest.verifier import verify_slice
from stores.state.journal import JournalEntry
from tests.support.registry import device_of
from tests.support.speaker import START_NS, Speaker

AIR = Speaker("air-1")
DEVICE = device_of(AIR)
NOW_NS = START_NS + 7 * 3600 * 10**9

READINGS = st.lists(
    st.builds(
        Reading,
        st.just(NOW_NS) | st.integers(-(2**63), 2**63 - 1),
        st.integers(-1, 4),
        st.dictionaries(
            st.sampled_from(["co2_ppm", "temperature_c", "humidity_pct", "outbox_pct", "made_up"]),
            st.just(20.0) | st.floats(),
            max_size=3,
        ),
    ),
    max_size=6,
)
GOOD = st.builds(Reading, st.just(NOW_NS), st.just(2), st.just({"co2_ppm": 600.0, "temperature_c": 20.0}))
HEALTH = st.builds(
    Reading,
    st.just(NOW_NS),
    st.just(2),
    st.dictionaries(
        st.sampled_from(["outbox_pct", "disk_pct", "clock_quality", "certificate_days"]),
        st.sampled_from([0.0, -0.0, 2.0, 10.0, 30.0]) | st.floats(0, 100),
        max_size=4,
    ),
)


@given(READINGS | st.lists(GOOD, max_size=4))
def test_a_message_is_taken_whole_exactly_when_each_of_its_readings_is(readings: list[Reading]) -> None:
    singly = [judge_record(one, "bulk", DEVICE, NOW_NS) is None for one in readings]
    assert all_hold(readings, "bulk", DEVICE.kind, NOW_NS) == all(singly)


@pytest.mark.rule("C28")
@given(st.lists(HEALTH, max_size=4))
def test_a_message_between_the_steps_is_found_at_once_as_it_is_singly(readings: list[Reading]) -> None:
    singly = [judge_record(one, "health", DEVICE, NOW_NS) is None for one in readings]
    assert all_hold(readings, "health", DEVICE.kind, NOW_NS) == all(singly)


@given(st.binary(max_size=80), st.integers(0, 63), st.integers(0, 7), st.booleans())
def test_the_library_that_verifies_and_the_one_that_signs_agree_on_every_message(
    wire: bytes, byte: int, bit: int, spoilt: bool
) -> None:
    """Two implementations of RFC 8032: libsodium in the gateway, OpenSSL at the edge."""
    said = AIR.say("bulk", wire)
    assert said.sig is not None
    sig = said.sig[:byte] + chr(ord(said.sig[byte]) ^ 1 << bit) + said.sig[byte + 1 :] if spoilt else said.sig
    try:
        verify(AIR.key.public_key(), said.topic, wire, sig)
        held = True
    except SignatureError:
        held = False
    assert verify_slice([(AIR.public_key, said.topic, wire, sig)]) == [held]


def test_who_judges_faster_than_the_projection_waits_for_it_and_for_no_longer_than_it_said() -> None:
    handover = Handover()
    handover.put(1, [JournalEntry(0, "air-1", "", "", "", False, 11, "bulk", 1, MAX_RECORDS, 0, 0, "", b"")], [None])  # type: ignore[list-item]  # contents are not looked at
    handover.wait_for_room(0.01)  # nobody takes: it comes back all the same
    waiting = threading.Thread(target=handover.wait_for_room, args=(20.0,))
    waiting.start()
    handover.take(1, 9)
    waiting.join(timeout=10)
    assert not waiting.is_alive()
