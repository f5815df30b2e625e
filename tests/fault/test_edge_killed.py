"""kill -9 of the edge at random moments, with a real broker and simulated instruments: nothing lost, nothing doubled.

The seeds are fixed (tests.support.seeds); `make fault` raises the number of kills.
"""

import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contracts.clock import TimeAnchors, first_anchors
from contracts.frames import ReleaseBody
from contracts.layout import Assay, AssayLayout
from edge.release.window import decode_blob
from firmware_sim.outcome import Call, Outcome
from tests.support.enrolled import START_NS, EnrolledCabinet, enrolled_cabinet
from tests.support.judge import Judge
from tests.support.mosquitto import MosquittoServer
from tests.support.process import Program, wait_until
from tests.support.seeds import fault_timeout_s, kill_count, seeded
from tests.support.simulators import running_analyser, running_sensor

SPEED = 600
KIOSK_SPEED = 100  # of the kiosk whose analyser runs at SPEED
RUNS_AT_ONCE = 8
FOR_EVER_S = 1e9
LAYOUT = AssayLayout(1, (Assay("SARSCOV2", ("sars-cov-2",)),))


def edge_process(cabinet: EnrolledCabinet) -> Program:
    """The real process; ready when its second line says so, whoever starts it again."""
    log = cabinet.folder / "edge.log"
    starts = [0]

    def ready() -> bool:
        return log.exists() and log.read_text().count("ready\n") > starts[0]

    program = Program([sys.executable, "-m", "edge", str(cabinet.settings)], log=log, ready=ready)
    start = program.start

    def counted() -> None:
        starts[0] = log.read_text().count("ready\n") if log.exists() else 0
        start()

    program.start = counted  # type: ignore[method-assign]
    return program


def _held(cabinet: EnrolledCabinet) -> dict[str, int]:
    """How many records of each stream lie in the outbox."""
    with _reading(cabinet.folder / "outbox.db") as database:
        return dict(database.execute("SELECT stream, COUNT(*) FROM records GROUP BY stream").fetchall())


def committed(cabinet: EnrolledCabinet) -> dict[str, int]:
    """How many records of each stream were ever committed."""
    with _reading(cabinet.folder / "outbox.db") as database:
        return {stream: seq - 1 for stream, seq in database.execute("SELECT stream, next_seq FROM streams")}


def ob_of(cabinet: EnrolledCabinet) -> int:
    with _reading(cabinet.folder / "outbox.db") as database:
        return int(database.execute("SELECT ob FROM meta").fetchone()[0])


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        yield database
    finally:
        database.close()


def anchors_now() -> TimeAnchors:
    return first_anchors(time.monotonic_ns(), START_NS, SPEED)


@pytest.mark.timeout(fault_timeout_s())
def test_readings_survive_kills_at_random_moments_and_none_is_lost_or_doubled(
    tmp_path: Path, mosquitto: MosquittoServer
) -> None:
    chance = seeded("edge killed, sensor")
    with running_sensor(speed=SPEED) as where:
        cabinet = enrolled_cabinet(
            tmp_path / "air",
            "air-10016",
            kind="air_monitor",
            instrument=f'kind = "scd30"\nlink = "serial:{where}"\nsample_period_s = 30',  # twenty a second
            broker_port=mosquitto.port,
            anchors=anchors_now(),
        )
        keys, deployment = {cabinet.device: cabinet.public_key}, {cabinet.device: cabinet.deployment}
        with Judge(mosquitto.port, keys, deployment, chance=chance, answer_share=0.5) as judge:
            with edge_process(cabinet) as edge:
                for _ in range(kill_count(12)):
                    edge.start()
                    time.sleep(chance.uniform(0.0, 0.6))
                    edge.kill()
                edge.start()
                wait_until(lambda: committed(cabinet)["bulk"] > 40, timeout_s=20, what="readings")
                edge.stop()
            drain(cabinet, judge)
            ob = ob_of(cabinet)
            for stream, n in committed(cabinet).items():
                assert judge.seqs(cabinet.device, ob, stream) == set(range(1, n + 1)), stream
            assert not judge.heard.changed
            assert not judge.heard.unsigned
            assert {identity[1] for identity in judge.heard.records} == {ob}


