"""The edge as a process: ready, exit codes with one sentence, many agents at once, one instrument on a terminal."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from contracts.clock import first_anchors
from edge.adapters.lock import FolderLock
from tests.support.enrolled import START_NS, EnrolledCabinet, enrolled_cabinet
from tests.support.judge import Judge
from tests.support.mosquitto import MosquittoServer
from tests.support.process import free_port, wait_until
from tests.support.simulators import running_analyser, running_sensor

MEMORY_BAR_MIB = 60  # DESIGN section 16


class Edge:
    """One process and what it says."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edge", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def ends(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err

    def stop(self) -> tuple[int, str, str]:
        self.process.send_signal(signal.SIGTERM)
        return self.ends()

    def memory_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1024


@pytest.fixture
def sensor() -> Iterator[str]:
    with running_sensor(speed=600) as where:
        yield where


def _air(folder: Path, device: str, where: str, port: int, **changes: object) -> EnrolledCabinet:
    return enrolled_cabinet(
        folder,
        device,
        kind="air_monitor",
        instrument=f'kind = "scd30"\nlink = "serial:{where}"\nsample_period_s = 600',
        broker_port=port,
        anchors=first_anchors(time.monotonic_ns(), START_NS, 600),
        **changes,
    )


def _some(heard: Callable[[str], list[bytes]], topic: str) -> bool:
    return bool(heard(topic))


def test_several_agents_share_a_process_and_a_stop_is_clean(
    tmp_path: Path, mosquitto: MosquittoServer, sensor: str
) -> None:
    with running_analyser(speed=600) as analyser:
        air = _air(tmp_path / "air", "air-10016", sensor, mosquitto.port)
        kiosk = enrolled_cabinet(
            tmp_path / "kiosk",
            "kiosk-10016-1",
            kind="kiosk",
            instrument=f'kind = "genexpert"\nlink = "tcp:{analyser.where}"\nassay = "SARSCOV2"\ninsertion_s = 30',
            broker_port=mosquitto.port,
            anchors=first_anchors(time.monotonic_ns(), START_NS, 600),
        )
        both = [air, kiosk]
        keys = {one.device: one.public_key for one in both}
        with Judge(mosquitto.port, keys, {one.device: one.deployment for one in both}) as judge:
            edge = Edge(str(air.settings), "--cabinet", str(kiosk.settings))
            assert edge.line() == "ready"

            def heard(topic: str) -> list[bytes]:
                return [one.payload for one in judge.heard.messages if one.topic == f"kw/v1/{topic}"]

            for topic in ("air-10016/up/bulk", "air-10016/up/birth", "kiosk-10016-1/up/birth"):
                wait_until(partial(_some, heard, topic), timeout_s=15, what=topic)
            assert edge.memory_mib() < MEMORY_BAR_MIB, "two agents need more than one may"
            code, _, err = edge.stop()
            assert (code, "Traceback" in err) == (0, False), err
            wait_until(lambda: b'"online":false' in heard("air-10016/up/state")[-1], timeout_s=5, what="goodbye")
            assert not judge.heard.unsigned


def test_a_wrong_cabinet_file_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    path = tmp_path / "cabinet.toml"
    path.write_text("[device]\nid = 1\n")
    code, out, err = Edge(str(path)).ends()
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "cabinet.toml" in err


def test_no_cabinet_and_a_link_that_is_none_are_one_sentence_each() -> None:
    for words in ([], ["--print"], ["--print", "--link", "tcp:nowhere"]):
        code, _, err = Edge(*words).ends()
        assert code == 2
        assert err.count("\n") == 1


def test_a_second_agent_in_a_folder_and_a_simulated_cabinet_in_a_real_deployment_are_refused(
    tmp_path: Path, sensor: str
) -> None:
    cabinet = _air(tmp_path / "air", "air-10016", sensor, free_port())
    lock = FolderLock(cabinet.folder)
    code, _, err = Edge(str(cabinet.settings)).ends()
    lock.close()
    assert code == 2
    assert "another agent" in err
    for said in (False, None):  # noise that can be computed again needs the deployment's own word
        real = _air(tmp_path / f"real {said}", "air-10017", sensor, free_port(), simulated=said)
        code, _, err = Edge(str(real.settings)).ends()
        assert code == 2
        assert "real one" in err


def test_one_agent_that_cannot_start_stops_no_other(tmp_path: Path, mosquitto: MosquittoServer, sensor: str) -> None:
    good = _air(tmp_path / "good", "air-10016", sensor, mosquitto.port)
    bad = _air(tmp_path / "bad", "air-10017", sensor, mosquitto.port, simulated=False)
    edge = Edge(str(bad.settings), str(good.settings))
    assert edge.line() == "ready"
    code, _, err = edge.stop()
    assert code == 0
    assert "air-10017" in err


def test_an_agent_measures_also_while_no_broker_is_there(tmp_path: Path, sensor: str) -> None:
    cabinet = _air(tmp_path / "air", "air-10016", sensor, free_port())
    edge = Edge(str(cabinet.settings))
    assert edge.line() == "ready"
    time.sleep(2.5)
    code, _, _ = edge.stop()
    assert code == 0
    assert (cabinet.folder / "outbox.db").read_bytes().count(b"co2_ppm") >= 1


def test_one_instrument_is_shown_without_broker_and_key(sensor: str) -> None:
    edge = Edge("--print", "--instrument", "scd30", "--link", sensor)
    assert edge.line() == "found SCD30 3.66"
    assert re.fullmatch(r"co2_ppm [0-9.]+ ppm  temperature_c [0-9.]+ °C  humidity_pct [0-9.]+ %", edge.line())
    assert edge.stop()[0] == 0
