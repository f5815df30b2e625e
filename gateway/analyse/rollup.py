"""`roll_up`: releases of kiosks to the released numbers of a zone or district and a window, day or week. Pure.

Everything downstream of the kiosks is this sum (DESIGN §7). Released sums are kept as drawn, negative ones too; screens
clamp. What is too noisy to be read is not shown: `status` says so, and undefined values are NaN, never 0.

Limits: all shares p that a test at 5 % does not refuse, with the noise in its variance (Wilson's score interval,
widened): (x - n p)^2 <= z^2 (n p (1 - p) + s_x^2 + p^2 s_n^2), x and n the released counts, s_x and s_n their noise;
x - n p has that variance because n's noise enters it p-fold. A quadratic in p. Negative x counts as 0 here, x above n
as n: shares outside 0..1 do not exist. How often the limits hold the truth is checked by simulation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from contracts.layout import EPSILON_POSITIVES, EPSILON_VALID, noise_variance
from gateway.errors import SurveillanceError

Status = Literal["shown", "few", "none"]

# Below these limits a number is mostly noise (DESIGN §7): they protect readers, not visitors.
LEAST_VALID, LEAST_VALID_SDS = 20.0, 4.0
LEAST_VALID_FOR_POSITIVITY, LEAST_SDS_FOR_POSITIVITY = 50.0, 8.0
_Z: Final = 1.959963984540054  # 97.5 % quantile of the normal distribution


@dataclass(frozen=True, slots=True)
class Release:
    """One target of one assay of one kiosk and window, as released: noisy, possibly negative."""

    positives: int
    valid: int
    invalid: int
    targets: int  # of its assay, over which epsilon is divided

    def __post_init__(self) -> None:
        if self.targets < 1:
            raise SurveillanceError("targets: an assay has at least one")


@dataclass(frozen=True, slots=True)
class RollUp:
    """The released numbers of a stream and a span; `kiosks_*` count kiosks' windows: a day of four has 4 a kiosk."""

    positives: int
    valid: int
    invalid: int
    positivity: float  # NaN below its limit
    lower: float  # of positivity, 95 %, noise included; NaN likewise
    upper: float
    noise_sd: float  # of positives
    noise_sd_valid: float
    kiosks_reporting: int
    kiosks_expected: int
    status: Status


def roll_up(releases: Sequence[Release], *, expected: int) -> RollUp:
    """Sum releases of the same target; `expected` is how many there should be. Noise adds by variance.

    Raises:
        SurveillanceError: `expected` is negative.
    """
    if expected < 0:
        raise SurveillanceError("expected: negative")
    positives, valid = sum(r.positives for r in releases), sum(r.valid for r in releases)
    noise_sd = math.sqrt(sum(noise_variance(EPSILON_POSITIVES / r.targets) for r in releases))
    noise_sd_valid = math.sqrt(len(releases) * noise_variance(EPSILON_VALID))
    positivity = lower = upper = math.nan
    if releases and valid >= max(LEAST_VALID_FOR_POSITIVITY, LEAST_SDS_FOR_POSITIVITY * noise_sd_valid):
        positivity = positives / valid
        lower, upper = limits(positives, valid, noise_sd, noise_sd_valid)
    return RollUp(
        positives=positives,
        valid=valid,
        invalid=sum(r.invalid for r in releases),
        positivity=positivity,
        lower=lower,
        upper=upper,
        noise_sd=noise_sd,
        noise_sd_valid=noise_sd_valid,
        kiosks_reporting=len(releases),
        kiosks_expected=expected,
        status=_status(len(releases), valid, noise_sd_valid),
    )


def limits(positives: int, valid: int, noise_sd: float, noise_sd_valid: float) -> tuple[float, float]:
    """The 95 % limits of the true share behind noisy counts; 0 and 1 where valid is too noisy to say anything."""
    n, z2 = float(valid), _Z**2
    x = min(max(float(positives), 0.0), n)
    # a p^2 - 2 b p + c <= 0; a > 0 wherever positivity is shown, that is from n >= 8 noise_sd_valid on.
    a = n * n + z2 * (n - noise_sd_valid**2)
    if n <= 0 or a <= 0:
        return 0.0, 1.0
    b = n * x + z2 * n / 2
    c = x * x - z2 * noise_sd**2
    root = math.sqrt(max(b * b - a * c, 0.0))
    return max((b - root) / a, 0.0), min((b + root) / a, 1.0)


def _status(reporting: int, valid: int, noise_sd_valid: float) -> Status:
    if reporting == 0:
        return "none"
    return "shown" if valid >= max(LEAST_VALID, LEAST_VALID_SDS * noise_sd_valid) else "few"
