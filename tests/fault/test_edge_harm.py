"""What else may happen to a cabinet: a broker that dies, a disk that fills up, a disk that is replaced."""

import json
import resource
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contracts.clock import TimeAnchors
from edge.core.visit import State
from tests.fault.test_edge_killed import (
    KIOSK_SPEED,
    SPEED,
    Entrance,
    anchors_now,
    committed,
    counts_of,
    drain,
    edge_process,
    ob_of,
    states,
)
from tests.support import edge_host
from tests.support.enrolled import EnrolledCabinet, enrolled_cabinet
from tests.support.judge import Judge
from tests.support.mosquitto import MosquittoServer
from tests.support.process import wait_until
from tests.support.seeds import fault_timeout_s, kill_count, seeded
from tests.support.simulators import running_analyser, running_sensor


@contextmanager
def _air_monitor(folder: Path, port: int) -> Iterator[EnrolledCabinet]:
    with running_sensor(speed=SPEED) as where:
        yield enrolled_cabinet(
            folder,
            "air-10016",
            kind="air_monitor",
            instrument=f'kind = "scd30"\nlink = "serial:{where}"\nsample_period_s = 30',
            broker_port=port,
            anchors=anchors_now(),
        )


def _judge(port: int, cabinet: EnrolledCabinet) -> Judge:
    return Judge(port, {cabinet.device: cabinet.public_key}, {cabinet.device: cabinet.deployment})


@pytest.mark.timeout(fault_timeout_s())
@pytest.mark.rule("C16")
@pytest.mark.parametrize("persistence", [False, True])
def test_a_broker_that_is_killed_costs_no_record_even_when_it_remembers_nothing(
    tmp_path: Path, *, persistence: bool
) -> None:
    chance = seeded(f"broker killed under the edge, persistence {persistence}")
    broker = MosquittoServer(tmp_path / "broker", persistence=persistence)
    broker.start()
    with _air_monitor(tmp_path / "air", broker.port) as cabinet, _judge(broker.port, cabinet) as judge:
        with edge_process(cabinet) as edge:
            edge.start()
            for _ in range(kill_count(4)):
                time.sleep(chance.uniform(0.1, 1.0))
                broker.program.kill()
                time.sleep(chance.uniform(0.0, 0.5))
                broker.start()
            wait_until(lambda: committed(cabinet)["bulk"] > 40, timeout_s=20, what="readings")
            edge.stop()
        drain(cabinet, judge)
        for stream, n in committed(cabinet).items():
            assert judge.seqs(cabinet.device, ob_of(cabinet), stream) == set(range(1, n + 1)), stream
        assert not judge.heard.changed
    broker.program.stop()


@pytest.mark.timeout(120)
def test_a_replaced_disk_begins_a_new_outbox_and_nothing_new_passes_for_a_duplicate(
    tmp_path: Path, mosquitto: MosquittoServer
) -> None:
    with _air_monitor(tmp_path / "air", mosquitto.port) as cabinet, _judge(mosquitto.port, cabinet) as judge:
        obs = []
        for _ in range(2):
            with edge_process(cabinet) as edge:
                edge.start()
                wait_until(lambda: committed(cabinet)["bulk"] >= 10, timeout_s=20, what="readings")
                edge.stop()
            obs.append((ob_of(cabinet), committed(cabinet)["bulk"]))
            for part in cabinet.folder.glob("outbox.db*"):
                part.unlink()
        assert obs[0][0] != obs[1][0]
        for ob, n in obs:
            heard = judge.seqs(cabinet.device, ob, "bulk")
            assert heard <= set(range(1, n + 1))
            assert 1 in heard
        assert not judge.heard.changed


@pytest.mark.timeout(120)
def test_while_the_disk_is_full_the_agent_lives_and_holds_instruments_back_and_goes_on_when_there_is_room(
    tmp_path: Path, mosquitto: MosquittoServer
) -> None:
    with _air_monitor(tmp_path / "air", mosquitto.port) as cabinet, _judge(mosquitto.port, cabinet) as judge:
        with edge_process(cabinet) as edge:
            edge.start()
            wait_until(lambda: committed(cabinet)["bulk"] >= 5, timeout_s=20, what="readings")
            pid, before = edge.pid, committed(cabinet)["bulk"]
            resource.prlimit(
                pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY)
            )  # as a full disk: no write succeeds
            time.sleep(2.0)
            assert committed(cabinet)["bulk"] <= before + 40
            stalled = committed(cabinet)["bulk"]
            time.sleep(1.0)
            assert committed(cabinet)["bulk"] == stalled
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            wait_until(
                lambda: committed(cabinet)["bulk"] > stalled + 5, timeout_s=20, what="readings after the full disk"
            )
            assert edge.pid == pid
            edge.stop()
        drain(cabinet, judge)
        ob = ob_of(cabinet)
        assert judge.seqs(cabinet.device, ob, "bulk") == set(range(1, committed(cabinet)["bulk"] + 1))
        events = [json.loads(body)[2:] for identity, body in judge.heard.records.items() if identity[2] == "event"]
        assert ["outbox", "drained"] in events


@pytest.mark.timeout(120)
def test_a_result_that_finds_a_full_disk_is_sealed_and_counted_when_there_is_room(
    tmp_path: Path, mosquitto: MosquittoServer
) -> None:
    with running_analyser(speed=SPEED) as analyser:
        clock = analyser.clock
        cabinet = enrolled_cabinet(
            tmp_path / "kiosk",
            "kiosk-10016-1",
            kind="kiosk",
            instrument=f'kind = "genexpert"\nlink = "tcp:{analyser.where}"\nassay = "SARSCOV2"\n'
            "t_max_s = 4000\ninsertion_s = 1000",
            broker_port=mosquitto.port,
            anchors=TimeAnchors(
                clock.monotonic_anchor_ns, clock.simulated_anchor_ns, KIOSK_SPEED, clock.simulated_anchor_ns
            ),
            window_s=86_400,
        )
        with edge_process(cabinet, edge_host.__file__) as edge:
            edge.start()
            before = counts_of(cabinet)
            entrance = Entrance(cabinet, analyser, seeded("a full disk"))
            entrance.come(patience_s=12)
            (visitor,) = entrance.visitors
            wait_until(lambda: states(cabinet) == [State.RUNNING], timeout_s=10, what="a run")
            resource.prlimit(edge.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            time.sleep(5.0)  # the run has ended
            assert counts_of(cabinet) == before
            assert states(cabinet) == [State.RUNNING]
            resource.prlimit(edge.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

            def counted() -> bool:
                moved = tuple(b - a for a, b in zip(before, counts_of(cabinet), strict=True))
                return moved == (1, 0, int(visitor.positive))

            wait_until(counted, timeout_s=30, what="the run among the valid ones")
            assert states(cabinet) == [State.SEALED]
            edge.stop()


def test_the_looks_into_files_see_what_sqlite_wrote(tmp_path: Path) -> None:
    """The control of `committed`: it reads what is committed, while the writer is at work."""
    database = sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE streams (stream TEXT, next_seq INTEGER)")
    database.execute("INSERT INTO streams VALUES ('bulk', 8)")
    cabinet = EnrolledCabinet("x", tmp_path, tmp_path / "c", None, None)  # type: ignore[arg-type]
    assert committed(cabinet) == {"bulk": 7}
    database.close()
