"""The kiosk's side of the analyser's line, real children and all, against the simulated analyser and its faults.

Each valid run is counted once, whatever the wire does; a run whose answer never comes is invalid; nothing else counts.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contracts.claim import ClaimCode
from contracts.clock import ScaledClock, TimeAnchors
from contracts.frames import TickBody
from contracts.notice import LANGUAGES
from contracts.sealed import RECORD_BYTES, ResultBody, open_record
from edge.children.keeper import ForkServer
from edge.core.enrolment import VisitTerms
from edge.core.visit import State, VisitRules
from edge.ports import IssueOrder
from edge.service.desk import TurnedAway
from firmware_sim.errors import NoFreeModuleError
from firmware_sim.faults import Fault
from firmware_sim.outcome import Call, Control, Ending, Outcome, Patient
from tests.support.forked import fork_server, kill, the_child
from tests.support.kiosk import Kiosk, kiosk
from tests.support.notices import NOTICE
from tests.support.simulators import RunningAnalyser, running_analyser

SPEED = 3000  # a run of 35 minutes takes 0.7 s, the T_max of HASTY_RULES 0.9 s
PATIENT_RULES = VisitRules(places=4, modules=4, insertion_s=6000, t_max_s=8000)  # 2.7 s: for a slow wire or machine
HASTY_RULES = VisitRules(places=4, modules=4, insertion_s=6000, t_max_s=2700)
NEGATIVE = Outcome()
POSITIVE = Outcome(calls={"sars-cov-2": Call.POSITIVE})


_SERVER: list[ForkServer] = []


@pytest.fixture(autouse=True, scope="module")
def _children() -> Iterator[None]:
    """One fork server for these tests."""
    with fork_server() as server:
        _SERVER.append(server)
        yield
        _SERVER.clear()


@contextmanager
def _at_work(
    folder: Path,
    fault: Fault = Fault.NONE,
    *,
    rules: VisitRules = PATIENT_RULES,
    speed: int = SPEED,
    answer_timeout_s: float = 60.0,
) -> Iterator[tuple[Kiosk, RunningAnalyser]]:
    with running_analyser(fault=fault, speed=speed, answer_timeout_s=answer_timeout_s) as analyser:
        anchors = analyser.clock
        clock = ScaledClock(
            TimeAnchors(anchors.monotonic_anchor_ns, anchors.simulated_anchor_ns, speed, anchors.simulated_anchor_ns),
            time.monotonic_ns,
        )
        with kiosk(folder, analyser.where, clock, rules=rules, server=_SERVER[0]) as one:
            one.until(lambda: one.task.instrument_ok)
            yield one, analyser


def _come(one: Kiosk, analyser: RunningAnalyser, outcome: Outcome) -> None:
    """Somebody checks in and inserts a cartridge; returns once its run is under way."""
    one.expect()
    analyser.insert(outcome)
    one.until(lambda: not any(visit.state is State.RESERVED for visit in one.visits.visits))


def _visit(one: Kiosk, analyser: RunningAnalyser, outcomes: list[Outcome], timeout_s: float = 20.0) -> None:
    """Let people come, one to a module, and wait until every run is counted."""
    for outcome in outcomes:
        one.until(lambda: analyser.free_modules > 0, timeout_s)
        _come(one, analyser, outcome)
    one.until(lambda: one.runs >= len(outcomes), timeout_s)


def test_every_run_is_counted_once_by_what_it_was(tmp_path: Path) -> None:
    with _at_work(tmp_path) as (one, analyser):
        _visit(one, analyser, [POSITIVE, NEGATIVE, NEGATIVE, POSITIVE])
        one.work(0.3)
        assert one.counts == {"valid": 4, "invalid": 0, "positives": 2}


@pytest.mark.parametrize("ending", [Ending.ERROR, Ending.INVALID, Ending.NO_RESULT])
def test_a_run_without_a_statement_is_invalid(tmp_path: Path, ending: Ending) -> None:
    with _at_work(tmp_path) as (one, analyser):
        _visit(one, analyser, [Outcome(ending=ending), Outcome(calls={"sars-cov-2": Call.PRESUMPTIVE})])
        assert one.counts == {"valid": 0, "invalid": 2, "positives": 0}


def test_a_result_that_is_uploaded_twice_counts_once(tmp_path: Path) -> None:
    with _at_work(tmp_path, Fault.DUPLICATE) as (one, analyser):
        _visit(one, analyser, [POSITIVE, NEGATIVE])
        one.work(0.5)
        assert one.counts == {"valid": 2, "invalid": 0, "positives": 1}


def test_a_late_result_is_answered_and_dropped_and_the_run_is_invalid(tmp_path: Path) -> None:
    with _at_work(tmp_path, rules=HASTY_RULES) as (one, analyser):
        _visit(one, analyser, [Outcome(calls={"sars-cov-2": Call.POSITIVE}, late=True)])
        one.until(lambda: analyser.free_modules == 4)
        one.work(0.2)
        assert one.counts == {"valid": 0, "invalid": 1, "positives": 0}


@pytest.mark.parametrize("fault", [Fault.NOISE, Fault.WRONG_CHECKSUM, Fault.NAK_STORM, Fault.CLOCK_JUMP])
def test_damage_that_the_protocol_mends_costs_no_run(tmp_path: Path, fault: Fault) -> None:
    with _at_work(tmp_path, fault) as (one, analyser):
        _visit(one, analyser, [POSITIVE, NEGATIVE, POSITIVE, NEGATIVE])
        one.work(0.2)
        assert one.counts == {"valid": 4, "invalid": 0, "positives": 2}


def test_a_slow_line_costs_time_and_no_run(tmp_path: Path) -> None:
    with _at_work(tmp_path, Fault.SLOW, speed=600) as (one, analyser):
        _visit(one, analyser, [POSITIVE])
        assert one.counts == {"valid": 1, "invalid": 0, "positives": 1}


@pytest.mark.timeout(150)
def test_a_line_that_breaks_mid_frame_costs_time_and_no_run(tmp_path: Path) -> None:
    with _at_work(tmp_path, Fault.UNPLUG, speed=2000) as (one, analyser):
        _visit(one, analyser, [POSITIVE, NEGATIVE] * 5, 60)  # the cable goes at every twentieth frame
        assert one.counts == {"valid": 10, "invalid": 0, "positives": 5}
        assert any(b'"instrument","lost"' in row.body for row in one.outbox.rows("event", 1, 9))


@pytest.mark.timeout(60)
def test_a_frame_that_stops_half_way_costs_time_and_no_run(tmp_path: Path) -> None:
    rules = VisitRules(
        places=2, modules=2, insertion_s=6000, t_max_s=18_000
    )  # 30 s: the analyser waits 15 s and 5 s more
    with _at_work(tmp_path, Fault.TRUNCATED_FRAME, rules=rules, speed=600) as (one, analyser):
        analyser.insert(Outcome(control=Control.NEGATIVE))  # its frames move the fifth one into the visitor's result
        one.until(lambda: one.visits.controls.negative_holds is True)
        _come(one, analyser, POSITIVE)
        one.until(lambda: one.runs == 1, 40)
        assert one.counts == {"valid": 1, "invalid": 0, "positives": 1}


def test_a_control_that_fails_stops_new_tests_and_one_that_passes_allows_them_again(tmp_path: Path) -> None:
    with _at_work(tmp_path) as (one, analyser):
        analyser.insert(Outcome(control=Control.POSITIVE, control_passes=False))
        one.until(lambda: one.visits.controls.failed)
        assert one.check_in() == TurnedAway("control")
        analyser.insert(Outcome(control=Control.POSITIVE))
        one.until(lambda: not one.visits.controls.failed)
        _visit(one, analyser, [POSITIVE])
        assert one.counts == {"valid": 1, "invalid": 0, "positives": 1}
        assert [row.body.split(b",", 2)[2] for row in one.outbox.rows("event", 1, 9) if b"control" in row.body] == [
            b'"control","failed"]',
            b'"control","passed"]',
        ]


def test_with_a_clock_that_is_not_good_no_test_starts(tmp_path: Path) -> None:
    with _at_work(tmp_path) as (one, analyser):
        one.expect()
        one.quality.tq = 1
        assert one.check_in() == TurnedAway("clock")
        analyser.insert(POSITIVE)
        one.work(0.1)
        assert not one.started


def test_while_nobody_has_said_who_answers_for_a_test_none_starts(tmp_path: Path) -> None:
    with _at_work(tmp_path) as (one, analyser):
        one.task.use_terms("no visits start: [notice] is not whole")
        assert one.check_in() == TurnedAway("store")
        one.task.use_terms(VisitTerms("https://results.harbour.internal", "0" * 16, LANGUAGES, NOTICE))
        _come(one, analyser, POSITIVE)
        one.until(lambda: one.runs == 1)


def test_when_nothing_can_be_written_the_analyser_is_held_back_and_its_result_counts_later(tmp_path: Path) -> None:
    with _at_work(tmp_path) as (one, analyser):
        _come(one, analyser, POSITIVE)
        one.visits._connection.execute("PRAGMA query_only=ON")
        one.work(1.2)  # the run has ended and its result was refused
        assert one.runs == 0
        one.visits._connection.execute("PRAGMA query_only=OFF")
        one.until(lambda: one.runs == 1)


def test_an_analyser_that_is_switched_off_costs_the_runs_in_it(tmp_path: Path) -> None:
    with _at_work(tmp_path) as (one, analyser):
        _come(one, analyser, POSITIVE)
        analyser.thread.run(analyser.analyser.stop())
        one.until(lambda: one.runs == 1)
        assert one.counts == {"valid": 0, "invalid": 1, "positives": 0}


def test_what_was_typed_about_a_person_reaches_no_file_of_the_kiosk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    person = Patient("PASSPORT-X99", "Quackenbush^Ottoline", "19440229")
    with _at_work(tmp_path) as (one, analyser):
        _visit(one, analyser, [Outcome(calls={"sars-cov-2": Call.POSITIVE}, patient=person)])
        one.work(0.2)
        kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        for word in (b"PASSPORT-X99", b"Quackenbush", b"Ottoline", b"19440229", b"POSITIVE"):
            assert word not in kept
            assert word.decode() not in caplog.text


def test_a_cartridge_that_nobody_checked_in_for_is_not_run_and_nobody_checks_in_beside_it(tmp_path: Path) -> None:
    with _at_work(tmp_path) as (one, analyser):
        analyser.insert(POSITIVE)
        one.until(lambda: one.task.desk.view().fault == "analyser")
        assert one.check_in() == TurnedAway("analyser")
        assert not one.started
        assert one.codes.orders == []


def test_a_result_is_sealed_for_the_code_of_its_visitor_and_is_in_one_tick(tmp_path: Path) -> None:
    with _at_work(tmp_path) as (one, analyser):
        _visit(one, analyser, [POSITIVE, NEGATIVE, Outcome(ending=Ending.ERROR)])
        ready = max(order.ready_tick for _, order in one.codes.issued)
        one.until(lambda: one.outbox.last_start("sealed") == ready)
        rows = one.outbox.rows("sealed", 1, 500)
        assert [row.start for row in rows] == list(range(ready - len(rows) + 1, ready + 1))
        assert {len(row.body) for row in rows} == {4 * RECORD_BYTES}
        said = []
        for code, order in one.codes.issued:
            keys = code.keys()
            found = [
                (row.start, record)
                for row in rows
                for record in TickBody.decode(row.body).records
                if record.startswith(keys.slot)
            ]
            ((tick, record),) = found
            assert tick == order.ready_tick
            said.append(ResultBody.decode(open_record(keys, record)))
        assert [dict(body.calls)["sars-cov-2"] for body in said] == ["positive", "negative", "invalid"]
        assert [body.advice for body in said] == ["confirm", "none", "repeat"]
        assert one.visits.records(ready) == []


def test_a_run_that_the_analyser_never_answers_for_is_sealed_as_no_result(tmp_path: Path) -> None:
    with _at_work(tmp_path, rules=HASTY_RULES) as (one, analyser):
        _visit(one, analyser, [Outcome(calls={"sars-cov-2": Call.POSITIVE}, late=True)])
        ((code, order),) = one.codes.issued
        one.until(lambda: one.outbox.last_start("sealed") == order.ready_tick)
        (row,) = [row for row in one.outbox.rows("sealed", 1, 500) if row.start == order.ready_tick]
        keys = code.keys()
        (record,) = [one for one in TickBody.decode(row.body).records if one.startswith(keys.slot)]
        body = ResultBody.decode(open_record(keys, record))
        assert (body.advice, body.calls) == ("repeat", (("sars-cov-2", "invalid"),))


def test_a_cartridge_whose_order_was_cut_off_gets_the_same_order_again_and_nobody_elses(tmp_path: Path) -> None:
    with _at_work(tmp_path, answer_timeout_s=1.0) as (one, analyser):
        one.expect()
        analyser.insert(POSITIVE)
        one.until(lambda: one.started)
        kill(the_child(_SERVER[0]))  # the order is on its way, or just there
        refused = [one.check_in()]
        one.until(lambda: one.runs == 1)
        assert refused[0] in (TurnedAway("busy"), TurnedAway("analyser"))
        _come(one, analyser, NEGATIVE)
        one.until(lambda: one.runs == 2)
        assert one.counts == {"valid": 2, "invalid": 0, "positives": 1}
        said = [_result(one, code, order) for code, order in one.codes.issued]
        assert [dict(body.calls)["sars-cov-2"] for body in said] == ["positive", "negative"]


def _result(one: Kiosk, code: ClaimCode, order: IssueOrder) -> ResultBody:
    """The result of a code, once its tick is in the outbox."""
    one.until(lambda: (one.outbox.last_start("sealed") or 0) >= order.ready_tick)
    keys = code.keys()
    records = [record for row in one.outbox.rows("sealed", 1, 500) for record in TickBody.decode(row.body).records]
    (record,) = [record for record in records if record.startswith(keys.slot)]
    return ResultBody.decode(open_record(keys, record))


def test_more_people_than_modules_wait_their_turn(tmp_path: Path) -> None:
    with _at_work(tmp_path) as (one, analyser):
        for _ in range(4):
            _come(one, analyser, NEGATIVE)
        assert one.check_in() == TurnedAway("busy")
        with pytest.raises(NoFreeModuleError):
            analyser.insert(NEGATIVE)
        one.until(lambda: one.runs == 4)
        assert one.counts == {"valid": 4, "invalid": 0, "positives": 0}
