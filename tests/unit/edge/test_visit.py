"""Places, ready ticks, the states of a visit and its row."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.windows import NS, TICK_S, tick_of, tick_start_ns
from edge.core.visit import (
    EMPTY,
    ROW_BYTES,
    SAMPLE_ID,
    VISIT_ROWS,
    PublicPart,
    State,
    Visit,
    VisitRules,
    awaits,
    begin,
    complete,
    free_modules,
    lapsed,
    new_sample_id,
    next_deadline_ns,
    overdue,
    ready_ns,
    records,
    reserve,
    running,
    seal,
    swept,
    withdraw,
)
from edge.errors import VisitError

RULES = VisitRules(places=4, modules=4, insertion_s=600, t_max_s=2700)
SIMULATED = VisitRules(places=4, modules=4, insertion_s=18_000, t_max_s=2700)  # 30 real seconds at x600
TICK = 2_730_000
NOW = tick_start_ns(TICK)
NONE = [EMPTY] * VISIT_ROWS
PUBLIC = PublicPart(b"\1" * 16, b"\2" * 32, b"\3" * 16)
RECORD = bytes(range(256))
SAMPLE = "0123456789ABCDEFGHJK"


def _reserve(visits: list[Visit], now_ns: int = NOW, rules: VisitRules = RULES) -> int:
    row, visits_row = reserve(visits, now_ns, rules, "SARSCOV2")
    visits[row] = visits_row
    return row


def _start(visits: list[Visit], now_ns: int = NOW, rules: VisitRules = RULES) -> int:
    row = _reserve(visits, now_ns, rules)
    visits[row] = complete(visits[row], PUBLIC, now_ns)
    sample = new_sample_id(random.Random(now_ns + row).randrange)
    row, visits[row] = begin(visits, now_ns, rules, sample)
    return row


def test_the_ready_tick_is_the_first_that_starts_after_insertion_and_t_max() -> None:
    visits = NONE.copy()
    visit = visits[_reserve(visits, NOW + NS)]
    assert visit.ready_tick == TICK + 6  # 3301 s are 5.5 ticks
    assert ready_ns(visit) == NOW + 6 * TICK_S * NS
    assert visit.insert_until_ns == NOW + 601 * NS


def test_a_result_that_is_ready_exactly_at_a_ticks_start_takes_that_tick() -> None:
    rules = VisitRules(places=4, modules=4, insertion_s=300, t_max_s=2700)
    for later_ns, ticks in ((0, 5), (1, 6)):
        visits = NONE.copy()
        assert visits[_reserve(visits, NOW + later_ns, rules)].ready_tick == TICK + ticks


def test_a_tick_has_no_more_than_its_places_and_the_next_visitor_takes_the_next_tick() -> None:
    rules = VisitRules(places=4, modules=4, insertion_s=1, t_max_s=60)
    visits = NONE.copy()
    ticks = [visits[_start(visits, NOW + n * 61 * NS, rules)].ready_tick - TICK for n in range(9)]
    assert ticks == [1, 1, 1, 1, 2, 2, 2, 2, 3]


def test_one_visitor_at_a_time_is_expected_to_insert_a_cartridge() -> None:
    visits = NONE.copy()
    row = _reserve(visits)
    for public in (None, PUBLIC):
        visits[row] = replace(visits[row], public=public)
        with pytest.raises(VisitError, match="insert"):
            reserve(visits, NOW, RULES, "SARSCOV2")


def test_a_run_begins_for_whoever_has_a_code_and_only_within_the_insertion_time() -> None:
    visits = NONE.copy()
    with pytest.raises(VisitError):
        begin(visits, NOW, RULES, SAMPLE)
    row = _reserve(visits)
    with pytest.raises(VisitError):
        begin(visits, NOW, RULES, SAMPLE)
    visits[row] = complete(visits[row], PUBLIC, NOW)
    with pytest.raises(VisitError):
        begin(visits, NOW + 600 * NS, RULES, SAMPLE)
    found, visit = begin(visits, NOW + 600 * NS - 1, RULES, SAMPLE)
    assert (found, visit.state, visit.sample) == (row, State.RUNNING, SAMPLE)
    assert visit.deadline_ns == NOW + 3300 * NS - 1
    assert visit.deadline_ns <= ready_ns(visit)


def test_no_code_is_taken_by_a_visit_that_has_one_or_has_lapsed() -> None:
    visits = NONE.copy()
    visit = visits[_reserve(visits)]
    with pytest.raises(VisitError):
        complete(visit, PUBLIC, NOW + 600 * NS)
    with pytest.raises(VisitError):
        complete(complete(visit, PUBLIC, NOW), PUBLIC, NOW)
    with pytest.raises(VisitError):
        complete(EMPTY, PUBLIC, NOW)


def test_a_visit_lapses_at_its_insertion_time_and_a_run_is_overdue_at_its_t_max() -> None:
    visits = NONE.copy()
    row = _reserve(visits)
    assert next_deadline_ns(visits) == NOW + 600 * NS
    assert lapsed(visits, NOW + 600 * NS - 1) == []
    assert lapsed(visits, NOW + 600 * NS) == [row]
    visits = NONE.copy()
    row = _start(visits)
    assert next_deadline_ns(visits) == NOW + 2700 * NS
    assert overdue(visits, NOW + 2700 * NS - 1) == []
    assert overdue(visits, NOW + 2700 * NS) == [row]
    assert lapsed(visits, NOW + 2700 * NS) == []
    visits[row] = seal(visits[row], RECORD)
    assert next_deadline_ns(visits) is None


def test_a_module_is_busy_until_t_max_whatever_the_analyser_says() -> None:
    visits = NONE.copy()
    for _ in range(4):
        _start(visits)
    for row in range(2):
        visits[row] = seal(visits[row], RECORD)
    assert free_modules(visits, NOW + 2699 * NS, RULES) == 0
    with pytest.raises(VisitError, match="module"):
        reserve(visits, NOW + 2699 * NS, RULES, "SARSCOV2")
    assert free_modules(visits, NOW + 2700 * NS, RULES) == 4


def test_an_order_that_did_not_leave_gives_the_visitor_the_rest_of_the_insertion_time() -> None:
    visits = NONE.copy()
    row = _start(visits)
    back = withdraw(visits[row], NOW + 599 * NS)
    assert (back.state, back.sample, back.deadline_ns, back.public) == (State.RESERVED, "", 0, PUBLIC)
    assert back.insert_until_ns == visits[row].insert_until_ns
    assert withdraw(visits[row], NOW + 600 * NS) == visits[row]  # it stays a run, and is sealed without a result


def test_a_run_is_found_by_its_sample_id_until_it_is_sealed_and_never_again() -> None:
    visits = NONE.copy()
    row = _start(visits)
    sample = visits[row].sample
    assert running(visits, sample) == row
    assert running(visits, None) is None
    assert running(visits, "0" * 20) is None
    visits[row] = seal(visits[row], RECORD)
    assert running(visits, sample) is None
    assert running(visits, "") is None


def test_a_sealed_visit_names_neither_run_nor_code_and_is_sealed_once() -> None:
    visits = NONE.copy()
    row = _start(visits)
    before = visits[row]
    visit = seal(before, RECORD)
    assert (visit.sample, visit.assay, visit.public, visit.insert_until_ns) == ("", "", None, 0)
    assert (visit.record, visit.ready_tick, visit.deadline_ns) == (RECORD, before.ready_tick, before.deadline_ns)
    for part in (before.sample.encode(), PUBLIC.slot, PUBLIC.public_key, PUBLIC.origin):
        assert part not in visit.encode(1)
    for refused, record in ((visit, RECORD), (before, RECORD[:-1]), (EMPTY, RECORD)):
        with pytest.raises(VisitError):
            seal(refused, record)


def test_a_record_is_in_its_ready_tick_alone_and_its_row_is_free_once_that_tick_is_out() -> None:
    visits = NONE.copy()
    row = _start(visits)
    tick = visits[row].ready_tick
    assert awaits(visits, tick)
    assert not awaits(visits, tick - 1)
    assert records(visits, tick) == []
    visits[row] = seal(visits[row], RECORD)
    assert not awaits(visits, tick)
    assert [records(visits, one) for one in (tick - 1, tick, tick + 1)] == [[], [RECORD], []]
    assert swept(visits, tick - 1)[row] == visits[row]
    assert swept(visits, tick)[row] == EMPTY
    assert swept(visits, tick + 100)[row] == EMPTY  # more than 72 h without power


def test_every_row_has_the_same_size_and_differs_from_tick_to_tick() -> None:
    visits = NONE.copy()
    row = _reserve(visits)
    reserved = visits[row]
    completed = complete(reserved, PUBLIC, NOW)
    visits[row] = completed
    _, started = begin(visits, NOW, RULES, SAMPLE)
    for visit in (EMPTY, reserved, completed, started, seal(started, RECORD)):
        assert len(visit.encode(1)) == ROW_BYTES
        assert visit.encode(1) != visit.encode(2)
        assert Visit.decode(visit.encode(7)) == (visit, 7)


@given(st.binary(max_size=2 * ROW_BYTES))
def test_a_damaged_row_is_a_visit_error(row: bytes) -> None:
    try:
        Visit.decode(row)
    except VisitError:
        return
    assert len(row) == ROW_BYTES


@given(st.integers(0, 4), st.binary(min_size=ROW_BYTES, max_size=ROW_BYTES))
def test_any_bytes_of_the_right_length_give_a_row_or_a_visit_error(state: int, row: bytes) -> None:
    try:
        Visit.decode(bytes([2, state]) + row[2:])
    except VisitError:
        return


def test_a_row_of_another_version_is_a_visit_error() -> None:
    with pytest.raises(VisitError, match="version"):
        Visit.decode(b"\x01" + EMPTY.encode(1)[1:])


@pytest.mark.parametrize(("slot", "key", "origin"), [(15, 32, 16), (16, 31, 16), (16, 32, 17)])
def test_a_public_part_of_another_length_is_refused(slot: int, key: int, origin: int) -> None:
    with pytest.raises(VisitError):
        PublicPart(bytes(slot), bytes(key), bytes(origin))


def test_sample_ids_are_drawn_from_the_whole_alphabet() -> None:
    drawn = {new_sample_id(random.Random(seed).randrange) for seed in range(200)}
    assert len(drawn) == 200
    assert all(SAMPLE_ID.fullmatch(sample) for sample in drawn)
    assert len(set("".join(drawn))) == 32


@pytest.mark.parametrize(
    ("places", "modules", "insertion_s", "t_max_s"),
    [
        (4, 5, 600, 60),
        (4, 0, 600, 60),
        (17, 4, 600, 60),
        (4, 4, 0, 60),
        (4, 4, 600, 0),
        (16, 16, 18_000, 2700),  # 145 rows
    ],
)
def test_rules_that_could_run_out_of_rows_or_places_are_refused(
    places: int, modules: int, insertion_s: int, t_max_s: int
) -> None:
    with pytest.raises(VisitError):
        VisitRules(places=places, modules=modules, insertion_s=insertion_s, t_max_s=t_max_s)


class History:
    """A kiosk's rows over time, with every rule that must hold at each step."""

    def __init__(self, rules: VisitRules) -> None:
        self.rules = rules
        self.visits = NONE.copy()
        self.now_ns = NOW
        self.published = TICK
        self.waiting = 0  # sealed, and not published

    def pass_time(self, seconds: int) -> None:
        self.now_ns += seconds * NS
        for row in lapsed(self.visits, self.now_ns):
            self.visits[row] = EMPTY
        for row in overdue(self.visits, self.now_ns):
            self._seal(row)
        for tick in range(self.published + 1, tick_of(self.now_ns) + 1):
            assert not awaits(self.visits, tick), "a tick would have to wait for a run"
            assert len(records(self.visits, tick)) <= self.rules.places
            self.waiting -= len(records(self.visits, tick))
            self.visits, self.published = swept(self.visits, tick), tick
        assert sum(visit.state is State.SEALED for visit in self.visits) == self.waiting

    def call(self) -> None:
        row = next((row for row, visit in enumerate(self.visits) if visit.state is State.RUNNING), None)
        if row is not None:
            self._seal(row)

    def come(self, *, inserts: bool) -> None:
        expected = any(visit.state is State.RESERVED for visit in self.visits)
        if expected or not free_modules(self.visits, self.now_ns, self.rules):
            with pytest.raises(VisitError):
                reserve(self.visits, self.now_ns, self.rules, "SARSCOV2")
            return
        row = _reserve(self.visits, self.now_ns, self.rules)  # neither rows nor places run out while a module is free
        self.visits[row] = complete(self.visits[row], PUBLIC, self.now_ns)
        if inserts:
            _, self.visits[row] = begin(self.visits, self.now_ns, self.rules, SAMPLE)
        tick = self.visits[row].ready_tick
        assert tick > tick_of(self.now_ns + self.rules.t_max_s * NS - 1)
        assert [visit.ready_tick for visit in self.visits].count(tick) <= self.rules.places

    def _seal(self, row: int) -> None:
        self.visits[row] = seal(self.visits[row], RECORD)
        self.waiting += 1


