"""What a batch of messages changes in the state: journal, marks, releases, documents, each once and whole."""

from dataclasses import replace
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.messages import Event, Reading
from contracts.rows import Mark
from stores.state.database import open_for_reading
from stores.state.releases import first_broken_link, releases_after
from stores.state.signals import signals_after
from tests.support.ingest import Bench
from tests.support.registry import device_of, enrol_again, place_devices, revoke
from tests.support.speaker import START_NS, WINDOW_S, Speaker, reading, readings

S = 10**9


@pytest.mark.rule("C16")
def test_what_is_acknowledged_is_in_the_journal_with_its_mark(bench: Bench, air: Speaker) -> None:
    judged = bench.hear(air.batch(1, readings(1, 3)), air.batch(4, readings(4, 2)))
    assert judged.marks == [Mark("air-1", 11, "bulk", 5)]
    assert bench.records == [("air-1", 11, "bulk", seq) for seq in range(1, 6)]
    assert bench.state.load_marks() == {("air-1", 11, "bulk"): Mark("air-1", 11, "bulk", 5)}
    first = bench.state.entries_after(0, 1)[0]
    assert (first.kind, first.site, first.zone, first.restricted) == ("air_monitor", "hall", "z10017", False)
    assert first.payload == air.batch(1, readings(1, 3)).wire, "as it was on the wire"


@pytest.mark.rule("C9")
@pytest.mark.rule("C17")
def test_records_that_come_again_in_other_company_are_journalled_once(bench: Bench, air: Speaker) -> None:
    bench.hear(air.batch(1, readings(1, 3)))
    bench.hear(air.batch(2, readings(2, 4)), air.batch(1, readings(1, 6)), air.batch(1, readings(1, 1)))
    assert sorted(bench.records) == [("air-1", 11, "bulk", seq) for seq in range(1, 7)]
    assert bench.state.counts() == {"records": 6, "duplicates": 2 + 5 + 1}
    assert bench.hear(air.batch(1, readings(1, 2))).marks == [Mark("air-1", 11, "bulk", 6)], "told again"


@pytest.mark.rule("C9")
def test_streams_outboxes_and_devices_count_for_themselves(bench: Bench, air: Speaker, other: Speaker) -> None:
    bench.hear(
        air.batch(1, [reading()]),
        air.batch(1, [reading(outbox_pct=10)], stream="health"),
        air.batch(1, [Event(START_NS, 2, "clock", "good")], stream="event"),
        other.batch(1, [reading()]),
    )
    assert len(bench.records) == len(set(bench.records)) == 4


@pytest.mark.rule("C18")
def test_thinned_records_are_counted_and_not_waited_for(bench: Bench, air: Speaker) -> None:
    bench.hear(air.batch(1, readings(1, 2)))
    judged = bench.hear(air.batch(9, readings(9, 1), lo=8))
    assert judged.marks == [Mark("air-1", 11, "bulk", 7, ((9, 9),))]
    assert judged.counts["thinned"] == 5


@pytest.mark.rule("C17")
def test_above_too_many_gaps_nothing_is_judged_and_the_device_is_told_where_it_stands(
    bench: Bench, air: Speaker
) -> None:
    bench.hear(*(air.batch(seq, readings(seq, 1)) for seq in range(2, 130, 2)))
    judged = bench.hear(air.batch(200, readings(200, 3)))
    assert len(judged.marks[0].also) == 64
    assert judged.counts == {"too_many_gaps": 3}
    assert ("air-1", 11, "bulk", 200) not in bench.records
    bench.hear(air.batch(1, readings(1, 1)), air.batch(200, readings(200, 3)))
    assert ("air-1", 11, "bulk", 200) in bench.records


@pytest.mark.rule("C28")
def test_a_value_between_the_steps_is_a_letter_with_its_reason(bench: Bench, kiosk: Speaker) -> None:
    rows = [reading(outbox_pct=10.0), reading(outbox_pct=13.0), reading(lots_level=1.0), reading(lots_level=1.25)]
    judged = bench.hear(kiosk.batch(1, rows, stream="health"))
    assert judged.marks == [Mark("kiosk-1", 13, "health", 4)]
    assert [seq for *_, seq in bench.records] == [1, 3]
    assert bench.state.counts() == {"records": 2, "step": 2}
    assert [(letter.seq, letter.reason) for _, letter in bench.state.dead_letters()] == [(2, "step"), (4, "step")]


