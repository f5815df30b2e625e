"""The visit file: one transaction a call, two windows open, and no size that changes."""

import os
import random
import resource
import signal
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from contracts.frames import ReleaseBody
from contracts.layout import Assay, AssayLayout
from contracts.windows import NS, TICK_S, Calendar, tick_of
from edge.adapters.visits import VisitDatabase, open_visits
from edge.core.layouts import LayoutBook, layout_book
from edge.core.outcome import Controls
from edge.core.visit import EMPTY, VISIT_ROWS, PublicPart, State, VisitRules
from edge.errors import ReleaseError, StoreFullError, VisitError
from edge.ports import SealedRun
from edge.release.counters import open_window

WINDOW_S = 6 * 3600
CALENDAR = Calendar(window_s=WINDOW_S, utc_offset_s=-5 * 3600, week_start=6)
W0 = 1_639_285_200 * NS  # 2021-12-12 00:00 at -05:00
LAYOUT = AssayLayout(1, (Assay("SARSCOV2", ("sars-cov-2",)),))
BOOK = layout_book([(W0, LAYOUT)])
RULES = VisitRules(places=4, modules=4, insertion_s=30, t_max_s=2700)
PUBLIC = PublicPart(b"slot-of-a-code--", b"public-key-of-one-code----------", b"origin-of-a-code")


def _sample(n: int) -> str:
    return f"{n:020d}"


def _record(n: int) -> bytes:
    return f"sealed {n:09d} ".encode() * 15 + b"."


def _run(n: int, call: str) -> SealedRun:
    positives = frozenset({"sars-cov-2"}) if call == "positive" else frozenset[str]()
    return SealedRun(_sample(n), _record(n)[:256].ljust(256, b"."), call != "invalid", positives)


