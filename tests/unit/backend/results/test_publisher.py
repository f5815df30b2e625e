"""The public folder as ticks go by, over restarts, and while the store is away."""

import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.results.publisher import Publisher
from contracts.claim import PRACTICE_CODE
from contracts.cohorts import (
    GRACE_TICKS,
    TTL_TICKS,
    cohort_of,
    file_name,
    file_path,
    last_ready_tick,
    live_cohorts,
    parse_clock,
    split_records,
)
from contracts.sealed import RECORD_BYTES
from contracts.windows import NS, TICK_S
from stores.errors import StoreError, StoreUnavailableError
from stores.state.cohorts import CohortStore, SealedTick
from stores.state.database import Database, open_for_reading, open_for_writing
from tests.support.ingest import SetClock

TICK = 2_992_236  # the first of its cohort
COHORT = cohort_of(TICK)
SLOT = PRACTICE_CODE.keys().slot


def opaque() -> bytes:
    """A record as this process sees it: it never opens one. Real seals take a fifth of a millisecond each."""
    return secrets.token_bytes(RECORD_BYTES)


@dataclass
class Site:
    """A store that ingest writes, and the result page's process beside it."""

    folder: Path
    clock: SetClock
    written: CohortStore
    reading: Database
    publisher: Publisher

    @property
    def public(self) -> Path:
        return self.folder / "public"

    def publish(self, tick: int, count: int = 4, *, device: str = "kiosk-1") -> list[bytes]:
        records = [opaque() for _ in range(count)]
        self.written.add([SealedTick(device, tick, b"".join(records))])
        return records

    def at(self, tick: int, *, second: float = 0.0) -> None:
        """It is that second of that tick."""
        self.clock.ns = tick * TICK_S * NS + round(second * NS)
        self.publisher.step()

    def shown(self, cohort: int = COHORT) -> set[bytes]:
        content = self.publisher.published[file_path(cohort)]
        assert content == (self.public / file_name(cohort)).read_bytes()
        return {record for record in split_records(content) if record[:16] != SLOT}

    def restart(self) -> None:
        self.publisher = Publisher(CohortStore(self.reading), self.public, self.clock, filler=opaque)


