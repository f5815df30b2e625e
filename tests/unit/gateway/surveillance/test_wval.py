"""The whole method once more, in plain Python and day by day, on real and random series; steps by hand."""

import csv
import math
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import SurveillanceError
from gateway.surveillance.wastewater import Wval, wval
from tests.support.seeds import SEED

DATA = Path(__file__).parents[4] / "docs" / "evidence" / "data" / "wisconsin_wastewater.csv"
Sample = tuple[date, float, float]


def plants() -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    with DATA.open(newline="") as lines:
        for row in csv.DictReader(lines):
            if row["n1_copies_per_l"] and row["n1_lod"]:
                sample = (date.fromisoformat(row["date"]), float(row["n1_copies_per_l"]), float(row["n1_lod"]))
                found.setdefault(row["site"], []).append(sample)
    return {site: sorted(samples, key=lambda one: one[0]) for site, samples in found.items()}


def spread(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1)) if len(values) > 1 else math.nan


def due(day: date, target: str) -> tuple[tuple[int, ...], int]:
    """Recalculation period of a day, and its distance to the period's date."""
    if target != "sars-cov-2":
        season = day.year if day.month >= 8 else day.year - 1
        return (season,), min(abs((day - date(year, 8, 1)).days) for year in (day.year, day.year + 1))
    if 4 <= day.month <= 9:
        return (day.year, 1), abs((day - date(day.year, 4, 1)).days)
    return (day.year, 2), abs((day - date(day.year, 10, 1)).days)


def by_hand(samples: list[Sample], target: str) -> tuple[list[date], list[float], list[float], list[float]]:
    logs = [(day, math.log(lod / 2 if c < lod else c)) for day, c, lod in samples]
    first = logs[0][0]
    mean, sd = sum(value for _, value in logs) / len(logs), spread([value for _, value in logs])
    kept = [one for one in logs if not sd > 0 or abs(one[1] - mean) / sd <= 4]
    nearest: dict[tuple[int, ...], int] = {}
    for day, _ in kept:
        period, distance = due(day, target)
        nearest[period] = min(distance, nearest.get(period, 10_000))
    baselines: list[float] = []
    sds: list[float] = []
    for day, _ in kept:
        period, distance = due(day, target)
        at_first = (day - first).days <= (182 if target == "sars-cov-2" else 365)
        baseline, width = (baselines[-1], sds[-1]) if baselines else (math.nan, math.nan)
        if at_first or distance == nearest[period]:
            window = sorted(value for other, value in kept if 0 <= (day - other).days <= 730)
            baseline = window[math.floor(0.1 * (len(window) - 1))]
            width = spread(window) if len(window) > 1 else width
        baselines.append(baseline)
        sds.append(width)
    days = [day for day, _ in kept]
    if (days[-1] - first).days < 56 or not sds[-1] > 0:
        return days, baselines, sds, [math.nan] * len(kept)
    return days, baselines, sds, [math.exp((value - baselines[-1]) / sds[-1]) for _, value in kept]


def computed(samples: list[Sample], target: str) -> Wval:
    return wval(
        [c for _, c, _ in samples], [day for day, _, _ in samples], lod=[lod for *_, lod in samples], target=target
    )


def assert_same(samples: list[Sample], target: str) -> None:
    got, (days, baseline, sd, value) = computed(samples, target), by_hand(samples, target)
    assert got.dates.tolist() == days
    np.testing.assert_allclose(got.ln_baseline, baseline)
    np.testing.assert_allclose(got.ln_sd, sd, atol=1e-12)
    np.testing.assert_allclose(got.value, value, rtol=1e-6)


@pytest.mark.parametrize("target", ["sars-cov-2", "fluav", "rsv"])
@pytest.mark.parametrize("site", sorted(plants()))
def test_six_real_plants_come_out_as_the_method_written_out_day_by_day(site: str, target: str) -> None:
    assert_same(plants()[site], target)


def test_random_series_with_gaps_outliers_and_several_samples_a_day_do_too() -> None:
    rng = np.random.default_rng(SEED)
    for round_ in range(40):
        n = int(rng.integers(2, 200))
        days = np.sort(rng.integers(0, rng.choice([40, 400, 1500]), n))
        c = np.exp(rng.normal(8, 1, n))
        c[rng.random(n) < 0.02] *= 1e6
        samples = [(date(2021, 1, 15) + timedelta(days=int(d)), float(v), 900.0) for d, v in zip(days, c, strict=True)]
        assert_same(samples, ("sars-cov-2", "fluav", "rsv")[round_ % 3])


