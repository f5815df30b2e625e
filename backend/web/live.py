"""Live pages: server-sent events that say "this changed, look again", never what it is now.

A browser that hears an event fetches the page or chart again under its own rights, so no event needs a permission
of its own. Events of one name that a slow client has not taken yet are one event: memory is bounded by names.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final

from backend.errors import TooManyError
from backend.web.words import N_

MAX_CLIENTS: Final = 500  # dependencies.md §8: 500 clients at 1 Hz took 68 MB
MAX_CLIENTS_PER_ACCOUNT: Final = 12  # a person with many tabs; a loop is cut off
HEARTBEAT_S: Final = 15.0  # below the 30-60 s after which proxies drop a silent connection
RETRY_MS: Final = 2000


@dataclass(slots=True, eq=False)
class _Client:
    account: str
    waiting: dict[str, bytes] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class LiveHub:
    """Fans events out to browsers; `publish` may be called from any thread."""

    def __init__(self, *, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._clients: set[_Client] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._heartbeat_s = heartbeat_s

    @property
    def clients(self) -> int:
        """How many browsers listen."""
        return len(self._clients)

    def start(self) -> None:
        """Bind to the running event loop."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """End every stream, so that the server can stop; from the loop's own thread."""
        self._closed = True
        for client in self._clients:
            client.wake.set()

    def publish(self, event: str, data: bytes = b"{}") -> None:
        """Tell every browser; nothing happens before `start`."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, event, data)

    def stream(self, account: str, still_signed_in: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Return the bytes of an event stream; TooManyError at once when there are too many.

        The stream ends by itself when `still_signed_in` says no: asked with each heartbeat and before each event.
        """
        own = sum(client.account == account for client in self._clients)
        if len(self._clients) >= MAX_CLIENTS or own >= MAX_CLIENTS_PER_ACCOUNT:
            sentence = N_("Too many open pages. Close some; live updates come back in %(seconds)s seconds.")
            raise TooManyError(sentence, retry_after_s=int(self._heartbeat_s))
        return self._events(_Client(account), still_signed_in)

    def _deliver(self, event: str, data: bytes) -> None:
        for client in self._clients:
            client.waiting[event] = data
            client.wake.set()

    def _is_over(self, still_signed_in: Callable[[], bool]) -> bool:
        return self._closed or not still_signed_in()

    async def _events(self, client: _Client, still_signed_in: Callable[[], bool]) -> AsyncIterator[bytes]:
        self._clients.add(client)  # here, not in `stream`: a generator that never starts never reaches its `finally`
        try:
            yield b"retry: %d\n\n" % RETRY_MS
            while not self._closed:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(client.wake.wait(), self._heartbeat_s)
                if self._is_over(still_signed_in):
                    return
                client.wake.clear()
                waiting, client.waiting = client.waiting, {}
                if not waiting:
                    yield b": beat\n\n"
                for event, data in waiting.items():
                    yield b"event: %s\ndata: %s\n\n" % (event.encode(), data)
        finally:
            self._clients.discard(client)