@pytest.fixture(scope="module")
def empty_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store, made once: each test works on a copy."""
    folder = tmp_path_factory.mktemp("empty cohorts")
    open_for_writing(f"sqlite:{folder}", "cohorts").close()
    return folder


@pytest.fixture
def site(tmp_path: Path, empty_state: Path) -> Iterator[Site]:
    shutil.copytree(empty_state, tmp_path / "state")
    spec, clock = f"sqlite:{tmp_path / 'state'}", SetClock()
    with open_for_writing(spec, "cohorts") as writing, open_for_reading(spec, "cohorts") as reading:
        publisher = Publisher(CohortStore(reading), tmp_path / "public", clock, filler=opaque)
        yield Site(tmp_path, clock, CohortStore(writing), reading, publisher)


def test_a_tick_is_public_when_it_has_ended_and_not_before(site: Site) -> None:
    records = site.publish(TICK)
    site.at(TICK, second=599.9)
    assert file_path(COHORT) not in site.publisher.published, "its cohort has not even begun to be public"
    site.at(TICK + 1)
    assert set(records) <= site.shown()
    later = site.publish(TICK + 1)
    site.at(TICK + 1, second=599.9)
    assert not set(later) & site.shown()
    site.at(TICK + 2)
    assert set(records + later) <= site.shown()
    assert parse_clock(site.publisher.published["/clock.json"]).tick == TICK + 1


def test_every_live_cohort_has_a_file_also_one_in_which_no_kiosk_was_there(site: Site) -> None:
    site.publish(TICK)
    site.at(TICK + 1)
    live = live_cohorts(TICK)
    assert set(site.publisher.published) == {"/clock.json", *map(file_path, live)}
    assert {path.name for path in site.public.iterdir()} == {"clock.json", *map(file_name, live)}
    assert {len(site.publisher.published[file_path(cohort)]) for cohort in live} == {4096}


def test_only_what_changed_is_written_again(site: Site) -> None:
    site.publish(TICK)
    site.at(TICK + 1)
    before = {path.name: path.stat().st_mtime_ns for path in site.public.iterdir()}
    site.publish(TICK + 1)
    site.at(TICK + 2)
    after = {path.name: path.stat().st_mtime_ns for path in site.public.iterdir()}
    assert {name for name in after if after[name] != before.get(name)} == {"clock.json", file_name(COHORT)}


def test_a_tick_that_comes_late_joins_its_own_cohort(site: Site) -> None:
    site.at(TICK + 100)
    before = site.shown()
    late = site.publish(TICK + 3)
    site.at(TICK + 101)
    assert set(late) <= site.shown()
    assert site.shown() - before == set(late), "and nothing else came with it"


def test_after_a_restart_filler_is_as_it_was_so_that_what_stays_is_not_marked(site: Site) -> None:
    site.publish(TICK)
    site.at(TICK + 1)
    before = {cohort: site.shown(cohort) for cohort in live_cohorts(TICK)}
    site.restart()
    site.at(TICK + 1, second=1)
    assert {cohort: site.shown(cohort) for cohort in live_cohorts(TICK)} == before


def test_a_damaged_file_is_made_anew_with_every_record(site: Site) -> None:
    records = site.publish(TICK)
    site.at(TICK + 1)
    (site.public / file_name(COHORT)).write_bytes(b"torn")
    (site.public / f"{file_name(COHORT)}.new").write_bytes(b"left behind")
    site.restart()
    site.at(TICK + 1, second=1)
    assert set(records) <= site.shown()
    assert not list(site.public.glob("*.new"))


def test_a_cohort_is_gone_one_hour_after_its_last_result_expired(site: Site) -> None:
    site.publish(TICK)
    gone = last_ready_tick(COHORT) + 1 + TTL_TICKS + GRACE_TICKS
    site.at(gone - 1)
    assert (site.public / file_name(COHORT)).exists()
    site.at(gone)
    assert not (site.public / file_name(COHORT)).exists()
    assert file_path(COHORT) not in site.publisher.published
    assert parse_clock(site.publisher.published["/clock.json"]).oldest_cohort == COHORT + 1


class Away(CohortStore):
    """A store that cannot be read."""

    away = True

    def sizes(self, complete: int) -> dict[int, int]:
        if self.away:
            raise StoreUnavailableError("cannot be read now")
        return super().sizes(complete)


def test_while_the_store_is_away_the_clock_stands_still(site: Site) -> None:
    store = Away(site.reading)
    store.away = False
    site.publisher = Publisher(store, site.public, site.clock, filler=opaque)
    site.at(TICK + 1)
    store.away = True
    with pytest.raises(StoreError):
        site.at(TICK + 2)
    assert parse_clock(site.publisher.published["/clock.json"]).tick == TICK
    store.away = False
    site.at(TICK + 2)
    assert parse_clock(site.publisher.published["/clock.json"]).tick == TICK + 1


def test_a_clock_that_goes_back_takes_nothing_away(site: Site) -> None:
    records = site.publish(TICK)
    site.at(TICK + 1)
    site.at(TICK - 50)
    assert set(records) <= site.shown()


def test_a_cohort_that_is_too_large_keeps_its_last_version_and_the_log_says_what_to_do(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    records = site.publish(TICK)
    site.at(TICK + 1)
    body = b"".join(number.to_bytes(16) + bytes(240) for number in range(16))
    site.written.add(
        [
            SealedTick(
                f"kiosk-{number}", TICK + 1, b"".join(number.to_bytes(8) + record[8:] for record in pieces(body))
            )
            for number in range(512)
        ]
    )
    site.at(TICK + 2)
    assert set(records) <= site.shown()
    assert len(site.shown()) == 15
    assert "170 kiosks" in caplog.text
    assert parse_clock(site.publisher.published["/clock.json"]).tick == TICK + 1, "the other cohorts go on"


def pieces(body: bytes) -> list[bytes]:
    return [body[at : at + 256] for at in range(0, len(body), 256)]
