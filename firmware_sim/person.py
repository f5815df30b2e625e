"""What a person does at a kiosk's screen: choose a language, read, begin, take the slip. Over HTTP, as a browser would.

Nothing is asked of the screen that a person could not see: which page stands there, its form, its buttons.
"""

import asyncio
import contextlib
import re

from firmware_sim.chance import below
from firmware_sim.config import Address
from firmware_sim.errors import RecordError
from firmware_sim.wire.http import MAX_BYTES, Answer, get, parse_answer, post

LANGUAGES = ("zh", "en", "fr", "es", "ru", "ar")
TIMEOUT_S = 60.0  # real; a slow printer is waited for
_SCREEN = re.compile(r'<body data-screen="([a-z]+)"')
_WITH_PAPER, _WITHOUT_PAPER = frozenset({"info"}), frozenset({"paper", "printer"})


class Person:
    """Somebody at one kiosk's screen; `key` decides which language they read."""

    def __init__(self, screen: Address, *key: int | str) -> None:
        self._address = screen
        self._host = f"{screen.host}:{screen.port}"
        self._language = LANGUAGES[below(len(LANGUAGES), *key, "language")]
        self._page: str | None = None  # of this visit

    async def check_in(self) -> bool:
        """Go through the screens until the kiosk waits for the cartridge; whether it does."""
        try:
            await self._ask(get(self._host, "/"))
            self._page = (await self._ask(get(self._host, f"/{self._language}"))).location
            if self._page is None:
                return False
            shown = _shown(await self._ask(get(self._host, self._page)))
            if shown in _WITH_PAPER | _WITHOUT_PAPER:
                await self._send("/check-in", paper="1" if shown in _WITH_PAPER else "0")
                shown = _shown(await self._ask(get(self._host, self._page)))
            if shown == "insert":
                return True
            await self.leave()
        except (OSError, TimeoutError, RecordError):
            self._page = None  # the kiosk is off, or starts anew
        return False

    async def leave(self) -> None:
        """Press the button that says one is done."""
        with contextlib.suppress(OSError, TimeoutError, RecordError):  # the screen goes back by itself after a minute
            await self._send("/leave")
        self._page = None

    async def _send(self, path: str, **form: str) -> None:
        if self._page is not None:
            await self._ask(post(self._host, path, {"token": self._page.rpartition("/")[2], **form}))

    async def _ask(self, request: bytes) -> Answer:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(self._address.host, self._address.port)
            try:
                writer.write(request)
                return parse_answer(await _all(reader))
            finally:
                writer.close()


async def _all(reader: asyncio.StreamReader) -> bytes:
    data = b""
    while len(data) < MAX_BYTES and (more := await reader.read(MAX_BYTES)):
        data += more
    return data


def _shown(answer: Answer) -> str:
    found = _SCREEN.search(answer.body)
    return "" if found is None else found[1]
