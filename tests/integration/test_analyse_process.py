"""`kioskwatch gateway analyse` as a process: one at a time, killed at random points, stopped cleanly."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contracts.clock import first_anchors
from stores.series.sqlite import SqliteSeries
from stores.state.database import open_for_reading
from stores.state.signals import signals_after
from tests.integration.analyse_district import (
    START_NS,
    WINDOW_NS,
    ZONES,
    Analysis,
    CommittedDistrict,
    SetClock,
    released_numbers,
    rows,
)
from tests.integration.test_analyse import history
from tests.support.process import wait_until
from tests.support.seeds import SEED, kill_count, seeded

WINDOWS = 12


@pytest.fixture
def district(tmp_path: Path) -> Iterator[CommittedDistrict]:
    made = CommittedDistrict(tmp_path, SEED)
    yield made
    made.close()


@pytest.fixture
def settings(tmp_path: Path, district: CommittedDistrict) -> Path:
    """gateway.toml of a simulated district whose clock stands after its last window."""
    now = time.monotonic_ns()
    end_ns = START_NS + (WINDOWS + 1) * WINDOW_NS
    (tmp_path / "time.json").write_bytes(first_anchors(now, end_ns, 1).written_at(now))
    store = SqliteSeries(tmp_path / "series", frozenset({"history"}))
    history(store, share=0.02)
    store.close()
    return written_settings(tmp_path, district.state)


def written_settings(folder: Path, state: str) -> Path:
    file = folder / "gateway.toml"
    file.write_text(
        f"""
state = "{state}"
series = "sqlite:{folder / "series"}"
time_file = "{folder / "time.json"}"
deployment_key = "{folder / "deployment.key"}"
broker = {{ host = "127.0.0.1", port = 1 }}
"""
    )
    return file


Start = Callable[[Path], subprocess.Popen[str]]


@pytest.fixture
def analyse() -> Iterator[Start]:
    """Starts the process; whatever a test leaves running is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(settings: Path) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "kioskwatch", "gateway", "analyse", "--settings", str(settings)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def is_ready(process: subprocess.Popen[str]) -> bool:
    assert process.stdout is not None
    return process.stdout.readline() == "ready\n"


def whole_week(series: SqliteSeries) -> bool:
    windows = [place for place in released_numbers(series) if place[0] == "zone_window"]
    return len(windows) == WINDOWS * len(ZONES)


def test_it_says_ready_works_and_ends_cleanly_and_a_second_one_is_refused_with_a_sentence(
    analyse: Start, district: CommittedDistrict, settings: Path, tmp_path: Path
) -> None:
    for window in range(WINDOWS):
        district.commit(district.drawn(window, tests=17, share=0.12))
    process = analyse(settings)
    assert is_ready(process)
    second = analyse(settings)
    _, said = second.communicate(timeout=20)
    assert second.returncode == 2
    (sentence,) = (line for line in said.splitlines() if not line.startswith("20"))  # log lines begin with a date
    assert "another process" in sentence
    series = SqliteSeries(tmp_path / "series")
    wait_until(lambda: whole_week(series), timeout_s=15, what="released numbers")
    series.close()
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "signal cusum of turtle-bay raised" in log
    assert not re.search(r"positives|valid|s=|\b[0-9]{2,}\.[0-9]", log.replace("INFO", "")), "a log holds no count"


def test_it_waits_for_states_that_do_not_exist_yet_and_stops_when_told(analyse: Start, tmp_path: Path) -> None:
    now = time.monotonic_ns()
    (tmp_path / "time.json").write_bytes(first_anchors(now, START_NS, 600).written_at(now))
    process = analyse(written_settings(tmp_path, f"sqlite:{tmp_path / 'state'}"))
    assert is_ready(process)
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=10)
    assert process.returncode == 0
    assert log.count("waiting") <= 1


Everything = tuple[object, object, set[tuple[str, int, str]]]


def undisturbed(folder: Path) -> Everything:
    """What the same committed rows give where nothing is ever killed."""
    district = CommittedDistrict(folder, SEED)
    for window in range(WINDOWS):
        district.commit(district.drawn(window, tests=17, share=0.12))
    series = SqliteSeries(folder / "series", frozenset({"released", "history"}))
    history(series, share=0.02)
    analysis = Analysis(district.state, series, SetClock())
    analysis.at_end_of(WINDOWS, later_ns=0)
    analysis.close()
    district.close()
    series.close()
    return everything(district.state, folder / "series")


def everything(state: str, series_folder: Path) -> Everything:
    series = SqliteSeries(series_folder)
    with open_for_reading(state, "analyse") as own:
        told = [(row.signal.subject, row.signal.onset_ns, row.signal.phase) for row in signals_after(own, 0)]
    assert len(set(told)) == len(told)
    numbers, paths = released_numbers(series), rows(series, "detector", ("s", "threshold", "p0"))
    series.close()
    return numbers, paths, set(told)


def test_killed_at_random_points_it_ends_with_the_same_numbers_and_signals(
    analyse: Start, district: CommittedDistrict, settings: Path, tmp_path: Path
) -> None:
    expected = undisturbed(tmp_path / "calm")
    for window in range(WINDOWS):
        district.commit(district.drawn(window, tests=17, share=0.12))
    chance = seeded("kill analyse")
    for _ in range(kill_count(4)):
        process = analyse(settings)
        assert is_ready(process)
        time.sleep(chance.uniform(0.0, 0.4))
        process.kill()
        process.communicate()
    process = analyse(settings)
    assert is_ready(process)
    wait_until(
        lambda: everything(district.state, tmp_path / "series") == expected, timeout_s=15, what="the same numbers"
    )
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == 0
