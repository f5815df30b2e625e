"""Standard curves against SciPy's linear regression; limits of detection against a direct maximum of the likelihood."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import optimize, stats

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array
from gateway.surveillance.wastewater import lod95, standard_curve
from tests.support.seeds import SEED

EUA_CONCENTRATION = [0.5, 0.0, -0.5]  # log10 copies/uL; CDC 2019-nCoV panel, instructions for use, table 4, N1


def test_a_perfect_dilution_series_is_read_off_exactly() -> None:
    copies = 10.0 ** np.arange(1, 7)
    curve = standard_curve(copies, 38 - 3.321928094887362 * np.log10(copies))
    assert curve.slope == pytest.approx(-3.321928094887362)
    assert curve.intercept == pytest.approx(38)
    assert curve.efficiency == pytest.approx(1.0)  # slope -1/log10(2) is doubling
    assert curve.r2 == pytest.approx(1)
    assert curve.concentration([38 - 3.321928094887362 * 2.5]).copies == pytest.approx(10**2.5)


def test_the_line_is_scipys_and_the_interval_is_the_textbooks() -> None:
    rng = np.random.default_rng(SEED)
    copies = np.repeat(10.0 ** np.arange(1, 6), 3)
    cq = 37.5 - 3.4 * np.log10(copies) + rng.normal(0, 0.2, 15)
    curve, line = standard_curve(copies, cq), stats.linregress(np.log10(copies), cq)
    np.testing.assert_allclose(
        [curve.slope, curve.intercept, curve.r2, curve.efficiency],
        [line.slope, line.intercept, line.rvalue**2, 10 ** (-1 / line.slope) - 1],
    )
    got = curve.concentration([27.1, 27.4])
    x = np.log10(copies)
    s = math.sqrt(np.sum((cq - line.slope * x - line.intercept) ** 2) / 13)
    y0 = 27.25
    se = (
        s
        / abs(line.slope)
        * math.sqrt(1 / 2 + 1 / 15 + (y0 - cq.mean()) ** 2 / (line.slope**2 * np.sum((x - x.mean()) ** 2)))
    )
    centre, reach = (y0 - line.intercept) / line.slope, 2.160368656461013 * se  # t(0.975, 13)
    np.testing.assert_allclose(np.log10([got.lower, got.copies, got.upper]), [centre - reach, centre, centre + reach])


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(SEED)
    copies, held = np.repeat(10.0 ** np.arange(1, 6), 3), 0
    for _ in range(1000):
        curve = standard_curve(copies, 37.5 - 3.4 * np.log10(copies) + rng.normal(0, 0.3, 15))
        got = curve.concentration(37.5 - 3.4 * 2.2 + rng.normal(0, 0.3, 3))
        held += got.lower <= 10**2.2 <= got.upper
    low, high = stats.binom.interval(0.999, 1000, 0.95)
    assert low <= held <= high


def test_a_slope_that_noise_could_have_made_has_no_interval() -> None:
    got = standard_curve([10, 100, 1000, 10000], [30, 33, 27, 29.9]).concentration([30])
    assert math.isnan(got.lower)
    assert math.isnan(got.upper)


@pytest.mark.parametrize(
    ("named", "copies", "cq"),
    [
        ("cq", [10, 100, 1000], [20, 23, 26]),
        ("cq", [10, 100, 1000], [30, 30, 30]),
        ("cq", [10, 100], [30, 27]),
        ("copies", [10, 10, 10], [30, 29, 31]),
        ("copies", [0, 10, 100], [30, 29, 28]),
        ("cq", [1, 10, 100], [30, math.nan, 28]),
        ("cq", [1, 10, 100], [30, math.inf, 28]),
        ("cq", [], []),
    ],
)
def test_what_is_no_standard_curve_is_refused(named: str, copies: npt.ArrayLike, cq: npt.ArrayLike) -> None:
    with pytest.raises(SurveillanceError, match=named):
        standard_curve(copies, cq)


def direct(x: list[float], hits: list[int], n: list[int], cdf: stats.rv_continuous) -> tuple[float, float]:
    def negative(beta: Array) -> float:
        eta = beta[0] + beta[1] * np.array(x)
        return -float(np.dot(hits, cdf.logcdf(eta)) + np.dot(np.subtract(n, hits), cdf.logsf(eta)))

    a, b = optimize.minimize(negative, [0.5, 1.0], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12}).x
    return (float(cdf.ppf(0.95)) - a) / b, -a / b


@pytest.mark.parametrize("link", ["probit", "logit"])
@pytest.mark.parametrize("hits", [[20, 19, 13], [18, 11, 2], [20, 9, 1]])
def test_the_limit_of_detection_maximises_the_likelihood(link: str, hits: list[int]) -> None:
    got = lod95(EUA_CONCENTRATION, hits, [20, 20, 20], link=link)
    expected = direct(EUA_CONCENTRATION, hits, [20, 20, 20], {"probit": stats.norm, "logit": stats.logistic}[link])
    assert got.identifiable
    np.testing.assert_allclose([got.log10_lod95, got.log10_lod50], expected, atol=1e-6)


def test_the_published_limit_of_n1_is_the_first_tested_level_at_or_above_ours() -> None:
    # Table 4 finds 20, 19 and 13 of 20; the panel's limit is the level at which both targets reach 95 %, 10^0.5.
    got = lod95(EUA_CONCENTRATION, [20, 19, 13], [20, 20, 20])
    assert min(level for level in EUA_CONCENTRATION if level >= got.log10_lod95) <= 0.5


@pytest.mark.parametrize(
    "hits",
    [
        [20, 20, 6],  # table 5: one partial level
        [20, 20, 0],
        [20, 20, 20],
        [0, 0, 0],
        [20, 0, 0],
        [20, 6, 0],
        [6, 13, 19],  # falls as concentration rises
        [0, 20, 0],
    ],
)
@pytest.mark.parametrize("link", ["probit", "logit"])
def test_what_separates_or_falls_has_no_identifiable_limit(hits: list[int], link: str) -> None:
    got = lod95([1.0, 0.5, 0.0], hits, [20, 20, 20], link=link)
    assert not got.identifiable
    assert math.isnan(got.log10_lod95)
    assert math.isnan(got.log10_lod50)


def test_wells_one_by_one_give_the_same_limit_as_their_sums() -> None:
    x = np.repeat(EUA_CONCENTRATION, 20)
    wells = np.concatenate([np.arange(20) < hits for hits in (20, 19, 13)])
    one_by_one = lod95(x, wells.astype(float), np.ones(60))
    assert one_by_one.log10_lod95 == pytest.approx(lod95(EUA_CONCENTRATION, [20, 19, 13], [20] * 3).log10_lod95)


@pytest.mark.parametrize(
    ("named", "x", "hits", "n", "link"),
    [
        ("positives", [0, 1], [3, 3], [2, 3], "probit"),
        ("positives", [0, 1], [-1, 3], [2, 3], "probit"),
        ("lengths", [0, 1], [1], [2, 3], "probit"),
        ("log10_concentration", [0, math.nan], [1, 1], [2, 3], "probit"),
        ("link", [0, 1], [1, 1], [2, 3], "cloglog"),
    ],
)
def test_bad_hit_rates_are_refused(named: str, x: list[float], hits: list[int], n: list[int], link: str) -> None:
    with pytest.raises(SurveillanceError, match=named):
        lod95(x, hits, n, link=link)
