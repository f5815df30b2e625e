"""A batch from top to bottom on a real state: poison beside good messages, a store in trouble, repair by redrive."""

import gzip
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import text

from contracts.codec import CONTENT_BINARY, CONTENT_JSON_GZIP
from contracts.frames import Frame
from contracts.layout import Assay, AssayLayout
from contracts.messages import VERSION, Event, State, encode
from contracts.registry import Layout
from contracts.rows import Mark
from gateway.ingest.service import IngestService
from gateway.ingest.steps import Received
from gateway.ingest.verifier import Verifier
from stores.errors import StoreUnavailableError
from stores.state.database import Database, open_for_writing
from stores.state.devices import Registry
from stores.state.journal import IngestBatch, IngestState
from stores.state.releases import releases_after
from tests.support.ingest import Bench
from tests.support.speaker import START_NS, START_TICK, Said, Speaker, reading, readings

SECRET = "12345.678"  # a value that must be in no log, and the forged name likewise
NAME = "mallory-was-here"


@dataclass
class Cast:
    """Who speaks in the poison suite."""

    air: Speaker
    other: Speaker
    kiosk: Speaker

    @property
    def good(self) -> Said:
        return self.air.batch(1, [reading(co2_ppm=float(SECRET))])


# Each message of the suite, and the reason of its dead letter; None where a count says it all.
POISON: dict[str, tuple[Callable[[Cast], Said], str | None]] = {
    "bad JSON": (lambda by: by.air.json("bulk", b'{"v":1,' + NAME.encode()), "malformed"),
    "invalid UTF-8": (lambda by: by.air.json("bulk", b"\xff\xfe\xfd" + NAME.encode()), "malformed"),
    "wrong version": (
        lambda by: by.air.json("bulk", b'{"v":9,"ob":11,"stream":"bulk","seq":40,"n":1,"lo":1}'),
        "version",
    ),
    "NaN": (lambda by: by.air.batch(41, [b'[1639285200000000000,2,{"co2_ppm":NaN}]']), "malformed"),
    "2 MB": (lambda by: by.air.say("bulk", bytes(2_000_000)), "oversize"),
    "zip bomb": (lambda by: by.air.say("bulk", gzip.compress(bytes(9_000_000)), CONTENT_JSON_GZIP), "oversize"),
    "unknown metric": (lambda by: by.air.batch(42, [reading(heater_duty=float(SECRET))]), "allow_list"),
    "unknown event": (
        lambda by: by.air.batch(1, [Event(START_NS, 2, "run", "ended")], stream="event"),
        "allow_list",
    ),
    "out of range": (lambda by: by.air.batch(43, [reading(co2_ppm=-1)]), "range"),
    "a year ahead": (lambda by: by.air.batch(44, [reading(366 * 86_400)]), "range"),
    "forged signature": (lambda by: by.good._replace(sig="B" * 86), "signature"),
    "no signature": (lambda by: by.good._replace(sig=None), "signature"),
    "another's key": (lambda _: Speaker("air-1", ob=11).batch(45, [reading()]), "signature"),
    "another device's topic": (
        lambda by: by.air.batch(46, [reading()])._replace(topic="kw/v1/air-2/up/bulk"),
        "signature",
    ),
    "unknown device": (lambda _: Speaker("air-9").batch(1, [reading()]), "unknown_device"),
    "no topic of ours": (lambda by: by.good._replace(topic=f"kw/v1/air-1/up/{NAME}"), "topic"),
    "no topic at all": (lambda by: by.good._replace(topic=""), "topic"),
    "a thousand levels": (lambda by: by.good._replace(topic="/" * 1000), "topic"),
    "unknown layout": (lambda by: by.kiosk.release(40, layout=9), "layout"),
    "short release": (lambda by: by.kiosk.say("release", b"\x01", CONTENT_BINARY), "malformed"),
    "second release": (lambda by: by.kiosk.release(41, window=0), "second_release"),
    "sealed tick of no kiosk": (lambda by: by.air.tick(40), "allow_list"),
    "sealed tick of half a record": (
        lambda by: by.kiosk.say("sealed", Frame(13, 42, 1, START_TICK, bytes(128)).encode(), CONTENT_BINARY),
        "malformed",
    ),
    "sealed tick to come": (lambda by: by.kiosk.tick(43, START_TICK + 1000), "range"),
    "foreign outbox": (lambda by: replace(by.other, ob=99).batch(1, [reading()]), "foreign_outbox"),
    "replay": (lambda by: by.other.batch(1, readings(1, 1)), None),
}


@pytest.fixture
def heard(bench: Bench, air: Speaker, other: Speaker, kiosk: Speaker) -> Bench:
    """An ingest that knows each of them."""
    bench.hear(air.batch(1, readings(1, 1)), other.batch(1, readings(1, 1)), kiosk.release(1))
    return bench