@pytest.mark.rule("C28")
def test_what_is_said_once_a_day_is_a_letter_when_it_is_said_again(bench: Bench, kiosk: Speaker) -> None:
    """Lowest temperatures every hour would tell when the heater worked, and so when people came."""
    hours = [reading(hour * 3600, day_min_temperature_c=4.0 + hour / 10) for hour in (0, 1, 23, 24, 25)]
    bench.clock.ns = START_NS + 48 * 3600 * S
    bench.hear(kiosk.batch(1, hours[:2], stream="health"))
    bench.hear(kiosk.batch(3, hours[2:], stream="health"))
    bench.hear(
        kiosk.batch(6, [reading(26 * 3600, control_ok=1.0), reading(27 * 3600, control_ok=0.0)], stream="health")
    )
    assert [seq for *_, seq in bench.records] == [1, 4, 6]
    assert bench.state.counts() == {"records": 3, "too_often": 4}


@pytest.mark.rule("C28")
def test_a_backlog_that_comes_after_todays_record_keeps_its_days(bench: Bench, kiosk: Speaker) -> None:
    bench.clock.ns = START_NS + 20 * 24 * 3600 * S
    bench.hear(kiosk.batch(3, [reading(9 * 24 * 3600, control_ok=1.0)], stream="health"))
    bench.hear(kiosk.batch(1, [reading(day * 24 * 3600, control_ok=1.0) for day in (7, 8)], stream="health"))
    assert sorted(seq for *_, seq in bench.records) == [1, 2, 3]


@pytest.mark.rule("C21")
def test_one_bad_record_is_a_dead_letter_and_its_neighbours_are_journalled(bench: Bench, air: Speaker) -> None:
    rows: list[Reading | Event | bytes] = [
        *readings(1, 2),
        reading(9, co2_ppm=-5),
        b"[]",
        *readings(5, 1),
        reading(9, cq=30),
    ]
    judged = bench.hear(air.batch(1, rows))
    assert [seq for *_, seq in bench.records] == [1, 2, 5]
    letters = [letter for _, letter in bench.state.dead_letters()]
    assert [(letter.reason, letter.seq, letter.n, letter.device) for letter in letters] == [
        ("range", 3, 1, "air-1"),
        ("malformed", 4, 1, "air-1"),
        ("allow_list", 6, 1, "air-1"),
    ]
    assert judged.marks == [Mark("air-1", 11, "bulk", 6)], "judged, so the device may forget them"


def test_a_batch_without_a_good_record_is_judged_too(bench: Bench, air: Speaker) -> None:
    judged = bench.hear(air.batch(1, [reading(1, co2_ppm=-5), reading(2, co2_ppm=-5)]))
    assert (bench.records, bench.reasons, judged.marks[0].hi) == ([], ["range", "range"], 2)


# --- who may speak ----------------------------------------------------------------------------------------------


@pytest.mark.rule("C12")
def test_another_outbox_is_refused_until_its_device_enrols_anew_and_then_the_old_one_is(
    bench: Bench, air: Speaker
) -> None:
    bench.hear(air.batch(1, readings(1, 3)))
    disk = replace(air, ob=99)
    refused = bench.hear(disk.batch(1, readings(1, 2)), disk.state(), disk.batch(1, [b"[]"]))
    assert (refused.marks, refused.counts) == ([], {"foreign_outbox": 3})
    assert bench.reasons == ["foreign_outbox"] * 3
    assert all(letter.payload is None for _, letter in bench.state.dead_letters())
    new = Speaker("air-1", ob=99)
    enrol_again(bench.spec, new)
    bench.clock.s += 10
    assert bench.hear(new.batch(1, readings(1, 2))).marks == [Mark("air-1", 99, "bulk", 2)]
    old = replace(new, ob=11)
    assert bench.hear(old.batch(4, readings(4, 1))).counts == {"foreign_outbox": 1}
    bench.restart()
    assert bench.hear(old.batch(4, readings(4, 1))).counts == {"foreign_outbox": 1}, "after a restart as well"
    assert len(bench.records) == len(set(bench.records)) == 5


