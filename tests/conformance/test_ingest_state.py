"""The state of ingest, on SQLite and on a real PostgreSQL: what one commit makes durable, and what may be removed."""

import pytest

from contracts.release_chain import GENESIS, chain_hash
from contracts.rows import AssayCounts, DeviceReport, Mark, ReleaseRow
from contracts.signals import Signal
from stores.errors import ConflictError
from stores.state import tables
from stores.state.database import Database, open_for_writing
from stores.state.dead_letters import DeadLetter
from stores.state.journal import MAX_PRUNED, IngestBatch, IngestState, JournalEntry
from stores.state.release_log import ChainPart, chain_part, releases_of
from stores.state.releases import first_broken_link, first_window_of_zone, releases_after, releases_between
from stores.state.reports import load_reports
from stores.state.signals import signals_after


def entry(seq: int, n: int = 1, payload: bytes = b"{}") -> JournalEntry:
    return JournalEntry(
        id=0,
        device="air-10017",
        kind="air_monitor",
        site="hall-10017",
        zone="z10017",
        restricted=seq % 2 == 0,
        ob=2**63 - 1,
        stream="bulk",
        seq=seq,
        n=n,
        skip=0,
        received_ns=1_000 + seq,
        content_type="json",
        payload=payload,
    )


def mark(hi: int, *also: tuple[int, int]) -> Mark:
    return Mark("air-10017", 2**63 - 1, "bulk", hi, also)


def release(device: str, start_ns: int, valid: int = 49) -> ReleaseRow:
    return ReleaseRow(
        device=device,
        zone="z10016",
        window_start_ns=start_ns,
        window_s=21_600,
        layout=1,
        counters={"SARSCOV2": AssayCounts(valid, -1, {"sars-cov-2": 6})},
        ob=5,
        seq=1,
        received_ns=start_ns + 9,
        late=False,
    )


def co2(phase: str = "raised", onset_ns: int = 10) -> Signal:
    return Signal("co2", "air-10017", "z10017", None, "warning", phase, onset_ns, 20, {"value": 1712.5})  # type: ignore[arg-type]


@pytest.mark.rule("C16")
def test_a_batch_is_durable_whole(ingest: Database) -> None:
    state = IngestState(ingest)
    letter = DeadLetter(device=None, topic="kw/v1/x/up/bulk", reason="unknown_device", received_ns=3, size_bytes=2)
    report = DeviceReport(
        device="air-10017", kind="state", ob=5, boot=1, conn=2, enrolment=1, received_ns=3, body=b"\x00{}"
    )
    last = state.commit(
        IngestBatch(
            entries=[entry(1, 2, b"\x00\xff"), entry(3)],
            marks=[mark(3, (5, 6))],
            dead_letters=[letter],
            releases=[release("kiosk-1", 100)],
            signals=[co2()],
            reports=[report],
            counts={"unknown_device": 1},
            cursors={"series": 1},
        )
    )
    again = IngestState(ingest)
    assert last == 2
    assert again.entries_after(0, 10) == [entry(1, 2, b"\x00\xff")._replace(id=1), entry(3)._replace(id=2)]
    assert again.entries_after(1, 10) == [entry(3)._replace(id=2)]
    assert again.load_marks() == {mark(3).key: mark(3, (5, 6))}
    assert [found for _, found in again.dead_letters()] == [letter]
    assert again.reports() == [report] == load_reports(ingest, "air-10017")
    assert again.has_release("kiosk-1", 100)
    assert [row.signal for row in signals_after(ingest, 0)] == [co2()]
    assert (again.counts(), again.cursor("series"), again.journal_bytes()) == ({"unknown_device": 1}, 1, (4, 2))


@pytest.mark.rule("C22")
def test_a_second_release_of_a_window_undoes_its_whole_batch(ingest: Database) -> None:
    state = IngestState(ingest)
    state.commit(IngestBatch(releases=[release("kiosk-1", 100)]))
    with pytest.raises(ConflictError):
        state.commit(IngestBatch(entries=[entry(1)], marks=[mark(1)], releases=[release("kiosk-1", 100, valid=7)]))
    assert state.entries_after(0, 10) == []
    assert state.load_marks() == {}
    assert state.commit(IngestBatch(entries=[entry(1)])) == 1