@pytest.mark.rule("C21")
@pytest.mark.parametrize("name", POISON)
def test_poison_is_a_dead_letter_with_its_reason_and_its_neighbours_are_taken(
    heard: Bench, air: Speaker, other: Speaker, kiosk: Speaker, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    say, reason = POISON[name]
    said = say(Cast(air, other, kiosk))
    judged = heard.hear(air.batch(2, readings(2, 2)), said, other.batch(2, readings(2, 2)))
    assert [seq for device, _, stream, seq in heard.records if (device, stream) == ("air-1", "bulk")] == [1, 2, 3]
    assert [seq for device, *_, seq in heard.records if device == "air-2"] == [1, 2, 3]
    assert heard.reasons == ([] if reason is None else [reason])
    assert judged.counts[reason or "duplicates"] == 1
    assert heard.hear(air.batch(4, readings(4, 1))).counts == {"records": 1}, "and the next batch goes on"
    logged = caplog.text
    assert SECRET not in logged
    assert NAME not in logged
    assert len(releases_after(heard.database, 0)) == 1


@pytest.mark.rule("C7")
@pytest.mark.rule("C15")
def test_before_a_signature_holds_nothing_moves_and_no_payload_is_kept(heard: Bench, air: Speaker) -> None:
    forged = air.batch(2, readings(2, 5))._replace(sig="B" * 86)
    judged = heard.hear(forged, air.state(9)._replace(sig=None), air.batch(2, [b"{"])._replace(sig=None))
    assert judged.marks == []
    assert heard.state.load_marks()["air-1", 11, "bulk"].hi == 1
    assert {report.kind for report in heard.state.reports()} == {"seen"}
    assert all(letter.payload is None and letter.sig is None for _, letter in heard.state.dead_letters())


@pytest.mark.rule("C21")
def test_a_message_that_tells_nothing_is_kept_once_however_often_it_comes(heard: Bench, air: Speaker) -> None:
    garbage, another = air.json("bulk", b"garbage"), air.json("bulk", b"other garbage")
    for _ in range(3):
        heard.hear(garbage, garbage)
    heard.hear(another)
    heard.hear(garbage)
    assert heard.reasons == ["malformed"] * 3
    assert heard.state.counts()["unreadable_again"] == 5


def test_the_letters_topic_is_cut_and_made_harmless(heard: Bench, air: Speaker) -> None:
    heard.hear(air.batch(2, readings(2, 1))._replace(topic="kw/\x00\x1b[2J\u2028é" + "x" * 500))
    ((_, letter),) = heard.state.dead_letters()
    assert letter.topic == "kw/??[2J??" + "x" * 118


# --- a store in trouble ------------------------------------------------------------------------------------------


class Failing(IngestState):
    """A state whose next commits end as they are told to: before anything is stored, or after."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.before: list[Exception] = []
        self.after: list[Exception] = []

    def commit(self, batch: IngestBatch) -> int:
        if self.before:
            raise self.before.pop(0)
        last = super().commit(batch)
        if self.after:
            raise self.after.pop(0)
        return last


def failing(bench: Bench) -> tuple[Failing, IngestService]:
    state = Failing(bench.database)
    return state, IngestService(state, bench.cohorts, clock=bench.clock, registry=bench.registry, verifier=Verifier(0))


def heard_by(bench: Bench, said: Said) -> Received:
    return Received(*said, received_ns=bench.clock.ns)


@pytest.mark.rule("C16")
def test_a_commit_that_fails_leaves_no_trace_and_the_same_batch_is_taken_later(bench: Bench, air: Speaker) -> None:
    state, service = failing(bench)
    state.before = [StoreUnavailableError("away"), StoreUnavailableError("away")]
    begun = service.begin([heard_by(bench, air.batch(1, readings(1, 3)))])
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            service.finish(begun)
    assert (bench.records, state.load_marks()) == ([], {})
    assert service.finish(begun).marks == [Mark("air-1", 11, "bulk", 3)]
    assert len(bench.records) == 3


def test_a_message_that_no_commit_takes_is_put_aside_alone(
    bench: Bench, air: Speaker, other: Speaker, caplog: pytest.LogCaptureFixture
) -> None:
    class Defective(IngestState):
        def commit(self, batch: IngestBatch) -> int:
            if any(entry.seq == 7 for entry in batch.entries):
                raise sqlite3.DataError("what a driver says: " + SECRET)
            return super().commit(batch)

    service = IngestService(
        Defective(bench.database), bench.cohorts, clock=bench.clock, registry=bench.registry, verifier=Verifier(0)
    )
    said = [air.batch(seq, readings(seq, 1)) for seq in range(1, 12)] + [other.batch(1, readings(1, 4))]
    judged = service.process([heard_by(bench, one) for one in said])
    assert [seq for device, *_, seq in bench.records if device == "air-1"] == [1, 2, 3, 4, 5, 6, 8, 9, 10, 11]
    assert judged.counts["defect"] == 1
    assert {mark.device: (mark.hi, mark.also) for mark in judged.marks} == {
        "air-1": (6, ((8, 11),)),
        "air-2": (4, ()),
    }, "not judged: its device keeps it"
    ((_, letter),) = bench.state.dead_letters()
    assert (letter.reason, letter.payload, letter.size_bytes > 0) == ("defect", None, True)
    assert SECRET not in caplog.text
    assert "put aside: DataError" in caplog.text


def test_when_the_store_takes_nothing_at_all_no_message_is_blamed(bench: Bench, air: Speaker) -> None:
    with bench.database.begin() as tx:
        tx.execute(text("DROP TABLE cursors"))
        tx.execute(text("DROP TABLE journal"))
    with pytest.raises(Exception, match="state of ingest"):
        bench.hear(air.batch(1, readings(1, 1)))
    assert bench.reasons == []


def test_a_restart_forgets_nothing_that_was_said(heard: Bench, air: Speaker) -> None:
    heard.hear(air.state(3), air.batch(2, readings(2, 2)))
    heard.restart()
    judged = heard.hear(air.state(2), air.batch(2, readings(2, 3)))
    assert judged.counts == {"stale_documents": 1, "duplicates": 2, "records": 1}


def test_documents_are_kept_as_they_were_said(heard: Bench, air: Speaker) -> None:
    heard.hear(air.state(3))
    (state,) = [report for report in heard.state.reports() if report.kind == "state"]
    assert state.body == encode(State(v=VERSION, ob=11, boot=1, conn=3, online=True, fw="1.0"))
    assert (state.enrolment, state.received_ns) == (1, heard.clock.ns)


# --- redrive ------------------------------------------------------------------------------------------------------


def repair(bench: Bench) -> None:
    """The registry gets the layout that was missing, and ingest sees it."""
    with open_for_writing(bench.spec, "backend") as database, database.begin() as tx:
        layout = AssayLayout(9, (Assay("SARSCOV2", ("sars-cov-2",)),))
        Registry(database).add_layout(tx, Layout(layout, START_NS))
    bench.clock.s += 10


def test_a_repair_brings_back_what_waited_for_it_and_only_once(bench: Bench, kiosk: Speaker) -> None:
    bench.hear(kiosk.release(1, layout=9))
    assert bench.service.redrive() == (0, 1)
    repair(bench)
    assert bench.service.redrive() == (1, 0)
    assert bench.service.redrive() == (0, 0)
    (row,) = releases_after(bench.database, 0)
    assert (row.layout, row.seq, bench.records) == (9, 1, [("kiosk-1", 13, "release", 1)])
    assert bench.hear(kiosk.release(1, layout=9)).counts == {"duplicates": 1}


def test_all_records_of_a_letter_come_back_and_those_that_still_do_not_pass_stay(bench: Bench, air: Speaker) -> None:
    """As after an update: the message was refused whole, and this program reads it."""
    rows = [reading(1), reading(2, co2_ppm=-9), reading(3)]
    said = air.batch(5, rows, lo=5)
    bench.hear(air.json("bulk", b'{"v":2,"ob":11,"stream":"bulk","seq":5,"n":3,"lo":5,"more":0}'))
    ((number, letter),) = bench.state.dead_letters()
    assert (letter.seq, letter.n, letter.reason) == (5, 3, "version")
    later = replace(letter, payload=said.wire, content_type=said.content_type, sig=said.sig)
    bench.state.commit(IngestBatch(dead_letters=[later], redriven=[number]))
    assert bench.service.redrive() == (1, 1)
    assert [seq for *_, seq in bench.records] == [5, 7]
    ((_, left),) = bench.state.dead_letters()
    assert (left.seq, left.n, left.reason) == (6, 1, "range")


def test_letters_that_prove_nothing_stay(bench: Bench, air: Speaker, other: Speaker, kiosk: Speaker) -> None:
    bench.hear(kiosk.release(1), air.batch(1, [reading(1, co2_ppm=-9)]))
    bench.hear(*(say(Cast(air, other, kiosk)) for say, _ in POISON.values()))
    before, records = bench.state.dead_letters(), bench.records
    taken, stay = bench.service.redrive()
    assert (taken, stay, bench.records) == (0, len(before), records)
    assert bench.state.dead_letters() == before


def test_a_letter_whose_payload_was_changed_on_disk_is_not_taken(bench: Bench, kiosk: Speaker) -> None:
    bench.hear(kiosk.release(1, layout=9))
    ((number, letter),) = bench.state.dead_letters()
    assert letter.payload is not None
    changed = replace(letter, payload=letter.payload[:-1] + b"\x07")
    bench.state.commit(IngestBatch(dead_letters=[changed], redriven=[number]))
    repair(bench)
    assert bench.service.redrive() == (0, 1)


def test_nothing_of_a_message_is_in_any_file_but_the_states(bench: Bench, air: Speaker, tmp_path: Path) -> None:
    bench.hear(air.batch(1, [reading(co2_ppm=float(SECRET))]))
    names = sorted(path.name for path in (tmp_path / "state").iterdir())
    assert all(name.startswith(("ingest.db", "backend.db", "cohorts.db")) for name in names), names
