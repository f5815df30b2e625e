"""Released values, noisy and possibly negative, made ready for a detector that wants positives out of tests.

Each window's values carry fresh discrete Laplace noise of known variance. Clipping them into 0 <= positives <= tests
lifts their mean where noise outweighs counts, so a detector must not compare them with the true share. Here every
window gets the share and the dispersion that clipped, noisy positives have while the true share is p0: a normal
variable's first two moments after clipping at 0, then the beta-binomial of the same two moments. How well that holds
is not assumed: thresholds come from a simulation of the whole (scripts/make_thresholds.py, budget).
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


def _clipped_at_zero(mean: Array, variance: Array) -> tuple[Array, Array]:
    """Mean and variance of max(0, Z) for a normal Z."""
    sd = np.sqrt(variance)
    z = mean / sd
    above, density = ndtr(z), np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    first = mean * above + sd * density
    second = (mean**2 + variance) * above + mean * sd * density
    return first, second - first**2
