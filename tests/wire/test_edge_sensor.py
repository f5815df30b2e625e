"""The edge's side of the SCD30's line against the simulated sensor and its faults: no false value, no stop."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.adapters.links import make_link
from edge.adapters.waiting import PollWaiter
from edge.core.backoff import Backoff
from edge.instruments.line import Line
from edge.instruments.scd30.driver import Scd30Driver
from edge.ports import Found, Happening, Ignored, Lost, Sampled
from firmware_sim.faults import Fault
from firmware_sim.instruments.scd30.room import Air
from tests.support.kiosk import middle
from tests.support.simulators import running_sensor

AIR = Air(co2_ppm=812.0, temperature_c=21.5, humidity_pct=44.0)
SPEED = 600  # a measurement every 2 simulated seconds: always ready


@contextmanager
def _driver(fault: Fault = Fault.NONE, *, tcp: bool = False) -> Iterator[Scd30Driver]:
    with running_sensor(fault=fault, tcp=tcp, air=lambda _ns: AIR, speed=SPEED) as where:
        link = f"tcp:{where}" if tcp else f"serial:{where}"
        driver = Scd30Driver(Line(make_link(link, 19_200), Backoff(0.1, 1.0, middle)))
        yield driver
        driver.close()


def _samples(driver: Scd30Driver, n: int, timeout_s: float = 20.0) -> tuple[list[Sampled], list[Happening]]:
    """Ask for samples until n came; return them and whatever else happened."""
    waiter, samples, others = PollWaiter(), list[Sampled](), list[Happening]()
    asked, end_s = False, time.monotonic() + timeout_s
    while len(samples) < n:
        now_s = time.monotonic()
        assert now_s < end_s, f"{len(samples)} of {n} samples, {others}"
        if not asked:
            driver.sample(now_s)
            asked = True
        for happening in driver.step(now_s):
            if isinstance(happening, Sampled):
                samples.append(happening)
            else:
                others.append(happening)
            asked = asked and not isinstance(happening, Sampled | Ignored)
        waiter.wait([driver.fileno()], [], min(0.02, max(0.0, driver.deadline_s() - now_s)))
    waiter.close()
    return samples, others


def _close_to_truth(sample: Sampled) -> bool:
    """Within the simulated sensor's own repeatability (5 ppm, 0.05 degrees, 0.2 %) five times over."""
    values = sample.values
    return (
        abs(values["co2_ppm"] - AIR.co2_ppm) < 25
        and abs(values["temperature_c"] - AIR.temperature_c) < 0.25
        and abs(values["humidity_pct"] - AIR.humidity_pct) < 1
    )


@pytest.mark.parametrize("tcp", [False, True])
def test_a_sensor_is_found_and_sampled_on_a_terminal_and_over_tcp(*, tcp: bool) -> None:
    with _driver(tcp=tcp) as driver:
        samples, others = _samples(driver, 3)
        assert [other for other in others if not isinstance(other, Ignored)] == [Found("SCD30", "3.66")]
        assert all(_close_to_truth(sample) for sample in samples)


@pytest.mark.parametrize(
    "fault", [Fault.TRUNCATED_FRAME, Fault.WRONG_CHECKSUM, Fault.SLOW, Fault.DUPLICATE, Fault.NAK_STORM]
)
def test_a_bad_wire_costs_time_and_never_gives_a_false_value(fault: Fault) -> None:
    with _driver(fault) as driver:
        samples, _ = _samples(driver, 5)
        assert all(_close_to_truth(sample) for sample in samples)


def test_line_noise_is_passed_over() -> None:
    with _driver(Fault.NOISE) as driver:  # this fault also makes every fifth reading wrong, as a true answer
        samples, others = _samples(driver, 9)
        # 7 wrong of 9 at one in five: once in 3 000 runs
        assert sum(_close_to_truth(sample) for sample in samples) >= 3
        assert not [other for other in others if isinstance(other, Lost)]


@pytest.mark.timeout(60)
def test_a_sensor_that_is_unplugged_mid_frame_is_lost_and_found_again() -> None:
    with _driver(Fault.UNPLUG, tcp=True) as driver:
        samples, others = _samples(driver, 25, 40)
        assert all(_close_to_truth(sample) for sample in samples)
        kinds = [type(other) for other in others if isinstance(other, Found | Lost)]
        assert kinds[:3] == [Found, Lost, Found]


def test_a_terminal_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    driver = Scd30Driver(Line(make_link(f"serial:{tmp_path / 'none'}", 19_200), Backoff(0.01, 0.05, middle)))
    end_s, others = time.monotonic() + 0.5, list[Happening]()
    while time.monotonic() < end_s:
        driver.sample(time.monotonic())
        others += driver.step(time.monotonic())
        time.sleep(0.01)
    assert set(others) == {Ignored("no line")}
    driver.close()