def _open(path: Path, now_ns: int = W0, book: LayoutBook = BOOK, seed: int = 1) -> VisitDatabase:
    draw = partial(open_window, randbelow=random.Random(seed).randrange)
    return open_visits(path, calendar=CALENDAR, layouts=book, open_window=draw, now_ns=now_ns)[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "visits.db"


@pytest.fixture
def store(path: Path) -> Iterator[VisitDatabase]:
    store = _open(path)
    yield store
    store.close()


def _start(store: VisitDatabase, n: int, now_ns: int) -> None:
    """Somebody checks in, gets a code and inserts a cartridge."""
    reservation = store.reserve(now_ns, RULES, "SARSCOV2")
    store.complete(reservation.row, PUBLIC, now_ns)
    store.begin(now_ns, RULES, _sample(n))


def _states(store: VisitDatabase) -> list[State]:
    return [visit.state for visit in store.visits if visit.state is not State.FREE]


def _release(store: VisitDatabase) -> tuple[int, ...]:
    ready = store.ready_release()
    assert ready is not None
    return ReleaseBody.decode(ready[1], {1: LAYOUT}).counters


def test_two_windows_are_open_from_the_start(store: VisitDatabase) -> None:
    assert store.open_windows == (W0, W0 + WINDOW_S * NS)
    assert store.ready_release() is None
    assert not store.close_window(W0 + WINDOW_S * NS - 1)


def test_runs_move_the_release_by_what_they_are_and_noise_is_there_before_them(path: Path) -> None:
    quiet = _open(path.with_name("quiet.db"))
    busy = _open(path)
    for n, call in enumerate(("positive", "negative", "invalid")):
        _start(busy, n, W0 + n)
        assert busy.settle(_run(n, call))
    for store in (quiet, busy):
        assert store.close_window(W0 + WINDOW_S * NS)
    before, after = _release(quiet), _release(busy)
    assert [b - a for a, b in zip(before, after, strict=True)] == [2, 1, 1]  # valid, invalid, positives
    assert before != (0, 0, 0)


def test_a_run_is_counted_in_the_window_of_its_ready_tick_which_may_be_the_next(path: Path) -> None:
    late_ns = W0 + (WINDOW_S - 600) * NS
    quiet, busy = _open(path.with_name("quiet.db")), _open(path)
    _start(busy, 1, late_ns)
    assert busy.settle(_run(1, "positive"))
    for end in (1, 2):
        moved = []
        for store in (quiet, busy):
            assert store.close_window(W0 + end * WINDOW_S * NS)
            moved.append(_release(store))
        assert [b - a for a, b in zip(*moved, strict=True)] == ([0, 0, 0] if end == 1 else [1, 0, 1])


def test_one_result_a_run_is_taken(store: VisitDatabase) -> None:
    _start(store, 1, W0)
    assert store.settle(_run(1, "positive"))
    assert not store.settle(_run(1, "positive"))
    assert not store.settle(_run(2, "positive"))
    assert store.awaited(_sample(1), W0) is None
    assert store.awaited(None, W0) is None


def test_a_run_is_awaited_until_its_t_max_and_overdue_from_then_on(store: VisitDatabase) -> None:
    _start(store, 1, W0)
    assert store.next_deadline_ns() == W0 + 2700 * NS
    run = store.awaited(_sample(1), W0 + 2700 * NS - 1)
    assert run is not None
    assert (run.public, run.assay, run.targets, run.deadline_ns) == (
        PUBLIC,
        "SARSCOV2",
        ("sars-cov-2",),
        W0 + 2700 * NS,
    )
    assert store.overdue(W0 + 2700 * NS - 1) == []
    assert store.awaited(_sample(1), W0 + 2700 * NS) is None
    assert store.overdue(W0 + 2700 * NS) == [run]


def test_who_gets_no_code_or_inserts_no_cartridge_is_counted_nowhere_and_gives_the_place_back(path: Path) -> None:
    quiet, busy = _open(path.with_name("quiet.db")), _open(path)
    for n in range(20):
        now_ns = W0 + 100 * n * NS
        reservation = busy.reserve(now_ns, RULES, "SARSCOV2")
        assert _states(busy) == [State.RESERVED]
        if n % 2:
            busy.complete(reservation.row, PUBLIC, now_ns)
            busy.give_back(reservation.row)
            busy.lapse(reservation.insert_until_ns - 1)
            assert _states(busy) == [State.RESERVED]
            busy.lapse(reservation.insert_until_ns)
        else:
            busy.give_back(reservation.row)
            busy.give_back(reservation.row)
        assert busy.visits == (EMPTY,) * VISIT_ROWS
    for store in (quiet, busy):
        store.close_window(W0 + WINDOW_S * NS)
    assert _release(quiet) == _release(busy)


def test_an_order_that_did_not_leave_lets_the_visit_wait_on_and_begin_again(store: VisitDatabase) -> None:
    _start(store, 1, W0)
    store.withdraw(_sample(1), W0 + NS)
    assert _states(store) == [State.RESERVED]
    store.withdraw(_sample(1), W0 + NS)
    store.begin(W0 + 2 * NS, RULES, _sample(2))
    assert store.awaited(_sample(1), W0 + 2 * NS) is None
    assert store.awaited(_sample(2), W0 + 2 * NS) is not None


def test_a_visit_survives_a_restart_in_every_state(path: Path) -> None:
    def restarted() -> VisitDatabase:
        return _open(path, W0 + 60 * NS, seed=2)

    store = _open(path)
    reservation = store.reserve(W0, RULES, "SARSCOV2")
    steps: tuple[Callable[[VisitDatabase], object], ...] = (
        lambda one: one.complete(reservation.row, PUBLIC, W0),
        lambda one: one.begin(W0, RULES, _sample(1)),
        lambda one: one.settle(_run(1, "positive")),
        lambda one: one.tick(reservation.ready_tick - 1),
    )
    for step in steps:
        before = store.visits
        store.close()
        store = restarted()
        assert store.visits == before
        step(store)
        assert store.last_tick in (tick_of(W0) - 1, reservation.ready_tick - 1)
    assert store.records(reservation.ready_tick) == [_run(1, "positive").record]
    store.tick(reservation.ready_tick)
    store.close()
    assert restarted().visits == (EMPTY,) * VISIT_ROWS


def test_after_the_call_nothing_in_the_file_names_the_run_or_its_code(path: Path) -> None:
    store = _open(path)
    _start(store, 7, W0)
    parts = [_sample(7).encode(), PUBLIC.slot, PUBLIC.public_key, PUBLIC.origin]

    def on_disk() -> bytes:
        return b"".join(one.read_bytes() for one in sorted(path.parent.iterdir()))

    assert all(part in on_disk() for part in parts)
    assert store.settle(_run(7, "positive"))
    assert not any(part in on_disk() for part in parts)
    assert b"positive" not in on_disk()
    record = _run(7, "positive").record
    assert on_disk().count(record) == 1
    store.tick(tick_of(W0) + 5)
    assert record not in on_disk()


STEPS: dict[str, tuple[int, Callable[[VisitDatabase], object]]] = {
    # how many steps came before, and the step
    "check-in": (0, lambda store: store.reserve(W0, RULES, "SARSCOV2")),
    "code": (1, lambda store: store.complete(0, PUBLIC, W0)),
    "start": (2, lambda store: store.begin(W0, RULES, _sample(1))),
    "call": (3, lambda store: store.settle(_run(1, "positive"))),
    "tick": (4, lambda store: store.tick(store.visits[0].ready_tick)),
}


def _dies_in(path: Path, limit_bytes: int, step: Callable[[VisitDatabase], object]) -> bool:
    """Take a step in a process that is killed by its first write beyond `limit_bytes` of a file; whether it was."""
    pid = os.fork()
    if pid == 0:
        store = _open(path, seed=2)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
        step(store)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


@pytest.mark.simulation
@pytest.mark.parametrize("name", list(STEPS))
def test_a_process_that_dies_at_any_write_of_a_step_leaves_one_of_its_two_ends(path: Path, name: str) -> None:
    """A limit below the journal's size dies in the journal, one above it in the file, with a hot journal beside it."""
    done, step = STEPS[name]
    store = _open(path)
    for _, earlier in list(STEPS.values())[:done]:
        earlier(store)
    before = (store.visits, store._blob(0))
    store.close()
    content, hot, ends = path.read_bytes(), 0, set[bool]()
    for limit_bytes in range(0, len(content) + 1, 2048):
        path.write_bytes(content)
        died = _dies_in(path, limit_bytes, step)
        hot += path.with_name("visits.db-journal").stat().st_size > 0
        again = _open(path, seed=3)
        after = (again.visits, again._blob(0))
        again.close()
        assert died == (after == before), "a step that was told to have happened has happened, and no other"
        assert (after[1] != before[1]) == (name == "call" and not died), "sealed and counted together, or neither"
        ends.add(died)
    assert ends == {True, False}
    assert hot > 3


def test_windows_missed_without_power_are_released_one_by_one_on_return(path: Path) -> None:
    store = _open(path)
    store.close()
    store = _open(path, W0 + 5 * WINDOW_S * NS)
    starts, now_ns = [], W0 + 5 * WINDOW_S * NS + 7
    while store.close_window(now_ns):
        ready = store.ready_release()
        assert ready is not None
        starts.append((ready[0] - W0) // (WINDOW_S * NS))
    assert starts == [0, 1, 2, 3, 4]
    assert store.open_windows == (W0 + 5 * WINDOW_S * NS, W0 + 6 * WINDOW_S * NS)


def test_a_closed_window_stands_ready_until_the_next_also_after_a_restart(path: Path) -> None:
    store = _open(path)
    store.close_window(W0 + WINDOW_S * NS)
    ready = store.ready_release()
    store.close()
    assert _open(path).ready_release() == ready


def test_a_new_layout_holds_for_windows_drawn_after_it_and_the_open_ones_keep_theirs(path: Path) -> None:
    other = AssayLayout(2, (Assay("SARSCOV2", ("sars-cov-2",)), Assay("FLU", ("flu-a",))))
    store = _open(path)
    store.use_layouts(layout_book([(W0, LAYOUT), (W0 + WINDOW_S * NS, other)]))
    with pytest.raises(VisitError, match="FLU"):
        store.reserve(W0, RULES, "FLU")
    numbers = []
    for n in range(1, 4):
        store.close_window(W0 + n * WINDOW_S * NS)
        ready = store.ready_release()
        assert ready is not None
        numbers.append(int.from_bytes(ready[1][:4]))
    assert numbers == [1, 1, 2]


def test_a_check_in_without_module_place_or_window_changes_nothing(path: Path) -> None:
    store = _open(path)
    for n in range(4):
        _start(store, n, W0 + n)
    before = path.read_bytes()
    with pytest.raises(VisitError, match="module"):
        store.reserve(W0 + 9, RULES, "SARSCOV2")
    with pytest.raises(VisitError, match="window"):
        store.reserve(W0 + 3 * WINDOW_S * NS, RULES, "SARSCOV2")
    with pytest.raises(VisitError, match="checked in"):
        store.begin(W0 + 9, RULES, _sample(9))
    assert path.read_bytes() == before


def test_the_file_never_changes_its_size_and_every_row_is_rewritten_each_tick(path: Path) -> None:
    store = _open(path)
    size, seen = path.stat().st_size, []
    for n in range(60):
        now_ns = W0 + n * TICK_S * NS
        for run in store.overdue(now_ns):
            store.settle(_run(int(run.sample), "positive"))
        if n % 3 == 0:
            _start(store, n, now_ns)
        store.tick(tick_of(now_ns))
        store.close_window(now_ns)
        seen.append([body for _, body in store._select("SELECT slot, body FROM visits ORDER BY slot")])
        assert path.stat().st_size == size
    assert path.with_name("visits.db-journal").stat().st_size == 0
    assert all(sum(a != b for a, b in zip(*two, strict=True)) == VISIT_ROWS for two in pairwise(seen))


def test_controls_are_kept_over_a_restart(path: Path) -> None:
    store = _open(path)
    assert store.controls == Controls()
    store.set_controls(Controls(positive_holds=False, negative_holds=True))
    store.close()
    assert _open(path).controls == Controls(positive_holds=False, negative_holds=True)


def test_a_damaged_file_is_destroyed_and_not_put_aside(path: Path) -> None:
    _open(path).close()
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xa5" * 4096
    path.write_bytes(content)
    draw = partial(open_window, randbelow=random.Random(3).randrange)
    store, destroyed = open_visits(path, calendar=CALENDAR, layouts=BOOK, open_window=draw, now_ns=W0)
    assert destroyed
    assert sorted(one.name for one in path.parent.iterdir()) == ["visits.db", "visits.db-journal"]
    assert store.open_windows[0] == W0


def test_when_nothing_can_be_written_a_run_stays_as_it_was(path: Path) -> None:
    store = _open(path)
    _start(store, 1, W0)
    before = store.visits
    store._connection.execute("PRAGMA query_only=ON")
    for refused in (
        lambda: store.settle(_run(1, "positive")),
        lambda: store.withdraw(_sample(1), W0),
        lambda: store.tick(tick_of(W0) + 1),
        lambda: store.reserve(W0, RULES, "SARSCOV2"),
    ):
        with pytest.raises(StoreFullError):
            refused()
    assert (store.visits, store.last_tick) == (before, tick_of(W0) - 1)
    store._connection.execute("PRAGMA query_only=OFF")
    assert store.settle(_run(1, "positive"))


def test_a_kiosk_without_any_layout_cannot_open_a_window(path: Path) -> None:
    with pytest.raises(ReleaseError):
        _open(path, book=layout_book([]))


def test_the_first_layout_also_covers_the_window_in_which_it_was_made(path: Path) -> None:
    store = _open(path, book=layout_book([(W0 + 5, LAYOUT)]))
    _start(store, 1, W0)


def test_the_file_does_not_count_its_own_commits(path: Path) -> None:
    store = _open(path)
    store.tick(tick_of(W0) + 1)
    counters = [path.read_bytes()[at : at + 4] for at in (24, 92)]  # SQLite file format 1.3.7 and 1.3.18
    for n in range(4):
        _start(store, n, W0 + n)
        store.settle(_run(n, "positive"))
    assert [path.read_bytes()[at : at + 4] for at in (24, 92)] == counters


def test_a_file_of_layout_1_keeps_its_counters_and_loses_its_visits(path: Path) -> None:
    store = _open(path)
    windows = [store._blob(slot) for slot in range(3)]
    store.close()
    with sqlite3.connect(path) as old:
        old.execute("UPDATE visits SET body = ?", (b"\x01\x02" + bytes(380),))  # as version 1 wrote a run
        old.execute("PRAGMA user_version=1")
    old.close()
    draw = partial(open_window, randbelow=random.Random(3).randrange)
    store, destroyed = open_visits(path, calendar=CALENDAR, layouts=BOOK, open_window=draw, now_ns=W0)
    assert not destroyed
    assert [store._blob(slot) for slot in range(3)] == windows
    assert store.visits == (EMPTY,) * VISIT_ROWS
    assert store._connection.execute("PRAGMA user_version").fetchone() == (2,)
    store.close()
