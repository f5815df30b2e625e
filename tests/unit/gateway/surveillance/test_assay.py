"""Calls against CDC's table; curves whose truth is known because they are simulated, with fixed seeds."""

import csv
import itertools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import curve_fit

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array
from gateway.surveillance.assay import CurveCall, call_cdc_2019ncov, curve_cq
from tests.support.seeds import SEED

pytestmark = pytest.mark.simulation

CYCLES = np.arange(1.0, 41.0)
REAL_WELLS = Path(__file__).parents[4] / "docs" / "evidence" / "data" / "amplification_curves.csv"

# CDC 2019-nCoV panel, instructions for use (2020-12-01), results interpretation: N1, N2, RP detected, and the call.
CDC_TABLE = {
    (True, True, True): "positive",
    (True, True, False): "positive",
    (True, False, True): "inconclusive",
    (True, False, False): "inconclusive",
    (False, True, True): "inconclusive",
    (False, True, False): "inconclusive",
    (False, False, True): "negative",
    (False, False, False): "invalid",
}


@pytest.mark.parametrize("detected", list(CDC_TABLE))
def test_calls_are_those_of_cdcs_table_for_every_way_to_be_detected_or_not(detected: tuple[bool, bool, bool]) -> None:
    ways = [[25.0, 39.99] if one else [None, 40.0, 40.01, 45.0] for one in detected]
    for n1, n2, rp in itertools.product(*ways):
        assert call_cdc_2019ncov(n1, n2, rp) == CDC_TABLE[detected]


@pytest.mark.parametrize("ct", [math.nan, math.inf, -1.0, 0.0, "late"])
@pytest.mark.parametrize("name", ["n1", "n2", "rp"])
def test_what_is_no_ct_is_refused_by_name(name: str, ct: float) -> None:
    with pytest.raises(SurveillanceError, match=name):
        call_cdc_2019ncov(**({"n1": 20.0, "n2": 20.0, "rp": 20.0} | {name: ct}))


def five_parameters(n: Array, b: float, c: float, d: float, e: float, f: float) -> Array:
    """qpcR's l5, in its own letters (b < 0 rises)."""
    return np.asarray(c + (d - c) / (1 + np.exp(b * (np.log(n) - np.log(e)))) ** f)


@pytest.mark.parametrize(
    "l5", [(-17.0, 0.1, 1.3, 22.0, 0.8), (-25.0, -0.02, 4.0, 33.0, 0.5), (-12.0, 900.0, 21000.0, 15.0, 1.6)]
)
def test_cq_plateau_and_efficiency_are_those_of_the_curve_that_was_drawn(l5: tuple[float, ...]) -> None:
    got = curve_cq(CYCLES, five_parameters(CYCLES, *l5))
    grid = np.arange(1, 40, 0.01)
    second = np.diff(five_parameters(np.arange(0.99, 40.005, 0.01), *l5), 2)[
        : len(grid)
    ]  # by differences, not by formula
    assert got.amplified
    assert got.cq == pytest.approx(grid[second.argmax()], abs=0.011)
    assert got.plateau == pytest.approx(l5[2], rel=1e-3)
    before, at = five_parameters(np.array([got.cq - 1, got.cq]), *l5)
    assert got.efficiency == pytest.approx(at / before, rel=1e-3)


def test_noisy_wells_agree_with_an_unbounded_fit_from_the_truth() -> None:
    # The tolerance is the reference page's for clean wells against qpcR, which fits the same curve by least squares.
    rng = np.random.default_rng(SEED)
    l5 = (-17.0, 0.1, 1.3, 22.0, 0.8)
    for _ in range(5):
        y = five_parameters(CYCLES, *l5) + rng.normal(0, 0.004, 40)
        fitted = curve_fit(five_parameters, CYCLES, y, p0=l5, maxfev=20_000)[0]
        grid = np.arange(1, 40, 0.01)
        cq = grid[np.diff(five_parameters(np.arange(0.99, 40.005, 0.01), *fitted), 2)[: len(grid)].argmax()]
        assert curve_cq(CYCLES, y).cq == pytest.approx(cq, abs=0.05)


