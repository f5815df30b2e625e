"""Days, weeks and hours of the district, and the shape of a week and of a day.

A week starts on Sunday, as the source's does; a day at 00:00 of the district's fixed offset.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate

from firmware_sim.clock import NS_PER_S, local_time

DAYS_A_WEEK = 7
HOURS_A_DAY = 24
S_PER_HOUR = 3600

# Sunday to Saturday. Laboratories of the city did 7.1, 18.3, 17.6, 18.1, 17.1, 15.3 and 6.5 % of a week's tests on
# these days (2021-06-06 to 2022-06-04; nychealth/coronavirus-data at a2643c43, trends/tests.csv). A kiosk is open every
# day, so its week lies half way between the laboratories' and an even one; per mille.
WEEKDAY_WEIGHTS = (107, 163, 159, 162, 157, 148, 104)

# Kiosks never close; by night fewer people come. The day is flat because four modules that each take 45 minutes a
# visitor are nearly full on the busiest Monday. Per hour, from 00:00.
HOUR_WEIGHTS = (5, 4, 3, 3, 3, 5, 9, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 9, 9, 8)
CAP_PER_WEEK = 1750  # tests of three kiosks: 250 a day
_HOUR_SUMS = (0, *accumulate(HOUR_WEIGHTS))


def local_date(at_ns: int, utc_offset_s: int) -> date:
    """The district's day at an instant."""
    return local_time(at_ns, utc_offset_s).date()


def day_start_ns(day: date, utc_offset_s: int) -> int:
    """UTC nanoseconds of the day's 00:00."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return (int(midnight.timestamp()) - utc_offset_s) * NS_PER_S


def sunday_of(day: date) -> date:
    """The first day of its week."""
    return day - timedelta(days=(day.weekday() + 1) % DAYS_A_WEEK)


def second_of_day(share: float) -> float:
    """The second by which this share (0..1) of a day's visitors has come."""
    target = share * _HOUR_SUMS[-1]
    for hour, weight in enumerate(HOUR_WEIGHTS):
        if target < _HOUR_SUMS[hour + 1]:
            return (hour + (target - _HOUR_SUMS[hour]) / weight) * S_PER_HOUR
    return float(HOURS_A_DAY * S_PER_HOUR)


def largest_remainder(total: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Split a whole number by weights so that the parts add up to it exactly (ties go to the earlier part)."""
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return tuple(parts)