@pytest.mark.rule("C12")
def test_a_message_of_a_foreign_outbox_moves_no_mark_even_when_it_cannot_be_read(bench: Bench, air: Speaker) -> None:
    bench.hear(air.batch(1, readings(1, 1)))
    judged = bench.hear(air.json("bulk", b'{"v":2,"ob":99,"stream":"bulk","seq":1,"n":9,"lo":1,"new":0}'))
    assert (judged.marks, bench.reasons) == ([], ["foreign_outbox"])


def test_a_revoked_device_is_refused_within_seconds(bench: Bench, air: Speaker, other: Speaker) -> None:
    bench.hear(air.batch(1, readings(1, 1)))
    revoke(bench.spec, "air-1")
    bench.clock.s += 2.0
    judged = bench.hear(air.batch(2, readings(2, 1)), other.batch(1, readings(1, 1)))
    assert judged.counts == {"unknown_device": 1, "records": 1}


def test_a_device_that_moved_keeps_the_old_place_on_its_old_records(bench: Bench, air: Speaker) -> None:
    bench.hear(air.batch(1, readings(1, 1)))
    place_devices(bench.spec, [device_of(air, site="hotel")])
    bench.clock.s += 2.0
    bench.hear(air.batch(2, readings(2, 1)))
    assert [(entry.site, entry.restricted) for entry in bench.state.entries_after(0, 9)] == [
        ("hall", False),
        ("hotel", True),
    ]


@pytest.mark.rule("C31")
def test_a_release_that_waited_while_its_kiosk_was_moved_counts_where_it_stood(bench: Bench, kiosk: Speaker) -> None:
    """The kiosk is cut off and moved in its second window; the releases of three windows come together."""
    place_devices(bench.spec, [device_of(kiosk, site="hall")], now_ns=START_NS + (WINDOW_S + 600) * S)
    bench.clock.ns, bench.clock.s = START_NS + (3 * WINDOW_S + 60) * S, bench.clock.s + 10
    health = [reading(1, outbox_pct=0.0)]
    bench.hear(*(kiosk.release(window + 1, window) for window in range(3)), kiosk.batch(1, health, stream="health"))
    rows = releases_after(bench.database, 0)
    assert [(row.zone, row.late) for row in rows] == [("z10016", True), ("z10016", True), ("z10017", False)]
    (said,) = [entry for entry in bench.state.entries_after(0, 9) if entry.stream == "health"]
    assert (said.site, said.zone) == ("hall", "z10017"), "what it says of itself is of where it stands"


@pytest.mark.rule("C31")
def test_a_dead_letter_that_a_repair_brings_back_counts_where_its_kiosk_stood(bench: Bench, kiosk: Speaker) -> None:
    bench.clock.ns = START_NS - 3600 * S  # no time server yet
    bench.hear(kiosk.release(1))
    assert bench.reasons == ["range"]
    place_devices(bench.spec, [device_of(kiosk, site="hall")], now_ns=START_NS + 600 * S)
    bench.clock.ns, bench.clock.s = START_NS + (2 * WINDOW_S) * S, bench.clock.s + 10
    assert bench.service.redrive() == (1, 0)
    assert [row.zone for row in releases_after(bench.database, 0)] == ["z10016"]


# --- documents ----------------------------------------------------------------------------------------------


@pytest.mark.rule("C12")
@pytest.mark.rule("C13")
def test_of_documents_the_newest_connections_are_kept(bench: Bench, air: Speaker) -> None:
    bench.hear(air.state(2), air.state(1, online=False), air.birth(2), air.state(2, online=False), air.state(2))
    reports = {report.kind: report for report in bench.state.reports()}
    assert (reports["state"].conn, b'"online":false' in reports["state"].body) == (2, True)
    assert bench.state.counts() == {"documents": 3, "stale_documents": 2}
    assert reports["seen"].ob == 11


@pytest.mark.rule("C13")
def test_a_device_that_was_never_heard_is_asked_to_say_what_it_is_until_it_has(bench: Bench, air: Speaker) -> None:
    assert bench.hear(air.batch(1, readings(1, 1))).reborn == {"air-1"}
    assert bench.hear(air.birth()).reborn == set()
    assert bench.hear(air.batch(1, [reading(disk_pct=10)], stream="health")).reborn == set()


