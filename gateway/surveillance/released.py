"""Released values, noisy and possibly negative, made ready for a detector that wants positives out of tests.

Each window's values carry fresh discrete Laplace noise of known variance. Clipping them into 0 <= positives <= tests
lifts their mean where noise outweighs counts, so a detector must not compare them with the true share. Here every
window gets the share and the dispersion that clipped, noisy positives have while the true share is p0: a normal
variable's first two moments after clipping at 0, then the beta-binomial of the same two moments. How well that holds
is not assumed: thresholds come from a simulation of the whole (scripts/make_thresholds.py, budget).

Detectors that compare counts with their own past (ears, ewma) take `counted`: counts clipped at 0, and a standard
deviation that the past may not fall below, the noise's own (docs/adr/0007 says why a floor and nothing more).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from gateway.errors import SurveillanceError
from gateway.surveillance.arrays import Array, along, at_least, numbers, share

# Positivity differs from one window to the next by more than chance: people come in families and schools send
# classes. 0.001 doubles the variance at some 1000 tests a window and is invisible at 50.
CORRELATION = 0.001
LEAST_SD = 0.5  # of counts without noise (Burkom: 0.5 to 1 for sparse counts)
LEAST_P0, MOST_P0 = 0.002, 0.4  # noise can make a learnt share 0 or negative; below this no kiosk programme is
# A share learnt from noisy windows is uncertain, and one too low alarms far more often than one too high alarms less.
# So much of its standard error up keeps the budget on average: on 1000 calibration seeds of the back-test's worlds 0.3
# raised 5 % more false signals than the budget and 0.4 raised 2 % fewer; 0.37, between them, raised 3 % more on other
# seeds, so the careful end was taken and measured on seeds that nothing had seen (docs/adr/0007).
LEARNT_UP_SD = 0.4
_LEAST_TESTS = 2.0  # below it two moments fix no beta-binomial, and there is next to nothing to learn
_CORRELATIONS = (1e-6, 0.5)  # the upper end: all that noise can say is "some" or "none"
_SHARES = (1e-4, 0.5)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What `cusum.betabinomial_lr` takes, a value a window; 0 tests where nothing can be learnt."""

    positives: Array
    tests: Array
    p0: Array
    dispersion: Array


def prepare(
    positives: npt.ArrayLike,
    valid: npt.ArrayLike,
    *,
    p0: npt.ArrayLike,
    noise_sd: npt.ArrayLike,
    noise_sd_valid: npt.ArrayLike,
) -> Prepared:
    """Clip released counts and describe them while the true share is `p0`.

    Raises:
        SurveillanceError: NaN, different lengths or an impossible share; the message names the parameter.
    """
    x, n = numbers("positives", positives), numbers("valid", valid)
    if x.shape != n.shape:
        raise SurveillanceError(f"positives, valid: lengths differ ({x.shape} and {n.shape})")
    base = along("p0", share("p0", p0), x)
    sd = along("noise_sd", at_least("noise_sd", noise_sd, 0.0), x)
    sd_valid = along("noise_sd_valid", at_least("noise_sd_valid", noise_sd_valid, 0.0), x)

    tests = np.where(n >= _LEAST_TESTS, n, 0.0)
    judged = np.maximum(tests, _LEAST_TESTS)  # where there are none the moments are computed and never used
    own = judged * base * (1 - base) * (1 + (judged - 1) * CORRELATION)
    mean, variance = _clipped_at_zero(judged * base, own + sd**2 + (base * sd_valid) ** 2)
    shifted = np.clip(mean / judged, *_SHARES)
    correlation = np.clip((variance / (judged * shifted * (1 - shifted)) - 1) / (judged - 1), *_CORRELATIONS)
    return Prepared(
        positives=np.clip(x, 0.0, tests), tests=tests, p0=shifted, dispersion=correlation / (1 - correlation)
    )


@dataclass(frozen=True, slots=True)
class Counted:
    """What `ears` and `ewma.essence_of_released` take."""

    counts: Array
    least_sd: Array