def real_well(number: int) -> Array:
    with REAL_WELLS.open(newline="") as lines:
        (row,) = (row for row in csv.DictReader(lines) if row["well"] == str(number))
    return np.array([float(row[str(cycle)]) for cycle in range(1, 46)])


# Least squares of the same curve by R 4.2.2's `nls` from 27 starts, cpD2 and efficiency as qpcR defines them. Wells 249
# and 293 fall at first; 293 and 315 come late.
R_FITS = {
    241: (27.66, 1.431038, 26.67158),
    249: (27.66, 1.428204, 28.15601),
    265: (31.04, 1.632906, 25.51016),
    293: (36.18, 1.434859, 11.62804),
    315: (37.92, 1.616384, 25.88876),
}


@pytest.mark.parametrize("well", list(R_FITS))
def test_real_wells_have_the_cq_efficiency_and_plateau_that_r_finds(well: int) -> None:
    got = curve_cq(np.arange(1, 46), real_well(well))
    assert got.amplified
    cq, efficiency, plateau = R_FITS[well]
    assert got.cq == pytest.approx(cq, abs=0.011)
    assert (got.efficiency, got.plateau) == pytest.approx((efficiency, plateau), rel=1e-4)


@pytest.mark.parametrize("well", [313, 318, 320, 321])
def test_real_wells_without_amplification_or_with_one_that_only_starts_have_no_cq(well: int) -> None:
    # Well 321 drifts upwards; R's unguarded fit of the same curve gives it a Cq of 17.17. Well 313 starts at cycle 43.
    assert not curve_cq(np.arange(1, 46), real_well(well)).amplified


def logistic(middle: float, rate: float, *, drift: float = 0.0, amplitude: float = 1.0) -> Array:
    return 0.1 + amplitude / (1 + np.exp(-rate * (CYCLES - middle))) + drift * CYCLES


def reaction(gain: float, start: float) -> Array:
    """Copies that grow by `gain` while reagents last: the chain reaction itself, no fitted formula."""
    copies, seen = start, []
    for _ in CYCLES:
        copies *= 1 + (gain - 1) * max(0.0, 1 - copies)
        seen.append(copies)
    return 0.1 + np.array(seen)


AMPLIFIED: dict[str, Array] = {
    "early": logistic(10, 0.65),
    "middle": logistic(25, 0.65),
    "late": logistic(36, 0.65),
    "slow": logistic(28, 0.4),
    "on a drift": logistic(30, 0.65, drift=0.005),
    "on a steep drift": logistic(30, 0.65, drift=0.01),
    "weak": logistic(28, 0.65, amplitude=0.2),
    "a reaction of 1.9": reaction(1.9, 1e-8),
    "a reaction of 1.6": reaction(1.6, 1e-6),
    "plateau that goes on rising": logistic(22, 0.7) * (1 + 0.02 * np.maximum(CYCLES - 26, 0)),
}


@pytest.mark.parametrize("name", list(AMPLIFIED))
def test_what_amplifies_is_called(name: str) -> None:
    rng = np.random.default_rng(SEED)
    got = curve_cq(CYCLES, AMPLIFIED[name] + rng.normal(0, 0.004, 40))
    assert got.amplified
    assert 1 < got.cq < 40


def late(start: float) -> Callable[[float], Array]:
    return lambda slope: 0.1 + slope * np.maximum(CYCLES - start, 0)


