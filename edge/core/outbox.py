"""What the outbox keeps of each stream: priority, byte budget, and whether its oldest may be given up. Pure.

Budgets: `reference` iot-edge, section 3 (results 64 MiB, events 32, health 32, bulk 256). Releases and sealed ticks are
never given up: when their class is full, the instrument is held back instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contracts.topics import STREAMS

MIB: Final = 1024 * 1024
ROW_OVERHEAD_BYTES: Final = 40  # key, times and the row's header in the file
MAX_RECORD_BYTES: Final = 4 * 1024  # 32 metrics with long names are below 2 KiB
THIN_SHARE: Final = 64  # one sixty-fourth of a budget is given up at a time, so that thinning is rare


@dataclass(frozen=True, slots=True)
class StreamRules:
    """How one stream is kept and sent."""

    priority: int  # 0 is sent first
    budget_bytes: int
    thinned: bool  # its oldest records are given up when the budget is full
    joined: bool  # consecutive records share a message (JSON streams)


RULES: Final[Mapping[str, StreamRules]] = {
    "release": StreamRules(0, 64 * MIB, thinned=False, joined=False),
    "sealed": StreamRules(0, 64 * MIB, thinned=False, joined=False),
    "event": StreamRules(1, 32 * MIB, thinned=True, joined=True),
    "health": StreamRules(2, 32 * MIB, thinned=True, joined=True),
    "bulk": StreamRules(3, 256 * MIB, thinned=True, joined=True),
}

BY_PRIORITY: Final = tuple(sorted(STREAMS, key=lambda stream: RULES[stream].priority))


def row_bytes(body: bytes) -> int:
    """Return what a record counts against its budget."""
    return len(body) + ROW_OVERHEAD_BYTES


def bytes_to_free(held_bytes: int, incoming_bytes: int, budget_bytes: int) -> int:
    """Return how much of a stream's oldest must go before `incoming_bytes` may be added; 0 when it fits."""
    excess = held_bytes + incoming_bytes - budget_bytes
    return max(excess, budget_bytes // THIN_SHARE) if excess > 0 else 0


def fill_pct(held_bytes: Mapping[str, int], budgets: Mapping[str, int]) -> float:
    """Return how full the fullest stream is."""
    return max((100.0 * held_bytes.get(stream, 0) / budget for stream, budget in budgets.items()), default=0.0)
