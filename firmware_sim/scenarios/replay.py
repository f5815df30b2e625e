"""`replay`: the real weekly tests of a diplomatic district, scaled to the kiosks of six zones.

Rule, so that anyone can work it out again:
1. tests of a zone and week = min(round half up(city tests x share), 1750); the kiosks can do no more.
2. positives = round half up(tests x city positives / city tests): the ratio is the city's.
3. Days: tests by largest remainder over WEEKDAY_WEIGHTS. Positives: that many of the week's tests, drawn by seed
   without replacement, so a day's positives vary as real ones do and the week's total is exact.
The week's ratio holds for all its days: the source says no more.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from firmware_sim.chance import uniform
from firmware_sim.errors import ConfigError
from firmware_sim.scenarios.calendar import CAP_PER_WEEK, DAYS_A_WEEK, WEEKDAY_WEIGHTS, largest_remainder
from firmware_sim.scenarios.source import DayTotals, Week

DATA = Path(__file__).parent / "data" / "un_district_weekly_tests.csv"

# Share of the city's tests in the ZIP area that the zone's three kiosks take. Chosen so that the median of the ten
# weeks from 2021-12-12 is about 200 a day (1400 a week), and never more than all of them.
SHARES_PER_CENT: Mapping[str, int] = {
    "z10016": 40,
    "z10017": 100,
    "z10021": 60,
    "z10022": 68,
    "z10044": 100,
    "z10065": 53,
}


@dataclass(frozen=True, slots=True)
class WeekCounts:
    """One zone, one week."""

    tests: int
    positives: int


class Replay:
    """Implements WeekSource over the shipped file."""

    def __init__(self, *, seed: int, path: Path = DATA) -> None:
        self._seed = seed
        self._city = load(path)
        self._end = max(sunday for _, sunday in self._city) + timedelta(days=DAYS_A_WEEK)

    def week(self, zone: str, sunday: date) -> Week | None:
        """Totals of Sunday to Saturday; None for other zones and before or after the data."""
        city = self._city.get((zone, sunday))
        if city is None or zone not in SHARES_PER_CENT:
            return None
        counts = scaled(city, SHARES_PER_CENT[zone])
        tests = largest_remainder(counts.tests, WEEKDAY_WEIGHTS)
        key = (self._seed, "replay", zone, sunday.toordinal())
        drawn = sorted(range(counts.tests), key=lambda i: uniform(*key, i))[: counts.positives]
        positives = [0] * DAYS_A_WEEK
        bounds = [sum(tests[: day + 1]) for day in range(DAYS_A_WEEK)]
        for index in drawn:
            positives[next(day for day, bound in enumerate(bounds) if index < bound)] += 1
        a, b, c, d, e, f, g = (DayTotals(t, p) for t, p in zip(tests, positives, strict=True))
        return a, b, c, d, e, f, g

    def end(self, zone: str) -> date | None:
        """The day after the last week; for a zone without data its quiet began before everything."""
        return self._end if zone in SHARES_PER_CENT else date.min


def scaled(city: WeekCounts, share_per_cent: int) -> WeekCounts:
    """Rules 1 and 2, in whole numbers."""
    tests = min(_half_up(city.tests * share_per_cent, 100), CAP_PER_WEEK)
    positives = _half_up(tests * city.positives, city.tests) if city.tests else 0
    return WeekCounts(tests, positives)


def load(path: Path) -> dict[tuple[str, date], WeekCounts]:
    """Read the file into (zone, Sunday) -> counts; rows with an empty count are not reported and left out.

    Raises:
        ConfigError: the file is missing or a row is not what its README says, with the line.
    """
    weeks: dict[tuple[str, date], WeekCounts] = {}
    rows = 0
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                rows += 1
                if row["tests"] and row["positives"]:
                    sunday = date.fromisoformat(row["week_ending"]) - timedelta(days=DAYS_A_WEEK - 1)
                    weeks[f"z{row['area']}", sunday] = WeekCounts(int(row["tests"]), int(row["positives"]))
    except (OSError, KeyError, ValueError, csv.Error) as exc:
        raise ConfigError(f"{path} line {rows + 1} cannot be read: {exc!r}; install kioskwatch again") from exc
    if not weeks:
        raise ConfigError(f"{path} holds no week; install kioskwatch again")
    return weeks


def _half_up(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