NOT_AMPLIFIED: dict[str, Array] = {
    "nothing": np.full(40, 0.1),
    "a drift": 0.1 + 0.01 * CYCLES,
    "a steep drift": 0.1 + 0.1 * CYCLES,
    **{f"a drift from cycle {start}": late(start)(0.02) for start in (5, 12, 20, 28, 33.5, 36)},
    "a steep drift from cycle 20": late(20)(0.2),
    "a drift that grows steeper": 0.1 + 0.003 * CYCLES + late(22)(0.03),
    "a curved drift": 0.1 + 0.0004 * CYCLES**2,
    "a curved drift from cycle 20": 0.1 + 0.002 * np.maximum(CYCLES - 20, 0) ** 2,
    "a drift that flattens": 0.1 + 0.3 * (1 - np.exp(-CYCLES / 6)),
    "a drift that starts and stops": 0.1 + 0.03 * np.clip(CYCLES - 12, 0, 16),
    "a bubble": np.where(CYCLES > 20, 0.5, 0.1),
    "a spark": np.where(CYCLES == 20, 0.5, 0.1),
    "a falling line": 0.6 - 0.01 * CYCLES,
    "a falling curve": 1.2 - logistic(22, 0.65),
}


@pytest.mark.parametrize("noise", [0.0, 0.004])
@pytest.mark.parametrize("name", list(NOT_AMPLIFIED))
def test_what_does_not_amplify_has_no_numbers(name: str, noise: float) -> None:
    rng = np.random.default_rng(SEED)
    got = curve_cq(CYCLES, NOT_AMPLIFIED[name] + rng.normal(0, noise, 40))
    assert not got.amplified
    assert np.isnan([got.cq, got.plateau, got.efficiency]).all()


def test_a_random_walk_is_hardly_ever_an_amplification() -> None:
    rng = np.random.default_rng(SEED)
    called = [curve_cq(CYCLES, np.cumsum(rng.normal(0, 1, 40))).amplified for _ in range(5)]
    assert sum(called) <= 1


def test_a_reaction_that_still_accelerates_at_the_end_is_not_quantified() -> None:
    assert not curve_cq(CYCLES, 0.1 + 1e-7 * 1.5**CYCLES).amplified


def test_a_plateau_that_was_not_seen_is_not_given() -> None:
    got = curve_cq(CYCLES, logistic(41, 0.65))
    assert got.amplified
    assert math.isnan(got.plateau)
    assert got.cq == pytest.approx(41 - math.log(2 + math.sqrt(3)) / 0.65, abs=0.3)  # of the logistic curve


def test_offset_and_gain_of_the_instrument_change_neither_call_nor_cq() -> None:
    rng = np.random.default_rng(SEED)
    y = logistic(27, 0.6) + rng.normal(0, 0.005, 40)
    one, other = curve_cq(CYCLES, y), curve_cq(CYCLES, 20_000 * y - 5_000)
    assert other.amplified
    assert other.cq == pytest.approx(one.cq, abs=0.02)


def test_a_background_below_zero_gives_no_efficiency() -> None:
    got = curve_cq(CYCLES, logistic(27, 0.6) - 1.0)
    assert got.amplified
    assert math.isnan(got.efficiency)


@pytest.mark.parametrize(
    ("named", "cycles", "fluorescence"),
    [
        ("cycles", [1.0] * 40, [0.0] * 40),
        ("cycles", np.arange(0, 40), [0.0] * 40),
        ("cycles", np.arange(1, 5), [0.0] * 4),
        ("cycles", np.arange(80, 120), [0.0] * 40),
        ("cycles", [], []),
        ("fluorescence", CYCLES, [0.0] * 39),
        ("fluorescence", CYCLES, [math.nan] * 40),
        ("fluorescence", CYCLES, [math.inf] * 40),
        ("fluorescence", CYCLES, [1e200] * 40),
    ],
)
def test_bad_curves_are_refused_by_name(named: str, cycles: Array, fluorescence: Array) -> None:
    with pytest.raises(SurveillanceError, match=named):
        curve_cq(cycles, fluorescence)


def test_a_call_is_a_value() -> None:
    assert curve_cq(CYCLES, logistic(25, 0.65)) == curve_cq(CYCLES, logistic(25, 0.65))
    assert isinstance(curve_cq(CYCLES, CYCLES), CurveCall)
