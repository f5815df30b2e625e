"""Whatever these functions are given, they raise SurveillanceError or answer; a warning is an error in every test."""

import itertools
import math
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, ParamSpec, TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array
from gateway.surveillance.assay import call_cdc_2019ncov, curve_cq
from gateway.surveillance.farrington import flexible
from gateway.surveillance.scan import spacetime_poisson
from gateway.surveillance.wastewater import (
    censored_lognormal,
    detection_proportion,
    lod95,
    standard_curve,
    trend,
    wval,
)

pytestmark = pytest.mark.simulation

P = ParamSpec("P")
T = TypeVar("T")
NUMBER = st.one_of(
    st.sampled_from([0.0, 1.0, 2.0, 1e9, -1.0, math.nan, math.inf, -math.inf, 1e-300, 1e300, 0.5, 40.0]),
    st.floats(0, 60),
    st.floats(),
)
COUNT = st.one_of(st.sampled_from([0.0, 1.0, 3.0, 1e9]), st.integers(0, 40).map(float))


def values(length: int, clean: st.SearchStrategy[float] = COUNT) -> st.SearchStrategy[list[float]]:
    """Clean numbers, constant ones, or anything."""
    return st.one_of(
        st.lists(clean, min_size=length, max_size=length),
        clean.map(lambda one: [one] * length),
        st.lists(NUMBER, min_size=length, max_size=length),
    )


def some(clean: st.SearchStrategy[float] = COUNT, most: int = 12) -> st.SearchStrategy[list[float]]:
    return st.integers(0, most).flatmap(lambda length: values(length, clean))


def together(columns: int, clean: st.SearchStrategy[float] = COUNT) -> st.SearchStrategy[list[list[float]]]:
    """Columns of mostly equal length."""
    equal = st.integers(0, 14).flatmap(lambda length: st.tuples(*[values(length, clean)] * columns).map(list))
    return st.one_of(equal, equal, equal, st.tuples(*[some(clean)] * columns).map(list))


