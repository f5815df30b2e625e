"""A child that makes a claim code, hands it out on paper or on a page of its own, and ends with it.

The agent gets slot, public key and origin: enough to seal for the code's holder and not to read (contracts.claim). They
are told after the slip has come out, so that no place waits for a code that nobody has.
"""

import time
from collections.abc import Sequence
from typing import Final

from contracts.claim import ClaimCode, fragment, ready_group
from contracts.notice import decode_notice
from edge.adapters.printer import print_slip
from edge.children.channel import Channel
from edge.children.life import PRINT_S, first_order, wait
from edge.children.messages import CodeIssued, CodeNotIssued, IssueCode, decode_for_child, encode
from edge.children.page import PageServer
from edge.errors import ChildError, PrinterError
from edge.slip.code_page import code_page, headers
from edge.slip.slip import SlipContent, slip_bytes
from edge.slip.slip import warm as draw_ahead

DISPLAY_S: Final = 900.0  # a cartridge is awaited for ten minutes; the screen ends a code after a minute of silence


def warm(notice: bytes, page_hash: str) -> None:
    """Draw what holds nothing of a visitor, in the server: NoticeError or SlipError when it cannot be."""
    draw_ahead(decode_notice(notice), page_hash)


def run(channel: Channel, descriptors: Sequence[int]) -> None:  # noqa: ARG001 -- it takes none
    """Make one code."""
    order = first_order(channel)
    if not isinstance(order, IssueCode):
        raise ChildError("not an order for a code")
    code = ClaimCode.generate()
    content = SlipContent(
        code=str(code),
        ready_group=ready_group(order.ready_tick),
        url=f"{order.origin}/{fragment(code, order.ready_tick)}",
        ready_at=order.ready_at,
        expires_at=order.expires_at,
        language=order.language,
        notice=decode_notice(order.notice),
        page_hash=order.page_hash,
    )
    keys = code.keys()
    public = (keys.slot, keys.public_key, keys.origin)
    if order.printer is None:
        _show(channel, public, PageServer(code_page(content), headers()))
    else:
        _print(channel, public, order.printer, content)


def _print(channel: Channel, public: tuple[bytes, bytes, bytes], printer: str, content: SlipContent) -> None:
    try:
        print_slip(printer, slip_bytes(content), timeout_s=PRINT_S)
    except PrinterError as exc:
        channel.send(encode(CodeNotIssued(exc.reason)))
        return
    channel.send(encode(CodeIssued(*public, None)))


def _show(channel: Channel, public: tuple[bytes, bytes, bytes], server: PageServer) -> None:
    """Serve the page until the agent lets go of the channel, and not for ever."""
    channel.send(encode(CodeIssued(*public, server.url)))
    until_s = time.monotonic() + DISPLAY_S
    while (left_s := until_s - time.monotonic()) > 0:
        wait([channel.fileno(), *server.filenos()], [], min(left_s, 1.0))
        if channel.receive(decode_for_child) is not None:
            raise ChildError("a page takes no orders")
        server.step()
