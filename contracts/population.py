"""From how many people a sample comes, and whether its readings may leave the restricted bucket. Pure.

A sample of sewage or of a surface says something about everybody whose traces it may hold. Below 3 000 contributing
people that is personal data (floor of the United States' National Wastewater Surveillance System for publishing a
sewershed). A smaller place may only be part of a zone's *sum*, and only if no one of its places stands out in it: at
least three sampling points, none with more than half of the people, the two largest with at most nine tenths (the
dominance rule of statistical offices). A population that nobody knows fails. The readings of a single small place
stay restricted also where the sum may be shown: they would be the building's (DESIGN §7 outranks the sum).
"""

from collections.abc import Sequence
from typing import Final

MIN_PEOPLE: Final = 3_000
MIN_POINTS: Final = 3
SAMPLING_KINDS: Final = frozenset({"wastewater_sampler", "surface_kit"})  # of devices


def stands_alone(population: int | None) -> bool:
    """Tell whether a sampling point's own readings may be seen by everybody who may read."""
    return population is not None and population >= MIN_PEOPLE


def aggregate_is_open(populations: Sequence[int | None]) -> bool:
    """Tell whether a sum over these sampling points of a zone may be shown."""
    known = sorted((people for people in populations if people is not None and people > 0), reverse=True)
    if len(known) < len(populations) or len(known) < MIN_POINTS:
        return False
    total = sum(known)
    return total >= MIN_PEOPLE and 2 * known[0] <= total and 10 * (known[0] + known[1]) <= 9 * total
