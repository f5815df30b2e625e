"""Where bytes come in and go out: a TCP listener or a pty, one peer at a time, and the cable's faults in between.

An instrument is an `Endpoint`; the transport tells it when a peer is there, what the peer said and when it is gone.
A new TCP peer ends the one before it: an edge agent that was killed must not block its successor.
"""

import asyncio
import logging
import os
import tty
from collections import deque
from pathlib import Path
from typing import Protocol

from firmware_sim.errors import LinkError
from firmware_sim.faults import REPLUG_S, Fault, Line, Send, Step, damage

_log = logging.getLogger(__name__)

_READ_BYTES = 4096


class Endpoint(Protocol):
    """An instrument, as the cable sees it. Methods are called in the event loop and must not raise."""

    def plugged(self, line: "Cable") -> None:
        """A peer is there; write to it with `line.write`."""

    def heard(self, data: bytes) -> None:
        """Bytes from the peer."""

    def unplugged(self) -> None:
        """The peer is gone, and with it everything on the way."""


class Cable:
    """Writes to one peer, in order, through a fault. A dead cable swallows what is written."""

    def __init__(self, port: "TcpPort | PtyPort", fault: Fault, line: Line) -> None:
        self._port = port
        self._fault = fault
        self._line = line
        self._waiting: deque[Step] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._cut = False

    def write(self, frame: bytes) -> None:
        """Put a whole frame or control character on the line."""
        if self._cut:
            return
        if self._fault is Fault.NONE:
            self._port.put(frame)
            return
        self._waiting.extend(damage(self._fault, frame, self._port.turn, self._line))
        self._port.turn += len(frame) > 1
        if self._timer is None:
            self._step()

    def cut(self) -> None:
        """The peer is gone; nothing more goes out."""
        self._cut = True
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _step(self) -> None:
        self._timer = None
        while self._waiting:
            step = self._waiting[0]
            if not isinstance(step, Send):
                self._port.unplug()
                return
            if step.pause_s > 0:
                self._waiting[0] = Send(step.data)
                self._timer = asyncio.get_running_loop().call_later(step.pause_s, self._step)
                return
            self._waiting.popleft()
            self._port.put(step.data)


