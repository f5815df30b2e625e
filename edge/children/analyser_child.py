"""A child that drives the analyser's line until one upload is over: parses it, seals it, forgets it by ending.

Descriptors: the connected line; the two ends of the carry, a pipe in which one child leaves the bytes that it received
and did not read to the next. Neither passes through the agent: what the analyser says is read in children alone.
"""

import contextlib
import os
import secrets
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from edge.children.channel import Channel
from edge.children.life import first_order, wait
from edge.children.messages import (
    Came,
    Done,
    FromChild,
    LineGone,
    OrderTest,
    Passed,
    Ping,
    Pong,
    SealRuns,
    ServeAnalyser,
    Settled,
    ToChild,
    Verdict,
    Wanted,
    decode_for_child,
    encode,
    encode_sealed,
    orders_of,
)
from edge.children.sealing import ours, seal_upload, seen
from edge.core.backoff import Backoff
from edge.core.outcome import AssayTable, RunReport
from edge.errors import ChildError, LinkError
from edge.instruments.genexpert.driver import GenexpertDriver, HandOver
from edge.instruments.line import Line
from edge.ports import Happening, Ignored, Lost, OrderSettled, OrderWanted, Reported

READ_BYTES: Final = 4096
CARRY_BYTES: Final = 64 * 1024  # what a pipe holds; what is read ahead of a transfer's end is one READ_BYTES or two
MAX_UNSENT_BYTES: Final = 256 * 1024  # a peer that reads nothing for so long is gone


class AdoptedLink:
    """A line that stands already. Implements edge.ports.Link; what was carried over comes first."""

    def __init__(self, descriptor: int, carried: bytes) -> None:
        self._descriptor = descriptor
        self._carried = carried
        self._unsent = bytearray()

    def open(self) -> None:
        """It is open."""

    def established(self) -> bool:
        """It stands."""
        return True

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._descriptor

    def wants_write(self) -> bool:
        """Whether bytes wait."""
        return bool(self._unsent)

    def receive(self) -> bytes:
        """Return what has come; LinkError at its end."""
        if self._carried:
            data, self._carried = self._carried, b""
            return data
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError as exc:
            raise LinkError("read") from exc
        if not data:
            raise LinkError("the other end closed the line")
        return data

    def send(self, data: bytes) -> None:
        """Write, or keep what the line does not take yet."""
        self._unsent += data
        if len(self._unsent) > MAX_UNSENT_BYTES:
            raise LinkError("the instrument takes no bytes any more")
        self.flush()

    def flush(self) -> None:
        """Write what was kept."""
        if not self._unsent:
            return
        try:
            taken = os.write(self._descriptor, self._unsent)
        except BlockingIOError:
            return
        except OSError as exc:
            raise LinkError("write") from exc
        del self._unsent[:taken]

    def close(self) -> None:
        """The line is the agent's to close."""


class _Exchange:
    """One driver of the line, and what the agent is told of it."""

    def __init__(self, channel: Channel, order: ServeAnalyser, link: AdoptedLink) -> None:
        self._channel = channel
        self._link = link
        self._driver = GenexpertDriver(
            Line(link, Backoff(1.0, 1.0, max)),
            assay=order.assay,
            system=order.system,
            new_message_id=partial(secrets.token_hex, 8),
            once=True,
        )
        self._reports: tuple[RunReport, ...] = ()
        self._step()  # the line stands
        if order.order is not None:
            self._take(order.order)
        self._step()  # reads what was carried over: no descriptor tells of that

    def run(self) -> HandOver:
        """Work until the exchange is over; ChildError when the line ended or the agent is gone."""
        while not self._driver.finished:
            reading = (
                [self._channel.fileno()] if self._driver.judging else [self._channel.fileno(), self._link.fileno()]
            )
            writing = [self._link.fileno()] if self._driver.wants_write() else []
            wait(reading, writing, self._driver.deadline_s() - time.monotonic())
            while (message := self._channel.receive(decode_for_child)) is not None:
                self._take(message)
            if not self._driver.judging:
                self._step()
        return self._driver.hand_over()

    def _step(self) -> None:
        self._hear(self._driver.step(time.monotonic()))

    def _take(self, message: ToChild) -> None:
        now_s = time.monotonic()
        match message:
            case Ping():
                self._say(Pong())
            case OrderTest(sample, stamp_ns):
                self._hear(self._driver.order(sample, stamp_ns, now_s))
            case SealRuns():
                self._seal(message)
            case Verdict(kept):
                self._hear(self._driver.kept(now_s) if kept else self._driver.not_kept(now_s))
            case _:
                raise ChildError("not an order for an analyser's child")

    def _seal(self, message: SealRuns) -> None:
        if not self._driver.judging:
            raise ChildError("there is no upload to seal")
        orders = orders_of(message)
        sealed = seal_upload(self._reports, orders, AssayTable(message.assay, message.targets))
        self._channel.send(encode_sealed(sealed, orders))

    def _hear(self, happenings: list[Happening]) -> None:
        for happening in happenings:
            match happening:
                case OrderWanted():
                    self._say(Wanted())
                case OrderSettled(sample, delivered):
                    self._say(Settled(sample, delivered))
                case Reported(reports):
                    self._reports = ours(reports)
                    self._say(Came(tuple((run.sample, run.control, run.final) for run in seen(self._reports))))
                case Ignored(reason):
                    self._say(Passed(reason))
                case Lost():
                    self._say(LineGone())
                    raise ChildError("the line ended")
                case _:
                    pass  # found: the agent opened the line, and knows

    def _say(self, message: FromChild) -> None:
        self._channel.send(encode(message))


def run(channel: Channel, descriptors: Sequence[int]) -> None:
    """Serve the line."""
    line, carry_out, carry_in = descriptors
    order = first_order(channel)
    if not isinstance(order, ServeAnalyser):
        raise ChildError("not an order for an analyser's child")
    left = _Exchange(channel, order, AdoptedLink(line, _carried(carry_out))).run()
    if left.rest and os.write(carry_in, left.rest) != len(left.rest):
        raise LinkError("more was read ahead than the carry holds")
    channel.send(encode(Done(left.system, left.order_waits)))


def _carried(descriptor: int) -> bytes:
    with contextlib.suppress(BlockingIOError):
        return os.read(descriptor, CARRY_BYTES)
    return b""
