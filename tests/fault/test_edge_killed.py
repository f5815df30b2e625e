"""kill -9 of the edge at random moments, with a real broker and simulated instruments: nothing lost, nothing doubled.

The seeds are fixed (tests.support.seeds); `make fault` raises the number of kills.
"""

import json
import re
import socket
import sqlite3
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from contracts.claim import ClaimCode
from contracts.clock import TimeAnchors, first_anchors
from contracts.frames import ReleaseBody, TickBody
from contracts.layout import Assay, AssayLayout
from contracts.sealed import ResultBody, open_record
from edge.core.visit import State, Visit
from edge.release.window import decode_blob
from firmware_sim.outcome import Call, Outcome
from tests.support import edge_host
from tests.support.edge_host import DOOR
from tests.support.enrolled import START_NS, EnrolledCabinet, enrolled_cabinet
from tests.support.judge import Judge
from tests.support.mosquitto import MosquittoServer
from tests.support.process import Program, wait_until
from tests.support.seeds import fault_timeout_s, kill_count, seeded
from tests.support.simulators import RunningAnalyser, running_analyser, running_sensor

SPEED = 600
KIOSK_SPEED = 100  # of the kiosk whose analyser runs at SPEED
RUNS_AT_ONCE = 8
LAYOUT = AssayLayout(1, (Assay("SARSCOV2", ("sars-cov-2",)),))


def edge_process(cabinet: EnrolledCabinet, *program: str) -> Program:
    """The real process, or a program around the real agent; ready when it says so, whoever starts it again."""
    log = cabinet.folder / "edge.log"
    starts = [0]

    def ready() -> bool:
        return log.exists() and log.read_text().count("ready\n") > starts[0]

    command = [sys.executable, *(program or ("-m", "edge")), str(cabinet.settings)]
    running = Program(command, log=log, ready=ready)
    start = running.start

    def counted() -> None:
        starts[0] = log.read_text().count("ready\n") if log.exists() else 0
        start()

    running.start = counted  # type: ignore[method-assign]
    return running


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


@dataclass
class Visitor:
    """Somebody with a code, and what the cartridge will say."""

    code: ClaimCode
    positive: bool
    lapsed: bool = False  # the kiosk was down for so long that the cartridge got no order in time: nothing is counted


class Entrance:
    """Where people check in, as over the screen, and put their cartridge into the analyser."""

    def __init__(self, cabinet: EnrolledCabinet, analyser: RunningAnalyser, chance: Random) -> None:
        self._door = cabinet.folder / DOOR
        self._analyser = analyser
        self._chance = chance
        self.visitors: list[Visitor] = []

    def come(self, *, patience_s: float = 0.0) -> Visitor | None:
        """Let one person in, if the kiosk and the analyser allow it within their patience."""
        end_s = time.monotonic() + patience_s
        while (url := self._checked_in()) is None:
            if time.monotonic() >= end_s:
                return None
            time.sleep(0.3)
        positive = self._chance.random() < 0.5
        visitor = Visitor(_code_on(url), positive)
        self.visitors.append(visitor)
        self._analyser.insert(Outcome(calls={"sars-cov-2": Call.POSITIVE} if positive else {}))
        return visitor

    def _checked_in(self) -> str | None:
        if not self._analyser.free_modules:
            return None
        with socket.socket(socket.AF_UNIX) as visitor:
            visitor.settimeout(20)
            visitor.connect(str(self._door))
            url = json.loads(visitor.makefile().readline()).get("url")
            return None if url is None else str(url)


def _code_on(url: str) -> ClaimCode:
    """Read a code off the page that shows it, as a person does."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        page = answer.read().decode()
    *code, _group = re.findall(r"<strong>([^<]+)</strong>", page)
    return ClaimCode.parse("".join(code))


def _published(cabinet: EnrolledCabinet) -> list[tuple[int, bytes]]:
    """Tick and record of everything that was ever put into the outbox, which nobody has answered."""
    with _reading(cabinet.folder / "outbox.db") as database:
        rows = database.execute("SELECT start, body FROM records WHERE stream = 'sealed' ORDER BY seq").fetchall()
    assert [start for start, _ in rows] == list(range(rows[0][0], rows[0][0] + len(rows))), "a tick is missing"
    return [(start, record) for start, body in rows for record in TickBody.decode(body).records]


def _rows(cabinet: EnrolledCabinet) -> list[Visit]:
    """The visits in the kiosk's file."""
    copy = cabinet.folder / "look.db"
    copy.write_bytes((cabinet.folder / "visits.db").read_bytes())
    with _reading(copy) as database:
        rows = [Visit.decode(body)[0] for (body,) in database.execute("SELECT body FROM visits")]
    copy.unlink()
    return [row for row in rows if row.state is not State.FREE]