# --- releases -------------------------------------------------------------------------------------------------


@pytest.mark.rule("C22")
def test_a_second_release_of_a_window_is_a_letter_without_its_numbers(bench: Bench, kiosk: Speaker) -> None:
    bench.hear(kiosk.release(1, counters=(7, -1, 3)), kiosk.release(2, counters=(9, 9, 9)))
    judged = bench.hear(kiosk.release(3, counters=(8, 8, 8)), kiosk.release(1, counters=(7, -1, 3)))
    assert judged.marks == [Mark("kiosk-1", 13, "release", 3)]
    (row,) = releases_after(bench.database, 0)
    assert (row.counters["SARSCOV2"].valid, row.window_start_ns, row.zone, row.seq) == (7, START_NS, "z10016", 1)
    letters = [letter for _, letter in bench.state.dead_letters()]
    assert [(letter.reason, letter.seq, letter.payload, letter.sig) for letter in letters] == [
        ("second_release", 2, None, None),
        ("second_release", 3, None, None),
    ]
    assert first_broken_link(bench.database) is None


@pytest.mark.rule("C22")
def test_a_second_release_in_the_same_batch_or_from_a_new_disk_is_none_either(bench: Bench, kiosk: Speaker) -> None:
    bench.hear(kiosk.release(1))
    new = Speaker("kiosk-1", ob=77)
    enrol_again(bench.spec, new)
    bench.clock.s += 10
    bench.clock.ns += 2 * WINDOW_S * S
    bench.hear(new.release(1), new.release(2, window=1), new.release(3, window=1))
    assert [row.window_start_ns for row in releases_after(bench.database, 0)] == [START_NS, START_NS + WINDOW_S * S]
    assert bench.reasons == ["second_release", "second_release"]


def test_a_release_with_an_unknown_layout_waits_for_its_repair(bench: Bench, kiosk: Speaker) -> None:
    bench.hear(kiosk.release(1, layout=5))
    ((_, letter),) = bench.state.dead_letters()
    assert (letter.reason, letter.payload is None) == ("layout", False)


# --- safety -----------------------------------------------------------------------------------------------------


def test_a_signal_is_committed_with_the_reading_that_gave_it_once_and_a_restart_goes_on(
    bench: Bench, air: Speaker
) -> None:
    rows = [reading(60 * minute, co2_ppm=1600.0 + minute) for minute in (0, 10, 20, 30, 40)]
    bench.hear(air.batch(1, rows[:2]))
    bench.restart()
    bench.hear(air.batch(1, rows[:4]))
    bench.restart()
    bench.hear(air.batch(1, rows))
    (row,) = signals_after(bench.database, 0)
    assert (row.signal.rule, row.signal.onset_ns, row.signal.facts["held_s"]) == ("co2", START_NS, 1800)
    with open_for_reading(bench.spec, "ingest") as reader:
        assert len(signals_after(reader, 0)) == 1


def test_a_record_that_is_refused_gives_no_signal(bench: Bench, air: Speaker) -> None:
    bench.hear(air.batch(1, [reading(0, temperature_c=-3.0, cq=1.0)]))
    assert signals_after(bench.database, 0) == []


# --- whatever the order --------------------------------------------------------------------------------------


BASES = count(0, 100)  # every example has seqs of its own, below which nothing is held any more


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    messages=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 9)), min_size=1, max_size=25),
    cuts=st.sets(st.integers(0, 4)),
)
def test_whatever_comes_in_whatever_order_every_record_is_in_the_journal_once(
    bench: Bench, air: Speaker, messages: list[tuple[int, int]], cuts: set[int]
) -> None:
    base = next(BASES)
    said = [air.batch(base + seq, readings(seq, n), lo=base + 1) for seq, n in messages]
    for start in range(0, len(said), 5):
        if start // 5 in cuts:
            bench.restart()
        bench.hear(*said[start : start + 5])
    journalled = [seq for *_, seq in bench.records if seq > base]
    assert sorted(journalled) == sorted({base + seq + offset for seq, n in messages for offset in range(n)})
