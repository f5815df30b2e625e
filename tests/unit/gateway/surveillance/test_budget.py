from importlib.resources import files

import msgspec
import numpy as np
import pytest

from gateway.errors import SurveillanceError
from gateway.surveillance.budget import ThresholdTable, stream_run_length
from scripts import make_thresholds

CONTENT = files("gateway.surveillance").joinpath("thresholds.json").read_bytes()


@pytest.fixture(scope="module")
def table() -> ThresholdTable:
    return ThresholdTable.read(CONTENT)


def test_the_committed_table_is_the_scripts_own(table: ThresholdTable) -> None:
    sim = table.simulated
    assert (sim.seed, sim.p0, sim.tests) == (make_thresholds.SEED, make_thresholds.P0, make_thresholds.TESTS)
    assert sim.windows == make_thresholds.STREAMS * make_thresholds.WINDOWS
    # One cell again from its seed: what zones of the demonstration use (p0 2 %, three kiosks).
    number = 1 * 25 + 2 * 5 + 1
    again = make_thresholds.cell(number)
    committed = np.reshape(sim.threshold, (-1, len(sim.run_length)))[number]
    np.testing.assert_allclose(again, committed, atol=0.02)


def test_at_its_cells_the_table_gives_what_was_simulated(table: ThresholdTable) -> None:
    sim = table.simulated
    grid = np.reshape(sim.threshold, (len(sim.p0), len(sim.tests), len(sim.noise_sd), len(sim.run_length)))
    got = table.threshold(
        p0=sim.p0[1], tests=np.array(sim.tests), noise_sd=sim.noise_sd[1], run_length=sim.run_length[4]
    )
    np.testing.assert_allclose(got, grid[1, :, 1, 4])


def test_a_longer_run_length_needs_a_higher_threshold_also_beyond_the_table(table: ThresholdTable) -> None:
    lengths = np.geomspace(20, 50_000, 60)
    got = table.threshold(p0=0.02, tests=50.0, noise_sd=2.35, run_length=lengths)
    assert (np.diff(got) > 0).all()


def test_beyond_the_other_edges_the_edge_holds(table: ThresholdTable) -> None:
    sim = table.simulated
    inside = table.threshold(p0=sim.p0[0], tests=sim.tests[0], noise_sd=sim.noise_sd[0], run_length=400.0)
    assert table.threshold(p0=1e-4, tests=0.0, noise_sd=0.0, run_length=400.0) == inside


def test_the_budget_of_a_fortnight_is_shared_by_all_streams() -> None:
    assert stream_run_length(7, 4) == 7 * 14 * 4
    assert stream_run_length(1, 1, every_days=7) == 7
    with pytest.raises(SurveillanceError, match="streams"):
        stream_run_length(0, 4)
    with pytest.raises(SurveillanceError, match="windows_per_day"):
        stream_run_length(7, 0)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff", CONTENT.replace(b'"p0": [', b'"p0": [0.001, '), CONTENT[:-40] + b"}"]
)
def test_a_damaged_table_is_refused(content: bytes) -> None:
    with pytest.raises(SurveillanceError, match="damaged"):
        ThresholdTable.read(content)


def test_a_table_of_another_detector_is_refused(table: ThresholdTable) -> None:
    other = msgspec.structs.replace(table.simulated, odds_ratio=3.0)
    with pytest.raises(SurveillanceError, match="odds ratio"):
        ThresholdTable.read(msgspec.json.encode(other))
