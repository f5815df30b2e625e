from importlib.resources import files

import msgspec
import numpy as np
import pytest

from gateway.errors import SurveillanceError
from gateway.surveillance.budget import (
    VOLUME_SHIFT,
    ThresholdTable,
    stream_run_length,
    stream_thresholds,
    volume_in_use,
    volume_shifted,
)
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


def test_each_stream_has_the_threshold_of_its_own_volume(table: ThresholdTable) -> None:
    volumes, noise = np.array([20.0, 60.0, 480.0]), np.array([1.36, 1.92, 4.07])
    got = stream_thresholds(table, p0=0.02, tests=volumes, noise_sd=noise, windows_per_day=1)
    alone = [
        table.threshold(p0=0.02, tests=n, noise_sd=sd, run_length=3 * 14).item()
        for n, sd in zip(volumes, noise, strict=True)
    ]
    assert got.tolist() == pytest.approx(alone)
    assert len(set(alone)) == 3
    stricter = stream_thresholds(table, p0=0.02, tests=volumes, noise_sd=noise, windows_per_day=1, every_days=90)
    assert (stricter > got).all()
    with pytest.raises(SurveillanceError, match="tests: one number"):
        stream_thresholds(table, p0=0.02, tests=60.0, noise_sd=1.0, windows_per_day=1)


def test_a_volume_has_shifted_when_it_moved_by_more_than_a_quarter() -> None:
    assert VOLUME_SHIFT == 0.25
    now = np.array([100.0, 125.0, 125.1, 75.0, 74.9])
    assert volume_shifted(now, 100.0).tolist() == [False, False, True, False, True]
    assert volume_shifted([0.0, 1.0], [0.0, 0.0]).tolist() == [False, True]
    with pytest.raises(SurveillanceError, match="volume"):
        volume_shifted(-1.0, 2.0)


def test_the_volume_in_use_stands_still_until_the_mean_of_the_last_windows_has_shifted() -> None:
    # Means of up to two windows: 100, 100, 110, 125, 140, 170; above 125 the fifth is the next in use, and 170 <= 175.
    assert volume_in_use([100, 100, 120, 130, 150, 190], 2).tolist() == [100, 100, 100, 100, 140, 140]
    assert volume_in_use([100, 100, 20, 20], 2).tolist() == [100, 100, 60, 20]


def test_the_volume_in_use_of_a_longer_series_begins_the_same_and_streams_stand_beside_each_other() -> None:
    tests = np.random.default_rng(1).poisson(np.geomspace(20, 90, 200)[:, None], (200, 3))
    used = volume_in_use(tests, 28)
    assert (volume_in_use(tests[:120], 28) == used[:120]).all()
    assert (volume_in_use(tests[:, 1], 28) == used[:, 1]).all()
    changes = (np.diff(used[28:, 0]) != 0).sum()
    assert 3 <= changes <= 8  # of four and a half times the volume, a quarter at a time
    for name, tests_given, windows in (("tests", [-1.0], 3), ("windows", [1.0], 0), ("tests", 5.0, 3)):
        with pytest.raises(SurveillanceError, match=name):
            volume_in_use(tests_given, windows)


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
