"""What every window's release holds, whoever came: each assay and target of its layout, in constant size."""

import random
from functools import partial
from pathlib import Path

import pytest

from contracts.frames import ReleaseBody
from contracts.layout import Assay, AssayLayout
from contracts.windows import NS, TICK_S, Calendar
from edge.adapters.visits import VisitDatabase, open_visits
from edge.core.layouts import layout_book
from edge.core.visit import PublicPart, VisitRules
from edge.ports import SealedRun
from edge.release.counters import open_window

WINDOW_S = 6 * 3600
WINDOW_NS = WINDOW_S * NS
CALENDAR = Calendar(window_s=WINDOW_S, utc_offset_s=-5 * 3600, week_start=6)
W0 = 1_639_285_200 * NS  # 2021-12-12 00:00 at -05:00
PANEL = Assay("FLUCOV", ("sars-cov-2", "influenza-a", "influenza-b", "rsv"))
LAYOUT = AssayLayout(1, (Assay("SARSCOV2", ("sars-cov-2",)), PANEL))
RULES = VisitRules(places=4, modules=4, insertion_s=30, t_max_s=2700)
PUBLIC = PublicPart(b"slot-of-a-code--", b"public-key-of-one-code----------", b"origin-of-a-code")
SAMPLE = "1".zfill(20)


def opened(folder: Path) -> VisitDatabase:
    draw = partial(open_window, randbelow=random.Random(3).randrange)
    book = layout_book([(W0, LAYOUT)])
    return open_visits(folder / "visits.db", calendar=CALENDAR, layouts=book, open_window=draw, now_ns=W0)[0]


def releases(store: VisitDatabase, now_ns: int) -> list[tuple[int, bytes]]:
    """Every window that is over, as it is released."""
    found = []
    while store.close_window(now_ns):
        ready = store.ready_release()
        assert ready is not None
        found.append(ready)
    return found


def counters(body: bytes) -> tuple[int, ...]:
    return ReleaseBody.decode(body, {1: LAYOUT}).counters


@pytest.mark.parametrize("result", [None, "negative", "positive", "invalid"])
def test_every_release_has_every_assay_and_target_and_one_length_after_days_without_power_too(
    tmp_path: Path, result: str | None
) -> None:
    store = opened(tmp_path)
    if result is not None:
        reservation = store.reserve(W0, RULES, "FLUCOV")
        store.complete(reservation.row, PUBLIC, W0)
        store.begin(W0, RULES, SAMPLE)
        positives = frozenset(PANEL.targets) if result == "positive" else frozenset[str]()
        assert store.settle(SealedRun(SAMPLE, bytes(256), result != "invalid", positives))
    bodies = releases(store, W0 + 13 * WINDOW_NS + TICK_S * NS)
    store.close()
    assert [start for start, _ in bodies] == [W0 + number * WINDOW_NS for number in range(13)]
    assert {len(body) for _, body in bodies} == {4 + 4 * (3 + 6)}


def test_a_panels_run_moves_its_own_counters_and_not_those_of_the_assay_that_shares_a_target(tmp_path: Path) -> None:
    moved = {}
    for name in ("quiet", "busy"):
        folder = tmp_path / name
        folder.mkdir()
        store = opened(folder)
        if name == "busy":
            reservation = store.reserve(W0, RULES, "FLUCOV")
            store.complete(reservation.row, PUBLIC, W0)
            store.begin(W0, RULES, SAMPLE)
            assert store.settle(SealedRun(SAMPLE, bytes(256), True, frozenset({"sars-cov-2", "rsv"})))
        ((_, body),) = releases(store, W0 + WINDOW_NS)
        moved[name] = counters(body)
        store.close()
    difference = [busy - quiet for quiet, busy in zip(moved["quiet"], moved["busy"], strict=True)]
    assert difference == [0, 0, 0, 1, 0, 1, 0, 0, 1]  # SARSCOV2: valid, invalid, 1 target; FLUCOV: valid, invalid, 4
