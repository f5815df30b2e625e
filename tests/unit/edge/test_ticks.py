"""When a tick goes out, which one is next, and what it holds."""

import hashlib
import hmac
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.frames import TickBody
from contracts.sealed import RECORD_BYTES, dummy
from contracts.windows import NS, TICK_S, tick_start_ns
from edge.core.ticks import MISSED_TICKS, OFFSET_S, next_tick, offset_ns, publish_ns, tick_body
from edge.errors import VisitError

TICK = 2_732_142
AFTER = 17 * NS


def _keep(_records: list[bytes]) -> None:
    """No shuffling: for tests that ask what is there."""


def test_a_devices_delay_is_the_hmac_of_its_id_under_its_own_key_within_a_minute() -> None:
    key = bytes(range(32))
    digest = hmac.new(key, b"kioskwatch/tick/v1\0kiosk-10016-1", hashlib.sha256).digest()
    assert offset_ns(key, "kiosk-10016-1") == int.from_bytes(digest[:8], "big") % (60 * 10**9)
    delays = [offset_ns(key, f"kiosk-{n}") // NS for n in range(600)]
    assert set(delays) == set(range(OFFSET_S))
    assert offset_ns(bytes(32), "kiosk-10016-1") != offset_ns(key, "kiosk-10016-1")


def test_a_tick_is_due_from_its_start_plus_the_delay_and_once() -> None:
    start_ns = tick_start_ns(TICK)
    assert publish_ns(TICK, AFTER) == start_ns + AFTER
    assert next_tick(TICK - 1, start_ns + AFTER - 1, AFTER) is None
    assert next_tick(TICK - 1, start_ns + AFTER, AFTER) == TICK
    assert next_tick(TICK, start_ns + AFTER, AFTER) is None
    assert next_tick(TICK + 5, start_ns + AFTER, AFTER) is None  # the clock was set back


@pytest.mark.parametrize("missed", [1, 7, MISSED_TICKS, MISSED_TICKS + 1, 3000])
def test_missed_ticks_follow_in_order_as_far_back_as_72_hours(missed: int) -> None:
    last, now_ns, taken = TICK, tick_start_ns(TICK + missed) + AFTER, []
    while (tick := next_tick(last, now_ns, AFTER)) is not None:
        taken.append(tick)
        last = tick
    assert taken == list(range(TICK + missed - min(missed, 432) + 1, TICK + missed + 1))
    assert MISSED_TICKS * TICK_S == 72 * 3600


@given(st.integers(1, 16), st.data())
def test_a_tick_has_constant_length_and_holds_every_record_once(places: int, data: st.DataObject) -> None:
    real = [bytes([n]) * RECORD_BYTES for n in range(data.draw(st.integers(0, places)))]
    fill = [b"\xff" * RECORD_BYTES for _ in range(places)]
    body = tick_body(real, places, fill.pop, random.Random(1).shuffle)
    assert not fill, "as many dummies are sealed whoever came"
    assert len(body) == places * RECORD_BYTES
    held = TickBody.decode(body).records
    assert sorted(held) == sorted([*real, *[b"\xff" * RECORD_BYTES] * (places - len(real))])


def test_more_records_than_places_are_an_error_and_none_is_left_out() -> None:
    with pytest.raises(VisitError):
        tick_body([bytes(RECORD_BYTES)] * 5, 4, dummy, _keep)


def test_a_real_record_is_as_often_in_each_place() -> None:
    chance, real = random.Random(20211212), b"\1" * RECORD_BYTES
    found = [0, 0, 0, 0]
    for _ in range(4000):
        body = tick_body([real], 4, lambda: bytes(RECORD_BYTES), chance.shuffle)
        found[TickBody.decode(body).records.index(real)] += 1
    assert sum((n - 1000) ** 2 / 1000 for n in found) < 16.27  # chi-square, 3 degrees of freedom, p = 0.001
