"""Chance without state: every draw is a hash of its key, so it can be drawn again after a restart, in any order.

Not secret and not meant to be. A key names what is drawn: `uniform(seed, "zone", day, 7)`.
"""

import hashlib
import math

_BITS_53 = 11  # of 64 random bits a double keeps 53


def uniform(*key: int | str) -> float:
    """A number in [0, 1), evenly spread over keys."""
    return (_word(key) >> _BITS_53) * 2.0**-53


def normal(*key: int | str) -> float:
    """A standard normal number (Box-Muller)."""
    radius = math.sqrt(-2.0 * math.log(1.0 - uniform(*key, "radius")))
    return radius * math.cos(2.0 * math.pi * uniform(*key, "angle"))


def below(bound: int, *key: int | str) -> int:
    """A whole number in 0..bound-1."""
    return min(int(uniform(*key) * bound), bound - 1)


def _word(key: tuple[int | str, ...]) -> int:
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest())
