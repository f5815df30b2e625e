"""Tasks of an agent, each with a fake at its port: sensors, health, the recorder, renewal."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.messages import TQ_DISCIPLINED
from contracts.windows import DAY_S
from edge.adapters.store import OutboxStore
from edge.core.backoff import Backoff
from edge.core.enrolment import Enrolment, read_enrolment
from edge.core.schedule import Schedule
from edge.core.sending import Sending
from edge.errors import EnrolmentError
from edge.ports import Found, Happening, Ignored, Lost, Sampled
from edge.service.health import HealthTask
from edge.service.recorder import MAX_WAITING, Recorder
from edge.service.renewal import CHECK_EVERY_S, RenewalTask
from edge.service.sensor import SensorTask
from tests.support.enrolled import enrolment_answer
from tests.support.kiosk import START_NS, Quality, SetClock, middle

AIR = {"co2_ppm": 612.0, "temperature_c": 21.0, "humidity_pct": 40.0}


@dataclass
class FakeSensor:
    """Implements edge.ports.Sensor: answers each question with what the test put there."""

    answers: list[Happening] = field(default_factory=list)
    asked: int = 0
    closed: bool = False

    def sample(self, _now_s: float) -> None:
        self.asked += 1

    def fileno(self) -> int:
        return -1

    def wants_write(self) -> bool:
        return False

    def deadline_s(self) -> float:
        return float("inf")

    def step(self, _now_s: float) -> list[Happening]:
        answers, self.answers = self.answers, []
        return answers

    def close(self) -> None:
        self.closed = True


@dataclass
class Bench:
    """Outbox, recorder and a clock."""

    outbox: OutboxStore
    recorder: Recorder
    clock: SetClock
    quality: Quality

    def rows(self, stream: str) -> list[list[object]]:
        self.recorder.flush()
        return [json.loads(row.body) for row in self.outbox.rows(stream, 1, 500)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    outbox, clock, quality = OutboxStore(tmp_path / "outbox.db"), SetClock(), Quality()
    sending = Sending(outbox.ob, outbox.held(), outbox.next_seq(), middle)
    return Bench(outbox, Recorder(outbox, sending, lambda: (clock.now_ns(), quality.now())), clock, quality)


def _sensor(bench: Bench, sensor: FakeSensor) -> SensorTask:
    return SensorTask(
        sensor,
        kind="air_monitor",
        schedule=Schedule(600),
        recorder=bench.recorder,
        clock=bench.clock,
        quality=bench.quality,
    )


def test_a_sensor_is_asked_at_fixed_times_and_its_sample_is_kept_with_the_time_it_came(bench: Bench) -> None:
    sensor = FakeSensor()
    task = _sensor(bench, sensor)
    for _ in range(31):
        task.step()
        bench.clock.move(60)
    assert sensor.asked == 3
    sensor.answers = [Found("SCD30", "3.66"), Sampled(AIR), Ignored("noise"), Lost()]
    at_ns = bench.clock.ns
    task.step()
    assert bench.rows("bulk") == [[at_ns, TQ_DISCIPLINED, AIR]]
    assert [row[2:] for row in bench.rows("event")] == [["instrument", "found"], ["instrument", "lost"]]
    assert task.skipped == 1
    assert not task.instrument_ok


def test_a_value_outside_the_contracts_range_is_counted_and_not_kept(bench: Bench) -> None:
    task = _sensor(bench, FakeSensor([Sampled(AIR | {"co2_ppm": 50_000.0})]))
    task.step()
    assert bench.rows("bulk") == []
    assert task.skipped == 1


def test_while_nothing_can_be_written_the_sensor_is_not_asked(bench: Bench) -> None:
    sensor = FakeSensor()
    task = _sensor(bench, sensor)
    bench.recorder.full = True
    bench.clock.move(700)
    task.step()
    assert (sensor.asked, task.skipped) == (0, 1)
    bench.recorder.full = False
    bench.clock.move(600)
    task.step()
    assert sensor.asked == 1


def test_a_clock_that_is_set_back_does_not_silence_the_sensor(bench: Bench) -> None:
    sensor = FakeSensor()
    task = _sensor(bench, sensor)
    bench.clock.move(-10 * DAY_S)
    task.step()
    bench.clock.move(601)
    task.step()
    assert sensor.asked == 1


def _health(
    bench: Bench,
    daily: Callable[[], dict[str, float]],
    kind: str = "kiosk",
    *,
    at_window_end: Callable[[], dict[str, float]] = dict,
) -> HealthTask:
    return HealthTask(
        kind=kind,
        schedule=Schedule(3600, 17),
        utc_offset_s=-5 * 3600,
        facts=lambda: {"outbox_pct": 3.2, "disk_pct": 40.0, "instrument_ok": 1.0},
        daily=daily,
        counts=lambda: {"samples skipped": 2},
        recorder=bench.recorder,
        clock=bench.clock,
        quality=bench.quality,
        at_window_end=at_window_end,
        window_s=6 * 3600,
    )


def test_paper_is_told_once_a_window_after_its_end_whenever_it_changed(bench: Bench) -> None:
    level = [2.0]
    task = _health(bench, dict, at_window_end=lambda: {"paper_level": level[0]})
    for minute in range(20 * 60):
        level[0] = float(minute // 400 % 3)  # changes at times of its own
        task.step()
        bench.clock.move(60)
    told = [hour for hour, row in enumerate(bench.rows("health")) if "paper_level" in str(row)]
    assert told == [0, 6, 12, 18]


def test_health_is_said_as_of_fixed_times_in_coarse_steps_and_controls_once_a_day(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    task = _health(bench, lambda: {"control_ok": 1.0})
    for _ in range(26 * 60):
        task.step()
        bench.clock.move(60)
    rows = bench.rows("health")
    assert [row[0] for row in rows] == [START_NS + (17 + hour * 3600) * 10**9 for hour in range(26)]
    values = [row[2] for row in rows]
    assert all(isinstance(one, dict) and (one["outbox_pct"], one["disk_pct"]) == (10.0, 40.0) for one in values)
    with_control = [hour for hour, one in enumerate(values) if isinstance(one, dict) and "control_ok" in one]
    assert with_control == [0, 24]
    assert caplog.messages == ["since the start: 2 samples skipped"]


def test_health_that_the_gateway_would_refuse_is_counted(bench: Bench) -> None:
    task = _health(bench, lambda: {"control_ok": 1.0}, kind="air_monitor")
    bench.clock.move(60)
    task.step()
    assert bench.rows("health") == []
    assert bench.recorder.refused == 1


def test_a_recorder_holds_no_more_than_a_bounded_number_in_memory(bench: Bench) -> None:
    for _ in range(MAX_WAITING + 7):
        bench.recorder.event("instrument", "found")
    bench.recorder.event("no such", "event")
    assert bench.recorder.refused == 8
    assert len(bench.rows("event")) == MAX_WAITING


# --- renewal ------------------------------------------------------------------------------------------------


@dataclass
class FakeRenewer:
    """Implements edge.service.renewal.Renewer."""

    answers: list[Enrolment | EnrolmentError]
    due: bool = True
    asked: int = 0

    def renewal_due(self) -> bool:
        return self.due

    def renew(self) -> Enrolment:
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, EnrolmentError):
            raise answer
        return answer


def _enrolment() -> Enrolment:
    key = Ed25519PrivateKey.generate()
    answer = enrolment_answer("air-10016", key.public_key(), broker_port=1, deployment=key)
    return read_enrolment(json.dumps(answer).encode(), "air-10016")


def _step_until(task: RenewalTask, holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 5
    while not holds() and time.monotonic() < end_s:
        task.step()
        time.sleep(0.005)
    assert holds()


def test_a_certificate_is_renewed_when_it_is_time_and_asked_again_after_a_failure() -> None:
    clock, renewed = SetClock(speed=1), list[Enrolment]()
    renewer = FakeRenewer([EnrolmentError("away"), _enrolment()])
    task = RenewalTask(renewer, clock=clock, backoff=Backoff(60, 3600, middle), renewed=renewed.append)
    _step_until(task, lambda: renewer.asked == 1)
    _step_until(task, lambda: task._thread is None)
    task.step()
    assert renewer.asked == 1
    clock.move(46)
    _step_until(task, lambda: bool(renewed))
    assert renewer.asked == 2
    renewer.due = False
    clock.move(2 * CHECK_EVERY_S)
    task.step()
    assert renewer.asked == 2
    assert task.deadline_ns() is None
