"""The store of sealed ticks, on SQLite and on a real PostgreSQL."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from contracts.sealed import dummy
from stores.errors import StoreError
from stores.state.cohorts import CohortStore, SealedTick
from stores.state.database import Database, open_for_reading, open_for_writing


@pytest.fixture
def database(spec: str) -> Iterator[Database]:
    with open_for_writing(spec, "cohorts") as opened:
        yield opened


@pytest.fixture
def store(database: Database) -> CohortStore:
    return CohortStore(database)


def tick(device: str, number: int, records: int = 1) -> SealedTick:
    return SealedTick(device, number, b"".join(dummy() for _ in range(records)))


@pytest.mark.rule("C24")
def test_a_tick_is_kept_once_and_the_first_stays(store: CohortStore) -> None:
    first, second = tick("kiosk-1", 1200, 2), tick("kiosk-1", 1200, 2)
    store.add([first])
    store.add([first, second])
    store.add([second])
    assert store.body_of("kiosk-1", 1200) == first.body
    assert store.body_of("kiosk-1", 1201) is None
    assert store.sizes(1200) == {100: 2}


@pytest.mark.rule("C26")
def test_a_cohort_is_its_twelve_ticks_and_none_that_has_not_ended(store: CohortStore) -> None:
    said = [
        ("kiosk-1", 1199, 1),
        ("kiosk-1", 1200, 2),
        ("kiosk-2", 1200, 1),
        ("kiosk-1", 1211, 1),
        ("kiosk-1", 1212, 1),
    ]
    ticks = [tick(*one) for one in said]
    store.add(ticks)
    assert store.sizes(1211) == {99: 1, 100: 4}
    assert store.sizes(1200) == {99: 1, 100: 3}
    records = store.records(100, 1210)
    assert len(records) == 3
    assert set(records) == {ticks[1].body[:256], ticks[1].body[256:], ticks[2].body}


@pytest.mark.rule("C26")
def test_older_cohorts_are_deleted_and_younger_ones_stay(store: CohortStore) -> None:
    store.add([tick("kiosk-1", number) for number in range(1188, 1224)])
    assert store.forget(99) == 0
    assert store.forget(101) == 24
    assert store.forget(101) == 0
    assert store.sizes(2000) == {101: 12}


def test_a_reader_reads_while_a_writer_writes_and_cannot_write(store: CohortStore, spec: str) -> None:
    with open_for_reading(spec, "cohorts") as opened:
        reader = CohortStore(opened)
        for number in range(1200, 1210):
            store.add([tick("kiosk-1", number)])
            assert reader.sizes(1300) == {100: number - 1199}
        with pytest.raises(StoreError, match="only reads"):
            reader.add([tick("kiosk-1", 1)])


def test_the_file_keeps_no_write_ahead_log_and_overwrites_what_it_frees(spec: str, database: Database) -> None:
    if not spec.startswith("sqlite"):
        return
    with database.begin() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "truncate"
        assert connection.execute(text("PRAGMA secure_delete")).scalar() == 1