@pytest.mark.parametrize(
    ("target", "cuts"),
    [
        ("sars-cov-2", (2, 3.4, 5.3, 7.8)),
        ("fluav", (2.7, 6.2, 11.2, 17.6)),
        ("rsv", (2.5, 5.2, 8, 11)),
    ],
)
def test_levels_are_cdcs_with_the_cut_point_itself_in_the_lower_level(target: str, cuts: tuple[float, ...]) -> None:
    # Two thirds at 1 and a third at e make baseline 0; every sample is recomputed at first, so sd is that of all.
    logs = np.tile([0.0, 0.0, 1.0], 20)
    days = [date(2024, 4, 1) + timedelta(days=k) for k in range(60)]
    sd = logs.std(ddof=1)
    words = ("Very Low", "Low", "Moderate", "High", "Very High")
    got = wval(np.exp(logs * sd), days, lod=1e-6, target=target)
    value = math.e ** (1 / logs.std(ddof=1) * 1)
    np.testing.assert_allclose(got.value, np.where(logs == 1, value, 1.0))
    expected = words[sum(value > cut for cut in cuts)]
    assert [got.level[0], got.level[2]] == ["Very Low", expected]


def test_below_56_days_there_is_a_baseline_but_no_value_and_from_56_on_there_is() -> None:
    c = np.exp(np.arange(60) % 7)
    days = [date(2024, 1, 1) + timedelta(days=k) for k in range(60)]
    short = wval(c[:56], days[:56], lod=0.1)
    assert np.isnan(short.value).all()
    assert set(short.level) == {None}
    assert np.isfinite(short.ln_baseline).all()
    assert np.isfinite(wval(c[:57], days[:57], lod=0.1).value).all()


def test_an_outlier_is_dropped_and_half_the_limit_stands_for_what_is_below() -> None:
    c = np.exp(np.arange(100) % 5 / 5)
    c[50], c[10] = 1e9, 0.0
    got = wval(c, [date(2024, 1, 1) + timedelta(days=k) for k in range(100)], lod=0.8)
    assert len(got.dates) == 99
    assert date(2024, 1, 1) + timedelta(days=50) not in got.dates.tolist()
    assert got.value[10] == pytest.approx(math.exp((math.log(0.4) - got.ln_baseline[-1]) / got.ln_sd[-1]))


def test_a_constant_series_has_no_spread_and_so_no_value() -> None:
    got = wval([500.0] * 90, [date(2024, 1, 1) + timedelta(days=k) for k in range(90)], lod=10)
    np.testing.assert_allclose(got.ln_sd[1:], 0)
    assert np.isnan(got.value).all()


def test_january_to_march_waits_for_october_of_the_same_year() -> None:
    # CDC's grouping by calendar year: with data up to February the sample nearest to October is the last one.
    days = [date(2023, 1, 1) + timedelta(days=7 * k) for k in range(60)]
    c = np.exp(np.sin(np.arange(60)))
    got = wval(c, days, lod=0.01)
    changed = [
        day for k, day in enumerate(days) if k and got.ln_sd[k] != got.ln_sd[k - 1] and (day - days[0]).days > 182
    ]
    assert changed == [date(2023, 10, 1), days[-1]]


@given(st.integers(0, 2), st.integers(-500, 500))
def test_a_change_of_the_unit_changes_no_value(kind: int, exponent: int) -> None:
    samples = plants()["Hudson"][:80]
    factor = 2.0 ** (exponent / 20)
    scaled = [(day, c * factor, lod * factor) for day, c, lod in samples]
    target = ("sars-cov-2", "fluav", "rsv")[kind]
    np.testing.assert_allclose(computed(scaled, target).value, computed(samples, target).value, rtol=1e-9)


@pytest.mark.parametrize(
    ("named", "change"),
    [
        ("concentration", {"concentration": [-1.0, 2.0]}),
        ("concentration", {"concentration": [math.nan, 2.0]}),
        ("dates", {"dates": ["2024-01-02", "2024-01-01"]}),
        ("dates", {"dates": ["2024-01-02"]}),
        ("dates", {"dates": ["yesterday", "today"]}),
        ("dates", {"dates": np.array(["NaT", "NaT"], dtype="datetime64[D]")}),
        ("lod", {"lod": 0.0}),
        ("lod", {"lod": [1.0, 1.0, 1.0]}),
        ("target", {"target": "measles"}),
    ],
)
def test_bad_input_is_refused_by_the_parameters_name(named: str, change: dict[str, Any]) -> None:
    good: dict[str, Any] = {"concentration": [1.0, 2.0], "dates": ["2024-01-01", "2024-01-02"], "lod": 1.0}
    with pytest.raises(SurveillanceError, match=named):
        wval(**(good | change))