def test_releases_are_chained_and_a_change_shows(ingest: Database) -> None:
    state = IngestState(ingest)
    state.commit(IngestBatch(releases=[release("kiosk-1", 100), release("kiosk-2", 100)]))
    state.commit(IngestBatch(releases=[release("kiosk-1", 200)]))
    assert first_broken_link(ingest) is None
    assert [row.device for row in releases_between(ingest, 100, 200)] == ["kiosk-1", "kiosk-2"]
    assert releases_after(ingest, 2)[0].counters["SARSCOV2"].positives == {"sars-cov-2": 6}
    assert (first_window_of_zone(ingest, "z10016"), first_window_of_zone(ingest, "z9")) == (100, None)
    with ingest.begin() as tx:
        tx.execute(tables.RELEASES.update().where(tables.RELEASES.c.id == 2).values(late=True))
    assert first_broken_link(ingest) == 2


def test_numbers_go_on_after_the_journal_was_emptied(ingest: Database) -> None:
    IngestState(ingest).commit(IngestBatch(entries=[entry(1), entry(2)], cursors={"series": 2}))
    assert IngestState(ingest).prune(before_ns=10_000, max_bytes=10**9) == 2
    assert IngestState(ingest).commit(IngestBatch(entries=[entry(3)])) == 3


@pytest.mark.rule("C20")
def test_only_what_is_projected_is_pruned_by_age_and_by_size(ingest: Database) -> None:
    state = IngestState(ingest)
    state.commit(IngestBatch(entries=[entry(seq, payload=bytes(100)) for seq in range(1, 6)], cursors={"series": 3}))
    assert state.prune(before_ns=1_002, max_bytes=10**9) == 1
    assert state.prune(before_ns=0, max_bytes=250) == 2
    assert state.prune(before_ns=10**9, max_bytes=0) == 0
    assert [found.seq for found in state.entries_after(0, 10)] == [4, 5]


def test_a_redriven_dead_letter_goes_with_the_batch_that_judges_it(ingest: Database) -> None:
    state = IngestState(ingest)
    letter = DeadLetter(device="a", topic="t", reason="version", received_ns=1, size_bytes=1, payload=b"\x01")
    state.commit(IngestBatch(dead_letters=[letter, letter]))
    ((first, _), (second, kept)) = state.dead_letters()
    state.commit(IngestBatch(redriven=[first], entries=[entry(1)]))
    assert state.dead_letters() == [(second, kept)]
    assert state.dead_letters(after_id=second) == []


def test_of_two_ingests_the_second_to_judge_a_record_is_told_so(postgres_url: str) -> None:
    with (
        open_for_writing(postgres_url, "ingest", shared=True) as one,
        open_for_writing(postgres_url, "ingest", shared=True) as other,
    ):
        first, second = IngestState(one), IngestState(other)
        first.load_marks()
        second.load_marks()
        first.commit(IngestBatch(entries=[entry(1)], marks=[mark(1)]))
        with pytest.raises(ConflictError):
            second.commit(IngestBatch(entries=[entry(1)], marks=[mark(1)]))
        second.load_marks()
        assert second.commit(IngestBatch(entries=[entry(2)], marks=[mark(2)])) == 2


@pytest.mark.rule("C20")
def test_sizes_are_known_without_a_scan_and_stay_right_when_rows_go(ingest: Database) -> None:
    state = IngestState(ingest)
    assert state.journal_bytes() == (0, 0)
    state.commit(IngestBatch(entries=[entry(seq, payload=bytes(seq)) for seq in (1, 2, 3, 4)]))
    assert state.journal_bytes() == (10, 10)
    state.set_cursor("series", 2)
    assert state.journal_bytes() == (10, 7)
    assert state.prune(before_ns=0, max_bytes=9) == 1
    assert state.journal_bytes() == (9, 7)
    assert state.prune(before_ns=0, max_bytes=7) == 1
    assert state.journal_bytes() == (7, 7)
    state.set_cursor("series", 4)
    assert state.prune(before_ns=10**6, max_bytes=0) == 2
    assert state.journal_bytes() == (0, 0)
    again = IngestState(ingest)
    again.commit(IngestBatch(entries=[entry(5, payload=bytes(5))]))
    assert again.journal_bytes() == (5, 5)
    assert [found.id for found in again.entries_after(0, 9)] == [5]


