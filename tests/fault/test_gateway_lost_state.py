"""Disks that are replaced while records flow: the gateway's, and a cabinet's. And that the books would show a loss."""

import sqlite3
from pathlib import Path

import pytest

from tests.support.pipeline import Pipeline, running_pipeline
from tests.support.process import wait_until
from tests.support.registry import enrol_again
from tests.support.seeds import seeded
from tests.support.senders import Identity

CALM_LOOKS = 25  # half a second without an acknowledgement: none is on its way


@pytest.mark.timeout(300)
@pytest.mark.rule("C18")
@pytest.mark.rule("C19")
def test_a_gateway_that_lost_its_state_misses_what_it_had_answered_for_and_takes_all_else_once(tmp_path: Path) -> None:
    with running_pipeline(tmp_path, seeded("gateway lost its state")) as pipeline:
        for _ in range(3):
            pipeline.flow()
        pipeline.ingest.stop()
        answered = _answered(pipeline)
        before = pipeline.stored()
        unprojected = frozenset(pipeline.journal(after_id=pipeline.cursor()))
        assert answered
        assert answered <= before  # nothing is answered for that is not stored
        for file in (tmp_path / "state").glob("ingest.db*"):
            file.unlink()
        pipeline.ingest.start()
        for _ in range(3):
            pipeline.flow()
        pipeline.settle()
        pipeline.balance_journal(missing=answered)
        pipeline.balance_cohorts()  # a store of its own: what was answered for is there
        pipeline.balance_series(missing=answered & unprojected)
        pipeline.balance_words()


def _answered(pipeline: Pipeline) -> frozenset[Identity]:
    """What the senders were told to delete, once the last acknowledgement on its way has come."""
    seen: list[int] = []

    def calm() -> bool:
        seen.append(pipeline.traffic.acks)
        return len(seen) > CALM_LOOKS and len(set(seen[-CALM_LOOKS:])) == 1

    wait_until(calm, timeout_s=20, what="the last acknowledgements")
    return frozenset(pipeline.traffic.acknowledged)


@pytest.mark.timeout(300)
@pytest.mark.rule("C9")
@pytest.mark.rule("C12")
def test_replaced_disks_of_cabinets_cost_what_only_they_held_and_nothing_new_passes_for_a_duplicate(
    tmp_path: Path,
) -> None:
    chance = seeded("cabinets' disks replaced")
    with running_pipeline(tmp_path, chance) as pipeline:
        pipeline.flow()
        pipeline.ingest.stop()
        wait_until(lambda: len(pipeline.traffic.held) > 50, timeout_s=20, what="records in the broker")
        pipeline.broker.program.kill()  # what is measured from here on no broker has
        behind = len(pipeline.traffic.committed)
        wait_until(lambda: len(pipeline.traffic.committed) > behind + 50, timeout_s=20, what="records in outboxes")
        lost: set[Identity] = set()
        for sender in pipeline.traffic.senders:
            if sender.speaker.device in {"air-1", "kiosk-1"}:
                lost |= sender.replace_disk(chance.getrandbits(62) + 1)
                enrol_again(pipeline.state, sender.speaker)
        pipeline.broker.start()
        pipeline.ingest.start()
        pipeline.flow()
        pipeline.settle()
        missing = frozenset(pipeline.traffic.committed.keys() - pipeline.stored())
        assert missing
        assert missing <= lost
        assert {device for device, *_ in lost - missing} >= {"air-1"}  # what the broker had was still taken
        pipeline.balance(missing)


@pytest.mark.timeout(120)
def test_the_books_show_a_lost_record_a_doubled_one_and_a_wrong_value(tmp_path: Path) -> None:
    """The control of `balance`: each of these must not pass."""
    with running_pipeline(tmp_path, seeded("books that do not balance")) as pipeline:
        pipeline.flow()
        pipeline.settle()
        pipeline.balance()
        journal, air = tmp_path / "state" / "ingest.db", tmp_path / "series" / "environment.db"
        cohorts, shift = tmp_path / "state" / "cohorts.db", "UPDATE sealed_ticks SET tick = tick"
        for file, change, back in (
            (journal, "UPDATE journal SET n = n + 1 WHERE id = 2", "UPDATE journal SET n = n - 1 WHERE id = 2"),
            (journal, "UPDATE journal SET seq = seq + 1 WHERE id = 2", "UPDATE journal SET seq = seq - 1 WHERE id = 2"),
            (cohorts, f"{shift} + 1000000", f"{shift} - 1000000"),
            (air, "UPDATE point SET value = value + 0.5", "UPDATE point SET value = value - 0.5"),
            (air, "UPDATE point SET ts = ts + (1 << 50)", "UPDATE point SET ts = ts - (1 << 50)"),
        ):
            _execute(file, change)
            with pytest.raises(AssertionError):
                pipeline.balance()
            _execute(file, back)
        pipeline.balance()


def _execute(file: Path, statement: str) -> None:
    database = sqlite3.connect(file, timeout=20)
    with database:
        database.execute(statement)
    database.close()