def counted(positives: npt.ArrayLike, *, noise_sd: npt.ArrayLike) -> Counted:
    """Clip released counts at 0; `least_sd` is that of their noise, or LEAST_SD.

    Raises:
        SurveillanceError: NaN or different lengths; the message names the parameter.
    """
    x = numbers("positives", positives)
    sd = along("noise_sd", at_least("noise_sd", noise_sd, 0.0), x)
    return Counted(counts=np.maximum(x, 0.0), least_sd=np.maximum(sd, LEAST_SD))


def possible_share(values: npt.ArrayLike) -> Array:
    """Shares as a baseline may have them: from LEAST_P0 to MOST_P0."""
    return np.clip(numbers("share", values), LEAST_P0, MOST_P0)


def learnt_share(positives: npt.ArrayLike, tests: npt.ArrayLike, *, noise_variance: npt.ArrayLike) -> Array:
    """The baseline share of summed released counts, LEARNT_UP_SD standard errors up; NaN where no test is left.

    `noise_variance` is that of the summed positives.

    Raises:
        SurveillanceError: NaN or different lengths; the message names the parameter.
    """
    x, n = numbers("positives", positives), numbers("tests", tests)
    variance = along("noise_variance", at_least("noise_variance", noise_variance, 0.0), x)
    judged = np.where(along("tests", n, x) > 0, n, 1.0)
    base = possible_share(x / judged)
    up = possible_share(base + LEARNT_UP_SD * np.sqrt(judged * base * (1 - base) + variance) / judged)
    return np.where(n > 0, up, np.nan)


def pooled_shares(positives: npt.ArrayLike, tests: npt.ArrayLike, *, noise_variance: npt.ArrayLike) -> Array:
    """The baseline share of each zone (last axis) of a district, LEARNT_UP_SD standard errors up; NaN without tests.

    A zone's own share is drawn towards that of all, the more the less it can be told from theirs: empirical Bayes with
    the variance between zones by moments (Morris 1983). One zone alone keeps its own, as in `learnt_share`.

    Raises:
        SurveillanceError: NaN or different lengths; the message names the parameter.
    """
    x, n = numbers("positives", positives), numbers("tests", tests)
    variance = along("noise_variance", at_least("noise_variance", noise_variance, 0.0), x)
    if x.ndim == 0:
        raise SurveillanceError("positives: one number where a value for each zone is needed")
    known = along("tests", n, x) > 0
    judged, zones = np.where(known, n, 1.0), known.sum(axis=-1, keepdims=True)
    everyone = np.maximum(np.where(known, n, 0.0).sum(axis=-1, keepdims=True), 1.0)
    pool = possible_share(np.where(known, x, 0.0).sum(axis=-1, keepdims=True) / everyone)
    own_error = (judged * pool * (1 - pool) + variance) / judged**2
    pool_error = pool * (1 - pool) / everyone + np.where(known, variance, 0.0).sum(axis=-1, keepdims=True) / everyone**2
    apart = np.where(known, (x / judged - pool) ** 2, 0.0).sum(axis=-1, keepdims=True) / np.maximum(zones - 1, 1)
    chance = np.where(known, own_error, 0.0).sum(axis=-1, keepdims=True) / np.maximum(zones, 1)
    between = np.maximum(apart - chance, 0.0)
    own = np.where(zones > 1, between / (between + own_error), 1.0)
    error = np.sqrt(own * own_error + (1 - own) ** 2 * pool_error)
    drawn = possible_share(own * x / judged + (1 - own) * pool)
    return np.where(known, possible_share(drawn + LEARNT_UP_SD * error), np.nan)


def _clipped_at_zero(mean: Array, variance: Array) -> tuple[Array, Array]:
    """Mean and variance of max(0, Z) for a normal Z."""
    sd = np.sqrt(variance)
    z = mean / sd
    above, density = ndtr(z), np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    first = mean * above + sd * density
    second = (mean**2 + variance) * above + mean * sd * density
    return first, second - first**2
