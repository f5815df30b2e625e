"""A simulated district as an operator lives with it: first start, life, a crash, a clean end, and going on."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.clock import read_anchors
from kioskwatch.run import TODAY_MARGIN_S
from tests.support.district import real_now
from tests.support.process import wait_until
from tests.support.up import NEW_PASSWORD, Console, RunningUp

FAST = ("--speed", "3600")  # a 6 h window every 6 s

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A folder for a district; nothing that names it may run when the test is over."""
    folder = tmp_path / "var"
    yield folder
    left = _running(folder)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left, f"left behind: {left}"


def _running(folder: Path) -> dict[int, str]:
    """Every process of this machine whose command line names the folder."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(folder) in line and "pytest" not in line:
                found[int(entry.name)] = line
    return found


def _rows(state: Path, owner: str, query: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(f"file:{state}/state/{owner}.db?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def _last_instant(state: Path) -> int:
    return read_anchors((state / "time.json").read_bytes()).last_simulated_ns


def _all_gone(pids: dict[int, str]) -> None:
    def alive() -> list[int]:
        return [pid for pid in pids if Path(f"/proc/{pid}/exe").exists()]

    wait_until(lambda: not alive(), timeout_s=10, what="the end of every process")


def test_a_district_measures_survives_a_crash_ends_cleanly_and_goes_on_where_it_was(state: Path) -> None:
    up = RunningUp(state, *FAST).wait_ready()
    console = Console(up)
    try:
        _measures(console)
        _refuses_a_second_copy(up)
        _brings_a_crashed_process_back(up, console)
        _is_backed_up_while_it_runs(state, state.parent / "copy")
        password = up.password
        pids = up.descendants()
        assert len(pids) >= 6
        before = _count(state, "releases")
    finally:
        console.close()
        code = up.stop()
    assert code == 0, up.text
    assert up.complained == []
    _all_gone(pids)
    _password_is_nowhere(state, password)

    stopped_at = _last_instant(state)
    again = RunningUp(state).wait_ready()
    try:
        assert "password" not in again.text
        assert "imported" not in again.text
        console = Console(again, password=NEW_PASSWORD)  # on other ports: every cabinet was told the new broker
        assert console.get("/clock")["speed"] == 3600
        assert console.now_ms() > stopped_at // 1_000_000
        wait_until(lambda: _count(state, "releases") > before, timeout_s=60, what="new releases after the restart")
        assert _rows(state, "ingest", _DOUBLED) == []
        console.close()
    finally:
        assert again.stop(signal.SIGTERM) == 0, again.text
    _goes_on_after_a_restore(state, state.parent / "copy")


def _goes_on_after_a_restore(state: Path, copy: Path) -> None:
    """The stores are older than the cabinets now: these enrol again, and what they still hold is taken."""
    newest = _last_instant(state)
    command = [sys.executable, "-m", "kioskwatch", "restore", str(copy), "--state", str(state)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    restored = _count(state, "releases")
    up = RunningUp(state).wait_ready()
    try:
        assert _last_instant(state) > newest
        wait_until(lambda: _count(state, "releases") > restored, timeout_s=60, what="new releases after the restore")
        console = Console(up, password=NEW_PASSWORD)
        seen = len(console.values("environment", "air", "co2_ppm"))
        wait_until(
            lambda: len(console.values("environment", "air", "co2_ppm")) > seen, timeout_s=60, what="CO2 after it"
        )
        console.close()
        assert _rows(state, "ingest", _DOUBLED) == []
    finally:
        assert up.stop() == 0, up.text


def _count(state: Path, table: str) -> int:
    (count,) = _rows(state, "ingest", f"SELECT count(*) FROM {table}")[0]
    assert isinstance(count, int)
    return count


_DOUBLED = "SELECT device, window_start_ns, count(*) FROM releases GROUP BY 1, 2 HAVING count(*) > 1"


def _measures(console: Console) -> None:
    """Within a minute: live CO2, imported history, releases of every zone, and the safety alert."""
    assert len(console.values("history", "weekly", "tests", zone="z10016")) > 50
    wait_until(lambda: console.values("environment", "air", "co2_ppm") != [], timeout_s=60, what="live CO2")
    wait_until(lambda: _released(console, "z10016") and _released(console, "z10065"), timeout_s=60, what="releases")
    wait_until(lambda: "co2" in _rules(console), timeout_s=90, what="the safety alert")
    devices = console.get("/devices")["devices"]
    assert len(devices) == 24


def _rules(console: Console) -> set[str]:
    return {alert["rule"] for alert in console.get("/alerts")["alerts"]}


def _released(console: Console, zone: str) -> bool:
    return console.values("released", "testing", "valid", zone=zone, level="zone_window") != []


def _refuses_a_second_copy(up: RunningUp) -> None:
    second = RunningUp(up.state)
    assert second.wait() == 2
    assert len(second.complained) == 1
    assert f"another copy (process {up.process.pid})" in second.complained[0]


def _brings_a_crashed_process_back(up: RunningUp, console: Console) -> None:
    pid = up.pid_of("gateway ingest")
    seen = len(console.values("environment", "air", "co2_ppm"))
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: "CRASHED: killed by SIGKILL" in up.text, timeout_s=10, what="the report of the crash")
    wait_until(
        lambda: len(console.values("environment", "air", "co2_ppm")) > seen, timeout_s=60, what="CO2 after the crash"
    )
    assert up.pid_of("gateway ingest") != pid
    assert (up.state / "logs" / "ingest.log").read_text().count("--- started as process") == 2


def _is_backed_up_while_it_runs(state: Path, copy: Path) -> None:
    command = [sys.executable, "-m", "kioskwatch", "backup", str(copy), "--state", str(state)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in copy.rglob("*") if path.is_file()}
    assert {"ingest.db", "backend.db", "released.db", "ca.key", "time.json"} <= names
    assert not {"visits.db", "outbox.db", "cohorts.db", "device.key", "admin.token"} & names


def _password_is_nowhere(state: Path, password: str) -> None:
    """It was printed to the terminal and is in no file: not in a log, a database or a settings file."""
    for path in state.rglob("*"):
        if path.is_file():
            assert password.encode() not in path.read_bytes(), path


def test_nothing_outlives_a_killed_up_the_next_start_goes_on_and_a_newer_state_is_refused(state: Path) -> None:
    up = RunningUp(state, *FAST).wait_ready()
    pids = up.descendants()
    up.send(signal.SIGKILL)
    up.wait()
    _all_gone(pids)
    killed_at = _last_instant(state)

    again = RunningUp(state).wait_ready()
    assert _last_instant(state) >= killed_at + 2 * 3600 * 1_000_000_000
    pids = again.descendants()
    again.send(signal.SIGINT)
    wait_until(lambda: "stopping" in again.text, timeout_s=5, what="the first Ctrl-C")
    again.send(signal.SIGINT)  # an impatient second one ends everything at once
    assert again.wait() == 0
    _all_gone(pids)

    with contextlib.closing(sqlite3.connect(state / "state" / "backend.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_from_the_future'")
        connection.commit()
    refused = RunningUp(state)
    assert refused.wait() == 2
    assert len(refused.complained) == 1
    assert "newer" in refused.complained[0]


def test_without_mosquitto_the_built_in_broker_carries_the_district_and_the_start_says_so(state: Path) -> None:
    up = RunningUp(state, *FAST, "--broker", "iotcore").wait_ready()
    try:
        assert "Signed messages alone carry trust" in up.text
        console = Console(up)
        wait_until(lambda: console.values("environment", "air", "co2_ppm") != [], timeout_s=60, what="live CO2")
        console.close()
    finally:
        assert up.stop() == 0, up.text


def test_simulated_time_that_reaches_today_goes_on_at_the_speed_of_the_world(state: Path) -> None:
    start = real_now() - timedelta(seconds=600 * (TODAY_MARGIN_S + 2))
    up = RunningUp(state, "--start", start.isoformat(timespec="seconds"), "--scenario", "quiet").wait_ready()
    try:
        wait_until(lambda: "has reached today" in up.text, timeout_s=20, what="today")
        wait_until(lambda: up.text.count("Ctrl-C stops everything") == 2, timeout_s=60, what="the second start")
        console = Console(up, password=up.password)
        assert console.get("/clock")["speed"] == 1
        assert console.now_ms() < real_now().timestamp() * 1000
        console.close()
    finally:
        assert up.stop() == 0, up.text