def drain(cabinet: EnrolledCabinet, judge: Judge) -> None:
    """Let a cabinet without instrument send what it holds; an idle gateway answers again now and then."""
    text = cabinet.settings.read_text().replace("sample_period_s = 30", "sample_period_s = 86400")
    cabinet.settings.write_text(text)
    ob = ob_of(cabinet)

    def empty() -> bool:
        for stream in ("event", "health", "bulk", "release"):
            judge.answer(cabinet.device, ob, stream)
        time.sleep(0.2)
        return not _held(cabinet)

    with edge_process(cabinet) as edge:
        edge.start()
        wait_until(empty, timeout_s=60, what="an empty outbox")
        edge.stop()


def counts_of(cabinet: EnrolledCabinet) -> tuple[int, ...]:
    """Valid, invalid, positives over both open windows, as they lie in the file: noise and all."""
    copy = cabinet.folder / "look.db"
    copy.write_bytes((cabinet.folder / "visits.db").read_bytes())
    with _reading(copy) as database:
        blobs = [body for (body,) in database.execute("SELECT body FROM windows WHERE slot < 2")]
    copy.unlink()
    bodies = [ReleaseBody.decode(decode_blob(blob)[1], {1: LAYOUT}).counters for blob in blobs]
    return tuple(sum(column) for column in zip(*bodies, strict=True))


@pytest.mark.timeout(fault_timeout_s())
def test_each_valid_run_is_counted_once_whenever_the_edge_is_killed(tmp_path: Path, mosquitto: MosquittoServer) -> None:
    """The analyser runs six times as fast as the kiosk's clock, so that no machine is too slow to beat T_max.

    An order whose delivery a kill left open holds its module until then; people wait for that as long as it takes.
    """
    chance = seeded("edge killed, analyser")
    with running_analyser(speed=SPEED, patience_s=FOR_EVER_S) as analyser:
        clock = analyser.clock
        cabinet = enrolled_cabinet(
            tmp_path / "kiosk",
            "kiosk-10016-1",
            kind="kiosk",
            instrument=f'kind = "genexpert"\nlink = "tcp:{analyser.where}"\nassay = "SARSCOV2"\n'
            f"modules = {RUNS_AT_ONCE}\nplaces = {RUNS_AT_ONCE}\nt_max_s = 4000\ninsertion_s = 0",  # 40 s
            broker_port=mosquitto.port,
            anchors=TimeAnchors(
                clock.monotonic_anchor_ns, clock.simulated_anchor_ns, KIOSK_SPEED, clock.simulated_anchor_ns
            ),
            window_s=86_400,
        )
        with edge_process(cabinet) as edge:
            edge.start()
            before = counts_of(cabinet)
            kills, inserted, positives = kill_count(12), 0, 0
            for _ in range(kills):
                if analyser.free_modules:
                    positive = chance.random() < 0.5
                    analyser.insert(Outcome(calls={"sars-cov-2": Call.POSITIVE} if positive else {}))
                    inserted, positives = inserted + 1, positives + positive
                time.sleep(chance.uniform(0.0, 0.8))
                edge.kill()
                edge.start()
            expected = [inserted, positives]

            def moved() -> list[int]:
                return [now - then for now, then in zip(counts_of(cabinet), before, strict=True)]

            wait_until(lambda: moved()[::2] == expected, timeout_s=170, what=f"{expected} valid runs and positives")
            time.sleep(3)  # what was sent again in vain
            edge.stop()
        assert moved()[::2] == expected
        assert 0 <= moved()[1] <= kills  # a run whose order may have left: no answer by T_max is invalid
