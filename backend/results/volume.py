"""How much one address may download a minute, so that nobody fills the line. Nothing that names an address is kept.

Counted under HMAC-SHA256(address) with a key that lives for a day, in memory alone; the counts live for a minute.
An IPv6 customer owns a /64 and counts as one.
"""

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Callable
from typing import Final

WINDOW_S: Final = 60.0
DAY_S: Final = 86_400.0
KEY_BYTES: Final = 32
OVERHEAD_BYTES: Final = 1024  # of any answer, however short
MAX_ADDRESSES: Final = 50_000  # a minute; the rest share one allowance, so that a flood takes no memory
_REST: Final = b""


class Volume:
    """Takes from an address's allowance of bytes a minute."""

    def __init__(self, bytes_a_minute: int, real_s: Callable[[], float]) -> None:
        self._allowed = bytes_a_minute
        self._real_s = real_s
        self._taken: dict[bytes, int] = {}
        self._window_s = self._key_s = real_s()
        self._key = secrets.token_bytes(KEY_BYTES)

    def take(self, address: str, length: int) -> bool:
        """Count an answer of that length; tell whether the address may have it."""
        self._turn()
        who = self._pseudonym(address)
        if who not in self._taken and len(self._taken) >= MAX_ADDRESSES:
            who = _REST
        taken = self._taken.get(who, 0)
        if taken >= self._allowed:
            return False
        self._taken[who] = taken + length + OVERHEAD_BYTES
        return True

    def _turn(self) -> None:
        now_s = self._real_s()
        if now_s - self._key_s >= DAY_S:
            self._key, self._key_s = secrets.token_bytes(KEY_BYTES), now_s
            self._taken.clear()
        if now_s - self._window_s >= WINDOW_S:
            self._window_s = now_s
            self._taken.clear()

    def _pseudonym(self, address: str) -> bytes:
        return hmac.digest(self._key, _network(address), hashlib.sha256)


def _network(address: str) -> bytes:
    if ":" not in address:
        return address.encode(errors="replace")
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address.encode(errors="replace")
    return found.packed if found.ipv4_mapped is not None else found.packed[:8]