def answers(call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T | None:
    """The answer, or None for a refusal; any other exception ends the test."""
    try:
        return call(*arguments, **named)
    except SurveillanceError:
        return None


def dated(length: int, gaps: list[int]) -> list[date]:
    steps = itertools.islice(itertools.cycle(gaps), length)
    return [date(2020, 1, 6) + timedelta(days=day) for day in itertools.accumulate(steps)]


GAPS = st.lists(st.integers(0, 90), min_size=1, max_size=9)


@settings(deadline=None, max_examples=40)
@given(
    st.one_of(values(240), st.tuples(COUNT, COUNT).map(lambda two: [two[k % 7 == 0] for k in range(240)])),
    st.one_of(st.none(), values(240)),
    st.sampled_from(["nbPlugin", "muan", "delta"]),
    st.sampled_from([1, 2, 10, 46]),
    st.integers(0, 30),
)
def test_farrington(counts: list[float], tests: list[float] | None, method: str, periods: int, recent: int) -> None:
    weeks = dated(240, [7])
    given_: dict[str, Any] = {"method": method, "periods": periods, "exclude_recent": recent, "min_cases": (0, 1)}
    got = answers(flexible, counts, weeks, [239, 5], tests=tests, **given_)
    if got is not None:
        assert math.isnan(got.upper[1])
        assert np.isnan(got.upper[0]) or got.upper[0] >= 0
        assert not (got.alarm & np.isnan(got.upper)).any()
        assert np.isnan(got.dispersion[0]) or got.dispersion[0] >= 1


@settings(deadline=None, max_examples=100)
@given(together(8), some(), st.lists(st.lists(st.integers(-1, 4), max_size=4).map(tuple), max_size=4))
def test_scan(table: list[list[float]], baselines: list[float], zones: list[tuple[int, ...]]) -> None:
    rng = np.random.default_rng(1)
    half = len(table) // 2
    for expected in (table[half:], [baselines], np.full((half, len(table[0])), 2.0)):
        counts: Any = table[:half]
        got = answers(spacetime_poisson, counts, expected, zones, simulations=19, rng=rng)
        for cluster in got or []:
            assert cluster.score > 0
            assert cluster.relative_risk > 1
            assert 0 < cluster.p <= 1


@settings(deadline=None)
@given(together(2, st.floats(1e-3, 1e9)), some(st.floats(10, 45), 4))
def test_standard_curve(columns: list[list[float]], cq: list[float]) -> None:
    curve = answers(standard_curve, *columns)
    if curve is not None:
        assert curve.slope < 0
        got = answers(curve.concentration, cq)
        assert got is None or math.isnan(got.lower) or got.lower <= got.copies <= got.upper


@settings(deadline=None, max_examples=120)
@given(together(3), st.sampled_from(["probit", "logit"]))
def test_lod95(columns: list[list[float]], link: str) -> None:
    x, low, high = columns
    for hits, n in ((low, high), ([min(pair) for pair in zip(low, high, strict=False)], high)):
        got = answers(lod95, x, hits, n, link=link)
        if got is not None:
            assert got.identifiable == math.isfinite(got.log10_lod95)
            assert not got.identifiable or got.log10_lod50 < got.log10_lod95


@settings(deadline=None, max_examples=100)
@given(together(2, st.floats(0, 1e9)), GAPS, st.sampled_from(["sars-cov-2", "fluav", "rsv"]))
def test_wval(columns: list[list[float]], gaps: list[int], target: str) -> None:
    c, lod = columns
    for limit in (lod, 10.0):
        got = answers(wval, c, dated(len(c), gaps), lod=limit, target=target)
        if got is not None:
            assert len(got.dates) == len(got.value) == len(got.level) <= len(c)
            assert [level is None for level in got.level] == np.isnan(got.value).tolist()
            assert not np.isinf(got.value).any()


@settings(deadline=None, max_examples=100)
@given(together(2, st.floats(0, 1e9)), GAPS, st.integers(-1, 400))
def test_trend(columns: list[list[float]], gaps: list[int], length: int) -> None:
    c, lod = columns
    for limit in (lod, 10.0):
        for window in ({"samples": length}, {"days": length}):
            got = answers(trend, c, dated(len(c), gaps), lod=limit, **window)
            if got is not None:
                assert got.n <= len(c)
                assert math.isnan(got.p_value) or 0 <= got.p_value <= 1
                assert not math.isinf(got.percent_change)


@settings(deadline=None)
@given(some(st.sampled_from([0.0, 1.0])), GAPS, st.integers(-1, 400))
def test_detection_proportion(detected: list[float], gaps: list[int], length: int) -> None:
    got = answers(detection_proportion, detected, dated(len(detected), gaps), days=length)
    assert got is None or ((got >= 0) & (got <= 100)).all()


@settings(deadline=None, max_examples=120)
@given(together(2, st.floats(0, 1e9)))
def test_censored_lognormal(columns: list[list[float]]) -> None:
    c, lod = columns
    for limit in (lod, 10.0):
        got = answers(censored_lognormal, c, limit)
        if got is not None:
            assert 0 <= got.n_censored <= len(c)
            assert math.isnan(got.sd_log) == math.isnan(got.mean_log)
            assert math.isnan(got.sd_log) or got.sd_log > 0


@given(st.one_of(st.none(), NUMBER), st.one_of(st.none(), NUMBER), st.one_of(st.none(), NUMBER))
def test_call_cdc_2019ncov(n1: float | None, n2: float | None, rp: float | None) -> None:
    got = answers(call_cdc_2019ncov, n1, n2, rp)
    assert got in (None, "positive", "inconclusive", "negative", "invalid")


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 30).flatmap(lambda length: values(length, st.floats(-1e9, 1e9))), GAPS)
def test_curve_cq(fluorescence: list[float], gaps: list[int]) -> None:
    n = len(fluorescence)
    for cycles in (list(range(1, n + 1)), list(itertools.accumulate(itertools.islice(itertools.cycle(gaps), n)))):
        got = answers(curve_cq, cycles, fluorescence)
        if got is not None:
            assert got.amplified == math.isfinite(got.cq)


@pytest.mark.parametrize("none", [np.zeros(0), np.zeros(0, dtype=np.int64)])
def test_empty_series_are_refused_or_answered_with_nothing(none: Array) -> None:
    assert len(flexible(none, [], []).expected) == 0
    assert len(wval(none, [], lod=1.0).value) == 0
    assert len(detection_proportion(none, [])) == 0
    assert trend(none, [], lod=1.0, days=5).n == 0
    assert math.isnan(censored_lognormal(none, 1.0).mean_log)
    assert not lod95(none, none, none).identifiable
    for call in (lambda: standard_curve(none, none), lambda: curve_cq(none, none)):
        with pytest.raises(SurveillanceError):
            call()
