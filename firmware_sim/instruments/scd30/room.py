"""The air of one well-mixed room with people in it. Pure: the state at an instant is computed from the day before.

V dC/dt = G n - Q (C - C_out), solved exactly between the instants at which the number of people n changes.
G: 0.0052 L/s of CO2 a person at 1.2 met (Persily and de Jonge, Indoor Air 27, 2017, table 4). Q = V x air changes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType

from firmware_sim.chance import below, uniform
from firmware_sim.clock import NS_PER_S
from firmware_sim.scenarios.calendar import HOURS_A_DAY, S_PER_HOUR, day_start_ns, local_date

OUTDOOR_PPM = 420.0
PERSON_M3_PER_H = 0.0187
_PPM = 1e6
_MEMORY_H = 24  # with one air change an hour nothing older is left
_SUNDAY, _SATURDAY = 6, 5


@dataclass(frozen=True, slots=True)
class Air:
    """What a perfect instrument would read."""

    co2_ppm: float
    temperature_c: float
    humidity_pct: float


@dataclass(frozen=True, slots=True)
class Session:
    """People in the room, every day: from about `start_h`, for `length_h`."""

    start_h: float
    length_h: float
    fewest: int
    most: int
    weekend: bool


@dataclass(frozen=True, slots=True)
class RoomPlan:
    """A kind of room. Sessions do not overlap; a start is moved by at most a quarter of an hour either way."""

    volume_m3: float
    air_changes_per_h: float
    sessions: tuple[Session, ...]


# "hall": a lobby or waiting hall that meets its limit. "scenario": a function room whose ventilation is too small for
# the reception it holds every afternoon, so that a safety alert has a true cause.
ROOMS: Mapping[str, RoomPlan] = MappingProxyType(
    {
        "hall": RoomPlan(
            volume_m3=300.0,
            air_changes_per_h=3.0,
            sessions=(
                Session(7.0, 2.5, 4, 10, weekend=True),
                Session(10.0, 3.0, 10, 22, weekend=False),
                Session(13.5, 3.5, 8, 25, weekend=False),
                Session(18.0, 3.0, 3, 12, weekend=True),
            ),
        ),
        "scenario": RoomPlan(
            volume_m3=200.0,
            air_changes_per_h=1.0,
            sessions=(
                Session(8.0, 3.0, 3, 6, weekend=False),
                Session(14.0, 4.0, 18, 22, weekend=True),
            ),
        ),
    }
)
_START_JITTER_H = 0.25


@dataclass(frozen=True, slots=True)
class Room:
    """One room: its plan, and the key its people are drawn from."""

    plan: RoomPlan
    name: str
    seed: int
    utc_offset_s: int

    def air(self, at_ns: int) -> Air:
        """The state at a simulated instant."""
        co2_ppm = self._co2_ppm(at_ns)
        excess = (co2_ppm - OUTDOOR_PPM) / 1500.0  # people bring warmth and water with their CO2
        today = local_date(at_ns, self.utc_offset_s)
        hour = (at_ns - day_start_ns(today, self.utc_offset_s)) / NS_PER_S / S_PER_HOUR
        swing = math.sin((hour - 9.0) / HOURS_A_DAY * 2.0 * math.pi)
        base_c = 20.5 + uniform(self.seed, self.name, "temperature")
        return Air(co2_ppm, base_c + 0.7 * swing + 1.8 * excess, 31.0 + 3.0 * swing + 9.0 * excess)

    def people(self, day: date) -> list[tuple[int, int, int]]:
        """(from, until, how many) of the day's sessions, UTC nanoseconds, in order."""
        start_ns = day_start_ns(day, self.utc_offset_s)
        weekend = day.weekday() in (_SATURDAY, _SUNDAY)
        found = []
        for number, session in enumerate(self.plan.sessions):
            if weekend and not session.weekend:
                continue
            key = (self.seed, self.name, day.toordinal(), number)
            start_h = session.start_h + _START_JITTER_H * (2.0 * uniform(*key, "start") - 1.0)
            count = session.fewest + below(session.most - session.fewest + 1, *key, "people")
            begin = start_ns + int(start_h * S_PER_HOUR * NS_PER_S)
            found.append((begin, begin + int(session.length_h * S_PER_HOUR * NS_PER_S), count))
        return found

    def _co2_ppm(self, at_ns: int) -> float:
        today = local_date(at_ns, self.utc_offset_s)
        since_ns = at_ns - _MEMORY_H * S_PER_HOUR * NS_PER_S
        ppm = OUTDOOR_PPM
        for begin, end, count in [*self.people(today - timedelta(days=1)), *self.people(today)]:
            begins, ends = max(begin, since_ns), min(end, at_ns)
            if begins < ends:
                ppm = self._relax(ppm, 0, begins - since_ns)
                ppm = self._relax(ppm, count, ends - begins)
                since_ns = ends
        return self._relax(ppm, 0, at_ns - since_ns)

    def _relax(self, ppm: float, people: int, span_ns: int) -> float:
        """CO2 after a span with a constant number of people."""
        plan = self.plan
        steady = OUTDOOR_PPM + people * PERSON_M3_PER_H / (plan.volume_m3 * plan.air_changes_per_h) * _PPM
        return steady + (ppm - steady) * math.exp(-plan.air_changes_per_h * span_ns / NS_PER_S / S_PER_HOUR)
