"""Ticks of a whole kiosk: in order, each once, each record in one of them, whatever happens in between."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from contracts.frames import TickBody
from contracts.sealed import RECORD_BYTES, ResultBody, dummy, open_record
from contracts.windows import NS, TICK_S, tick_of, tick_start_ns
from edge.adapters.store import OutboxStore
from edge.adapters.visits import VisitDatabase
from edge.core.sending import Sending
from edge.core.ticks import MISSED_TICKS
from edge.core.visit import EMPTY, VISIT_ROWS, PublicPart, VisitRules
from edge.errors import StoreFullError, VisitError
from edge.ports import SealedRun
from edge.service.recorder import Recorder
from edge.service.ticks import STREAM, TickRules, TickWriter
from edge.store_ports import NewRecord
from tests.support.agent import agent_in_test_time
from tests.support.kiosk import CALENDAR, LAYOUTS, START_NS, SetClock, middle, open_at_zero
from tests.support.seeds import seeded

FIRST = tick_of(START_NS)
OFFSET_NS = 20 * NS
QUICK = VisitRules(places=4, modules=4, insertion_s=60, t_max_s=600)
PUBLIC = PublicPart(bytes(16), bytes(32), bytes(16))


class PowerCutError(Exception):
    """The kiosk stops here."""


class CutRecorder(Recorder):
    """A recorder that loses power after its next commit."""

    cut = False

    def commit(self, record: NewRecord) -> bool:
        done = super().commit(record)
        if self.cut:
            raise PowerCutError
        return done


@dataclass
class Bench:
    """Files of one kiosk and its writer of ticks."""

    outbox: OutboxStore
    visits: VisitDatabase
    recorder: CutRecorder
    writer: TickWriter
    clock: SetClock

    def publish(self) -> None:
        """Let everything that is due go out."""
        while True:
            before = self.outbox.last_start(STREAM)
            self.writer.step(self.clock.ns)
            if self.outbox.last_start(STREAM) == before:
                return

    def ticks(self) -> dict[int, tuple[bytes, ...]]:
        rows = self.outbox.rows(STREAM, 1, 10_000)
        starts = [row.start for row in rows]
        assert len(set(starts)) == len(starts), "a tick went out twice"
        assert starts == sorted(starts, key=lambda start: start or 0), "ticks went out of order"
        return {row.start or 0: TickBody.decode(row.body).records for row in rows}

    def run(self, name: int) -> tuple[int, bytes]:
        """Let somebody be tested now; their tick and their record."""
        reservation = self.visits.reserve(self.clock.ns, QUICK, "SARSCOV2")
        self.visits.complete(reservation.row, PUBLIC, self.clock.ns)
        self.visits.begin(self.clock.ns, QUICK, f"{name:020d}")
        record = f"{name:08d}".encode().ljust(RECORD_BYTES, b"*")
        assert self.visits.settle(SealedRun(f"{name:020d}", record, valid=True, positives=frozenset()))
        return reservation.ready_tick, record


@contextmanager
def _bench(folder: Path, clock: SetClock, budgets: dict[str, int] | None = None) -> Iterator[Bench]:
    outbox = OutboxStore(folder / "outbox.db", budgets=budgets)
    visits = VisitDatabase(
        folder / "visits.db", calendar=CALENDAR, layouts=LAYOUTS, open_window=open_at_zero, now_ns=clock.ns
    )
    for connection in (outbox._connection, visits._connection):
        connection.execute("PRAGMA synchronous=OFF")  # power is cut between commits here, not in them
    sending = Sending(outbox.ob, outbox.held(), outbox.next_seq(), middle)
    recorder = CutRecorder(outbox, sending, lambda: (clock.ns, 2))
    rules = TickRules(places=4, offset_ns=OFFSET_NS, dummy=dummy, shuffle=lambda records: records.sort())
    writer = TickWriter(visits, recorder, rules, last_start=outbox.last_start(STREAM))
    try:
        yield Bench(outbox, visits, recorder, writer, clock)
    finally:
        visits.close()
        outbox.close()


def test_a_tick_goes_out_at_the_devices_own_second_and_the_first_of_a_new_kiosk_is_that_of_now(tmp_path: Path) -> None:
    with _bench(tmp_path, SetClock(START_NS + OFFSET_NS - 1)) as bench:
        bench.publish()
        assert bench.ticks() == {}
        assert bench.writer.deadline_ns() == START_NS + OFFSET_NS
        bench.clock.ns += 1
        bench.publish()
        assert list(bench.ticks()) == [FIRST]
        assert bench.visits.last_tick == FIRST
        assert bench.writer.deadline_ns() == tick_start_ns(FIRST + 1) + OFFSET_NS


@pytest.mark.parametrize("hours", [1, 72, 100])
def test_ticks_missed_without_power_go_out_in_order_as_far_back_as_72_hours(tmp_path: Path, hours: int) -> None:
    clock = SetClock()
    with _bench(tmp_path, clock) as bench:
        clock.move(TICK_S + 30)
        bench.publish()
    clock.move(hours * 3600)
    newest = tick_of(clock.ns - OFFSET_NS)
    with _bench(tmp_path, clock) as bench:
        bench.publish()
        assert list(bench.ticks())[2:] == list(range(max(FIRST + 2, newest - MISSED_TICKS + 1), newest + 1))


@pytest.mark.rule("C23")
def test_a_tick_that_went_out_before_a_power_cut_does_not_go_out_again_and_its_rows_are_freed(tmp_path: Path) -> None:
    clock = SetClock()
    with _bench(tmp_path, clock) as bench:
        tick, record = bench.run(1)
        clock.ns = tick_start_ns(tick) + OFFSET_NS
        bench.clock.move(-TICK_S)
        bench.publish()
        bench.clock.move(TICK_S)
        bench.recorder.cut = True
        with pytest.raises(PowerCutError):
            bench.publish()
        bench.recorder.cut = False
    for _ in range(2):
        with _bench(tmp_path, clock) as bench:
            bench.publish()
            clock.move(TICK_S)
            bench.publish()
            assert sum(records.count(record) for records in bench.ticks().values()) == 1
            assert record in bench.ticks()[tick]
            assert bench.visits.visits == (EMPTY,) * VISIT_ROWS


@pytest.mark.parametrize("lost", ["outbox.db", "visits.db"])
def test_a_file_that_is_replaced_repeats_no_tick(tmp_path: Path, lost: str) -> None:
    clock = SetClock()
    with _bench(tmp_path, clock) as bench:
        clock.move(5 * TICK_S)
        bench.publish()
        last = bench.outbox.last_start(STREAM)
    for part in tmp_path.glob(f"{lost}*"):
        part.unlink()
    with _bench(tmp_path, clock) as bench:
        clock.move(3 * TICK_S)
        bench.publish()
        assert last is not None
        assert [tick for tick in bench.ticks() if tick > last] == [last + 1, last + 2, last + 3]


@pytest.mark.simulation
def test_whatever_is_cut_off_every_record_is_in_its_own_tick_once(tmp_path: Path) -> None:
    chance, clock = seeded("ticks and power cuts"), SetClock()
    expected: dict[bytes, int] = {}
    for life in range(60):
        with _bench(tmp_path, clock) as bench:
            _live(bench, chance, life, expected)
    clock.move(3 * TICK_S)
    with _bench(tmp_path, clock) as bench:
        bench.publish()
        ticks = bench.ticks()
        found = {record: tick for tick, records in ticks.items() for record in records if record in expected}
        assert found == expected
        assert sum(record in expected for records in ticks.values() for record in records) == len(expected) > 30
        assert list(ticks) == list(range(FIRST, tick_of(clock.ns - OFFSET_NS) + 1))
        assert bench.visits.visits == (EMPTY,) * VISIT_ROWS


def _live(bench: Bench, chance: Random, life: int, expected: dict[bytes, int]) -> None:
    """One life of the process, which ends at one of its commits or between two."""
    for step in range(chance.randrange(5)):
        bench.clock.move(chance.randrange(40, 900))
        while bench.visits.close_window(bench.clock.ns):
            pass
        if chance.random() < 0.5 and not bench.visits.overdue(bench.clock.ns):
            try:
                tick, record = bench.run(life * 10 + step)
            except VisitError:
                continue
            expected[record] = tick
        bench.recorder.cut = chance.random() < 0.3
        try:
            bench.publish()
        except PowerCutError:
            return


def test_when_the_outbox_is_full_a_tick_waits_and_no_record_of_it_is_given_up(tmp_path: Path) -> None:
    clock, budgets = SetClock(), dict.fromkeys(("release", "event", "health", "bulk"), 10**6)
    with _bench(tmp_path, clock, budgets | {"sealed": 3 * (4 * RECORD_BYTES + 40)}) as bench:
        tick, record = bench.run(1)
        clock.ns = tick_start_ns(tick + 5) + OFFSET_NS
        with pytest.raises(StoreFullError):
            bench.publish()
        assert len(bench.ticks()) == 3
        while tick not in bench.ticks():
            first = next(iter(bench.outbox.held()[STREAM]))[0]
            bench.outbox.delete(STREAM, [(first, first)])
            with pytest.raises(StoreFullError):
                bench.publish()
        assert record in bench.ticks()[tick]


def test_a_run_that_a_power_cut_left_open_reads_no_result_in_the_tick_that_it_had(tmp_path: Path) -> None:
    with agent_in_test_time(tmp_path) as kiosk:
        kiosk.test("POSITIVE", 1800)
        ((code, order),) = kiosk.codes.issued
    late_ns = tick_start_ns(order.ready_tick + 20)
    with agent_in_test_time(tmp_path, now_ns=late_ns) as kiosk:
        kiosk.turns()
        ticks = {row.start: row.body for row in kiosk.outbox.rows("sealed", 1, 99)}
        assert list(ticks) == list(range(FIRST, tick_of(late_ns - OFFSET_NS) + 1))
        keys = code.keys()
        (record,) = [one for one in TickBody.decode(ticks[order.ready_tick]).records if one.startswith(keys.slot)]
        body = ResultBody.decode(open_record(keys, record))
        assert (body.day, body.advice, body.calls) == ("2021-12-12", "repeat", (("sars-cov-2", "invalid"),))
        assert sum(body.count(keys.slot) for body in ticks.values()) == 1
        assert kiosk.visits.visits == (EMPTY,) * VISIT_ROWS
