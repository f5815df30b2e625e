"""The outbox file: what is durable, what may go, and what a full, damaged or foreign file does."""

import sqlite3
from pathlib import Path

import pytest

from contracts.topics import STREAMS
from edge.adapters.store import OutboxStore, open_outbox
from edge.core.outbox import ROW_OVERHEAD_BYTES, THIN_SHARE
from edge.errors import RecordError, StoreCorruptError, StoreError, StoreFullError, StoreTooNewError
from edge.store_ports import NewRecord

NOW = 1_639_285_200 * 10**9
SMALL = dict.fromkeys(STREAMS, 20 * (100 + ROW_OVERHEAD_BYTES))


def _bulk(n: int, size: int = 100) -> list[NewRecord]:
    return [NewRecord("bulk", b"x" * size)] * n


@pytest.mark.rule("C8")
def test_records_are_numbered_from_1_in_each_stream_and_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    store = OutboxStore(tmp_path / "outbox.db")
    assert store.append([*_bulk(2), NewRecord("event", b"e")], NOW).records == (("bulk", 1), ("bulk", 2), ("event", 1))
    store.delete("bulk", [(1, 2)])
    store.close()
    store = OutboxStore(tmp_path / "outbox.db")
    assert store.append(_bulk(1), NOW).records == (("bulk", 3),)


@pytest.mark.rule("C9")
def test_an_outbox_keeps_its_id_and_counts_its_starts_and_a_new_file_has_another_id(tmp_path: Path) -> None:
    first = OutboxStore(tmp_path / "a.db")
    ob, boot = first.ob, first.boot
    first.close()
    again = OutboxStore(tmp_path / "a.db")
    assert (again.ob, again.boot) == (ob, boot + 1)
    assert OutboxStore(tmp_path / "b.db").ob != ob
    assert 0 < ob < 2**63


def test_rows_come_back_as_they_were_put_in_and_held_ranges_show_the_gaps(tmp_path: Path) -> None:
    store = OutboxStore(tmp_path / "outbox.db")
    store.append([NewRecord("bulk", bytes([n])) for n in range(9)], NOW)
    store.delete("bulk", [(1, 2), (5, 5), (70, 90)])
    assert store.held()["bulk"] == [(3, 4), (6, 9)]
    assert [(row.seq, row.body, row.committed_ns) for row in store.rows("bulk", 4, 2)] == [
        (4, b"\x03", NOW),
        (6, b"\x05", NOW),
    ]


@pytest.mark.rule("C23")
def test_a_frame_that_is_not_later_than_the_newest_of_its_stream_is_left_out(tmp_path: Path) -> None:
    store = OutboxStore(tmp_path / "outbox.db")
    assert store.append([NewRecord("release", b"r", start=100)], NOW).records == (("release", 1),)
    store.delete("release", [(1, 1)])
    store.close()
    store = OutboxStore(tmp_path / "outbox.db")
    for start in (100, 99):
        assert store.append([NewRecord("release", b"r", start=start)], NOW).records == ()
    assert store.append([NewRecord("release", b"s", start=101)], NOW).records == (("release", 2),)


@pytest.mark.rule("C18")
def test_a_full_stream_gives_up_its_oldest_in_one_piece_and_says_which(tmp_path: Path) -> None:
    store = OutboxStore(tmp_path / "outbox.db", budgets=SMALL)
    assert store.append(_bulk(20), NOW).thinned == ()
    assert store.fill_pct() == 100.0
    appended = store.append(_bulk(3), NOW)
    assert [(one.first, one.last, one.n) for one in appended.thinned] == [(1, 1, 1), (2, 2, 1), (3, 3, 1)]
    assert appended.records == (("bulk", 21), ("bulk", 22), ("bulk", 23))
    assert store.held()["bulk"] == [(4, 23)]
    assert store.thinned_records == 3
    store.close()
    assert OutboxStore(tmp_path / "outbox.db", budgets=SMALL).thinned_records == 3


