"""Carbon dioxide against CAiMIRA's pinned case and a numerical solution of the balance; ventilation found again."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from gateway.errors import SurveillanceError
from gateway.surveillance.air import (
    air_changes_from_co2,
    co2_ppm,
    equivalent_clean_air_ratio,
    rebreathed_fraction,
)
from gateway.surveillance.arrays import Array
from tests.support.seeds import SEED

VOLUME_M3, OUTDOORS_PPM = 80.0, 440.44


def solved(t_h: Array, people: Array, *, air_changes: float, breathed: float, start_ppm: float) -> Array:
    """The mass balance integrated step by step by SciPy, which shares no closed form with ours."""
    curve = [start_ppm]
    for begin, end, n in zip(t_h, t_h[1:], people, strict=False):
        source = float(n) * breathed * 0.042 * 1e6 / VOLUME_M3

        def change(_: float, c: Array, added: float = source) -> Array:
            return added - air_changes * (c - OUTDOORS_PPM)

        step = solve_ivp(
            change,
            (begin, end),
            [curve[-1]],
            rtol=1e-11,
            atol=1e-9,
        )
        curve.append(float(step.y[0, -1]))
    return np.array(curve)


def test_caimiras_pinned_case_is_met_to_1e_6() -> None:
    """CERN CAiMIRA, test_co2_concentration: 200 m3, 0.25 air changes, five seated."""
    ppm = co2_ppm([0, 1, 2, 3, 4], volume_m3=200, air_changes_per_h=0.25, people=5, activity="seated")
    np.testing.assert_allclose(ppm, [440.44, 914.2487227, 1283.251327, 1570.630844, 1794.442237], rtol=1e-9)


def test_the_closed_form_solves_the_balance() -> None:
    t = np.linspace(0, 5, 11)
    for activity, breathed in (("standing", 0.57), ("light", 1.25), ("moderate", 1.78), ("heavy", 3.3)):
        ppm = co2_ppm(t, volume_m3=VOLUME_M3, air_changes_per_h=3.0, people=4, activity=activity)
        by_steps = solved(t, np.full(11, 4), air_changes=3.0, breathed=breathed, start_ppm=OUTDOORS_PPM)
        np.testing.assert_allclose(ppm, by_steps, rtol=1e-8)


def test_a_sealed_room_rises_in_a_straight_line_and_a_nearly_sealed_one_too() -> None:
    for rate in (0.0, 1e-12):
        ppm = co2_ppm([0, 1, 2], volume_m3=100, air_changes_per_h=rate, people=1, activity="seated")
        np.testing.assert_allclose(np.diff(ppm), 0.51 * 0.042 * 1e6 / 100, rtol=1e-9)


@pytest.mark.parametrize("air_changes", [0.05, 0.25, 2.0, 8.0])
def test_ventilation_and_breath_are_found_again(air_changes: float) -> None:
    t = np.arange(0, 6.01, 0.1)
    people = np.where(t < 3, 5, 0)
    ppm = solved(t, people, air_changes=air_changes, breathed=0.51, start_ppm=600.0)
    found = air_changes_from_co2(t, ppm, people, volume_m3=VOLUME_M3)
    assert found.air_changes_per_h == pytest.approx(air_changes, rel=1e-6)
    assert found.exhalation_m3_per_h == pytest.approx(0.51, rel=1e-6)
    assert found.rmse_ppm < 1e-4


def test_a_noisy_sensor_still_tells_the_ventilation() -> None:
    """Reference page 4: CAiMIRA's fit recovered 2.12 of 2.0 with noise of 20 ppm."""
    t = np.arange(0, 6.01, 0.1)
    people = np.where(t < 3, 5, 0)
    ppm = solved(t, people, air_changes=2.0, breathed=0.51, start_ppm=OUTDOORS_PPM)
    noise = np.random.default_rng(SEED).normal(0, 20, len(t))
    found = air_changes_from_co2(t, ppm + noise, people, volume_m3=VOLUME_M3)
    assert found.air_changes_per_h == pytest.approx(2.0, abs=0.2)
    assert found.rmse_ppm == pytest.approx(20, abs=5)


def test_an_emptied_room_is_an_exponential_tail() -> None:
    t = np.array([0.0, 0.5, 1.0, 2.0])
    found = air_changes_from_co2(t, OUTDOORS_PPM + 1000 * np.exp(-0.7 * t), 0, volume_m3=VOLUME_M3)
    assert found.air_changes_per_h == pytest.approx(0.7, rel=1e-9)
    assert math.isnan(found.exhalation_m3_per_h)
    # Who is there at the last reading was there for no time.
    assert math.isnan(air_changes_from_co2(t, 900 - t, [0, 0, 0, 9], volume_m3=VOLUME_M3).exhalation_m3_per_h)


def test_a_curve_that_fits_any_ventilation_gives_none() -> None:
    t = np.arange(0, 5, 0.25)
    noise = np.random.default_rng(SEED).normal(0, 20, len(t))
    for ppm, people in (
        (np.full(len(t), 900.0), 5),  # steady
        (900 + noise, 5),
        (np.full(len(t), OUTDOORS_PPM), 0),  # outdoors
        (OUTDOORS_PPM + np.abs(noise), 0),
        (1500 - 400 * t / 5 + 30 * t**2, 0),  # no decay
    ):
        found = air_changes_from_co2(t, ppm, people, volume_m3=VOLUME_M3)
        assert math.isnan(found.air_changes_per_h) or found.air_changes_per_h < 0.5, (ppm, found)
    assert math.isnan(air_changes_from_co2([], [], [], volume_m3=50).air_changes_per_h)
    assert math.isnan(air_changes_from_co2([1], [800], [2], volume_m3=50).rmse_ppm)
    assert math.isnan(air_changes_from_co2([1, 2], [800, 900], [2, 2], volume_m3=50).rmse_ppm)


