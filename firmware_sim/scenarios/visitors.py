"""From a scenario's totals to people: one kiosk's arrivals, in time order, without end, from any instant on.

Rule: a zone's tests of a day are numbered; `positives` of them are drawn by seed. Test i belongs to kiosk
(i + day) mod kiosks. A kiosk's tests are spread over the day by its hour weights, one in each of as many equal parts,
at a drawn place within the part. So totals are exact, and a stream that starts at t equals the rest of one that
started earlier. Nothing is kept but the day in hand.

On top of the totals, which count valid results: one test in 40 is preceded by a wasted run, and every kiosk runs a
negative and a positive control between four and six in the morning.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from types import MappingProxyType

from firmware_sim.chance import below, uniform
from firmware_sim.clock import NS_PER_S
from firmware_sim.outcome import Arrival, Call, Control, Ending, Outcome, Patient
from firmware_sim.scenarios.calendar import day_start_ns, local_date, second_of_day, sunday_of
from firmware_sim.scenarios.source import WeekSource

WASTED_SHARE = 0.025
TWICE_SHARE = 0.005
RETRY_AFTER_S = 3000  # a wasted run and going home to the kiosk's queue again
CONTROL_HOURS: Mapping[Control, int] = MappingProxyType({Control.NEGATIVE: 4, Control.POSITIVE: 5})

# Cumulative shares of wasted runs; each is invalid for the host, whatever its word.
_WASTED = (
    (0.45, Outcome(ending=Ending.ERROR)),
    (0.70, Outcome(ending=Ending.INVALID)),
    (0.85, Outcome(ending=Ending.NO_RESULT)),
    (0.95, Outcome(late=True)),
    (1.00, Outcome(calls={"sars-cov-2": Call.PRESUMPTIVE})),
)
_POSITIVE: Mapping[str, Call] = MappingProxyType({"sars-cov-2": Call.POSITIVE})
_NEGATIVE: Mapping[str, Call] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Kiosk:
    """Which part of a zone's visitors come to this one, and what the stream is drawn from."""

    device: str
    zone: str
    index: int
    kiosks: int
    seed: int
    utc_offset_s: int
    patient_fields: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.kiosks:
            raise ValueError(f"kiosk {self.index} of {self.kiosks}")


def arrivals(source: WeekSource, kiosk: Kiosk, *, after_ns: int) -> Iterator[Arrival]:
    """Everybody who comes to the kiosk after the instant, in order."""
    first = local_date(after_ns, kiosk.utc_offset_s)
    for offset in count():
        for arrival in day_of(source, kiosk, first + timedelta(days=offset)):
            if arrival.at_ns > after_ns:
                yield arrival


def day_of(source: WeekSource, kiosk: Kiosk, day: date) -> list[Arrival]:
    """One kiosk's arrivals of one day, controls and wasted runs among them, in order."""
    start_ns = day_start_ns(day, kiosk.utc_offset_s)
    tests = _tests_of(source, kiosk, day)
    found: list[Arrival] = []
    for rank, (number, positive) in enumerate(tests):
        key = (kiosk.seed, "visitor", kiosk.zone, day.toordinal(), number)
        second = second_of_day((rank + uniform(*key, "time")) / len(tests))
        patient = Patient(f"MRN-{number:05d}", "Mustermann^Erika", "19640812") if kiosk.patient_fields else None
        outcome = Outcome(
            calls=_POSITIVE if positive else _NEGATIVE, twice=uniform(*key, "twice") < TWICE_SHARE, patient=patient
        )
        found.append(_at(start_ns, second, outcome))
        if uniform(*key, "wasted") < WASTED_SHARE:
            found.append(_at(start_ns, max(0.0, second - RETRY_AFTER_S), _wasted(uniform(*key, "how"))))
    for control, hour in CONTROL_HOURS.items():
        minute = below(60, kiosk.seed, "control", kiosk.device, day.toordinal(), control)
        found.append(_at(start_ns, hour * 3600.0 + minute * 60.0, Outcome(control=control)))
    return sorted(found, key=lambda arrival: arrival.at_ns)


def _tests_of(source: WeekSource, kiosk: Kiosk, day: date) -> list[tuple[int, bool]]:
    """(number within the zone's day, positive) of the kiosk's tests."""
    sunday = sunday_of(day)
    week = source.week(kiosk.zone, sunday)
    if week is None:
        return []
    totals = week[(day - sunday).days]
    key = (kiosk.seed, "positive", kiosk.zone, day.toordinal())
    positive = set(sorted(range(totals.tests), key=lambda i: uniform(*key, i))[: totals.positives])
    first = (kiosk.index - day.toordinal()) % kiosk.kiosks
    return [(i, i in positive) for i in range(first, totals.tests, kiosk.kiosks)]


def _wasted(share: float) -> Outcome:
    return next(outcome for limit, outcome in _WASTED if share < limit)


def _at(start_ns: int, second: float, outcome: Outcome) -> Arrival:
    return Arrival(start_ns + int(second * NS_PER_S), outcome)
