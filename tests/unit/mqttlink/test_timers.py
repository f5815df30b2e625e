"""Backing off and keeping alive: pure, with the time brought along."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttlink.backoff import Backoff
from mqttlink.keepalive import KeepAlive


def longest(_low: float, high: float) -> float:
    return high


def test_the_bound_doubles_up_to_its_top_and_starts_again_after_a_stable_connection() -> None:
    backoff = Backoff(1.0, 60.0, longest)
    assert [backoff.failed() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    backoff.held()
    assert backoff.failed() == 1


@given(st.integers(0, 2000), st.integers())
def test_a_delay_is_never_negative_nor_above_the_top(failures: int, seed: int) -> None:
    backoff = Backoff(0.5, 60.0, Random(seed).uniform, failures)
    assert 0 <= backoff.failed() <= 60


def test_devices_that_failed_together_do_not_come_back_together() -> None:
    delays = {round(Backoff(1.0, 60.0, Random(seed).uniform, 6).failed(), 3) for seed in range(50)}
    assert len(delays) > 45


def test_a_ping_is_due_twice_in_a_keep_alive_read_or_not() -> None:
    timers = KeepAlive(30, last_ping_s=100, last_received_s=100)
    for reading in (True, False):
        timers.set_reading(100, reading=reading)
        assert not timers.ping_due(114.9)
        assert timers.ping_due(115)
    timers.pinged(115)
    assert not timers.ping_due(129)


def test_silence_is_death_only_while_reading() -> None:
    timers = KeepAlive(30, 100, 100)
    assert not timers.dead(137)
    assert timers.dead(137.5)
    timers.set_reading(137.5, reading=False)
    assert not timers.dead(10_000)
    timers.set_reading(10_000, reading=True)
    assert not timers.dead(10_037), "what the broker said before is still in the socket"
    assert timers.dead(10_037.5)
    timers.received(10_037.5)
    assert not timers.dead(10_038)


@pytest.mark.parametrize("reading", [True, False])
@given(now_s=st.floats(100, 200))
def test_nothing_comes_due_before_the_next_check(reading: bool, now_s: float) -> None:
    timers = KeepAlive(30, 100, 100, reading)
    before_s = now_s + timers.next_check_s(now_s) - 0.001
    if before_s > now_s:
        assert not timers.ping_due(before_s)
        assert not timers.dead(before_s)
