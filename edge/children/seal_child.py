"""A child that seals "no result, please test again" for runs without an answer, and ends."""

from collections.abc import Sequence

from edge.children.channel import Channel
from edge.children.life import first_order
from edge.children.messages import SealRuns, encode_sealed, orders_of
from edge.children.sealing import seal_no_result
from edge.errors import ChildError


def run(channel: Channel, descriptors: Sequence[int]) -> None:  # noqa: ARG001 -- it takes none
    """Seal what is ordered."""
    order = first_order(channel)
    if not isinstance(order, SealRuns):
        raise ChildError("not an order to seal")
    orders = orders_of(order)
    channel.send(encode_sealed(seal_no_result(orders), orders))
