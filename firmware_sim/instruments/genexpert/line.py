"""The analyser's end of its TCP line: the pure E1381 link, driven by an event loop.

A message is started again until the host has acknowledged its last frame, on whatever connection there is then.
"""

import asyncio
import logging
from collections.abc import Callable

from firmware_sim.faults import Fault
from firmware_sim.transport import Cable
from firmware_sim.wire.astm_link import Event, Failed, Link, Received, Sent, Write

_log = logging.getLogger(__name__)

RESTART_S = 1.0  # real seconds before a message that was not taken is started again
_STORM_NAKS = 5  # one less than ends a transfer: a storm that a patient host survives


class AnalyserLine:
    """Implements Endpoint; `on_message` is called with each whole message of the host."""

    def __init__(self, device: str, *, fault: Fault, on_message: Callable[[bytes], None]) -> None:
        self._device = device
        self._naks = _STORM_NAKS if fault is Fault.NAK_STORM else 0
        self._on_message = on_message
        self._link = Link(naks=self._naks)
        self._cable: Cable | None = None
        self._connected = asyncio.Event()
        self._sending: asyncio.Future[bool] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def host_within(self, real_s: float) -> bool:
        """Wait for a host, at most so long; whether one is there."""
        try:
            await asyncio.wait_for(self._connected.wait(), real_s)
        except TimeoutError:
            return False
        return True

    async def deliver(self, text: bytes) -> None:
        """Send until the host has it; waits for a host when there is none. One message at a time."""
        while True:
            await self._connected.wait()
            if await self.attempt(text):
                return
            await asyncio.sleep(RESTART_S)

    async def attempt(self, text: bytes) -> bool:
        """Send once; whether a host is there and took the message."""
        if self._cable is None:
            return False
        loop = asyncio.get_running_loop()
        self._sending = loop.create_future()
        self._apply(self._link.start(text, loop.time()))
        return await self._sending

    def plugged(self, line: Cable) -> None:
        """A host has connected: a new line with nothing on it."""
        _log.info("%s: host connected", self._device)
        self._cable = line
        self._link = Link(naks=self._naks)
        self._connected.set()

    def heard(self, data: bytes) -> None:
        """Bytes from the host."""
        self._apply(self._link.feed(data, asyncio.get_running_loop().time()))

    def unplugged(self) -> None:
        """The host is gone; a message on its way is not sent."""
        _log.info("%s: host gone", self._device)
        self._cable = None
        self._connected.clear()
        self._link = Link(naks=self._naks)
        self._settle(sent=False)
        self._arm()

    def _apply(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Write):
                if self._cable is not None:
                    self._cable.write(event.data)
            elif isinstance(event, Received):
                self._on_message(event.text)
            elif isinstance(event, Sent):
                self._settle(sent=True)
            elif isinstance(event, Failed):
                _log.warning("%s: message not taken: %s", self._device, event.reason)
                self._settle(sent=False)
        self._arm()

    def _settle(self, *, sent: bool) -> None:
        sending, self._sending = self._sending, None
        if sending is not None and not sending.done():
            sending.set_result(sent)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._link.deadline_s is not None:
            self._timer = asyncio.get_running_loop().call_at(self._link.deadline_s, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._apply(self._link.expire(asyncio.get_running_loop().time()))
