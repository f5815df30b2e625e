"""District time from the launcher's file, and draws that need no memory."""

import asyncio
import json
import statistics
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.chance import below, normal, uniform
from firmware_sim.clock import DistrictClock, clock_from_file, clock_from_now, local_time
from firmware_sim.errors import ConfigError

START_NS = 1_639_285_200_000_000_000


def test_the_clock_file_gives_the_launchers_time(tmp_path: Path) -> None:
    path = tmp_path / "time.json"
    anchor = time.monotonic_ns() - 2_000_000_000
    path.write_text(
        json.dumps(
            {
                "monotonic_anchor_ns": anchor,
                "simulated_anchor_ns": START_NS,
                "speed": 600,
                "last_simulated_ns": START_NS,
            }
        )
    )
    passed_s = (clock_from_file(path).now_ns() - START_NS) / 1e9
    assert 1200 <= passed_s < 1800, "two real seconds are twenty simulated minutes"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"monotonic_anchor_ns": 1, "simulated_anchor_ns": 1}',
        '{"monotonic_anchor_ns": 1, "simulated_anchor_ns": 1, "speed": 0}',
        '{"monotonic_anchor_ns": 1, "simulated_anchor_ns": 1, "speed": true}',
        '{"monotonic_anchor_ns": 1.5, "simulated_anchor_ns": 1, "speed": 1}',
    ],
)
def test_a_wrong_clock_file_is_refused_with_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "time.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="clock"):
        clock_from_file(path)


def test_a_missing_clock_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="kioskwatch up"):
        clock_from_file(tmp_path / "time.json")


def test_waiting_takes_the_real_share_of_simulated_time() -> None:
    async def wait() -> float:
        clock = clock_from_now(speed=6000, start_ns=START_NS)
        before = time.monotonic()
        await clock.sleep_until(clock.now_ns() + 300 * 10**9)
        await clock.sleep(300)
        await clock.sleep_until(0)
        return time.monotonic() - before

    assert 0.095 <= asyncio.run(wait()) < 0.5
    assert DistrictClock(0, 0, 600).real_s(60) == pytest.approx(0.1)


def test_local_time_has_the_districts_fixed_offset() -> None:
    assert local_time(START_NS, -5 * 3600).isoformat() == "2021-12-12T00:00:00-05:00"


@given(st.lists(st.integers() | st.text(), max_size=4))
def test_a_draw_depends_on_its_key_alone(key: list[int | str]) -> None:
    assert uniform(*key) == uniform(*key)
    assert 0 <= uniform(*key) < 1
    assert 0 <= below(7, *key) < 7


def test_draws_have_the_spread_they_claim() -> None:
    even = [uniform(1, i) for i in range(4000)]
    assert statistics.mean(even) == pytest.approx(0.5, abs=0.02)
    bell = [normal(1, i) for i in range(4000)]
    assert statistics.mean(bell) == pytest.approx(0, abs=0.06)
    assert statistics.stdev(bell) == pytest.approx(1, abs=0.05)
    assert {below(3, "x", i) for i in range(50)} == {0, 1, 2}
