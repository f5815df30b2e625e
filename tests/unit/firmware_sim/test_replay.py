"""The replay's totals are the source's, by the stated rule, exactly; worked examples were computed by hand."""

import csv
import hashlib
from datetime import date, timedelta
from pathlib import Path

import pytest

from firmware_sim.errors import ConfigError
from firmware_sim.scenarios.calendar import WEEKDAY_WEIGHTS, largest_remainder, sunday_of
from firmware_sim.scenarios.programme import programme
from firmware_sim.scenarios.replay import DATA, SHARES_PER_CENT, Replay, WeekCounts, load, scaled
from firmware_sim.scenarios.source import DayTotals
from firmware_sim.scenarios.visitors import Kiosk, day_of

EASTERN_S = -5 * 3600
DECEMBER_12 = date(2021, 12, 12)


def test_the_shipped_file_is_the_one_its_readme_describes() -> None:
    digest = hashlib.sha256(DATA.read_bytes()).hexdigest()
    assert digest in (DATA.parent / "README.md").read_text(encoding="utf-8")
    assert len(load(DATA)) == 876


@pytest.mark.parametrize(
    ("city", "share", "expected"),
    [
        (WeekCounts(9407, 1405), 40, WeekCounts(1750, 261)),  # capped; 1750 x 1405 / 9407 = 261.37
        (WeekCounts(3814, 656), 40, WeekCounts(1526, 262)),  # 1525.6; 1526 x 656 / 3814 = 262.47
        (WeekCounts(1229, 110), 100, WeekCounts(1229, 110)),
        (WeekCounts(5, 1), 50, WeekCounts(3, 1)),  # 2.5 goes up; 0.6 goes up
        (WeekCounts(0, 0), 40, WeekCounts(0, 0)),
    ],
)
def test_a_week_is_scaled_and_capped_and_keeps_its_ratio(city: WeekCounts, share: int, expected: WeekCounts) -> None:
    assert scaled(city, share) == expected


def test_the_first_replayed_week_is_the_one_that_the_demonstration_starts_in() -> None:
    week = Replay(seed=1).week("z10016", DECEMBER_12)
    assert week is not None
    assert (sum(day.tests for day in week), sum(day.positives for day in week)) == (1750, 261)
    assert [day.tests for day in week] == [187, 285, 278, 284, 275, 259, 182]


@pytest.mark.simulation
def test_weeks_add_up_to_the_scaled_source_in_every_zone_from_first_to_last() -> None:
    source = Replay(seed=7)
    checked = 0
    with DATA.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            zone = f"z{row['area']}"
            week = source.week(zone, date.fromisoformat(row["week_ending"]) - timedelta(days=6))
            assert week is not None
            tests = min((int(row["tests"]) * SHARES_PER_CENT[zone] * 2 + 100) // 200, 1750)
            positives = (2 * tests * int(row["positives"]) + int(row["tests"])) // (2 * int(row["tests"]))
            assert (sum(d.tests for d in week), sum(d.positives for d in week)) == (tests, positives)
            checked += 1
    assert checked == 876


def test_a_winter_week_is_about_two_hundred_tests_a_day_and_the_busiest_two_hundred_and_fifty() -> None:
    source = Replay(seed=1)
    for zone in SHARES_PER_CENT:
        weeks = [source.week(zone, DECEMBER_12 + timedelta(weeks=n)) for n in range(10)]
        totals = sorted(sum(day.tests for day in week) for week in weeks if week is not None)
        assert len(totals) == 10
        median = (totals[4] + totals[5]) / 2 / 7
        assert 140 <= median <= 210, zone
        assert 200 <= totals[-1] / 7 <= 250, zone


def test_the_kiosks_of_a_zone_share_out_each_day_without_loss() -> None:
    plays = programme("replay", seed=1)
    kiosks = [Kiosk(f"kiosk-10017-{i}", "z10017", i, 3, 1, EASTERN_S) for i in range(3)]
    week = plays.week("z10017", DECEMBER_12)
    for number, totals in enumerate(week):
        day = DECEMBER_12 + timedelta(days=number)
        people = [arrival.outcome for kiosk in kiosks for arrival in day_of(plays, kiosk, day)]
        valid = [o for o in people if o.control is None and o.ending == "valid" and not o.late]
        valid = [o for o in valid if "presumptive" not in o.calls.values()]
        assert len(valid) == totals.tests
        assert sum(o.positive for o in valid) == totals.positives
        assert len([o for o in people if o.control is not None]) == 6


def test_after_the_data_it_is_quiet() -> None:
    plays = programme("replay", seed=1)
    assert plays.end("z10016") == date(2023, 5, 21)
    last = plays.week("z10016", date(2023, 5, 14))
    assert sum(day.tests for day in last) == 90  # 226 x 0.40 = 90.4
    quiet = plays.week("z10016", date(2023, 5, 21))
    assert 1200 <= sum(day.tests for day in quiet) <= 1600
    assert sum(day.positives for day in quiet) < 50


def test_a_zone_without_data_is_quiet_from_the_start() -> None:
    plays = programme("replay", seed=1)
    assert plays.main.week("z99999", DECEMBER_12) is None
    assert sum(day.tests for day in plays.week("z99999", DECEMBER_12)) > 1000


def test_another_seed_draws_other_days_for_the_positives_but_the_same_totals() -> None:
    a, b = (Replay(seed=seed).week("z10021", DECEMBER_12) for seed in (1, 2))
    assert a is not None
    assert b is not None
    assert a != b
    assert [d.tests for d in a] == [d.tests for d in b]
    assert sum(d.positives for d in a) == sum(d.positives for d in b)


@pytest.mark.parametrize("text", ["", "week_ending,area\n", "week_ending,area,tests,positives\nyesterday,10016,1,1\n"])
def test_a_broken_file_stops_the_start_with_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match="install kioskwatch again"):
        load(path)


def test_a_week_that_was_not_reported_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("week_ending,area,tests,positives\n2021-12-18,1,,3\n2021-12-25,1,10,3\n")
    assert load(path) == {("z1", date(2021, 12, 19)): WeekCounts(10, 3)}


def test_a_scenario_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="quiet, outbreak, replay"):
        programme("panic", seed=1)


def test_more_positives_than_tests_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="4 positives of 3 tests"):
        DayTotals(3, 4)


def test_the_largest_remainder_splits_exactly() -> None:
    assert largest_remainder(10, (1, 1, 1)) == (4, 3, 3)
    assert largest_remainder(1, (1, 2, 1)) == (0, 1, 0)
    assert sum(largest_remainder(1749, WEEKDAY_WEIGHTS)) == 1749
    assert sum(WEEKDAY_WEIGHTS) == 1000


def test_weeks_start_on_sunday() -> None:
    assert DECEMBER_12.strftime("%A") == "Sunday"
    assert [sunday_of(DECEMBER_12 + timedelta(days=i)) for i in range(7)] == [DECEMBER_12] * 7
