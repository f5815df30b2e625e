"""What every child does: hear its order, and wait on few descriptors without outliving who asked for it."""

import select
import time
from collections.abc import Iterable
from typing import Final

from edge.children.channel import Channel
from edge.children.messages import ToChild, decode_for_child
from edge.errors import ChildError

ORDER_S: Final = 10.0  # the order is sent with the request for the child
PRINT_S: Final = 20.0  # a slip of 25 cm at 60 mm/s, a slow printer's speed, takes 4 s; a cold one heats up first

_LONGEST_S: Final = 3600.0


def first_order(channel: Channel) -> ToChild:
    """Wait for the order; ChildError when none comes."""
    until_s = time.monotonic() + ORDER_S
    while (order := channel.receive(decode_for_child)) is None:
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise ChildError("no order came")
        wait([channel.fileno()], [], left_s)
    return order


def wait(reading: Iterable[int], writing: Iterable[int], timeout_s: float) -> set[int]:
    """Sleep until a descriptor is ready or the time is over; return the ready ones."""
    wanted: dict[int, int] = dict.fromkeys(reading, select.POLLIN)
    for descriptor in writing:
        wanted[descriptor] = wanted.get(descriptor, 0) | select.POLLOUT
    poller = select.poll()
    for descriptor, events in wanted.items():
        poller.register(descriptor, events)
    return {descriptor for descriptor, _ in poller.poll(max(0.0, min(timeout_s, _LONGEST_S)) * 1000)}