STEPS = st.lists(st.tuples(st.integers(0, 900), st.sampled_from(["come", "stay away", "call", ""])), max_size=150)


@pytest.mark.simulation
@pytest.mark.parametrize("rules", [RULES, SIMULATED], ids=["real", "simulated"])
@given(steps=STEPS)
def test_no_history_takes_a_place_twice_leaks_a_row_or_starts_without_a_module(
    rules: VisitRules, steps: list[tuple[int, str]]
) -> None:
    history = History(rules)
    for pause_s, step in steps:
        history.pass_time(pause_s)
        if step == "call":
            history.call()
        elif step:
            history.come(inserts=step == "come")
    history.pass_time(100 * TICK_S)
    assert history.visits == NONE


def test_a_visit_is_refused_when_no_row_or_no_place_is_free() -> None:
    long_ago = Visit(State.SEALED, ready_tick=TICK + 5, deadline_ns=1)
    with pytest.raises(VisitError, match="row"):
        reserve([long_ago] * VISIT_ROWS, NOW, RULES, "SARSCOV2")
    one_place = VisitRules(places=1, modules=1, insertion_s=1, t_max_s=599)
    taken = [Visit(State.SEALED, ready_tick=TICK + 1 + n, deadline_ns=1) for n in range(VISIT_ROWS)]
    with pytest.raises(VisitError, match="place"):
        reserve([*taken, EMPTY], NOW, one_place, "SARSCOV2")
