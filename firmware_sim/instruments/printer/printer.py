"""A slip printer at its end of TCP port 9100: prints what it hears, says how it is, and what can be wrong with it.

A slip holds a code. So nothing of it is kept or logged, and a picture of it is drawn only where a folder for pictures
was asked for by name, or for the tray of the kiosk at which a real person stands.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path

from firmware_sim.chance import below
from firmware_sim.faults import Fault
from firmware_sim.instruments.printer.paper import Paper
from firmware_sim.transport import Cable
from firmware_sim.tray import Tray
from firmware_sim.wire.escpos import Cut, Decoder, Feed, Mischief, Order, Raster, Report, Status, Text

_log = logging.getLogger(__name__)

SLOW_STEP_S = 0.05  # real time for each order of a slow printer
ENDS_AFTER_ROWS = 500  # where the paper ends within a slip
UNPLUG_AFTER_ROWS = 500

_ALWAYS = 0b0001_0010  # bits that every answer to DLE EOT has set
_OFFLINE, _COVER, _STOPPED = 0b0000_1000, 0b0000_0100, 0b0010_0000
_NEAR_END, _END = 0b0000_1100, 0b0110_0000
_REPORT_NEAR, _REPORT_END = 0b0000_0011, 0b0000_1100


class Printer:
    """Implements Endpoint. `unplug` takes its cable out."""

    def __init__(
        self, name: str, *, fault: Fault = Fault.NONE, pictures: Path | None = None, tray: Tray | None = None
    ) -> None:
        self.unplug: Callable[[], None] = lambda: None
        self._name = name
        self._fault = fault
        self._pictures = pictures
        self._tray = tray
        self._printed = 0
        self._paper = self._new_paper()
        self._out = fault is Fault.PAPER_OUT
        self._decoder = Decoder()
        self._todo: deque[Order] = deque()
        self._cable: Cable | None = None
        self._timer: asyncio.TimerHandle | None = None

    def refill(self) -> None:
        """Put a new roll in: printing goes on where it stopped."""
        self._out = False
        self._work()

    def plugged(self, line: Cable) -> None:
        """A host has connected: what another one left in the buffer is gone."""
        self._forget()
        self._cable = line

    def heard(self, data: bytes) -> None:
        """Bytes from the host."""
        urgent, orders = self._decoder.feed(data)
        for question in urgent:
            if isinstance(question, Mischief):
                _log.warning("%s: a real-time command that no slip may hold", self._name)
            else:
                self._answer(self._status(question))
        self._todo.extend(orders)
        if self._timer is None:
            self._work()

    def unplugged(self) -> None:
        """The host has gone, and with it the slip on its way."""
        self._cable = None
        self._forget()

    def _forget(self) -> None:
        self._decoder = Decoder()
        self._todo.clear()
        self._paper = self._new_paper()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _new_paper(self) -> Paper:
        return Paper(keep=self._pictures is not None or self._tray is not None)

    # --- printing -------------------------------------------------------------------------------------

    @property
    def _stands_still(self) -> bool:
        return self._out or self._fault is Fault.COVER_OPEN

    def _work(self) -> None:
        self._timer = None
        while self._todo and not self._stands_still:
            self._do(self._todo.popleft())
            if self._fault is Fault.SLOW and self._todo:
                self._timer = asyncio.get_running_loop().call_later(SLOW_STEP_S, self._work)
                return

    def _do(self, order: Order) -> None:
        if isinstance(order, Raster):
            self._paper.raster(order.wide, order.rows, order.data)
        elif isinstance(order, Feed):
            self._paper.feed(order.dots)
        elif isinstance(order, Text):
            self._paper.text(order.chars)
        elif isinstance(order, Report):
            self._answer(self._report())
        elif isinstance(order, Cut):
            self._cut()
        self._break()

    def _cut(self) -> None:
        picture = self._paper.cut()
        self._printed += 1
        if self._tray is not None:
            self._tray.lay(picture)
        if self._pictures is not None:
            (self._pictures / f"slip-{self._printed:03d}.png").write_bytes(picture)

    def _break(self) -> None:
        if self._fault is Fault.PAPER_ENDS and self._paper.length > ENDS_AFTER_ROWS:
            self._out = True
        elif self._fault is Fault.UNPLUG and self._paper.length > UNPLUG_AFTER_ROWS:
            self.unplug()

    # --- answers --------------------------------------------------------------------------------------

    def _status(self, question: Status) -> int:
        low = self._fault is Fault.PAPER_LOW or self._out
        flags = {
            1: _OFFLINE if self._stands_still else 0,
            2: (_COVER if self._fault is Fault.COVER_OPEN else 0) | (_STOPPED if self._out else 0),
            4: (_NEAR_END if low else 0) | (_END if self._out else 0),
        }
        return _ALWAYS | flags.get(question.number, 0)

    def _report(self) -> int:
        if self._out:
            return _REPORT_END | _REPORT_NEAR
        return _REPORT_NEAR if self._fault is Fault.PAPER_LOW else 0

    def _answer(self, byte: int) -> None:
        if self._fault is Fault.GARBAGE:
            byte = 0x80 | below(0x80, self._name, "garbage", self._printed)
        if self._cable is not None:
            self._cable.write(bytes([byte]))