def states(cabinet: EnrolledCabinet) -> list[State]:
    """Their states."""
    return [row.state for row in _rows(cabinet)]


def _await_start(cabinet: EnrolledCabinet, visitor: Visitor) -> None:
    """Let a visitor wait until the run begins, or until it is clear that none will."""
    slot = visitor.code.keys().slot

    def found() -> list[State]:
        return [row.state for row in _rows(cabinet) if slot in (row.record[:16], row.public and row.public.slot)]

    wait_until(lambda: found() != [State.RESERVED], timeout_s=30, what="a visitor's start")
    visitor.lapsed = found() == []


@pytest.mark.timeout(fault_timeout_s())
def test_each_run_is_counted_once_and_its_record_is_in_one_tick_whenever_the_edge_is_killed(
    tmp_path: Path, mosquitto: MosquittoServer
) -> None:
    """The analyser runs six times as fast as the kiosk's clock, so that no machine is too slow to beat T_max.

    Nobody answers the kiosk, so that its outbox keeps every tick. A kill may cost a visitor the test (an order whose
    delivery it left open is sealed as "no result" at T_max), and never gives anybody another one's result.
    """
    chance = seeded("edge killed, analyser")
    with running_analyser(speed=SPEED) as analyser:
        clock = analyser.clock
        cabinet = enrolled_cabinet(
            tmp_path / "kiosk",
            "kiosk-10016-1",
            kind="kiosk",
            instrument=f'kind = "genexpert"\nlink = "tcp:{analyser.where}"\nassay = "SARSCOV2"\n'
            f"modules = {RUNS_AT_ONCE}\nplaces = {RUNS_AT_ONCE}\nt_max_s = 4000\ninsertion_s = 1000",  # 40 s, 10 s
            broker_port=mosquitto.port,
            anchors=TimeAnchors(
                clock.monotonic_anchor_ns, clock.simulated_anchor_ns, KIOSK_SPEED, clock.simulated_anchor_ns
            ),
            window_s=86_400,
        )
        with edge_process(cabinet, edge_host.__file__) as edge:
            edge.start()
            before, kills = counts_of(cabinet), kill_count(12)
            entrance = Entrance(cabinet, analyser, chance)
            for n in range(kills):
                newest = entrance.come(patience_s=12 if n % max(1, kills // 6) == 0 else 0)
                time.sleep(chance.uniform(0.0, 1.2))
                edge.kill()
                edge.start()
                if newest is not None:
                    _await_start(cabinet, newest)
            wait_until(lambda: not states(cabinet), timeout_s=120, what="every visit in its tick")
            edge.stop()
        moved = [now - then for now, then in zip(counts_of(cabinet), before, strict=True)]
        tested = [visitor for visitor in entrance.visitors if not visitor.lapsed]
        said = [_result(visitor, _published(cabinet)) for visitor in tested]
        assert len(said) >= 4
        assert moved == [sum(one != "invalid" for one in said), said.count("invalid"), said.count("positive")]
        assert len(said) - kills <= moved[0]
        for visitor, call in zip(tested, said, strict=True):
            assert call in ("invalid", "positive" if visitor.positive else "negative"), "somebody else's result"


def _result(visitor: Visitor, published: list[tuple[int, bytes]]) -> str:
    """What a visitor reads; each record must be there once, in any tick."""
    keys = visitor.code.keys()
    found = [record for _, record in published if record.startswith(keys.slot)]
    assert len(found) == 1, f"a visitor's record is in {len(found)} ticks"
    return dict(ResultBody.decode(open_record(keys, found[0])).calls)["sars-cov-2"]