@given(
    st.lists(st.tuples(st.floats(0.01, 3), st.floats(300, 5000), st.integers(0, 60)), max_size=15), st.floats(10, 2000)
)
def test_any_readings_give_a_ventilation_or_none(rows: list[tuple[float, float, int]], volume: float) -> None:
    t = np.cumsum([step for step, _, _ in rows])
    found = air_changes_from_co2(t, [ppm for _, ppm, _ in rows], [n for *_, n in rows], volume_m3=volume)
    assert math.isnan(found.air_changes_per_h) == math.isnan(found.rmse_ppm)
    assert math.isnan(found.rmse_ppm) or found.air_changes_per_h >= 0
    assert math.isnan(found.exhalation_m3_per_h) or found.exhalation_m3_per_h > 0


def test_rebreathed_air_by_hand() -> None:
    """Rudnick and Milton 2003: (C - C0)/38 000."""
    got = rebreathed_fraction([440.44, 820.44, 400.0])
    np.testing.assert_allclose(got, [0.0, 0.01, -40.44 / 38000], atol=1e-15)
    assert float(rebreathed_fraction(1400, background_ppm=400, exhaled_ppm=40000)) == pytest.approx(0.025)


@pytest.mark.parametrize(
    ("space", "asked"),
    [
        *[(s, 15) for s in ("office", "cell", "dwelling")],
        *[(s, 20) for s in ("classroom", "retail", "exam", "dayroom")],
        *[(s, 25) for s in ("lecture", "auditorium", "worship", "lobby", "spectator")],
        *[(s, 25) for s in ("manufacturing", "resident", "common")],
        *[(s, 30) for s in ("food", "museum", "convention", "transport_waiting")],
        *[(s, 35) for s in ("group", "patient")],
        ("gym", 40),
        ("healthcare_waiting", 45),
        *[(s, 10) for s in ("warehouse", "sorting")],
    ],
)
def test_each_space_asks_for_its_clean_air(space: str, asked: float) -> None:
    """ASHRAE 241 as the reference page has it, in L/s a person."""
    ratio = equivalent_clean_air_ratio(outdoor_l_s=3.0 * asked, filtered_l_s=2.0 * asked, people=10, space=space)
    assert ratio == pytest.approx(0.5)


def test_an_empty_room_has_clean_air_enough() -> None:
    assert equivalent_clean_air_ratio(outdoor_l_s=0, filtered_l_s=0, people=0, space="office") == math.inf


GOOD: dict[str, Any] = {"t_h": [0, 1], "volume_m3": 50, "air_changes_per_h": 1, "people": 2, "activity": "seated"}
CURVE: dict[str, Any] = {"t_h": [0, 1, 2], "co2_ppm": [900, 800, 700], "people": [1, 1, 0], "volume_m3": 50}


@pytest.mark.parametrize(
    ("named", "call"),
    [
        ("t_h", lambda: co2_ppm(**GOOD | {"t_h": [-1]})),
        ("volume_m3", lambda: co2_ppm(**GOOD | {"volume_m3": 0})),
        ("air_changes_per_h", lambda: co2_ppm(**GOOD | {"air_changes_per_h": math.nan})),
        ("people", lambda: co2_ppm(**GOOD | {"people": -1})),
        ("people", lambda: co2_ppm(**GOOD | {"people": [1, 2, 3]})),
        ("activity", lambda: co2_ppm(**GOOD | {"activity": "asleep"})),
        ("background_ppm", lambda: co2_ppm(**GOOD | {"background_ppm": -1})),
        ("t_h", lambda: air_changes_from_co2(**CURVE | {"t_h": [0, 2, 1]})),
        ("t_h", lambda: air_changes_from_co2(**CURVE | {"t_h": [0, 1]})),
        ("t_h", lambda: air_changes_from_co2(**CURVE | {"t_h": [0, 1, math.inf]})),
        ("co2_ppm", lambda: air_changes_from_co2(**CURVE | {"co2_ppm": [900, math.nan, 700]})),
        ("co2_ppm", lambda: air_changes_from_co2(**CURVE | {"co2_ppm": [900, 2e6, 700]})),
        ("people", lambda: air_changes_from_co2(**CURVE | {"people": [1, -1, 0]})),
        ("people", lambda: air_changes_from_co2(**CURVE | {"people": [1]})),
        ("volume_m3", lambda: air_changes_from_co2(**CURVE | {"volume_m3": 0})),
        ("co2_ppm", lambda: rebreathed_fraction(math.nan)),
        ("exhaled_ppm", lambda: rebreathed_fraction(900, exhaled_ppm=0)),
        ("co2_ppm", lambda: rebreathed_fraction([900, 900], background_ppm=[400, 400, 400])),
        ("space", lambda: equivalent_clean_air_ratio(outdoor_l_s=1, filtered_l_s=1, people=1, space="Office")),
        ("people", lambda: equivalent_clean_air_ratio(outdoor_l_s=1, filtered_l_s=1, people=-1, space="office")),
        ("outdoor_l_s", lambda: equivalent_clean_air_ratio(outdoor_l_s=-1, filtered_l_s=1, people=1, space="office")),
    ],
)
def test_bad_input_is_refused_by_the_parameters_name(named: str, call: Callable[[], object]) -> None:
    with pytest.raises(SurveillanceError, match=named):
        call()
