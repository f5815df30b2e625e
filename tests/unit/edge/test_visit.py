"""Places, ready ticks and the row of a visit."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.windows import NS, TICK_S, tick_of, tick_start_ns
from edge.core.visit import (
    EMPTY,
    ROW_BYTES,
    SAMPLE_ID,
    VISIT_ROWS,
    State,
    Visit,
    VisitRules,
    new_sample_id,
    next_deadline_ns,
    overdue,
    ready_ns,
    reserve,
    running,
    sealed,
    swept,
)
from edge.errors import VisitError

RULES = VisitRules(places=4, modules=4, insertion_s=30, t_max_s=2700)
NOW = tick_start_ns(2_730_000)
NONE = [EMPTY] * VISIT_ROWS


def _start(visits: list[Visit], now_ns: int = NOW, rules: VisitRules = RULES) -> Visit:
    sample = new_sample_id(random.Random(len(visits)).randrange)
    slot, visit = reserve(visits, now_ns, rules, sample, "SARSCOV2")
    visits[slot] = visit
    return visit


def test_the_ready_tick_is_the_first_that_starts_after_insertion_and_t_max() -> None:
    visit = _start(NONE.copy())
    assert visit.ready_tick == 2_730_000 + 5  # 2730 s are 4.55 ticks
    assert ready_ns(visit) == NOW + 5 * TICK_S * NS
    assert visit.deadline_ns == NOW + 2700 * NS


def test_a_result_that_is_ready_exactly_at_a_ticks_start_takes_that_tick() -> None:
    rules = VisitRules(places=4, modules=4, insertion_s=300, t_max_s=2700)
    assert _start(NONE.copy(), rules=rules).ready_tick == 2_730_000 + 5
    assert _start(NONE.copy(), NOW + 1, rules).ready_tick == 2_730_000 + 6


def test_a_tick_has_no_more_than_its_places_and_the_next_start_takes_the_next_tick() -> None:
    rules = VisitRules(places=4, modules=4, insertion_s=0, t_max_s=60)
    visits = NONE.copy()
    ticks = [_start(visits, NOW + minute * 61 * NS, rules).ready_tick - 2_730_000 for minute in range(9)]
    assert ticks == [1, 1, 1, 1, 2, 2, 2, 2, 3]


def test_no_more_runs_start_than_there_are_modules_and_a_call_frees_none_before_t_max() -> None:
    visits = NONE.copy()
    for _ in range(4):
        _start(visits)
    visits[0] = sealed(visits[0])
    with pytest.raises(VisitError, match="module"):
        _start(visits, NOW + 2699 * NS)
    _start(visits, NOW + 2700 * NS)


def test_a_run_is_found_by_its_sample_id_until_it_is_called_and_never_again() -> None:
    visits = NONE.copy()
    visit = _start(visits)
    assert running(visits, visit.sample) == 0
    assert running(visits, None) is None
    assert running(visits, "0" * 20) is None
    visits[0] = sealed(visit)
    assert running(visits, visit.sample) is None
    assert running(visits, "") is None


def test_a_run_is_overdue_at_its_t_max() -> None:
    visits = NONE.copy()
    _start(visits)
    assert overdue(visits, NOW + 2700 * NS - 1) == []
    assert overdue(visits, NOW + 2700 * NS) == [0]
    assert next_deadline_ns(visits) == NOW + 2700 * NS
    visits[0] = sealed(visits[0])
    assert next_deadline_ns(visits) is None


def test_a_row_is_free_once_its_ready_tick_is_over() -> None:
    visits = NONE.copy()
    visit = _start(visits)
    visits[0] = sealed(visit)
    assert swept(visits, ready_ns(visit) + TICK_S * NS - 1)[0] == visits[0]
    assert swept(visits, ready_ns(visit) + TICK_S * NS)[0] == EMPTY


def test_a_sealed_visit_names_no_run() -> None:
    visit = sealed(_start(NONE.copy()))
    assert (visit.sample, visit.assay) == ("", "")


def test_every_row_has_the_same_size_and_differs_from_tick_to_tick() -> None:
    visit = _start(NONE.copy())
    for row in (EMPTY, visit, sealed(visit)):
        assert len(row.encode(1)) == ROW_BYTES
        assert row.encode(1) != row.encode(2)
        assert Visit.decode(row.encode(7)) == row


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
        Visit.decode(bytes([1, state]) + row[2:])
    except VisitError:
        return


def test_sample_ids_are_drawn_from_the_whole_alphabet() -> None:
    drawn = {new_sample_id(random.Random(seed).randrange) for seed in range(200)}
    assert len(drawn) == 200
    assert all(SAMPLE_ID.fullmatch(sample) for sample in drawn)
    assert len(set("".join(drawn))) == 32


@pytest.mark.parametrize(
    ("places", "modules", "insertion_s", "t_max_s"),
    [(4, 5, 0, 60), (4, 0, 0, 60), (17, 4, 0, 60), (4, 4, -1, 60), (4, 4, 0, 0), (4, 4, 0, 9000)],
)
def test_rules_that_could_run_out_of_rows_or_places_are_refused(
    places: int, modules: int, insertion_s: int, t_max_s: int
) -> None:
    with pytest.raises(VisitError):
        VisitRules(places=places, modules=modules, insertion_s=insertion_s, t_max_s=t_max_s)


@given(st.lists(st.tuples(st.integers(0, 900), st.booleans()), max_size=120))
def test_no_history_takes_a_place_twice_or_starts_without_a_module(steps: list[tuple[int, bool]]) -> None:
    visits, now_ns = NONE.copy(), NOW
    for pause_s, call in steps:
        now_ns += pause_s * NS
        for slot in overdue(visits, now_ns):
            visits[slot] = sealed(visits[slot])
        visits = swept(visits, now_ns)
        started = next((slot for slot, visit in enumerate(visits) if visit.state is State.RUNNING), None)
        if call and started is not None:
            visits[started] = sealed(visits[started])
        if sum(visit.state is not State.FREE and visit.deadline_ns > now_ns for visit in visits) == RULES.modules:
            continue
        visit = _start(visits, now_ns)  # neither rows nor places run out while a module is free
        assert visit.ready_tick > tick_of(visit.deadline_ns - 1)
        taken = [other for other in visits if other.state is not State.FREE and other.ready_tick == visit.ready_tick]
        assert len(taken) <= RULES.places


def test_a_start_is_refused_when_no_row_or_no_place_is_free() -> None:
    long_ago = Visit(State.SEALED, ready_tick=2_730_005, deadline_ns=1)
    with pytest.raises(VisitError, match="row"):
        reserve([long_ago] * VISIT_ROWS, NOW, RULES, "0" * 20, "SARSCOV2")
    one_place = VisitRules(places=1, modules=1, insertion_s=0, t_max_s=600)
    taken = [Visit(State.SEALED, ready_tick=2_730_001 + n, deadline_ns=1) for n in range(VISIT_ROWS)]
    with pytest.raises(VisitError, match="place"):
        reserve([*taken, EMPTY], NOW, one_place, "0" * 20, "SARSCOV2")


def test_a_row_of_another_version_is_a_visit_error() -> None:
    with pytest.raises(VisitError, match="version"):
        Visit.decode(b"\x02" + EMPTY.encode(1)[1:])
