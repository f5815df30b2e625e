"""The journal's way into the series store: by a cursor, again after a failure, whole after a rebuild."""

from collections.abc import Callable

import pytest

from contracts.messages import Event
from gateway.ingest.handover import MAX_RECORDS, Handover
from gateway.ingest.projector import RETRY_MAX_S, Projector
from stores.errors import StoreAuthError, StoreError, StoreUnavailableError, WriterLockedError
from stores.series.port import TimeSeriesStore
from stores.state.dead_letters import DeadLetter
from stores.state.journal import PROJECTED, IngestBatch, IngestState, JournalEntry
from tests.support.fakes import MemorySeries
from tests.support.ingest import Bench
from tests.support.process import wait_until
from tests.support.registry import device_of, place_devices
from tests.support.speaker import START_NS, Speaker, reading, readings


def projector(
    bench: Bench, series: TimeSeriesStore, *, tell: Callable[[Callable[[], int]], None] | None = None
) -> Projector:
    return Projector(
        reading=IngestState(bench.database),
        writing=IngestState(bench.database),
        series=series,
        district=lambda: bench.registry.world().registry.district.id,
        clock=bench.clock,
        handover=bench.service.handover,
        tell=tell or (lambda _waiting: None),
    )


def drain(made: Projector) -> None:
    while made.step():
        continue


@pytest.mark.rule("C10")
@pytest.mark.rule("C19")
def test_every_journalled_record_becomes_its_point_and_the_cursor_follows(
    bench: Bench, air: Speaker, room: Speaker, kiosk: Speaker
) -> None:
    series = MemorySeries()
    bench.hear(
        air.batch(1, readings(1, 3)),
        room.batch(1, readings(1, 2)),
        air.batch(1, [reading(disk_pct=40)], stream="health"),
        air.batch(1, [Event(START_NS, 2, "clock", "good")], stream="event"),
        kiosk.release(1),
    )
    made = projector(bench, series)
    drain(made)
    assert sorted((bucket, measurement) for bucket, measurement, _, _ in series.points) == [
        ("environment", "air"),
        ("environment", "air"),
        ("environment", "air"),
        ("fleet", "event"),
        ("fleet", "health"),
        ("restricted", "air"),
        ("restricted", "air"),
    ]
    assert (made.cursor, bench.state.cursor(PROJECTED), made.projected_records) == (5, 5, 8)
    assert series.points["environment", "air", "air-1", START_NS + 60 * 10**9 + 1].tags["site"] == "hall"


@pytest.mark.rule("C19")
@pytest.mark.parametrize("lost_answer", [False, True])
def test_a_store_that_fails_gets_everything_later_once_however_it_failed(
    bench: Bench, air: Speaker, lost_answer: bool
) -> None:
    series = MemorySeries()
    series.stored_but_said_no = lost_answer
    series.failing = [StoreUnavailableError("away"), StoreAuthError("no")]
    bench.hear(air.batch(1, readings(1, 3)))
    made = projector(bench, series)
    for _ in range(2):
        with pytest.raises(StoreError):
            made.step()
    assert (made.cursor, bench.state.cursor(PROJECTED)) == (0, 0)
    drain(made)
    assert series.seqs == [("air-1", 1), ("air-1", 2), ("air-1", 3)]


@pytest.mark.rule("C19")
@pytest.mark.rule("C21")
def test_lines_that_the_store_never_takes_become_letters_and_the_others_are_there(
    bench: Bench, air: Speaker, other: Speaker
) -> None:
    series = MemorySeries()
    series.refuses = frozenset({"air-2"})
    bench.hear(air.batch(1, readings(1, 2)), other.batch(1, readings(1, 2)), air.batch(3, readings(3, 1)))
    drain(projector(bench, series))
    assert series.seqs == [("air-1", 1), ("air-1", 2), ("air-1", 3)]
    letters = [letter for _, letter in bench.state.dead_letters()]
    assert [(one.reason, one.device, one.seq, one.payload) for one in letters] == [
        ("projection", "air-2", 1, None),
        ("projection", "air-2", 2, None),
    ]
    assert bench.state.counts()["projection"] == 2
    assert bench.service.redrive() == (0, 2), "they are in the journal: a rebuild brings them"


@pytest.mark.rule("C19")
def test_a_restart_in_front_of_the_cursors_commit_writes_the_same_points_again(bench: Bench, air: Speaker) -> None:
    series = MemorySeries()
    bench.hear(air.batch(1, readings(1, 3)))
    drain(projector(bench, series))
    points = dict(series.points)
    bench.state.set_cursor(PROJECTED, 0)
    bench.restart()
    drain(projector(bench, series))
    assert (series.points, series.writes) == (points, 2)


def test_projecting_anew_after_a_device_moved_neither_doubles_nor_moves_a_point(bench: Bench, air: Speaker) -> None:
    series = MemorySeries()
    bench.hear(air.batch(1, readings(1, 2)))
    drain(projector(bench, series))
    points = dict(series.points)
    for devices in ([device_of(air, site="hotel")], []):  # moved, then gone from the district file
        place_devices(bench.spec, devices)
        bench.clock.s += 10
        bench.state.set_cursor(PROJECTED, 0)
        bench.restart()
        drain(projector(bench, series))
        assert series.points == points
    assert bench.reasons == []


