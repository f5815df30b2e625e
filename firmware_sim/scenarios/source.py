"""The port that a scenario implements: how many tests and positives a zone has on each day of a week."""

from dataclasses import dataclass
from datetime import date
from typing import Protocol


@dataclass(frozen=True, slots=True)
class DayTotals:
    """Valid results of one zone on one day."""

    tests: int
    positives: int

    def __post_init__(self) -> None:
        if not 0 <= self.positives <= self.tests:
            raise ValueError(f"{self.positives} positives of {self.tests} tests")


Week = tuple[DayTotals, DayTotals, DayTotals, DayTotals, DayTotals, DayTotals, DayTotals]


class WeekSource(Protocol):
    """A scenario, by week. The same question always has the same answer."""

    def week(self, zone: str, sunday: date) -> Week | None:
        """Totals of Sunday to Saturday, or None where the scenario has nothing for that zone and week."""
        ...

    def end(self, zone: str) -> date | None:
        """The first day after the last week of its data; None when it never ends."""
        ...
