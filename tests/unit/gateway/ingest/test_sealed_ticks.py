"""Sealed ticks: into the cohort store before they are marked, nowhere else, and deleted when their time has come."""

import logging
from pathlib import Path

import pytest

from contracts.codec import CONTENT_BINARY
from contracts.cohorts import GRACE_TICKS, TTL_TICKS, cohort_of, last_ready_tick
from contracts.frames import Frame
from contracts.sealed import RECORD_BYTES, dummy
from contracts.windows import NS, TICK_S
from gateway.ingest.service import IngestService
from gateway.ingest.verifier import Verifier
from stores.errors import StoreUnavailableError
from stores.state.cohorts import CohortStore, SealedTick
from stores.state.database import open_for_writing
from stores.state.journal import IngestBatch, IngestState
from tests.support.ingest import Bench
from tests.support.registry import revoke
from tests.support.speaker import START_TICK, Speaker

NEVER = 2**40  # a tick that is always complete
NOW_TICK = START_TICK + 7 * 6  # of the bench's clock


def kept(bench: Bench) -> dict[int, int]:
    return bench.cohorts.sizes(NEVER)


def everything_in(folder: Path, *, but: str) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.name.startswith(but))


def state_folder(bench: Bench) -> Path:
    return Path(bench.spec.removeprefix("sqlite:"))


