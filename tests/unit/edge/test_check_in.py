"""Checking in: what is handed out, what is reserved, and that whoever is turned away leaves nothing behind."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.cohorts import expires_ns, readable_from_ns
from contracts.windows import NS, TICK_S, tick_of
from edge.adapters.waiting import PollWaiter
from edge.core.outcome import Controls
from edge.core.visit import EMPTY, VISIT_ROWS, State
from edge.service.counter import CheckIn, Counter
from edge.service.desk import CheckedIn, DeskView, Facts, TurnedAway
from edge.service.kiosk import STRAY_S
from edge.service.runs import ASK_AGAIN_S
from tests.support.agent import AgentInTestTime, agent_in_test_time
from tests.support.kiosk import RULES, START_NS, SetClock

INSERTION_NS = RULES.insertion_s * NS
T_MAX_NS = RULES.t_max_s * NS


@pytest.fixture
def kiosk(tmp_path: Path) -> Iterator[AgentInTestTime]:
    with agent_in_test_time(tmp_path) as agent:
        agent.turns()
        yield agent


def _states(kiosk: AgentInTestTime) -> list[State]:
    return [visit.state for visit in kiosk.visits.visits if visit.state is not State.FREE]


def test_a_check_in_reserves_a_place_and_says_when_the_result_is_ready(kiosk: AgentInTestTime) -> None:
    answer = kiosk.check_in()
    tick = tick_of(START_NS + INSERTION_NS + T_MAX_NS - 1) + 1
    assert answer == CheckedIn(readable_from_ns(tick), expires_ns(tick), START_NS + INSERTION_NS, None)
    ((_, order),) = kiosk.codes.issued
    assert (order.language, order.paper, order.ready_tick, order.expires_ns) == ("en", True, tick, expires_ns(tick))
    assert _states(kiosk) == [State.RESERVED]
    view = kiosk.view
    assert (view.stage, view.fault, view.free_modules) == ("insert", None, 3)
    assert (view.ready_ns, view.expires_ns) == (readable_from_ns(tick), expires_ns(tick))
    assert view.insert_until_ns == view.next_free_ns == START_NS + INSERTION_NS


def test_while_a_code_is_made_and_a_cartridge_is_awaited_nobody_else_checks_in(kiosk: AgentInTestTime) -> None:
    kiosk.codes.holds = True
    first = _wish(kiosk)
    assert _stage(kiosk) == "issuing"
    assert kiosk.check_in() == TurnedAway("busy")
    kiosk.codes.holds = False
    kiosk.turns()
    assert isinstance(first.wait(0), CheckedIn)
    assert kiosk.check_in() == TurnedAway("busy")
    kiosk.analyser.insert("NEGATIVE")
    kiosk.turns()
    assert _stage(kiosk) == "open"
    assert kiosk.check_in() == TurnedAway("busy")  # the order is on its way: its cartridge might still ask again
    kiosk.turns(8)
    assert isinstance(kiosk.check_in(), CheckedIn)


def _stage(kiosk: AgentInTestTime) -> str:
    return kiosk.view.stage


def _fault(kiosk: AgentInTestTime) -> str | None:
    return kiosk.view.fault


def _shows_a_code(kiosk: AgentInTestTime) -> bool:
    return kiosk.codes.shown is not None


def _wish(kiosk: AgentInTestTime, *, paper: bool = True) -> CheckIn:
    """A check-in whose answer may come later."""
    wish = CheckIn("en", paper=paper)
    kiosk.kiosk.desk._wishes.put(wish)
    kiosk.turns()
    return wish


@pytest.mark.parametrize("reason", ["paper", "printer", "internal"])
def test_without_a_code_nothing_is_reserved_and_the_screen_says_what_the_printer_lacks(
    kiosk: AgentInTestTime, reason: str
) -> None:
    kiosk.codes.refuses = reason  # type: ignore[assignment]
    assert kiosk.check_in() == TurnedAway(reason)  # type: ignore[arg-type]
    assert _states(kiosk) == []
    assert _fault(kiosk) == (None if reason == "internal" else reason)
    kiosk.codes.refuses = None
    assert isinstance(kiosk.check_in(), CheckedIn)
    assert _fault(kiosk) is None


def test_the_printers_state_may_be_handed_in_and_leaves_the_code_on_the_screen(kiosk: AgentInTestTime) -> None:
    kiosk.kiosk.desk.printer_said("paper")
    kiosk.turns()
    assert _fault(kiosk) == "paper"
    answer = kiosk.check_in(paper=False)
    assert isinstance(answer, CheckedIn)
    assert answer.code_url is not None
    assert answer.code_url == kiosk.codes.shown == kiosk.view.code_url
    assert _fault(kiosk) == "paper"


def test_a_shown_code_is_gone_when_the_visitor_leaves_and_at_the_latest_when_the_visit_is_over(
    kiosk: AgentInTestTime,
) -> None:
    kiosk.check_in(paper=False)
    kiosk.kiosk.desk.leave()
    kiosk.turns()
    assert not _shows_a_code(kiosk)
    assert (kiosk.view.stage, kiosk.view.code_url) == ("insert", None)
    kiosk.pass_time(RULES.insertion_s)
    kiosk.check_in(paper=False)
    assert _shows_a_code(kiosk)
    kiosk.pass_time(RULES.insertion_s)
    assert not _shows_a_code(kiosk)


def test_who_inserts_nothing_is_counted_nowhere_and_the_next_visitor_may_come(kiosk: AgentInTestTime) -> None:
    before = [kiosk.visits._blob(slot) for slot in (0, 1)]
    kiosk.check_in()
    kiosk.pass_time(RULES.insertion_s - 60)
    assert kiosk.check_in() == TurnedAway("busy")
    kiosk.pass_time(60)
    assert kiosk.visits.visits == (EMPTY,) * VISIT_ROWS
    assert _stage(kiosk) == "open"
    assert isinstance(kiosk.check_in(), CheckedIn)
    assert [kiosk.visits._blob(slot) for slot in (0, 1)] == before


def test_a_screen_that_waits_no_longer_gets_no_reservation_when_the_code_comes_at_last(kiosk: AgentInTestTime) -> None:
    kiosk.codes.holds = True
    wish = _wish(kiosk)
    assert wish.wait(0) == TurnedAway("internal")
    kiosk.codes.holds = False
    kiosk.turns()
    assert _states(kiosk) == []
    assert kiosk.codes.shown is None


def test_a_code_that_comes_after_the_insertion_time_is_handed_out_to_nobody(kiosk: AgentInTestTime) -> None:
    kiosk.codes.holds = True
    wish = _wish(kiosk, paper=False)
    kiosk.pass_time(RULES.insertion_s + 60)
    kiosk.codes.holds = False
    kiosk.turns()
    assert wish.wait(0) == TurnedAway("internal")
    assert _states(kiosk) == []
    assert kiosk.codes.shown is None


def test_a_reservation_whose_code_was_never_handed_out_ends_with_the_process(tmp_path: Path) -> None:
    with agent_in_test_time(tmp_path) as kiosk:
        kiosk.turns()
        kiosk.codes.holds = True
        wish = _wish(kiosk)
        assert _states(kiosk) == [State.RESERVED]
    assert wish.wait(0) == TurnedAway("internal")
    with agent_in_test_time(tmp_path) as kiosk:
        assert _states(kiosk) == []


def test_a_visitor_with_a_slip_may_still_insert_after_the_process_was_restarted(tmp_path: Path) -> None:
    with agent_in_test_time(tmp_path) as kiosk:
        kiosk.turns()
        kiosk.check_in()
    with agent_in_test_time(tmp_path) as kiosk:
        kiosk.turns()
        assert _stage(kiosk) == "insert"
        kiosk.analyser.insert("POSITIVE", 600)
        kiosk.turns()
        assert _states(kiosk) == [State.RUNNING]


def test_each_fault_turns_a_visitor_away_and_shows_on_the_screen(kiosk: AgentInTestTime) -> None:
    def turned_away() -> str:
        answer = kiosk.check_in()
        assert isinstance(answer, TurnedAway)
        assert _fault(kiosk) == answer.reason
        return answer.reason

    kiosk.analyser.present = False
    kiosk.turns()
    assert turned_away() == "analyser"
    kiosk.visits.set_controls(Controls(positive_holds=False))
    assert turned_away() == "control"
    kiosk.quality.tq = 1
    assert turned_away() == "clock"
    assert kiosk.codes.orders == []


def test_while_nothing_can_be_written_nobody_checks_in(kiosk: AgentInTestTime) -> None:
    kiosk.visits._connection.execute("PRAGMA query_only=ON")
    assert kiosk.check_in() == TurnedAway("store")
    kiosk.pass_time(TICK_S + 60, TICK_S)  # its tick cannot be noted as published
    assert _fault(kiosk) == "store"
    kiosk.visits._connection.execute("PRAGMA query_only=OFF")
    kiosk.pass_time(2 * TICK_S, TICK_S)
    assert _fault(kiosk) is None
    assert isinstance(kiosk.check_in(), CheckedIn)


def test_a_module_is_free_on_the_screen_from_start_plus_t_max_and_not_before(kiosk: AgentInTestTime) -> None:
    for _ in range(4):
        kiosk.test("NEGATIVE", 300)
    assert kiosk.check_in() == TurnedAway("busy")
    kiosk.pass_time(RULES.t_max_s - 1, 270)
    assert (kiosk.view.free_modules, kiosk.view.next_free_ns) == (0, START_NS + T_MAX_NS)
    kiosk.pass_time(1)
    assert (kiosk.view.free_modules, kiosk.view.next_free_ns) == (4, None)


def test_a_cartridge_without_a_visit_is_refused_and_blocks_check_ins_until_it_is_silent(kiosk: AgentInTestTime) -> None:
    kiosk.analyser.insert("POSITIVE")
    kiosk.turns()
    assert kiosk.analyser.orders == []
    assert kiosk.check_in() == TurnedAway("analyser")
    kiosk.pass_time(STRAY_S - 60)
    assert kiosk.check_in() == TurnedAway("analyser")
    kiosk.pass_time(60)
    assert isinstance(kiosk.check_in(), CheckedIn)


def test_an_overdue_run_is_sealed_again_when_the_sealer_says_nothing_and_no_tick_goes_out_without_it(
    kiosk: AgentInTestTime,
) -> None:
    kiosk.test("POSITIVE", 4000)
    ((code, order),) = kiosk.codes.issued
    kiosk.seals.dies = True
    kiosk.pass_time(7 * TICK_S)
    assert kiosk.outbox.last_start("sealed") == order.ready_tick - 1
    asked = kiosk.seals.asked
    assert asked >= 1
    kiosk.seals.dies = False
    kiosk.pass_time(ASK_AGAIN_S * kiosk.clock.speed + TICK_S, TICK_S)
    assert kiosk.seals.asked == asked + 1
    bodies = [row.body for row in kiosk.outbox.rows("sealed", 1, 99) if row.start == order.ready_tick]
    assert len(bodies) == 1
    assert code.keys().slot in bodies[0]
    assert kiosk.outbox.last_start("sealed") == tick_of(kiosk.clock.ns - 20 * NS)


def test_when_ticks_find_no_room_the_kiosk_waits_too_and_loses_no_tick(tmp_path: Path) -> None:
    budgets = {"release": 10**6, "sealed": 3 * (1024 + 40), "event": 10**6, "health": 10**6, "bulk": 10**6}
    with agent_in_test_time(tmp_path, budgets=budgets) as kiosk:
        kiosk.turns()
        kiosk.uplink.disconnect()
        kiosk.pass_time(8 * TICK_S, TICK_S)
        held = [row.start for row in kiosk.outbox.rows("sealed", 1, 99)]
        assert len(held) == 3
        assert kiosk.check_in() == TurnedAway("store")
        kiosk.uplink.connect()
        for _ in range(8):
            kiosk.turns()
            kiosk.judge_all()
            kiosk.pass_time(kiosk.clock.speed * 2, kiosk.clock.speed)  # a real second between two tries
        starts = list(dict.fromkeys(_start(one.payload) for one in kiosk.uplink.of("sealed")))
        assert starts == list(range(starts[0], starts[0] + len(starts)))
        assert len(starts) > 8
        assert isinstance(kiosk.check_in(), CheckedIn)


def _start(payload: bytes) -> int:
    return int.from_bytes(payload[25:33])


# --- the counter between two threads ------------------------------------------------------------------------------


def test_a_screens_thread_waits_for_the_agents_answer_and_wakes_it(kiosk: AgentInTestTime) -> None:
    answers: list[CheckedIn | TurnedAway] = []
    screen = threading.Thread(
        target=lambda: answers.append(kiosk.kiosk.desk.check_in("zh", paper=True, timeout_s=20.0))
    )
    screen.start()
    while screen.is_alive():
        kiosk.turns()
        screen.join(0.01)
    assert isinstance(answers[0], CheckedIn)
    assert kiosk.codes.issued[0][1].language == "zh"


def test_whoever_has_the_answer_sees_the_screen_that_goes_with_it(kiosk: AgentInTestTime) -> None:
    stages: list[str] = []

    def check_in() -> None:
        for _ in range(2):
            kiosk.kiosk.desk.check_in("en", paper=False, timeout_s=20.0)
            stages.append(kiosk.view.stage)

    screen = threading.Thread(target=check_in)
    screen.start()
    while screen.is_alive():
        kiosk.turns(1)
    assert stages == ["insert", "insert"]


def test_a_view_is_of_the_moment_in_which_somebody_looks_whenever_the_agent_last_spoke() -> None:
    clock, waiter = SetClock(), PollWaiter()
    counter = Counter(clock, waiter)
    expected = CheckedIn(ready_ns=9, expires_ns=10, insert_until_ns=START_NS + 60 * NS, code_url="http://x/")
    busy = (START_NS + 60 * NS, START_NS + 90 * NS, START_NS + 120 * NS)
    counter.show(Facts(modules=2, busy_until_ns=busy, expected=expected))
    view = counter.view()
    assert (view.stage, view.free_modules, view.code_url) == ("insert", 0, "http://x/")
    clock.move(60)
    assert counter.view() == DeskView(clock.ns, None, 0, START_NS + 90 * NS, "open", None, None, None, None)
    clock.move(30)
    assert (counter.view().free_modules, counter.view().next_free_ns) == (1, None)
    counter.show(replace(Facts(), issuing=True))
    assert counter.view().stage == "issuing"
    waiter.close()