class TcpPort:
    """Listens for one host."""

    def __init__(
        self, endpoint: Endpoint, *, host: str, port: int, fault: Fault, line: Line, first_stays: bool = False
    ) -> None:
        self.turn = 0
        self._endpoint = endpoint
        self._first_stays = first_stays  # a printer in the middle of a slip takes nobody else on
        self._host, self._port = host, port
        self._fault, self._line = fault, line
        self._server: asyncio.Server | None = None
        self._peer: _TcpPeer | None = None
        self._replug: asyncio.TimerHandle | None = None
        self._plugged = True

    async def open(self) -> str:
        """Listen; returns HOST:PORT as it is in the end.

        Raises:
            LinkError: the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: _TcpPeer(self), self._host, self._port)
        except (OSError, OverflowError) as exc:
            raise LinkError(f"cannot listen on {self._host}:{self._port}: {exc}") from exc
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    def close(self) -> None:
        """Stop listening and end the peer."""
        if self._replug is not None:
            self._replug.cancel()
        if self._server is not None:
            self._server.close()
        self._end(flush=False)

    def put(self, data: bytes) -> None:
        """Bytes to the peer, if there is one."""
        if self._peer is not None and self._peer.transport is not None:
            self._peer.transport.write(data)

    def unplug(self) -> None:
        """Take the cable out; it is back after REPLUG_S, and meanwhile every caller finds a dead line."""
        _log.info("%s:%d unplugged", self._host, self._port)
        self._plugged = False
        self._end(flush=True)  # what was written before the cut still goes out
        self._replug = asyncio.get_running_loop().call_later(REPLUG_S, self._plug_in)

    def came(self, peer: "_TcpPeer", transport: asyncio.Transport) -> None:
        """A host has connected."""
        if not self._plugged or (self._first_stays and self._peer is not None):
            transport.abort()
            return
        self._end(flush=False)
        self._peer = peer
        peer.transport = transport
        peer.cable = Cable(self, self._fault, self._line)
        self._endpoint.plugged(peer.cable)

    def said(self, peer: "_TcpPeer", data: bytes) -> None:
        """The host has sent bytes; an earlier host is no longer heard."""
        if peer is self._peer:
            self._endpoint.heard(data)

    def left(self, peer: "_TcpPeer") -> None:
        """The host has gone."""
        if peer is self._peer:
            self._end(flush=False)

    def _end(self, *, flush: bool) -> None:
        peer, self._peer = self._peer, None
        if peer is None:
            return
        if peer.cable is not None:
            peer.cable.cut()
        if peer.transport is not None:
            if flush:
                peer.transport.close()
            else:
                peer.transport.abort()
        self._endpoint.unplugged()

    def _plug_in(self) -> None:
        self._plugged = True


class _TcpPeer(asyncio.Protocol):
    """One connection of a TcpPort."""

    def __init__(self, port: TcpPort) -> None:
        self.transport: asyncio.Transport | None = None
        self.cable: Cable | None = None
        self._port = port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._port.came(self, transport)

    def data_received(self, data: bytes) -> None:
        self._port.said(self, data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - gone is gone
        self._port.left(self)


class PtyPort:
    """A pseudo terminal in raw mode, found by a symbolic link or by its own name."""

    def __init__(self, endpoint: Endpoint, *, link: Path | None, fault: Fault, line: Line) -> None:
        self.turn = 0
        self._endpoint = endpoint
        self._link = link
        self._fault, self._line = fault, line
        self._ends: tuple[int, int] | None = None  # ours, the reader's
        self._cable: Cable | None = None
        self._replug: asyncio.TimerHandle | None = None

    async def open(self) -> str:
        """Make the terminal; returns the path that a reader opens.

        Raises:
            LinkError: no terminal can be had, or something that is no link stands at the link's path.
        """
        return self._plug_in()

    def close(self) -> None:
        """Remove the link and the terminal."""
        if self._replug is not None:
            self._replug.cancel()
        self._pull_out()

    def put(self, data: bytes) -> None:
        """Bytes to the reader; nobody reads a full terminal, so they are lost as on a real line."""
        if self._ends is None:
            return
        try:
            os.write(self._ends[0], data)
        except OSError as exc:
            _log.debug("bytes lost on the line: %s", exc.strerror)

    def unplug(self) -> None:
        """Take the cable out; a new terminal stands behind the link after REPLUG_S."""
        _log.info("%s unplugged", self._link or "pty")
        self._pull_out()
        self._replug = asyncio.get_running_loop().call_later(REPLUG_S, self._plug_in_again)

    def _plug_in(self) -> str:
        ours, readers = _open_terminal()
        path = os.ttyname(readers)
        if self._link is not None:
            try:
                _point(self._link, path)
            except LinkError:
                os.close(ours)
                os.close(readers)
                raise
        self._ends = (ours, readers)
        asyncio.get_running_loop().add_reader(ours, self._readable)
        self._cable = Cable(self, self._fault, self._line)
        self._endpoint.plugged(self._cable)
        return str(self._link or path)

    def _plug_in_again(self) -> None:
        try:
            self._plug_in()
        except LinkError as exc:
            _log.error("the line stays unplugged: %s", exc)

    def _pull_out(self) -> None:
        if self._ends is None:
            return
        (ours, readers), self._ends = self._ends, None
        asyncio.get_running_loop().remove_reader(ours)
        if self._cable is not None:
            self._cable.cut()
        if self._link is not None:
            self._link.unlink(missing_ok=True)
        os.close(ours)
        os.close(readers)
        self._endpoint.unplugged()

    def _readable(self) -> None:
        if self._ends is None:
            return
        try:
            data = os.read(self._ends[0], _READ_BYTES)
        except OSError as exc:
            _log.debug("line error: %s", exc.strerror)
            return
        if data:
            self._endpoint.heard(data)


def _open_terminal() -> tuple[int, int]:
    """A raw pty; the reader's end stays open here, so a reader that leaves does not end the line."""
    try:
        ours, readers = os.openpty()
    except OSError as exc:
        raise LinkError(f"no pseudo terminal can be had: {exc}") from exc
    tty.setraw(readers)
    os.set_blocking(ours, False)
    return ours, readers


def _point(link: Path, target: str) -> None:
    """Make or turn the symbolic link, at once: a reader sees the old terminal or the new one."""
    if os.path.lexists(link) and not link.is_symlink():
        raise LinkError(f"{link} is in the way and is no symbolic link; move it or choose another path")
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target)
        fresh.replace(link)
    except OSError as exc:
        raise LinkError(f"cannot make the link {link}: {exc}") from exc