@pytest.mark.rule("C24")
def test_a_tick_goes_to_the_cohort_store_and_nothing_but_its_mark_anywhere_else(
    bench: Bench, kiosk: Speaker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    records = (dummy(), dummy(), dummy())
    judged = bench.hear(kiosk.tick(1, START_TICK, records))
    assert bench.cohorts.records(cohort_of(START_TICK), START_TICK) == list(records)
    assert judged.counts == {"ticks": 1}
    assert [(mark.stream, mark.hi) for mark in judged.marks] == [("sealed", 1)]
    assert bench.records == []
    elsewhere = everything_in(state_folder(bench), but="cohorts.db") + caplog.text.encode()
    assert not any(record[:16] in elsewhere or record[16:48] in elsewhere for record in records)


@pytest.mark.rule("C24")
def test_a_tick_that_comes_again_changes_nothing(bench: Bench, kiosk: Speaker) -> None:
    said = kiosk.tick(1)
    bench.hear(said, said)
    bench.restart()
    assert bench.hear(said).counts["duplicates"] == 1
    assert kept(bench) == {cohort_of(START_TICK): 2}


@pytest.mark.rule("C24")
def test_another_content_for_the_same_tick_is_a_letter_and_the_first_stays(bench: Bench, kiosk: Speaker) -> None:
    first = (dummy(), dummy())
    bench.hear(kiosk.tick(1, START_TICK, first), kiosk.tick(2, START_TICK))
    bench.hear(kiosk.tick(3, START_TICK))
    assert bench.reasons == ["second_tick", "second_tick"]
    assert bench.cohorts.records(cohort_of(START_TICK), START_TICK) == list(first)
    assert bench.state.load_marks()["kiosk-1", 13, "sealed"].hi == 3, "it is judged all the same"


@pytest.mark.rule("C24")
@pytest.mark.rule("C25")
def test_a_refused_tick_leaves_its_reason_and_not_a_byte(
    bench: Bench, air: Speaker, kiosk: Speaker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    record = dummy()
    refused = {
        "allow_list": air.tick(1, START_TICK, (record,)),
        "range": kiosk.tick(1, START_TICK + 10_000, (record,)),
        "malformed": kiosk.say("sealed", Frame(13, 2, 1, START_TICK, record + b"\0").encode(), CONTENT_BINARY),
        "version": kiosk.say("sealed", b"\x07" + kiosk.tick(3, START_TICK, (record,)).wire[1:], CONTENT_BINARY),
        "signature": kiosk.tick(4, START_TICK, (record,))._replace(sig=None),
        "unknown_device": Speaker("kiosk-9").tick(1, START_TICK, (record,)),
    }
    bench.hear(*refused.values())
    assert bench.reasons == list(refused)
    assert [letter.payload for _, letter in bench.state.dead_letters()] == [None] * len(refused)
    assert kept(bench) == {}
    elsewhere = everything_in(state_folder(bench), but="nothing") + caplog.text.encode()
    assert record[16:48] not in elsewhere
    assert bench.service.redrive() == (0, len(refused))


@pytest.mark.rule("C25")
def test_a_revoked_kiosk_seals_nothing_more(bench: Bench, kiosk: Speaker) -> None:
    bench.hear(kiosk.tick(1))
    revoke(bench.spec, kiosk.device)
    bench.clock.s += 60.0  # the registry is looked at again
    bench.hear(kiosk.tick(2, START_TICK + 1))
    assert bench.reasons == ["unknown_device"]
    assert kept(bench) == {cohort_of(START_TICK): 2}


@pytest.mark.rule("C25")
@pytest.mark.parametrize(
    ("tick", "taken"),
    [
        (NOW_TICK, True),
        (NOW_TICK + 1, True),  # the kiosk's clock is ahead
        (NOW_TICK + 2, False),
        (2**62, False),
        (NOW_TICK - TTL_TICKS, True),  # ten days late, and still to be had
        (NOW_TICK - TTL_TICKS - GRACE_TICKS - 12, False),  # deleted by now, wherever in its cohort it lies
        (0, False),
    ],
)
def test_a_tick_is_taken_from_the_oldest_live_cohort_until_now(
    bench: Bench, kiosk: Speaker, tick: int, *, taken: bool
) -> None:
    bench.hear(kiosk.tick(1, tick))
    assert bench.reasons == ([] if taken else ["range"])
    assert kept(bench) == ({cohort_of(tick): 2} if taken else {})


@pytest.mark.rule("C25")
@pytest.mark.parametrize("length", [0, 255, 257, 17 * RECORD_BYTES])
def test_a_tick_of_another_length_is_judged_and_not_taken(bench: Bench, kiosk: Speaker, length: int) -> None:
    wire = Frame(13, 1, 1, START_TICK, bytes(length)).encode()
    bench.hear(kiosk.say("sealed", wire, CONTENT_BINARY))
    assert bench.reasons == ["malformed"]
    assert bench.state.load_marks()["kiosk-1", 13, "sealed"].hi == 1, "else the kiosk would send it for ever"


class Unsure(IngestState):
    """A state whose commit fails, as after a crash between the two writes."""

    failing = True

    def commit(self, batch: IngestBatch) -> int:
        if self.failing:
            raise StoreUnavailableError("the disk is away")
        return super().commit(batch)


@pytest.mark.rule("C24")
def test_a_tick_is_durable_before_it_is_marked_and_the_next_try_loses_and_doubles_nothing(
    bench: Bench, kiosk: Speaker
) -> None:
    state = Unsure(bench.database)
    service = IngestService(state, bench.cohorts, clock=bench.clock, registry=bench.registry, verifier=Verifier(0))
    bench.service = service
    said = kiosk.tick(1)
    with pytest.raises(StoreUnavailableError):
        bench.hear(said)
    assert kept(bench) == {cohort_of(START_TICK): 2}
    assert bench.state.load_marks() == {}
    state.failing = False
    assert bench.hear(said).counts == {"ticks": 1}
    assert kept(bench) == {cohort_of(START_TICK): 2}


@pytest.mark.rule("C24")
def test_while_the_cohort_store_is_away_no_tick_is_marked(bench: Bench, kiosk: Speaker) -> None:
    closed = open_for_writing(f"sqlite:{state_folder(bench) / 'other'}", "cohorts")
    bench.service = IngestService(
        bench.state, Away(closed), clock=bench.clock, registry=bench.registry, verifier=Verifier(0)
    )
    with pytest.raises(StoreUnavailableError):
        bench.hear(kiosk.tick(1))
    assert bench.state.load_marks() == {}
    assert bench.state.dead_letters() == []
    closed.close()


class Away(CohortStore):
    """A cohort store that takes nothing."""

    def add(self, ticks: object) -> None:  # noqa: ARG002 -- the port's
        raise StoreUnavailableError("no room left")


@pytest.mark.rule("C26")
def test_expired_ticks_are_deleted_and_no_byte_of_them_stays_in_the_file(bench: Bench) -> None:
    gone, stays = (dummy(), dummy()), (dummy(), dummy())
    cohort = cohort_of(START_TICK)
    bench.cohorts.add([
        SealedTick("kiosk-1", START_TICK, b"".join(gone)),
        SealedTick("kiosk-1", START_TICK + 12, b"".join(stays)),
    ])  # fmt: skip
    file = state_folder(bench) / "cohorts.db"
    assert gone[0] in file.read_bytes()
    bench.clock.ns = (last_ready_tick(cohort) + 1 + TTL_TICKS + GRACE_TICKS) * TICK_S * NS - 1
    assert not bench.service.forget_expired()
    assert kept(bench) == {cohort: 2, cohort + 1: 2}, "not a nanosecond before its hour is over"
    bench.clock.ns += 1
    assert not bench.service.forget_expired()
    assert kept(bench) == {cohort + 1: 2}
    left = b"".join(path.read_bytes() for path in state_folder(bench).glob("cohorts.db*"))
    assert not any(record[at : at + 16] in left for record in gone for at in range(0, RECORD_BYTES, 16))
    assert stays[1] in left
    assert [path.name for path in state_folder(bench).glob("cohorts.db-wal")] == []
