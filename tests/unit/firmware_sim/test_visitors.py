"""A kiosk's stream of visitors: ordered, endless, lazily drawn, and the same wherever it is taken up."""

from collections import Counter
from datetime import date, timedelta
from functools import cache
from itertools import islice, pairwise, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.clock import NS_PER_S
from firmware_sim.outcome import Arrival
from firmware_sim.scenarios.calendar import day_start_ns, second_of_day
from firmware_sim.scenarios.programme import programme
from firmware_sim.scenarios.synthetic import Outbreak
from firmware_sim.scenarios.visitors import Kiosk, arrivals

EASTERN_S = -5 * 3600
START_NS = 1_639_285_200_000_000_000  # 2021-12-12 00:00 -05:00
DAY_NS = 86_400 * NS_PER_S
REPLAY = programme("replay", seed=1)
KIOSK = Kiosk("kiosk-10016-1", "z10016", 0, 3, 1, EASTERN_S)


@cache
def first_days(days: int) -> list[Arrival]:
    end_ns = START_NS + days * DAY_NS
    return list(takewhile(lambda a: a.at_ns < end_ns, arrivals(REPLAY, KIOSK, after_ns=START_NS - 1)))


def test_local_midnight_is_where_the_demonstration_says() -> None:
    assert day_start_ns(date(2021, 12, 12), EASTERN_S) == START_NS


@pytest.mark.simulation
@given(st.integers(0, 3 * DAY_NS))
def test_a_stream_taken_up_later_is_the_rest_of_the_one_before(offset_ns: int) -> None:
    whole = first_days(4)
    again = list(islice(arrivals(REPLAY, KIOSK, after_ns=START_NS + offset_ns), 5))
    assert again == [a for a in whole if a.at_ns > START_NS + offset_ns][:5]


@pytest.mark.simulation
@given(st.integers(0, 80))
def test_taking_it_up_at_an_arrival_repeats_nobody_and_skips_nobody(index: int) -> None:
    whole = first_days(2)
    again = arrivals(REPLAY, KIOSK, after_ns=whole[index].at_ns)
    assert next(again) == whole[index + 1]


def test_people_come_in_order_and_the_stream_does_not_end_with_the_data() -> None:
    after_ns = day_start_ns(date(2023, 5, 19), EASTERN_S)
    people = list(islice(arrivals(REPLAY, KIOSK, after_ns=after_ns), 400))
    assert all(a.at_ns <= b.at_ns for a, b in pairwise(people))
    assert people[-1].at_ns > day_start_ns(date(2023, 5, 23), EASTERN_S)


def test_three_modules_would_do_even_on_the_busiest_day() -> None:
    """Each visitor takes a module for 47 minutes; nobody may wait longer than half an hour for the fourth."""
    busiest = day_start_ns(date(2021, 12, 13), EASTERN_S)
    people = takewhile(lambda a: a.at_ns < busiest + DAY_NS, arrivals(REPLAY, KIOSK, after_ns=busiest))
    modules = [busiest] * 4
    longest_ns = 0
    for arrival in people:
        free = min(range(4), key=lambda m: modules[m])
        begins = max(arrival.at_ns, modules[free])
        longest_ns = max(longest_ns, begins - arrival.at_ns)
        modules[free] = begins + 47 * 60 * NS_PER_S
    assert longest_ns < 1800 * NS_PER_S


def test_about_one_run_in_forty_is_wasted_and_comes_on_top() -> None:
    kinds = Counter(
        "control" if a.outcome.control else "late" if a.outcome.late else a.outcome.ending.value for a in first_days(28)
    )
    visitors = sum(kinds.values()) - kinds["control"]
    wasted = visitors - kinds["valid"]
    assert kinds["control"] == 56
    assert 0.015 < wasted / visitors < 0.04
    assert kinds["error"] > kinds["no_result"] > 0
    assert kinds["late"] > 0


def test_patient_fields_appear_only_where_they_are_asked_for() -> None:
    assert all(a.outcome.patient is None for a in first_days(1))
    typed = Kiosk("kiosk-10016-1", "z10016", 0, 3, 1, EASTERN_S, patient_fields=True)
    found = list(islice(arrivals(REPLAY, typed, after_ns=START_NS), 60))
    assert any(a.outcome.patient is not None and "Mustermann" in a.outcome.patient.name for a in found)
    assert [a.at_ns for a in found] == [a.at_ns for a in islice(arrivals(REPLAY, KIOSK, after_ns=START_NS), 60)]


@pytest.mark.parametrize(("share", "hour"), [(0.0, 0.0), (5 / 198, 1.0), (23 / 198, 6.0), (1.0, 24.0)])
def test_a_day_fills_by_its_hour_weights(share: float, hour: float) -> None:
    assert second_of_day(share) == pytest.approx(hour * 3600)


def test_a_kiosk_has_a_place_in_its_zone() -> None:
    with pytest.raises(ValueError, match="kiosk 3 of 3"):
        Kiosk("k", "z", 3, 3, 1, 0)


def test_an_outbreak_rises_peaks_and_falls_and_reaches_zones_one_after_the_other() -> None:
    wave = Outbreak(seed=1)
    zones = ["z10016", "z10017", "z10021", "z10022", "z10044", "z10065"]
    peaks = []
    for zone in zones:
        course = [wave.positivity(zone, date(2021, 12, 16) + timedelta(days=i)) for i in range(140)]
        assert max(course) == pytest.approx(0.18)
        assert course[0] == pytest.approx(0.015, abs=1e-3)
        assert course[-1] < 0.03
        peaks.append(course.index(max(course)))
    assert len(set(peaks)) > 1
    assert max(peaks) - min(peaks) <= 14
    assert wave.positivity("z10016", date(2021, 12, 1)) == 0.015


def test_an_outbreak_week_shows_its_positivity_and_never_exceeds_what_kiosks_can_do() -> None:
    plays = programme("outbreak", seed=3)
    weeks = [plays.week("z10016", date(2021, 12, 12) + timedelta(weeks=n)) for n in range(20)]
    shares = [sum(d.positives for d in w) / sum(d.tests for d in w) for w in weeks]
    assert max(shares) > 0.12
    assert shares[0] < 0.04
    assert all(1000 < sum(d.tests for d in w) <= 1750 for w in weeks)
    assert plays.end("z10016") is None


@pytest.mark.simulation
def test_quiet_stays_quiet_for_two_hundred_weeks() -> None:
    plays = programme("quiet", seed=1)
    tests = positives = 0
    for n in range(200):
        week = plays.week("z10016", date(2024, 1, 7) + timedelta(weeks=n))
        tests += sum(d.tests for d in week)
        positives += sum(d.positives for d in week)
    # 280 000 tests at 1.5 %: a standard deviation is 0.023 %
    assert positives / tests == pytest.approx(0.015, abs=4 * 0.00023)
