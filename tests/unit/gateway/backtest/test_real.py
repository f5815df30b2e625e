from pathlib import Path

import numpy as np
import pytest

from gateway.backtest.command import DATA
from gateway.backtest.real import CITY, DISTRICT, FILES, city_days, judge, wave_starts
from gateway.backtest.run import thresholds
from gateway.errors import BacktestError
from tests.support.repository import ROOT


def weeks(text: str) -> tuple[np.ndarray, np.ndarray]:
    """A digit a week: positives out of 100."""
    return np.array([float(letter) for letter in text]), np.full(len(text), 100.0)


def test_a_wave_begins_where_three_weeks_hold_twice_the_share_of_the_eight_before() -> None:
    assert wave_starts(*weeks("2" * 12 + "4449" + "9" * 10), 1).tolist() == [12]
    assert wave_starts(*weeks("2" * 12 + "4433" + "2" * 10), 1).tolist() == []


def test_a_rise_that_goes_on_is_one_wave_and_a_later_one_another() -> None:
    wave = "2" * 12 + "5" * 8
    assert len(wave_starts(*weeks(wave + "2" * 12 + "5" * 8), 1)) == 2
    assert len(wave_starts(*weeks(wave + "999999"), 1)) == 1


def test_in_days_a_wave_begins_on_a_day() -> None:
    positives, tests = weeks("2" * 12 + "5" * 8)
    starts = wave_starts(np.repeat(positives, 7), np.repeat(tests, 7), 7)
    assert len(starts) == 1
    assert 10 * 7 < starts[0] <= 12 * 7  # three weeks ahead average twice as much some days before the step


def test_every_real_series_is_judged_by_every_method_that_can() -> None:
    rows = judge(DATA, thresholds())
    assert {row.data for row in rows} == {
        "diplomatic district, weeks",
        "city, days",
        "city, weeks",
        "six plants, samples",
    }
    for row in rows:
        assert 0 <= row.outside <= row.alarms <= row.judged
        assert row.found <= row.waves
    by_noise = {
        noise: {row.waves for row in rows if row.data.startswith("dip") and row.noise == noise} for noise in (0, 1)
    }
    assert by_noise[False] == by_noise[True]  # waves are of the world, not of the noise
    ours = next(row for row in rows if row.method == "ours" and row.data == "city, days" and row.noise)
    assert ours.found == ours.waves == 4
    assert repr(rows) == repr(judge(DATA, thresholds()))  # NaN equals nothing


def test_the_city_has_a_day_for_each_of_its_rows() -> None:
    days = city_days(DATA, thresholds())
    assert (days[0].day, days[-1].day[:7], len(days)) == ("2020-03-03", "2023-05", 1176)
    assert max(day.share for day in days) < 1
    assert any(day.ours for day in days)


def test_a_missing_series_is_named(tmp_path: Path) -> None:
    with pytest.raises(BacktestError, match=rf"{DISTRICT} cannot be read"):
        judge(tmp_path, thresholds())
    (tmp_path / CITY).write_text("date,tests,positives\n")
    with pytest.raises(BacktestError, match=r"is empty"):
        city_days(tmp_path, thresholds())


def test_the_district_of_the_evidence_is_the_district_that_is_replayed() -> None:
    replayed = ROOT / "firmware_sim/scenarios/data" / DISTRICT
    assert (DATA / DISTRICT).read_bytes() == replayed.read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_every_series_names_its_source(name: str) -> None:
    assert f"`{name}`" in (DATA / "README.md").read_text()
