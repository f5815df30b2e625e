"""The visit file: one transaction a call, two windows open, and no size that changes."""

import random
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from contracts.frames import ReleaseBody
from contracts.layout import Assay, AssayLayout
from contracts.windows import NS, TICK_S, Calendar
from edge.adapters.visits import VisitDatabase, open_visits
from edge.core.layouts import LayoutBook, layout_book
from edge.core.outcome import Call, Controls
from edge.core.visit import VISIT_ROWS, VisitRules
from edge.errors import ReleaseError, StoreFullError, VisitError
from edge.release.counters import open_window

WINDOW_S = 6 * 3600
CALENDAR = Calendar(window_s=WINDOW_S, utc_offset_s=-5 * 3600, week_start=6)
W0 = 1_639_285_200 * NS  # 2021-12-12 00:00 at -05:00
LAYOUT = AssayLayout(1, (Assay("SARSCOV2", ("sars-cov-2",)),))
BOOK = layout_book([(W0, LAYOUT)])
RULES = VisitRules(places=4, modules=4, insertion_s=30, t_max_s=2700)
POSITIVE: dict[str, Call] = {"sars-cov-2": "positive"}
NEGATIVE: dict[str, Call] = {"sars-cov-2": "negative"}


def _sample(n: int) -> str:
    return f"{n:020d}"


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
    for n, calls in enumerate((POSITIVE, NEGATIVE, {})):
        busy.start(W0 + n, RULES, _sample(n), "SARSCOV2")
        assert busy.finish(_sample(n), calls, W0 + n + 60 * NS)
    for store in (quiet, busy):
        assert store.close_window(W0 + WINDOW_S * NS)
    before, after = _release(quiet), _release(busy)
    assert [b - a for a, b in zip(before, after, strict=True)] == [2, 1, 1]  # valid, invalid, positives
    assert before != (0, 0, 0)


def test_a_run_is_counted_in_the_window_of_its_ready_tick_which_may_be_the_next(path: Path) -> None:
    late_ns = W0 + (WINDOW_S - 600) * NS
    quiet, busy = _open(path.with_name("quiet.db")), _open(path)
    busy.start(late_ns, RULES, _sample(1), "SARSCOV2")
    assert busy.finish(_sample(1), POSITIVE, late_ns + 30 * NS)
    for end in (1, 2):
        moved = []
        for store in (quiet, busy):
            assert store.close_window(W0 + end * WINDOW_S * NS)
            moved.append(_release(store))
        assert [b - a for a, b in zip(*moved, strict=True)] == ([0, 0, 0] if end == 1 else [1, 0, 1])


def test_one_result_a_run_is_taken(store: VisitDatabase) -> None:
    store.start(W0, RULES, _sample(1), "SARSCOV2")
    assert store.finish(_sample(1), POSITIVE, W0 + 1)
    assert not store.finish(_sample(1), POSITIVE, W0 + 2)
    assert not store.finish(_sample(2), POSITIVE, W0 + 2)
    assert not store.finish(None, POSITIVE, W0 + 2)


def test_a_run_without_answer_is_invalid_at_its_t_max_and_a_late_answer_finds_no_run(path: Path) -> None:
    quiet, busy = _open(path.with_name("quiet.db")), _open(path)
    busy.start(W0, RULES, _sample(1), "SARSCOV2")
    assert busy.next_deadline_ns() == W0 + 2700 * NS
    assert busy.expire(W0 + 2700 * NS - 1) == 0
    assert busy.expire(W0 + 2700 * NS) == 1
    assert not busy.finish(_sample(1), POSITIVE, W0 + 2701 * NS)
    for store in (quiet, busy):
        store.close_window(W0 + WINDOW_S * NS)
    assert [b - a for a, b in zip(_release(quiet), _release(busy), strict=True)] == [0, 1, 0]


def test_a_run_that_never_began_is_counted_nowhere_and_gives_its_place_back(path: Path) -> None:
    quiet, busy = _open(path.with_name("quiet.db")), _open(path)
    for n in range(20):
        busy.start(W0 + n, RULES, _sample(n), "SARSCOV2")
        busy.withdraw(_sample(n), W0 + n)
    for store in (quiet, busy):
        store.close_window(W0 + WINDOW_S * NS)
    assert _release(quiet) == _release(busy)


def test_a_run_survives_a_restart_and_is_finished_after_it(path: Path) -> None:
    store = _open(path)
    store.start(W0, RULES, _sample(1), "SARSCOV2")
    store.close()
    store = _open(path, W0 + 60 * NS, seed=2)
    assert store.finish(_sample(1), POSITIVE, W0 + 60 * NS)


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
        store.start(W0, RULES, _sample(1), "FLU")
    numbers = []
    for n in range(1, 4):
        store.close_window(W0 + n * WINDOW_S * NS)
        ready = store.ready_release()
        assert ready is not None
        numbers.append(int.from_bytes(ready[1][:4]))
    assert numbers == [1, 1, 2]


def test_a_start_without_module_place_or_window_changes_nothing(path: Path) -> None:
    store = _open(path)
    for n in range(4):
        store.start(W0 + n, RULES, _sample(n), "SARSCOV2")
    before = path.read_bytes()
    with pytest.raises(VisitError, match="module"):
        store.start(W0 + 9, RULES, _sample(9), "SARSCOV2")
    with pytest.raises(VisitError, match="window"):
        store.start(W0 + 3 * WINDOW_S * NS, RULES, _sample(9), "SARSCOV2")
    assert path.read_bytes() == before


def test_the_file_never_changes_its_size_and_every_row_is_rewritten_each_tick(path: Path) -> None:
    store = _open(path)
    size, seen = path.stat().st_size, []
    for n in range(60):
        now_ns = W0 + n * TICK_S * NS
        store.expire(now_ns)
        if n % 3 == 0:
            store.start(now_ns, RULES, _sample(n), "SARSCOV2")
        store.tick(now_ns)
        store.close_window(now_ns)
        seen.append([body for _, body in store._select("SELECT slot, body FROM visits ORDER BY slot")])
    assert path.stat().st_size == size
    assert path.with_name("visits.db-journal").stat().st_size == 0
    for earlier, later in pairwise(seen):
        assert sum(a != b for a, b in zip(earlier, later, strict=True)) == VISIT_ROWS


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
    store.start(W0, RULES, _sample(1), "SARSCOV2")
    store._connection.execute("PRAGMA query_only=ON")
    with pytest.raises(StoreFullError):
        store.finish(_sample(1), POSITIVE, W0 + 1)
    store._connection.execute("PRAGMA query_only=OFF")
    assert store.finish(_sample(1), POSITIVE, W0 + 1)


def test_a_kiosk_without_any_layout_cannot_open_a_window(path: Path) -> None:
    with pytest.raises(ReleaseError):
        _open(path, book=layout_book([]))


def test_the_first_layout_also_covers_the_window_in_which_it_was_made(path: Path) -> None:
    store = _open(path, book=layout_book([(W0 + 5, LAYOUT)]))
    store.start(W0, RULES, _sample(1), "SARSCOV2")


def test_the_file_does_not_count_its_own_commits(path: Path) -> None:
    store = _open(path)
    store.tick(W0)
    counters = [path.read_bytes()[at : at + 4] for at in (24, 92)]  # SQLite file format 1.3.7 and 1.3.18
    for n in range(4):
        store.start(W0 + n, RULES, _sample(n), "SARSCOV2")
        store.finish(_sample(n), POSITIVE, W0 + n)
    assert [path.read_bytes()[at : at + 4] for at in (24, 92)] == counters
