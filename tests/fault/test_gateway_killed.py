"""kill -9 of everything behind the devices, at random moments while records flow: nothing lost, nothing doubled.

The seeds are fixed (tests.support.seeds); `make fault` raises the number of kills.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.influxd import InfluxServer
from tests.support.pipeline import (
    PATIENCE_S,
    Pipeline,
    Series,
    children_of,
    is_running,
    kill_with_children,
    running_pipeline,
)
from tests.support.postgres import PostgresServer
from tests.support.process import STOP_TIMEOUT_S, wait_until
from tests.support.seeds import fault_timeout_s, kill_count, seeded


@pytest.mark.timeout(fault_timeout_s())
@pytest.mark.rule("C16")
@pytest.mark.rule("C17")
@pytest.mark.rule("C19")
def test_ingest_killed_at_random_moments_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with running_pipeline(tmp_path, seeded("ingest killed")) as pipeline:
        pipeline.disturb(kill_count(6), pipeline.ingest.kill, pipeline.restart_ingest)
        pipeline.settle()
        pipeline.balance()


HELD_BACK = 500  # records: many times what is under way while ingest reads


def stop_in_time(pipeline: Pipeline) -> None:
    """SIGTERM; whoever does not end by itself is killed later than this."""
    begun_s = time.monotonic()
    pipeline.ingest.stop()
    assert time.monotonic() - begun_s < STOP_TIMEOUT_S


@pytest.mark.timeout(fault_timeout_s())
def test_ingest_asked_to_stop_in_the_middle_of_the_traffic_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with running_pipeline(tmp_path, seeded("ingest stopped")) as pipeline:
        pipeline.disturb(3, lambda: stop_in_time(pipeline), pipeline.ingest.start)
        pipeline.settle()
        pipeline.balance()


@pytest.mark.timeout(fault_timeout_s())
def test_what_a_killed_ingest_had_started_ends_with_it(tmp_path: Path) -> None:
    with running_pipeline(tmp_path, seeded("ingest's children")) as pipeline:
        pipeline.flow()
        children = children_of(pipeline.ingest.pid)
        pipeline.ingest.kill()
        wait_until(lambda: not any(is_running(pid) for pid in children), timeout_s=PATIENCE_S, what="their end")
        pipeline.ingest.start()
        pipeline.settle()
        pipeline.balance()


@pytest.mark.timeout(fault_timeout_s())
@pytest.mark.rule("C16")
@pytest.mark.parametrize("persistence", [False, True])
def test_a_broker_killed_at_random_moments_costs_no_record_even_when_it_remembers_nothing(
    tmp_path: Path, *, persistence: bool
) -> None:
    chance = seeded(f"broker killed before ingest, persistence {persistence}")
    with running_pipeline(tmp_path, chance, persistence=persistence) as pipeline:
        pipeline.disturb(kill_count(4), pipeline.broker.program.kill, pipeline.broker.start)
        pipeline.settle()
        pipeline.balance()


@pytest.fixture
def own_influxd(tmp_path: Path) -> Iterator[InfluxServer]:
    """An InfluxDB that this test may kill."""
    server = InfluxServer(tmp_path / "influxd")
    server.start()
    yield server
    server.program.stop()


@pytest.mark.timeout(fault_timeout_s())
@pytest.mark.rule("C19")
def test_a_series_store_killed_at_random_moments_delays_charts_and_costs_no_point(
    tmp_path: Path, own_influxd: InfluxServer
) -> None:
    series = Series.of_influx(own_influxd.organisation(), tmp_path / "tokens")
    with running_pipeline(tmp_path, seeded("influxd killed"), series=series) as pipeline:
        pipeline.disturb(kill_count(4), own_influxd.program.kill, own_influxd.start)
        own_influxd.program.kill()
        pipeline.flow()  # records are journalled and answered for while no series store is there
        own_influxd.start()
        pipeline.settle()
        pipeline.balance()


@pytest.mark.timeout(300)
@pytest.mark.rule("C20")
def test_a_journal_full_of_unprojected_records_gives_up_none_of_them_and_holds_the_devices_back(
    tmp_path: Path, own_influxd: InfluxServer
) -> None:
    series = Series.of_influx(own_influxd.organisation(), tmp_path / "tokens")
    chance = seeded("full journal")
    with running_pipeline(tmp_path, chance, series=series, more_settings="journal_max_bytes = 30000\n") as pipeline:
        pipeline.flow()
        own_influxd.program.kill()
        pipeline.until_said("stops reading")
        entries = pipeline.waiting()
        assert entries
        wait_until(lambda: len(pipeline.traffic.held) > HELD_BACK, timeout_s=PATIENCE_S, what="records held back")
        assert pipeline.waiting() >= entries
        own_influxd.start()
        pipeline.until_said("reads again")
        pipeline.settle()
        pipeline.balance_series()
        pipeline.balance_words()


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL that this test may kill."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.mark.timeout(fault_timeout_s())
@pytest.mark.rule("C16")
def test_a_state_store_killed_at_random_moments_costs_a_pause_and_no_record(
    tmp_path: Path, own_postgres: PostgresServer
) -> None:
    with running_pipeline(tmp_path, seeded("postgres killed"), state=own_postgres.database()) as pipeline:
        pipeline.disturb(kill_count(4), lambda: kill_with_children(own_postgres.program), own_postgres.start)
        pipeline.settle()
        pipeline.balance()