def test_thinning_takes_a_share_at_a_time_so_that_it_is_rare(tmp_path: Path) -> None:
    budget = 6400 * ROW_OVERHEAD_BYTES
    store = OutboxStore(tmp_path / "outbox.db", budgets=dict.fromkeys(STREAMS, budget))
    store.append([NewRecord("bulk", b"")] * 6400, NOW)
    (thinned,) = store.append([NewRecord("bulk", b"")], NOW).thinned
    assert thinned.n == 6400 // THIN_SHARE
    assert store.append([NewRecord("bulk", b"")] * 99, NOW).thinned == ()


def test_a_release_is_never_given_up_when_room_is_short_it_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    store = OutboxStore(tmp_path / "outbox.db", budgets=SMALL)
    store.append([NewRecord("release", b"x" * 100, start=n) for n in range(20)], NOW)
    with pytest.raises(StoreFullError):
        store.append([NewRecord("bulk", b"x"), NewRecord("release", b"x" * 100, start=21)], NOW)
    assert store.held()["bulk"] == []
    assert store.next_seq()["bulk"] == 1
    store.delete("release", [(1, 3)])
    assert store.append([NewRecord("release", b"x" * 100, start=21)], NOW).records == (("release", 21),)


def test_one_streams_backlog_takes_no_room_from_another(tmp_path: Path) -> None:
    store = OutboxStore(tmp_path / "outbox.db", budgets=SMALL)
    store.append([NewRecord("event", b"e")], NOW)
    store.append(_bulk(500), NOW)
    assert store.held()["event"] == [(1, 1)]


def test_a_record_bigger_than_any_reading_is_refused(tmp_path: Path) -> None:
    store = OutboxStore(tmp_path / "outbox.db")
    with pytest.raises(RecordError):
        store.append(_bulk(1, size=5000), NOW)


def test_a_full_disk_is_a_full_store_and_the_store_goes_on_when_there_is_room(tmp_path: Path) -> None:
    store = OutboxStore(tmp_path / "outbox.db")
    store.append(_bulk(10, 4000), NOW)
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreFullError):
        store.append(_bulk(50, 4000), NOW)
    assert store.next_seq()["bulk"] == 11
    store._connection.execute("PRAGMA max_page_count=100000")
    assert len(store.append(_bulk(50, 4000), NOW).records) == 50


def test_a_damaged_file_is_put_aside_and_a_new_outbox_has_a_new_id(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    store = OutboxStore(path)
    store.append(_bulk(200), NOW)
    ob = store.ob
    store.close()
    content = bytearray(path.read_bytes())
    content[4096:12288] = b"\xa5" * 8192
    path.write_bytes(content)
    store, quarantined = open_outbox(path)
    assert quarantined
    assert store.ob != ob
    assert store.next_seq()["bulk"] == 1
    assert [one.name for one in tmp_path.glob("outbox.damaged-*.db")]


def test_a_torn_tail_of_the_wal_costs_what_was_not_committed_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    store = OutboxStore(path)
    for n in range(5):
        store.append([NewRecord("bulk", bytes([n]) * 2000)], NOW)
    wal = path.with_name("outbox.db-wal").read_bytes()
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "outbox.db").write_bytes(path.read_bytes())
    (copy / "outbox.db-wal").write_bytes(wal[:-700])  # the power went while the last commit was written
    survivor = OutboxStore(copy / "outbox.db")
    assert survivor.held()["bulk"] == [(1, 4)]
    assert survivor.rows("bulk", 4, 1)[0].body == b"\x03" * 2000


def test_a_file_of_a_newer_program_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    OutboxStore(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version=99")
    raw.close()
    with pytest.raises(StoreTooNewError):
        open_outbox(path)


def test_a_file_that_is_no_database_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    path.write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(StoreCorruptError):
        OutboxStore(path)


def test_a_folder_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        OutboxStore(tmp_path / "missing" / "outbox.db")


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    OutboxStore(tmp_path / "outbox.db")
    assert (tmp_path / "outbox.db").stat().st_mode & 0o777 == 0o600
