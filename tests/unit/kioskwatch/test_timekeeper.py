"""The one writer of district time: it never goes back, and it does not go on when it cannot be written."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.clock import TimeAnchors, first_anchors, read_anchors
from contracts.windows import NS, to_ns
from kioskwatch.errors import StateFolderError
from kioskwatch.run import reaches_today
from kioskwatch.timekeeper import Timekeeper, anchors_for_start

START_NS = 1_639_285_200 * NS


class Monotonic:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.ns = 5_000 * NS

    def __call__(self) -> int:
        return self.ns

    def advance(self, seconds: float) -> None:
        self.ns += int(seconds * NS)


def _anchors(path: Path, clock: Monotonic, speed: int | None = None) -> TimeAnchors:
    return anchors_for_start(path, start_ns=START_NS, speed=speed, monotonic_ns=clock())


def test_an_empty_folder_begins_at_the_start_and_the_file_is_there_at_once(tmp_path: Path) -> None:
    clock = Monotonic()
    keeper = Timekeeper(tmp_path / "time.json", _anchors(tmp_path / "time.json", clock, 600), clock)
    assert keeper.now_ns() == START_NS
    assert read_anchors((tmp_path / "time.json").read_bytes()).last_simulated_ns == START_NS


def test_the_file_is_replaced_each_second_and_its_anchors_never_change(tmp_path: Path) -> None:
    clock, path = Monotonic(), tmp_path / "time.json"
    keeper = Timekeeper(path, _anchors(path, clock, 600), clock)
    anchors = set()
    for _ in range(40):
        clock.advance(0.25)
        keeper.beat()
        written = read_anchors(path.read_bytes())
        anchors.add((written.monotonic_anchor_ns, written.simulated_anchor_ns, written.speed))
        assert keeper.now_ns() - written.last_simulated_ns <= 600 * NS
    assert len(anchors) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["time.json"]


@pytest.mark.parametrize("killed_after_s", [0.0, 0.3, 0.99, 1.0, 1.7, 59.99])
def test_a_restart_begins_later_than_any_instant_before_a_kill(tmp_path: Path, killed_after_s: float) -> None:
    clock, path = Monotonic(), tmp_path / "time.json"
    keeper = Timekeeper(path, _anchors(path, clock, 600), clock)
    for _ in range(int(killed_after_s)):
        clock.advance(1)
        keeper.beat()
    clock.advance(killed_after_s - int(killed_after_s))
    last_seen = keeper.now_ns()
    clock.ns = 7 * NS  # the machine was started again too
    assert Timekeeper(path, _anchors(path, clock), clock).now_ns() > last_seen


def test_another_speed_counts_from_the_restart_on(tmp_path: Path) -> None:
    clock, path = Monotonic(), tmp_path / "time.json"
    Timekeeper(path, _anchors(path, clock, 600), clock)
    again = _anchors(path, clock, 60)
    assert again.speed == 60
    assert again.simulated_anchor_ns == START_NS + 1200 * NS


def test_a_damaged_file_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "time.json").write_bytes(b'{"monotonic_anchor_ns": 1')
    with pytest.raises(StateFolderError, match="restore"):
        _anchors(tmp_path / "time.json", Monotonic())


def test_time_that_cannot_be_written_for_two_seconds_stops_the_district(tmp_path: Path) -> None:
    clock, folder = Monotonic(), tmp_path / "state"
    folder.mkdir()
    keeper = Timekeeper(folder / "time.json", first_anchors(clock(), START_NS, 600), clock)
    (folder / "time.json").unlink()
    folder.rmdir()
    clock.advance(1.5)
    keeper.beat()  # a first failure may pass
    clock.advance(0.6)
    with pytest.raises(StateFolderError):
        keeper.beat()


@pytest.mark.parametrize(
    ("behind_s", "speed", "reached"),
    [(3600, 600, True), (36_001, 600, False), (35_999, 600, True), (-10, 600, True), (0, 1, False), (-10, 1, False)],
)
def test_a_fast_district_stops_being_fast_a_minute_before_it_would_overtake_today(
    tmp_path: Path, behind_s: int, speed: int, reached: bool
) -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    clock = Monotonic()
    keeper = Timekeeper(tmp_path / "time.json", first_anchors(clock(), to_ns(now) - behind_s * NS, speed), clock)
    assert reaches_today(keeper, now) is reached