def test_a_clean_up_takes_a_bounded_number_of_rows_at_a_time(ingest: Database) -> None:
    state = IngestState(ingest)
    state.commit(IngestBatch(entries=[entry(seq) for seq in range(MAX_PRUNED + 2)], cursors={"series": MAX_PRUNED + 2}))
    assert [state.prune(before_ns=10**6, max_bytes=0) for _ in range(3)] == [MAX_PRUNED, 2, 0]


def test_the_newest_entries_of_a_stream_are_given_first(ingest: Database) -> None:
    state = IngestState(ingest)
    state.commit(IngestBatch(entries=[entry(seq) for seq in range(1_200)]))
    assert [found.seq for found in state.newest_first("bulk")] == list(range(1_199, -1, -1))
    assert list(state.newest_first("health")) == []


def test_dead_letters_go_by_age_and_a_flood_of_one_kind_leaves_the_other_alone(ingest: Database) -> None:
    state = IngestState(ingest)
    kept = DeadLetter(device="a", topic="t", reason="version", received_ns=5, size_bytes=1, payload=b"\x01", seq=1, n=2)
    forged = DeadLetter(device=None, topic="t", reason="signature", received_ns=5, size_bytes=1)
    old = DeadLetter(device=None, topic="t", reason="signature", received_ns=4, size_bytes=1)
    state.commit(IngestBatch(dead_letters=[old, kept, *[forged] * 5, kept, kept, kept]))
    assert state.prune_letters(before_ns=5, most=3) == 1 + 1 + 2
    assert [found for _, found in state.dead_letters()] == [forged, forged, forged, kept, kept, kept]
    assert state.counts() == {"letters_expired": 4}
    assert state.prune_letters(before_ns=5) == 0


def test_a_batch_that_fails_leaves_the_next_number_as_it_was(ingest: Database) -> None:
    state = IngestState(ingest)
    state.commit(IngestBatch(entries=[entry(1)], releases=[release("kiosk-1", 100)]))
    with pytest.raises(ConflictError):
        state.commit(IngestBatch(entries=[entry(2), entry(3)], releases=[release("kiosk-1", 100)]))
    assert state.commit(IngestBatch(entries=[entry(4)])) == 2
    assert state.journal_bytes() == (4, 4)


def test_a_kiosks_releases_are_read_the_newest_window_first(ingest: Database) -> None:
    rows = [release("kiosk-1", 2), release("kiosk-2", 1), release("kiosk-1", 3), release("kiosk-1", 1)]
    IngestState(ingest).commit(IngestBatch(releases=rows))
    assert [row.window_start_ns for row in releases_of(ingest, "kiosk-1", 2)] == [3, 2]
    assert releases_of(ingest, "kiosk-3", 2) == []


def test_the_part_of_the_chain_that_a_period_needs_is_unbroken_and_knows_the_head(ingest: Database) -> None:
    assert chain_part(ingest, 0, 99) == ChainPart((), GENESIS, GENESIS, 0)
    windows = [1, 5, 9, 6, 2]  # as received: that of window 9 lies between two of the period
    IngestState(ingest).commit(IngestBatch(releases=[release("kiosk-1", start_ns) for start_ns in windows]))
    every = releases_after(ingest, 0)
    part = chain_part(ingest, 5, 9)
    assert [row.window_start_ns for row in part.releases] == [5, 9, 6]
    assert (part.before, part.head, part.head_number) == (every[0].hash, every[-1].hash, every[-1].id)
    previous = part.before
    for row in part.releases:
        assert row.hash == chain_hash(previous, row)
        previous = row.hash
    assert chain_part(ingest, 7, 8) == ChainPart((), every[-1].hash, every[-1].hash, every[-1].id)
