"""Exact draws of the discrete Laplace distribution. Pure: integers and fractions only, no clock, no I/O.

Method: C. Canonne, G. Kamath, T. Steinke, "The Discrete Gaussian for Differential Privacy", NeurIPS 2020,
algorithms 1 (Bernoulli(exp(-g))) and 2 (discrete Laplace). No floating-point number takes part in a draw, so its low
bits cannot tell the noise apart from the count (Mironov, CCS 2012). The one float here describes the noise to readers.
"""

from collections.abc import Callable
from fractions import Fraction

from contracts import layout
from edge.errors import ReleaseError

RandBelow = Callable[[int], int]
"""`randbelow(n)` is uniform on 0..n-1: `secrets.randbelow` in a real kiosk, a seeded generator in simulations."""


def discrete_laplace(epsilon: Fraction, randbelow: RandBelow) -> int:
    """Draw z with P(z) = (1-q)/(1+q) q^|z|, q = exp(-epsilon), exactly; ReleaseError unless epsilon > 0."""
    _require_positive(epsilon)
    scale = epsilon.denominator
    while True:
        offset = randbelow(scale)
        if not _bernoulli_exp_minus(offset, scale, randbelow):
            continue
        whole = 0
        while _bernoulli_exp_minus(1, 1, randbelow):
            whole += 1
        magnitude = (offset + scale * whole) // epsilon.numerator
        negative = randbelow(2) == 1
        if negative and magnitude == 0:
            continue  # zero would otherwise be drawn twice, as +0 and as -0
        return -magnitude if negative else magnitude


def noise_sd(epsilon: Fraction) -> float:
    """Standard deviation of `discrete_laplace(epsilon)`: sqrt(2q)/(1-q), 1.357 at 1 and 5.642 at 1/4."""
    _require_positive(epsilon)
    return layout.noise_sd(epsilon)


def _bernoulli_exp_minus(numerator: int, denominator: int, randbelow: RandBelow) -> bool:
    """True with probability exp(-numerator/denominator), for 0 <= numerator <= denominator."""
    draws = 1
    while randbelow(denominator * draws) < numerator:
        draws += 1
    return draws % 2 == 1


def _require_positive(epsilon: Fraction) -> None:
    if epsilon <= 0:
        raise ReleaseError(f"epsilon must be above 0, not {epsilon}")
