"""Calls of nucleic-acid assays: what a panel's Cq values mean, and whether a fluorescence curve shows amplification.

Panel: CDC 2019-nCoV Real-Time RT-PCR Diagnostic Panel, instructions for use (2020-12-01), interpretation table. Curve:
five-parameter log-logistic fit (Spiess et al. 2008, BMC Bioinformatics 9:221) and its second-derivative maximum. Not
done here: run controls and repeats, and cut-offs of other kits. Serves laboratory samples; a kiosk's analyser makes its
own calls.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import OptimizeResult, least_squares

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array, numbers

CDC_CUT_OFF_CT = 40.0  # a Ct below it is a detection
_LEAST_CYCLES, _LAST_CYCLE = 10, 100.0
_MOST_FLUORESCENCE = 1e100
_GRID = 0.01  # cycles
_AMPLITUDE_SD = 10.0  # rise over the noise of the baseline
_NOISE_ONLY_SD = 8.0  # a range below it, over the cycle-to-cycle noise, cannot hold such a rise
# Burnham and Anderson 2002: a model worse by more than 10 in AIC has no support, one by less than 4 still some.
_NO_SUPPORT, _SOME_SUPPORT = 10.0, 4.0
_LEAST_GROWTH = 1.25  # a cycle; a reaction this slow is not one to call
_LEAST_CONVEXITY = 0.6  # cycles from 5 to 20 % by those from 20 to 50 %: a line has 0.5, a logistic curve 1.1
_SLOW_RISE = 8.0  # cycles: an amplification's steep part takes 6
_FASTEST_RISE = 1.5  # cycles from 10 to 50 %: doubling takes 2.3, a bubble or a knock one
_PLATEAU_SEEN = 0.5  # of the way to the plateau: from there on it is an interpolation
_BASELINE_SHARE, _LEAST_BASELINE = 0.02, 5
_EXACT = 1e-9  # relative to the range: what counts as no noise at all
_SHAPE_BOUNDS = (np.log([0.5, 0.5, 0.02]), np.log([300.0, 300.0, 100.0]))  # steepness, middle, asymmetry
_ROUGH_EVALUATIONS, _FINE_EVALUATIONS, _POLISHED = 12, 200, 2
_SHAPE_STARTS = tuple(itertools.product((8.0, 25.0), (0.35, 0.6, 0.85), (0.5, 2.0)))  # middle: share of the last cycle


def call_cdc_2019ncov(n1: float | None, n2: float | None, rp: float | None) -> str:
    """Call one specimen from its Ct values; None or a Ct of 40.00 and more is not detected.

    Both targets: "positive", whatever the human gene does; one of them: "inconclusive" (repeat); none: "negative" with
    the human gene, "invalid" (extract again) without.

    Raises:
        SurveillanceError: a Ct that is not a number above 0; the message names it.
    """
    detected = _detected("n1", n1) + _detected("n2", n2)
    human = _detected("rp", rp)
    if detected == 0:
        return "negative" if human else "invalid"
    return "inconclusive" if detected == 1 else "positive"


@dataclass(frozen=True, slots=True)
class CurveCall:
    """One well; all numbers are NaN without amplification."""

    amplified: bool
    cq: float  # second-derivative maximum, on a grid of 0.01 cycles
    plateau: float  # upper asymptote; NaN too while less than half of it has been reached
    efficiency: float  # F(cq) / F(cq - 1) of the fit, background included; NaN where that is not above 0


NO_AMPLIFICATION = CurveCall(amplified=False, cq=math.nan, plateau=math.nan, efficiency=math.nan)


@dataclass(frozen=True, slots=True)
class _Sigmoid:
    """F(n) = floor + rise (1 + (n / middle)^-steepness)^-asymmetry + drift n."""

    steepness: float
    middle: float
    asymmetry: float
    floor: float
    rise: float
    residuals: Array
    parameters: int

    def grown(self, cycles: Array) -> Array:
        """Share of the rise, 0 to 1."""
        return np.exp(_log_shape(cycles, self.steepness, self.middle, self.asymmetry))

    def cycle_at(self, share: float) -> float:
        """Where the given share of the rise is reached."""
        odds = math.expm1(min(-math.log(share) / self.asymmetry, 700.0))
        return float(self.middle * max(odds, 1e-300) ** (-1 / self.steepness))


def curve_cq(cycles: npt.ArrayLike, fluorescence: npt.ArrayLike) -> CurveCall:
    """Judge one well's curve, then quantify it.

    Amplification is: a rise of more than 10 standard deviations of the baseline; a five-parameter curve (with or
    without a steady drift) better in AIC by more than 10 than a line and a parabola, by more than 4 than a line with
    one bend and a parabola that starts late, and not worse by 4 than a straight rise between two flat parts; growth
    that is exponential at first, at least 1.25 a cycle, not faster than doubling; an acceleration that ends within the
    run.

    Raises:
        SurveillanceError: fewer than 10 cycles, cycles out of order or beyond 100, values that are not finite.
    """
    n, raw = _cycles(cycles), _fluorescence(fluorescence)
    if n.shape != raw.shape:
        raise SurveillanceError(f"fluorescence: {len(raw)} values for {len(n)} cycles")
    low, width = float(raw.min()), float(np.ptp(raw))
    if width <= _EXACT * float(np.abs(raw).max()):
        return NO_AMPLIFICATION
    y = (raw - low) / width
    if _NOISE_ONLY_SD * _jitter(y) >= 1:
        return NO_AMPLIFICATION
    plain = _best_sigmoid(n, y, drift=False)
    judged = min(plain, _best_sigmoid(n, y, drift=True), key=lambda one: _aic(one.residuals, one.parameters))
    grid = np.arange(round((n[-1] - n[0]) / _GRID) + 1) * _GRID + n[0]
    peak = int(np.argmax(_acceleration(grid, plain)))
    if not _amplifies(n, y, judged) or peak in (0, len(grid) - 1):
        return NO_AMPLIFICATION
    cq = float(grid[peak])
    reached = float(plain.grown(n[-1:])[0])
    plateau = low + width * (plain.floor + plain.rise) if reached >= _PLATEAU_SEEN else math.nan
    return CurveCall(amplified=True, cq=cq, plateau=plateau, efficiency=_efficiency(plain, cq, low / width))


def _jitter(y: Array) -> float:
    """Standard deviation of the noise from second differences, which a smooth curve hardly has."""
    return float(np.sqrt(np.mean(np.diff(y, 2) ** 2) / 6))


def _amplifies(n: Array, y: Array, fit: _Sigmoid) -> bool:
    aic = _aic(fit.residuals, fit.parameters)
    reached = float(fit.grown(n[-1:])[0])
    if fit.rise * reached <= _AMPLITUDE_SD * _noise(n, fit) or reached <= 0:
        return False
    if any(_aic(residuals, parameters) <= aic + margin for residuals, parameters, margin in _drifts(n, y)):
        return False
    at = {percent: fit.cycle_at(percent / 100 * reached) for percent in (5, 10, 20, 50)}
    growth = 4 ** (1 / max(at[20] - at[5], _GRID))  # from 5 to 20 % is fourfold
    convex = (at[20] - at[5]) / max(at[50] - at[20], _GRID)
    return growth >= _LEAST_GROWTH and convex >= _LEAST_CONVEXITY and at[50] - at[10] >= _FASTEST_RISE


def _noise(n: Array, fit: _Sigmoid) -> float:
    """Standard deviation of the residuals before take-off; of all, where there is too little before it."""
    quiet = fit.grown(n) < _BASELINE_SHARE * fit.grown(n[-1:])
    chosen = fit.residuals[quiet] if quiet.sum() >= _LEAST_BASELINE else fit.residuals
    return max(float(np.sqrt(np.mean(chosen**2))), _EXACT)


def _aic(residuals: Array, parameters: int) -> float:
    mean_square = max(float(np.mean(residuals**2)), _EXACT**2)
    return len(residuals) * math.log(mean_square) + 2 * parameters


def _drifts(n: Array, y: Array) -> Iterator[tuple[Array, int, float]]:
    """What is no amplification, fitted: residuals, number of parameters, and the AIC it may be worse by and still win.

    The shapes of a drift, from the plainest on: a line and a parabola need strong evidence against them, a line with
    one bend and a parabola that starts late some. A straight rise of 8 cycles or more between two flat parts comes
    close to any curve, so evidence for it is needed.
    """
    one = np.ones_like(n)
    yield _project(np.column_stack([one, n]), y)[1], 2, _NO_SUPPORT
    yield _project(np.column_stack([one, n, n**2]), y)[1], 3, _NO_SUPPORT
    bends = {knot: np.maximum(n - knot, 0) for knot in np.arange(n[1], n[-2], 0.25)}
    yield _closest(([one, n, after] for after in bends.values()), y), 4, _SOME_SUPPORT
    yield _closest(([one, n, after**2] for after in bends.values()), y), 4, _SOME_SUPPORT
    pairs = [(a, b) for a, b in itertools.combinations(list(bends)[::3], 2) if b - a >= _SLOW_RISE]
    if pairs:
        yield _closest(([one, bends[a] - bends[b]] for a, b in pairs), y), 4, -_SOME_SUPPORT


def _closest(bases: Iterable[list[Array]], y: Array) -> Array:
    """Residuals of the basis that fits best."""
    table = np.array([np.column_stack(columns) for columns in bases])
    q = np.linalg.qr(table)[0]
    residuals = y - np.einsum("kij,kj->ki", q, np.einsum("kij,i->kj", q, y))
    return np.asarray(residuals[np.argmin(np.sum(residuals**2, axis=1))])


def _best_sigmoid(n: Array, y: Array, *, drift: bool) -> _Sigmoid:
    """Least squares over shapes from several starts; floor, rise and drift follow from the shape by projection."""
    others = [np.ones_like(n), n] if drift else [np.ones_like(n)]

    def basis(shape: Array) -> Array:
        steepness, middle, asymmetry = np.exp(shape)
        return np.column_stack([*others, np.exp(_log_shape(n, steepness, middle, asymmetry))])

    def misfit(shape: Array) -> Array:
        return _project(basis(shape), y)[1]

    def search(start: Array, evaluations: int) -> OptimizeResult:
        return least_squares(
            misfit,
            start,
            bounds=_SHAPE_BOUNDS,
            xtol=1e-10,
            ftol=1e-10,
            gtol=1e-10,
            max_nfev=evaluations,
        )

    rough = [search(np.log([b, middle * n[-1], f]), _ROUGH_EVALUATIONS) for b, middle, f in _SHAPE_STARTS]
    rough.sort(key=lambda one: float(one.cost))
    fine = [search(one.x, _FINE_EVALUATIONS) for one in rough[:_POLISHED]]
    shape = min(fine, key=lambda one: float(one.cost)).x
    linear, residuals = _project(basis(shape), y)
    steepness, middle, asymmetry = (float(value) for value in np.exp(shape))
    return _Sigmoid(steepness, middle, asymmetry, float(linear[0]), float(linear[-1]), residuals, 3 + len(linear))


def _project(basis: Array, y: Array) -> tuple[Array, Array]:
    coefficients = np.asarray(np.linalg.lstsq(basis, y, rcond=None)[0], dtype=np.float64)
    return coefficients, y - basis @ coefficients


def _log_shape(n: Array, steepness: float, middle: float, asymmetry: float) -> Array:
    return -asymmetry * np.logaddexp(0.0, -steepness * (np.log(n) - math.log(middle)))


def _acceleration(n: Array, fit: _Sigmoid) -> Array:
    """Second derivative of the curve, but for a positive factor that is constant."""
    b, f = fit.steepness, fit.asymmetry
    growing = np.exp(-np.logaddexp(0.0, b * (np.log(n) - math.log(fit.middle))))  # u / (1 + u), u = (n / middle)^-b
    return fit.rise * fit.grown(n) * growing * ((f + 1) * b * growing - (b + 1)) / n**2


def _efficiency(fit: _Sigmoid, cq: float, background: float) -> float:
    if cq <= 1:
        return math.nan
    before, after = background + fit.floor + fit.rise * fit.grown(np.array([cq - 1, cq]))
    return float(after / before) if before > 0 else math.nan


def _detected(name: str, ct: float | None) -> bool:
    if ct is None:
        return False
    value = numbers(name, ct)
    if value.ndim or not 0 < float(value) < math.inf:
        raise SurveillanceError(f"{name}: a Ct is one number above 0, or None")
    return float(value) < CDC_CUT_OFF_CT


def _cycles(cycles: npt.ArrayLike) -> Array:
    n = numbers("cycles", cycles)
    if n.ndim != 1 or len(n) < _LEAST_CYCLES:
        raise SurveillanceError(f"cycles: a curve needs {_LEAST_CYCLES}")
    if (np.diff(n) <= 0).any() or n[0] <= 0 or n[-1] > _LAST_CYCLE:
        raise SurveillanceError(f"cycles: must ascend from above 0 to at most {_LAST_CYCLE:g}")
    return n


def _fluorescence(fluorescence: npt.ArrayLike) -> Array:
    raw = numbers("fluorescence", fluorescence)
    if not (np.abs(raw) <= _MOST_FLUORESCENCE).all():
        raise SurveillanceError(f"fluorescence: beyond {_MOST_FLUORESCENCE:g}")
    return raw
