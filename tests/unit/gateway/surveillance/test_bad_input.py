"""Whatever a caller hands in, each public function answers or raises SurveillanceError: no other error, no warning.

Warnings are errors in every test run, so that a silent overflow fails here too.
"""

import contextlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import SurveillanceError
from gateway.surveillance import air, budget, cusum, ears, ewma, positivity, qc, released, risk, rt

few = settings(max_examples=30)  # for each of some sixty functions and shapes

LR: dict[str, Any] = {"odds_ratio": 2.0, "threshold": 3.0}

# A count or a reading as it may arrive: gaps, noise below zero, floods, text.
wild = st.one_of(
    st.integers(0, 60),
    st.floats(0, 1),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0, 1, -1, 10**9, 2.0**53, 1e300, 5e-324, math.nan, math.inf]),
)
mild = st.one_of(st.integers(0, 60), st.floats(0, 100), st.just(10**9), st.just(0))


def rows(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    constant = st.builds(lambda value, n: [value] * n, values, st.integers(0, 45))
    table = st.builds(lambda n, value: np.full((n, 2), value, dtype=float), st.integers(0, 40), mild)
    return st.one_of(st.lists(values, max_size=45), constant, values, table, st.just([[1, 2], [3]]), st.just("many"))


SERIES: list[tuple[str, Callable[[Any], Any]]] = [
    ("c1", ears.c1),
    ("c1 without a floor", lambda y: ears.c1(y, min_sd=0)),
    ("c2", ears.c2),
    ("c3", lambda y: ears.c3(y, min_sd=0)),
    ("essence", ewma.essence),
    ("essence, one weight", lambda y: ewma.essence(y, weights=(1.0,), baseline=7, guard=0)),
    ("essence of released", lambda y: ewma.essence_of_released(y, least_sd=1.4)),
    ("essence of any floor", lambda sd: ewma.essence_of_released([3.0] * 40, least_sd=sd)),
    ("counted", lambda y: released.counted(y, noise_sd=1.4)),
    ("possible share", released.possible_share),
    ("volume in use", lambda tests: budget.volume_in_use(tests, 28)),
    ("cori", lambda y: rt.cori(y, [0, 0.5, 0.5])),
    ("cori's interval", lambda y: rt.cori([1, 2, 3, 4] * 3, y)),
    ("westgard", qc.westgard),
    ("rebreathed", air.rebreathed_fraction),
    ("co2", lambda t: air.co2_ppm(t, volume_m3=50, air_changes_per_h=1, people=2, activity="light")),
    (
        "co2 of any people",
        lambda n: air.co2_ppm([1.0], volume_m3=50, air_changes_per_h=n, people=n, activity="light"),
    ),
    ("score", lambda v: risk.score("swabs", v)),
    ("upper_limit", lambda n: positivity.upper_limit(n, p0=0.02, level=0.999)),
    ("upper_limit of any share", lambda p: positivity.upper_limit(40, p0=p, level=0.99, correlation=p)),
    ("poisson mean", lambda mean: cusum.poisson_lr([1, 2], mean, ratio=2.0, threshold=3.0)),
]

PAIRS: list[tuple[str, Callable[[Any, Any], Any]]] = [
    ("binomial_lr", lambda x, n: cusum.binomial_lr(x, n, p0=0.02, **LR)),
    ("betabinomial_lr", lambda x, n: cusum.betabinomial_lr(x, n, p0=0.02, dispersion=0.01, **LR)),
    ("poisson_lr", lambda x, n: cusum.poisson_lr(x, n, ratio=2.0, threshold=3.0)),
    ("negbinomial_lr", lambda x, n: cusum.negbinomial_lr(x, n, ratio=2.0, alpha=0.1, threshold=3.0)),
    ("wilson", positivity.wilson),
    ("true_prevalence", lambda x, n: positivity.true_prevalence(x, n, sensitivity=0.95, specificity=0.99)),
    ("upper_limit", lambda n, p: positivity.upper_limit(n, p0=p, level=0.99)),
    (
        "ventilation",
        lambda c, n: air.air_changes_from_co2(range(len(c) if isinstance(c, list) else 2), c, n, volume_m3=60),
    ),
    ("ventilation, any times", lambda t, c: air.air_changes_from_co2(t, c, 2, volume_m3=60)),
]

NUMBERS: list[tuple[str, Callable[[Any, Any, Any], Any]]] = [
    ("serial_interval", lambda a, b, c: rt.serial_interval(a, b, length=12 if c else c)),
    ("clean air", lambda a, b, c: air.equivalent_clean_air_ratio(outdoor_l_s=a, filtered_l_s=b, people=c, space="gym")),
    ("ecdc", lambda a, b, c: risk.ecdc_2021(notification_14d=a, positivity_7d_pct=b, tests_7d=c)),
    ("cdc", lambda a, b, c: risk.cdc_community_2022(cases_7d=a, admissions_7d=b, beds_pct=c)),
    ("stream", lambda a, b, c: risk.Stream(a, b, bool(c))),
    (
        "zone",
        lambda a, b, c: risk.zone_risk(
            risk.ZoneEvidence({"kiosk": risk.Stream(a, b)}, {}, a, b, 1.0, c, previous_level=a, clean_periods=c)
        ),
    ),
    ("prior", lambda a, b, c: rt.cori([1, 2, 3] * 4, [0, 1.0], window=a, prior_mean=b, prior_sd=c)),
    ("ears' settings", lambda a, b, c: ears.c2([1, 2, 3] * 9, baseline=a, guard=b, min_sd=c)),
    ("essence's settings", lambda a, b, c: ewma.essence([1, 2, 3] * 9, baseline=a, guard=b, weights=(c,))),
]


def answers_or_refuses(call: Callable[..., Any], *arguments: object) -> None:
    with contextlib.suppress(SurveillanceError):
        call(*arguments)


@pytest.mark.parametrize("call", [pytest.param(call, id=name) for name, call in SERIES])
@few
@given(values=rows(wild))
def test_a_series_is_judged_or_refused(call: Callable[[Any], Any], values: object) -> None:
    answers_or_refuses(call, values)


@pytest.mark.parametrize("call", [pytest.param(call, id=name) for name, call in SERIES])
@few
@given(values=rows(mild))
def test_a_tidy_series_is_judged_or_refused(call: Callable[[Any], Any], values: object) -> None:
    answers_or_refuses(call, values)


@pytest.mark.parametrize("call", [pytest.param(call, id=name) for name, call in PAIRS])
@few
@given(first=rows(wild), second=rows(wild))
def test_two_series_are_judged_or_refused(call: Callable[[Any, Any], Any], first: object, second: object) -> None:
    answers_or_refuses(call, first, second)


@pytest.mark.parametrize("call", [pytest.param(call, id=name) for name, call in PAIRS])
@few
@given(pairs=st.lists(st.tuples(mild, mild), max_size=30), ordered=st.booleans())
def test_two_series_of_a_length_are_judged_or_refused(
    call: Callable[[Any, Any], Any], pairs: list[tuple[float, float]], ordered: bool
) -> None:
    both = [tuple(sorted(pair)) if ordered else pair for pair in pairs]
    answers_or_refuses(call, [x for x, _ in both], [n for _, n in both])


@pytest.mark.parametrize("call", [pytest.param(call, id=name) for name, call in NUMBERS])
@few
@given(a=wild, b=wild, c=wild)
def test_numbers_are_judged_or_refused(call: Callable[[Any, Any, Any], Any], a: object, b: object, c: object) -> None:
    answers_or_refuses(call, a, b, c)


@few
@given(days=st.integers(-1, 40), tests=st.one_of(st.integers(-1, 80), st.just(10**9)), p0=wild, odds=wild, sigma=wild)
def test_run_lengths_are_judged_or_refused(days: int, tests: int, p0: float, odds: float, sigma: float) -> None:
    answers_or_refuses(
        lambda: cusum.run_length_cdf(
            days, tests=tests, p0=p0, odds_ratio=odds, threshold=2.0, dispersion=sigma, states=50
        )
    )


@few
@given(arl=st.floats(0, 60), tests=st.integers(-1, 30), p0=wild)
def test_thresholds_are_found_or_refused(arl: float, tests: int, p0: float) -> None:
    answers_or_refuses(lambda: cusum.threshold_for_arl(arl, tests=tests, p0=p0, odds_ratio=2.0))
