"""`quiet` and `outbreak`: synthetic weeks, drawn from a seed.

quiet: 1400 tests a zone and week, +-5 %, each positive with chance 1.5 %, for ever.
outbreak: quiet, and a wave every 140 days (the first begins on 2021-12-16). A wave is an SEIR epidemic in discrete
days: R drawn from 1.6 to 2.2, three days latent, five infectious; each zone is reached up to 14 days later than the
first. Positivity follows incidence to a peak of 18 %, demand for tests follows positivity.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from firmware_sim.chance import below, normal, uniform
from firmware_sim.scenarios.calendar import CAP_PER_WEEK, DAYS_A_WEEK, WEEKDAY_WEIGHTS, largest_remainder
from firmware_sim.scenarios.source import DayTotals, Week

TESTS_PER_WEEK = 1400
TESTS_SD = 0.05
QUIET_POSITIVITY = 0.015

FIRST_WAVE = date(2021, 12, 16)
WAVE_EVERY_DAYS = 140
MAX_DELAY_DAYS = 14
PEAK_POSITIVITY = 0.18
_R_LOWEST, _R_SPREAD = 1.6, 0.6
_LATENT_DAYS, _INFECTIOUS_DAYS = 3.0, 5.0
_FIRST_EXPOSED = 1e-3  # share of the zone on the wave's first day


@dataclass(frozen=True, slots=True)
class Quiet:
    """Implements WeekSource: nothing happens."""

    seed: int

    def week(self, zone: str, sunday: date) -> Week:
        """Totals of Sunday to Saturday."""
        return _week(self.seed, "quiet", zone, sunday, [QUIET_POSITIVITY] * DAYS_A_WEEK)

    def end(self, zone: str) -> date | None:  # noqa: ARG002 - the port's question names the zone
        """Never."""
        return None


@dataclass(frozen=True, slots=True)
class Outbreak:
    """Implements WeekSource: waves of a synthetic epidemic."""

    seed: int

    def week(self, zone: str, sunday: date) -> Week:
        """Totals of Sunday to Saturday."""
        days = [sunday + timedelta(days=i) for i in range(DAYS_A_WEEK)]
        return _week(self.seed, "outbreak", zone, sunday, [self.positivity(zone, day) for day in days])

    def positivity(self, zone: str, day: date) -> float:
        """Chance that a test of that zone and day is positive."""
        wave, day_of_wave = divmod((day - FIRST_WAVE).days, WAVE_EVERY_DAYS)
        if wave < 0:
            return QUIET_POSITIVITY
        day_of_wave -= below(MAX_DELAY_DAYS + 1, self.seed, "delay", wave, zone)
        reproduction = _R_LOWEST + _R_SPREAD * uniform(self.seed, "reproduction", wave)
        relative = _relative_incidence(reproduction, day_of_wave)
        return QUIET_POSITIVITY + (PEAK_POSITIVITY - QUIET_POSITIVITY) * relative

    def end(self, zone: str) -> date | None:  # noqa: ARG002 - the port's question names the zone
        """Never."""
        return None


def _week(seed: int, name: str, zone: str, sunday: date, positivity: list[float]) -> Week:
    key = (seed, name, zone, sunday.toordinal())
    demand = 1.0 + (sum(positivity) / DAYS_A_WEEK - QUIET_POSITIVITY)
    tests = round(TESTS_PER_WEEK * demand * (1.0 + TESTS_SD * normal(*key, "tests")))
    by_day = largest_remainder(min(max(tests, 0), CAP_PER_WEEK), WEEKDAY_WEIGHTS)
    a, b, c, d, e, f, g = (
        DayTotals(n, sum(uniform(*key, day, i) < positivity[day] for i in range(n))) for day, n in enumerate(by_day)
    )
    return a, b, c, d, e, f, g


def _relative_incidence(reproduction: float, day: int) -> float:
    """New infections of the wave's day, relative to its peak; 0 outside the wave."""
    if not 0 <= day < WAVE_EVERY_DAYS:
        return 0.0
    susceptible, exposed, infectious = 1.0 - _FIRST_EXPOSED, _FIRST_EXPOSED, 0.0
    incidence = []
    for _ in range(WAVE_EVERY_DAYS):
        new = reproduction / _INFECTIOUS_DAYS * susceptible * infectious
        onset = exposed / _LATENT_DAYS
        susceptible, exposed, infectious = (
            susceptible - new,
            exposed + new - onset,
            infectious + onset - infectious / _INFECTIOUS_DAYS,
        )
        incidence.append(new)
    return incidence[day] / max(incidence)
