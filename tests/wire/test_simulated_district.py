"""The simulators' own process: started as the launcher starts it, driven over its wires, stopped by a signal."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from firmware_sim.scenarios.replay import DATA
from tests.support.astm_host import AstmHost, LineGoneError, Received, order
from tests.support.process import free_port

START_NS = 1_639_285_200_000_000_000  # 2021-12-12 00:00 -05:00
PRIVATE = ("POSITIVE", "NEGATIVE", "INVALID", "sars", "S1", "QC-", "MRN-", "Mustermann")


def write_clock(folder: Path, *, speed: int, start_ns: int = START_NS) -> Path:
    path = folder / "time.json"
    path.write_text(
        json.dumps(
            {
                "monotonic_anchor_ns": time.monotonic_ns(),
                "simulated_anchor_ns": start_ns,
                "speed": speed,
                "last_simulated_ns": start_ns,
            }
        )
    )
    return path


@contextmanager
def simulators(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The process and what it said until it was ready; it must end cleanly at SIGTERM."""
    command = [sys.executable, "-m", "firmware_sim", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = []
        for line in process.stdout:
            said.append(line.strip())
            if said[-1] == "ready":
                break
        try:
            yield process, said
        finally:
            process.send_signal(signal.SIGTERM)
            rest, errors = process.communicate(timeout=10)
            said += rest.splitlines()
        assert process.returncode == 0, errors
        assert "Traceback" not in errors, errors
        assert not [word for word in PRIVATE if word in errors], "runs, results and names belong to no log"


def refusal(*arguments: str) -> str:
    """The one sentence of a start that is not possible."""
    command = [sys.executable, "-m", "firmware_sim", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 2, ended.stderr
    sentences = [line for line in ended.stderr.splitlines() if not line.startswith("INFO ")]
    assert len(sentences) == 1, ended.stderr
    return sentences[0]


def test_a_day_of_the_replay_is_that_many_real_sessions_with_those_words(tmp_path: Path) -> None:
    """Roosevelt Island, Sunday 2021-12-12: 107 of a thousand of the week's 1229 tests, by largest remainder."""
    ports = [free_port() for _ in range(3)]
    kiosks = "".join(
        f'[[instrument]]\nkind = "genexpert"\ndevice = "kiosk-10044-{i + 1}"\nzone = "z10044"\n'
        f'listen = "127.0.0.1:{port}"\npatient_fields = true\n'
        for i, port in enumerate(ports)
    )
    clock = write_clock(tmp_path, speed=20_000)
    path = tmp_path / "district.toml"
    path.write_text(f'[clock]\ntime_file = "{clock}"\n[scenario]\nname = "replay"\n{kiosks}')
    with simulators("district", "--config", str(path)) as (_, said):
        assert said[-1] == "ready"
        assert len(said) == 4
        hosts = [Kiosk(f"127.0.0.1:{port}") for port in ports]
        for host in hosts:
            host.start()
        time.sleep(6.0)  # 33 simulated hours: the day, and its last runs
        for host in hosts:
            host.stop()
    # Arrivals by the plan: one kiosk has every third test of the zone's day.
    with DATA.open(newline="", encoding="utf-8") as file:
        week = next(r for r in csv.DictReader(file) if (r["area"], r["week_ending"]) == ("10044", "2021-12-18"))
    tests = int(week["tests"]) * 107 // 1000  # 131, and .503 is not among the four largest remainders
    sunday = [word for host in hosts for word in host.words_of(date(2021, 12, 12))]
    valid = Counter(word for word in sunday if word in ("POSITIVE", "NEGATIVE"))
    # A late run's word is NEGATIVE too, and the last visitors before midnight may start after it.
    assert abs(valid.total() - tests) <= 10
    expected = tests * int(week["positives"]) / int(week["tests"])
    assert abs(valid["POSITIVE"] - expected) < 4 * (expected * 0.91) ** 0.5
    assert all(host.controls == ["NEGATIVE", "POSITIVE"] or len(host.controls) > 2 for host in hosts)


class Kiosk(threading.Thread):
    """Answers every query with an order and keeps what comes."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self._host = AstmHost(where)
        self._results: list[Received] = []
        self.failure: Exception | None = None

    def run(self) -> None:
        number = 0
        try:
            while True:
                message = self._host.receive()
                if message.of("Q"):
                    number += 1
                    self._host.send(order(f"S{number}"))
                else:
                    self._results.append(message)
        except (LineGoneError, OSError):
            return
        except AssertionError as failure:
            self.failure = failure

    def stop(self) -> None:
        self._host.socket.shutdown(2)
        self.join()
        self._host.close()
        assert self.failure is None, self.failure

    def words_of(self, day: date) -> list[str]:
        """Main words of the visitors' runs that began on the day."""
        stamp = day.strftime("%Y%m%d")
        visitors = [r for r in self._results if not r.of("O")[0][11] and r.of("R")[0][11].startswith(stamp)]
        return [next(iter(r.main_words)) for r in {r.sample: r for r in visitors}.values()]

    @property
    def controls(self) -> list[str]:
        return [r.main_words[0] for r in self._results if r.of("O")[0][11] == "Q"]


def test_when_the_data_end_the_operator_is_told_and_quiet_goes_on(tmp_path: Path) -> None:
    end = int(datetime(2023, 5, 21, 5, tzinfo=UTC).timestamp()) * 10**9
    clock = write_clock(tmp_path, speed=600, start_ns=end - 600 * 2 * 10**9)
    path = tmp_path / "district.toml"
    path.write_text(
        f'[clock]\ntime_file = "{clock}"\n[scenario]\nname = "replay"\nstatus_file = "{tmp_path}/status.json"\n'
        '[[instrument]]\nkind = "genexpert"\ndevice = "kiosk-10016-1"\nzone = "z10016"\nlisten = "127.0.0.1:0"\n'
    )
    status = tmp_path / "status.json"
    with simulators("district", "--config", str(path)) as (_, said):
        assert json.loads(status.read_text()) == {"scenario": "replay", "playing": "replay", "until": "2023-05-21"}
        time.sleep(2.5)
        assert json.loads(status.read_text())["playing"] == "quiet"
    assert "say the data of scenario replay have ended; scenario quiet goes on" in said


def test_one_sensor_stands_behind_the_link_that_was_asked_for(tmp_path: Path) -> None:
    link = tmp_path / "co2"
    with simulators("scd30", "--link", str(link)) as (_, said):
        assert said == [f"scd30 air-10017 on {link}", "ready"]
        line = os.open(link, os.O_RDWR | os.O_NOCTTY)
        os.write(line, bytes.fromhex("6103002700013DA1"))
        answer = b""
        while len(answer) < 7:
            answer += os.read(line, 7)
        os.close(line)
        assert answer == bytes.fromhex("6103020001F98C")
    assert not os.path.lexists(link)


def test_one_analyser_lets_people_of_a_scenario_come() -> None:
    with simulators("genexpert", "--scenario", "quiet", "--speed", "20000") as (_, said):
        kind, device, _, where = said[0].split()
        assert (kind, device) == ("genexpert", "kiosk-10016-1")
        with AstmHost(where) as host:
            while not (message := host.receive()).of("Q"):
                pass
            assert message.of("Q")[0][2] == "ALL"


def test_a_start_that_is_not_possible_says_why_and_exits_with_two(tmp_path: Path) -> None:
    port = free_port()
    with simulators("genexpert", "--scenario", "none", "--listen", f"127.0.0.1:{port}"):
        assert f"cannot listen on 127.0.0.1:{port}" in refusal("genexpert", "--listen", f"127.0.0.1:{port}")
    assert "nowhere.toml" in refusal("district", "--config", str(tmp_path / "nowhere.toml"))
    assert "choose one of" in refusal("scd30", "--fault", "fire")
    assert "speed is 0" in refusal("scd30", "--speed", "0")
    path = tmp_path / "district.toml"
    path.write_text(f'[clock]\ntime_file = "{tmp_path}/time.json"\n')
    assert "kioskwatch up" in refusal("district", "--config", str(path))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_while_runs_are_under_way(number: signal.Signals) -> None:
    with (
        simulators("genexpert", "--scenario", "outbreak", "--speed", "600") as (process, said),
        AstmHost(said[0].split()[-1]),
    ):
        time.sleep(0.3)
        process.send_signal(number)
        assert process.wait(timeout=5) == 0
