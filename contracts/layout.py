"""Assay layouts: which counters a release holds, in which order (C11). No I/O.

A layout has a number, is kept for ever and changes at a window boundary only. For each assay a release holds
`valid`, `invalid` and then `positives` of each of its targets. A target in two assays has two counters.

Each counter starts at a draw of the discrete Laplace distribution (DESIGN §7); its epsilon is written here and nowhere
else, for the kiosk that draws, for the gateway that bounds what can be true, and for the roll-up that states the noise.
"""

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from contracts.errors import LayoutError
from contracts.topics import check_name

MAX_ASSAYS: Final = 8
MAX_TARGETS: Final = 8  # a panel; epsilon is divided over its targets, so more would drown in noise
MAX_LAYOUT: Final = 2**31 - 1

EPSILON_POSITIVES: Final = Fraction(1)  # divided over the assay's targets
EPSILON_VALID: Final = Fraction(1, 4)
EPSILON_INVALID: Final = Fraction(1, 4)

_CODE = re.compile(r"[A-Z0-9][A-Z0-9-]{0,15}")


@dataclass(frozen=True, slots=True)
class Assay:
    """One cartridge type: its code and its targets in the order of their counters."""

    code: str
    targets: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.targets) <= MAX_TARGETS or len(set(self.targets)) != len(self.targets):
            raise LayoutError(f"assay {self.code}: 1 to {MAX_TARGETS} different targets")
        if _CODE.fullmatch(self.code) is None:
            raise LayoutError("an assay's code is 1 to 16 of A-Z, 0-9 and '-'")
        for target in self.targets:
            check_name(target)

    @property
    def epsilon_positives(self) -> Fraction:
        """Epsilon of each of its targets' counters."""
        return EPSILON_POSITIVES / len(self.targets)

    @property
    def epsilons(self) -> tuple[Fraction, ...]:
        """Epsilon of each of its counters, in their order."""
        return (EPSILON_VALID, EPSILON_INVALID, *(self.epsilon_positives for _ in self.targets))


@dataclass(frozen=True, slots=True)
class AssayLayout:
    """The counters of a release."""

    number: int
    assays: tuple[Assay, ...]

    def __post_init__(self) -> None:
        if not 0 < self.number <= MAX_LAYOUT:
            raise LayoutError("a layout's number is a positive 31-bit integer")
        codes = {assay.code for assay in self.assays}
        if not 1 <= len(self.assays) <= MAX_ASSAYS or len(codes) != len(self.assays):
            raise LayoutError(f"a layout has 1 to {MAX_ASSAYS} different assays")

    @property
    def counters(self) -> int:
        """How many numbers a release of this layout holds."""
        return sum(2 + len(assay.targets) for assay in self.assays)

    def assay(self, code: str) -> Assay:
        """Return the assay of that code; LayoutError when the layout has none."""
        for assay in self.assays:
            if assay.code == code:
                return assay
        raise LayoutError(f"layout {self.number} has no assay {code}")


def noise_variance(epsilon: Fraction) -> float:
    """Variance of the discrete Laplace distribution with q = exp(-epsilon), epsilon > 0: 2q/(1-q)^2."""
    q = math.exp(-epsilon)
    return 2 * q / (1 - q) ** 2


def noise_sd(epsilon: Fraction) -> float:
    """Its standard deviation: 1.357 at epsilon 1, 5.642 at 1/4."""
    return math.sqrt(noise_variance(epsilon))
