"""From Cq to copies, and the concentration from which a method detects: standard curve and limit of detection.

Standard curve Cq = a + b log10(copies), efficiency 10^(-1/b) - 1, inverse prediction with the usual approximate
interval (MIQE: Bustin et al. 2009; limits of acceptance in use: slope -3.6 to -3.1, R2 >= 0.98, PMC8282960 table 2).
Limit of detection by probit or logit regression of hit rates (Forootan et al. 2017, PMC5496743). Not done here:
volumes, recovery and dilution (copies a reaction to copies a litre).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array, positive
from gateway.surveillance.columns import finite, line

_LEAST_POINTS = 3  # two points fit any line and leave nothing to judge it by
_TWO_SIDED = 0.975
_DETECTED = 0.95
_MOST_STEPS = 200
_STOP = 1e-12
_ROUNDING = 1e-12  # of a log-likelihood, relative
_MOST_LOG10 = 300.0  # beyond it 10^x leaves float64


@dataclass(frozen=True, slots=True)
class Estimate:
    """Copies in a reaction with a 95 % interval; NaN where the curve cannot say."""

    copies: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class StandardCurve:
    """A fitted dilution series."""

    slope: float  # cycles a factor of ten
    intercept: float
    r2: float
    efficiency: float  # 1 is doubling; NaN where the slope is too flat for a number
    residual_sd: float  # cycles
    points: int
    mean_cq: float
    sxx: float  # sum of squares of log10 copies around their mean

    def concentration(self, cq_replicates: npt.ArrayLike) -> Estimate:
        """Copies of one sample from its replicates' mean Cq; all must have amplified.

        Interval: 10^(log10 copies -+ t s/|b| sqrt(1/r + 1/n + (mean - mean of the curve)^2 / (b^2 Sxx))), t with n - 2
        degrees of freedom. NaN where the slope does not differ from 0 at 5 % (Fieller: the interval has no end).
        """
        cq = finite("cq_replicates", cq_replicates)
        if cq.size == 0:
            raise SurveillanceError("cq_replicates: there is none")
        mean = float(cq.mean())
        t = float(stats.t.ppf(_TWO_SIDED, self.points - 2))
        log10 = (mean - self.intercept) / self.slope
        explained = self.slope**2 * self.sxx
        if (t * self.residual_sd) ** 2 >= explained:
            return Estimate(_power10(log10), math.nan, math.nan)
        spread = 1 / cq.size + 1 / self.points + (mean - self.mean_cq) ** 2 / explained
        reach = t * self.residual_sd / abs(self.slope) * math.sqrt(spread)
        return Estimate(_power10(log10), _power10(log10 - reach), _power10(log10 + reach))


@dataclass(frozen=True, slots=True)
class Lod:
    """Concentrations detected in 95 % and 50 % of replicates; NaN where the data do not identify them."""

    log10_lod95: float
    log10_lod50: float
    identifiable: bool


def standard_curve(copies: npt.ArrayLike, cq: npt.ArrayLike) -> StandardCurve:
    """Least squares of Cq on log10 copies, one entry a well, wells that did not amplify left out by the caller.

    Raises:
        SurveillanceError: bad values, fewer than three wells, one concentration only, or a slope that is not negative.
    """
    x, y = np.log10(positive("copies", copies)), finite("cq", cq)
    if x.ndim != 1 or x.shape != y.shape:
        raise SurveillanceError(f"cq: shape {y.shape} for copies of shape {x.shape}")
    if len(x) < _LEAST_POINTS:
        raise SurveillanceError(f"cq: a curve needs {_LEAST_POINTS} wells")
    if np.ptp(x) == 0:
        raise SurveillanceError("copies: one concentration only")
    dx, dy = x - x.mean(), y - y.mean()
    sxx, slope = float(dx @ dx), float(dx @ dy / (dx @ dx))
    if not slope < 0:
        raise SurveillanceError("cq: does not fall as copies rise; this is no standard curve")
    residual = float(np.sum((dy - slope * dx) ** 2))
    exponent = -1 / slope if slope < -1 / _MOST_LOG10 else math.nan
    return StandardCurve(
        slope=slope,
        intercept=float(y.mean() - slope * x.mean()),
        r2=1 - residual / float(dy @ dy),
        efficiency=10**exponent - 1,
        residual_sd=math.sqrt(residual / (len(x) - 2)),
        points=len(x),
        mean_cq=float(y.mean()),
        sxx=sxx,
    )


def lod95(
    log10_concentration: npt.ArrayLike, positives: npt.ArrayLike, replicates: npt.ArrayLike, *, link: str = "probit"
) -> Lod:
    """Concentration detected in 95 % (and 50 %) of replicates: F(a + b log10 concentration), maximum likelihood.

    Not identifiable under complete or quasi-complete separation (as when only one level is partly positive: any steep
    curve through it fits), nor when detection does not rise with concentration. With few partial levels the value lies
    between tested levels by the model's word alone.

    Raises:
        SurveillanceError: bad counts or an unknown link; the message names the parameter.
    """
    x = finite("log10_concentration", log10_concentration)
    hits, n = line("positives", positives), line("replicates", replicates)
    if x.ndim != 1 or not x.shape == hits.shape == n.shape:
        raise SurveillanceError("positives, replicates, log10_concentration: different lengths")
    if (hits > n).any():
        raise SurveillanceError("positives: more than replicates")
    if link not in _LINKS:
        raise SurveillanceError(f"link: must be one of {', '.join(_LINKS)}")
    line_of_best_fit = _hit_rate_line(x, hits, n, _LINKS[link]) if _overlaps(x, hits, n - hits) else None
    if line_of_best_fit is None:
        return Lod(math.nan, math.nan, identifiable=False)
    level, slope = line_of_best_fit
    return Lod((_LINKS[link].quantile(_DETECTED) - level) / slope, -level / slope, identifiable=True)


@dataclass(frozen=True, slots=True)
class _Link:
    log_share: Callable[[Array], Array]  # log F
    hazard: Callable[[Array], Array]  # F' / F
    quantile: Callable[[float], float]


def inverse_mills(u: Array) -> Array:
    """phi(u) / Phi(u) of the normal distribution, without loss in either tail."""
    return np.asarray(math.sqrt(2 / math.pi) / special.erfcx(-u / math.sqrt(2)))


_LINKS: Mapping[str, _Link] = {
    "probit": _Link(special.log_ndtr, inverse_mills, lambda p: float(special.ndtri(p))),
    "logit": _Link(special.log_expit, lambda u: np.asarray(special.expit(-u)), lambda p: float(special.logit(p))),
}


def _overlaps(x: Array, hits: Array, misses: Array) -> bool:
    """Whether the likelihood has a maximum: hits below misses, and misses below hits (Albert and Anderson 1984)."""
    hit_at, missed_at = x[hits > 0], x[misses > 0]
    if not len(hit_at) or not len(missed_at):
        return False
    return bool(hit_at.min() < missed_at.max() and missed_at.min() < hit_at.max())


def _hit_rate_line(x: Array, hits: Array, n: Array, link: _Link) -> tuple[float, float] | None:
    """Level and slope of a + b x by Fisher scoring with step halving; None when b is not above 0 or nothing settles."""
    centre, width = float(x.mean()), float(np.ptp(x))
    design = np.column_stack([np.ones_like(x), (x - centre) / width])

    def log_likelihood(beta: Array) -> float:
        eta = design @ beta
        return float(hits @ link.log_share(eta) + (n - hits) @ link.log_share(-eta))

    beta, best = np.zeros(2), log_likelihood(np.zeros(2))
    for _ in range(_MOST_STEPS):
        eta = design @ beta
        up, down = link.hazard(eta), link.hazard(-eta)
        information = design.T @ (design * (n * up * down)[:, None])
        try:
            step = np.linalg.solve(information, design.T @ (hits * up - (n - hits) * down))
        except np.linalg.LinAlgError:  # levels so far apart that float64 sees no slope
            return None
        while (now := log_likelihood(beta + step)) < best - _ROUNDING * abs(best) and np.abs(step).max() > _STOP:
            step = step / 2
        beta, best = beta + step, max(best, now)
        if np.abs(step).max() <= _STOP * (1 + np.abs(beta).max()):
            slope = float(beta[1]) / width
            return (float(beta[0]) - slope * centre, slope) if slope > 0 else None
    return None


def _power10(exponent: float) -> float:
    return float(10**exponent) if abs(exponent) < _MOST_LOG10 else math.nan