def test_an_entry_that_this_program_reads_no_more_is_a_letter_and_stops_nothing(bench: Bench, air: Speaker) -> None:
    bench.hear(air.batch(1, readings(1, 1)))
    (good,) = bench.state.entries_after(0, 1)
    damaged = [
        good._replace(seq=2, payload=b"{"),
        good._replace(seq=3, payload=air.batch(3, [reading(was_a_metric=1.0)]).wire),
        good._replace(seq=4, n=3),
        good._replace(seq=1, skip=0, n=1),
    ]
    bench.state.commit(IngestBatch(entries=damaged))
    bench.restart()
    series = MemorySeries()
    drain(projector(bench, series))
    assert series.seqs == [("air-1", 1), ("air-1", 4)]
    letters = [(one.seq, one.reason) for _, one in bench.state.dead_letters()]
    assert letters == [(2, "projection"), (3, "projection")]


# --- the thread --------------------------------------------------------------------------------------------------


def test_the_thread_goes_on_after_an_outage_and_says_once_that_there_was_one(
    bench: Bench, air: Speaker, caplog: pytest.LogCaptureFixture
) -> None:
    series = MemorySeries()
    series.failing = [StoreUnavailableError("away", retry_after_s=0.01), StoreUnavailableError("x", retry_after_s=0.01)]
    bench.hear(air.batch(1, readings(1, 3)))
    waiting: list[int] = []
    made = projector(bench, series, tell=lambda ask: waiting.append(ask()))
    made.start()
    wait_until(lambda: made.cursor == 1, timeout_s=5, what="the projection")
    bench.hear(air.batch(4, readings(4, 1)))
    wait_until(lambda: made.cursor == 2, timeout_s=5, what="the next one")
    made.stop()
    assert made.failure is None
    assert len(series.points) == 4
    assert [record.message.split(":")[0] for record in caplog.records if "series" in record.message] == [
        "series store"
    ] * 2
    assert 0 in waiting


@pytest.mark.parametrize("trouble", [WriterLockedError("another"), ZeroDivisionError("a defect")])
def test_what_waiting_cannot_mend_ends_the_thread_and_is_known(bench: Bench, air: Speaker, trouble: Exception) -> None:
    class Broken(MemorySeries):
        def write(self, bucket: str, lines: bytes) -> None:  # noqa: ARG002 -- the port's
            raise trouble

    bench.hear(air.batch(1, readings(1, 1)))
    made = projector(bench, Broken())
    made.start()
    wait_until(lambda: made.failure is not None, timeout_s=5, what="its end")
    assert made.failure is trouble


def test_a_wait_that_a_store_names_is_believed_up_to_a_minute() -> None:
    assert RETRY_MAX_S == 60.0


# --- the handover -----------------------------------------------------------------------------------------------


def entry(seq: int, n: int = 1) -> JournalEntry:
    return JournalEntry(0, "air-1", "air_monitor", "hall", "z10017", False, 11, "bulk", seq, n, 0, 0, "", b"")


def test_entries_are_handed_over_in_their_order_and_stay_until_the_cursor_has_passed() -> None:
    handover = Handover()
    handover.put(5, [entry(1), entry(2)], [None, None])  # type: ignore[list-item]  # contents are not looked at
    handover.put(7, [entry(3)], [None])  # type: ignore[list-item]
    assert [one.id for one in handover.take(4, 2)] == [5, 6]
    assert [one.id for one in handover.take(4, 9)] == [5, 6, 7], "a write that failed asks again"
    assert handover.take(3, 9) == [], "what lies before is read from the journal"
    assert [one.id for one in handover.take(6, 9)] == [7]
    assert handover.take(7, 9) == []


def test_a_full_handover_leaves_the_rest_to_the_journal_and_goes_on_after_the_gap() -> None:
    handover = Handover()
    handover.put(1, [entry(1, MAX_RECORDS)], [None])  # type: ignore[list-item]
    handover.put(2, [entry(2)], [None])  # type: ignore[list-item]
    assert [one.id for one in handover.take(0, 9)] == [1]
    assert handover.take(1, 9) == []
    handover.put(3, [entry(3)], [None])  # type: ignore[list-item]
    assert handover.take(1, 9) == [], "2 is in the journal"
    assert [one.id for one in handover.take(2, 9)] == [3]


def test_letters_of_the_projection_are_forgotten_before_a_rebuild(bench: Bench) -> None:
    letter = DeadLetter(device="air-1", topic="t", reason="projection", received_ns=1, size_bytes=1)
    other = DeadLetter(device="air-1", topic="t", reason="range", received_ns=1, size_bytes=1)
    bench.state.commit(IngestBatch(dead_letters=[letter, other]))
    bench.state.forget_letters("projection")
    assert bench.reasons == ["range"]
