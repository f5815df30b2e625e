"""Ticks: when each is published and what it holds. Pure (DESIGN section 6).

Every tick is one message of the same number of records, whoever came: sealed ones whose ready tick it is, and dummies
from the same code path, in an order that chance makes. It goes out at the tick's start plus an offset that is the
device's own, so that a district's kiosks do not all speak in the same second. Missed ticks follow in order.
"""

import hmac
from collections.abc import Callable, Sequence
from typing import Final

from contracts.frames import TickBody
from contracts.windows import NS, TICK_S, tick_of, tick_start_ns
from edge.errors import VisitError

OFFSET_S: Final = 60  # district seconds
MISSED_TICKS: Final = 72 * 3600 // TICK_S  # P4 of the reliability promises: an outage of 72 h costs nothing

_LABEL = b"kioskwatch/tick/v1\0"

Dummy = Callable[[], bytes]
Shuffle = Callable[[list[bytes]], None]


def offset_ns(key: bytes, device: str) -> int:
    """Return the device's own delay after a tick's start, district nanoseconds below one minute."""
    digest = hmac.digest(key, _LABEL + device.encode(), "sha256")
    return int.from_bytes(digest[:8]) % (OFFSET_S * NS)


def next_tick(last: int, now_ns: int, after_ns: int) -> int | None:
    """Return the tick to publish now, given the last one and the device's offset; None when none is due.

    After an outage these are the missed ones in their order; what lies further back than 72 h is given up.
    """
    newest = tick_of(now_ns - after_ns)
    return max(last + 1, newest - MISSED_TICKS + 1) if newest > last else None


def publish_ns(tick: int, after_ns: int) -> int:
    """Return when a tick goes out."""
    return tick_start_ns(tick) + after_ns


def tick_body(records: Sequence[bytes], places: int, dummy: Dummy, shuffle: Shuffle) -> bytes:
    """Return a tick's constant-length body; VisitError when more records than places ask for it.

    Dummies are sealed for every place, needed or not: the work, and with it the time, is the same whoever came.
    """
    if len(records) > places:
        raise VisitError(f"{len(records)} records for {places} places")
    dummies = [dummy() for _ in range(places)]
    filled = [*records, *dummies[len(records) :]]
    shuffle(filled)
    return TickBody(tuple(filled)).encode()
