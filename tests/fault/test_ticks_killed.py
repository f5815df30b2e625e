"""`kill -9` of ingest between its two writes for a sealed tick: into the cohort store, and the mark (C24)."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from tests.support.pipeline import Pipeline, kill_with_children, running_pipeline
from tests.support.process import wait_until
from tests.support.seeds import fault_timeout_s, seeded

KILLS = 3
TRIES = 40  # the batch that is held up must have a tick in it
HELD_UP_S = 1.5


def is_between_the_writes(pipeline: Pipeline, blocker: sqlite3.Connection) -> bool:
    """Whether a tick comes to lie in the cohort store without its mark; marks cannot move meanwhile."""
    (marked,) = blocker.execute("SELECT COALESCE(SUM(hi), 0) FROM marks WHERE stream = 'sealed'").fetchone()
    try:
        wait_until(lambda: len(pipeline.ticks()) > marked, timeout_s=HELD_UP_S, what="a tick without its mark")
    except TimeoutError:
        return False
    return True


def kill_between_the_writes(pipeline: Pipeline, state: Path) -> None:
    for _ in range(TRIES):
        pipeline.flow()
        with contextlib.closing(sqlite3.connect(state, timeout=30, isolation_level=None)) as blocker:
            blocker.execute("BEGIN IMMEDIATE")
            if is_between_the_writes(pipeline, blocker):
                kill_with_children(pipeline.ingest)
                return
    raise AssertionError("no batch with a tick was ever held up")


@pytest.mark.timeout(fault_timeout_s())
@pytest.mark.rule("C24")
def test_ingest_killed_between_the_cohort_store_and_the_mark_loses_no_tick_and_doubles_none(tmp_path: Path) -> None:
    with running_pipeline(tmp_path, seeded("ingest killed between two writes")) as pipeline:
        for _ in range(KILLS):
            kill_between_the_writes(pipeline, tmp_path / "state" / "ingest.db")
            pipeline.restart_ingest()
        pipeline.settle()
        pipeline.balance()
