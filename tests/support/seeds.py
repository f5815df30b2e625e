"""Chance in tests: fixed, printed in pytest's header, and changeable from outside to look further."""

import os
import zlib
from random import Random

SEED = int(os.environ.get("KIOSKWATCH_SEED", "20211212"))


def seeded(name: str) -> Random:
    """A generator of its own for each name, the same at every run with the same KIOSKWATCH_SEED."""
    return Random(SEED ^ zlib.crc32(name.encode()))


def kill_count(default: int) -> int:
    """How many seeded kills a fault test makes: `default` in `make test`, 200 in `make fault`."""
    return int(os.environ.get("KIOSKWATCH_KILLS", str(default)))


def fault_timeout_s(*, each_kill_s: int = 15) -> int:
    """How long a fault test may take on a busy machine, whatever the number of its kills."""
    return 180 + each_kill_s * kill_count(8)
