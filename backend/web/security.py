"""What stands in front of every request: headers, a cap on the body, the origin check, and limits on attempts.

1. Headers on every answer: a strict content policy without inline script or style, nothing framed, nothing sniffed.
2. A request's body is cut off at `MAX_BODY_BYTES`, announced or not.
3. A request that changes something must come from our own pages: `Sec-Fetch-Site` and `Origin` where the browser
   sends them. The session's own token is checked as well, by `accounts`, where the session is known.
4. Attempts are counted by a keyed hash of the address under a key that lives for a day, in memory alone: no address
   is kept, and yesterday's hashes cannot be linked to today's.
"""

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.errors import TooManyError
from backend.web.words import N_

MAX_BODY_BYTES: Final = 64 * 1024  # our largest form is a signing request of 8 KiB
DAY_S: Final = 86_400
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

CONTENT_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
HEADERS: Final = (
    ("content-security-policy", CONTENT_POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    # same-origin, not no-referrer: that one makes browsers send "Origin: null" with our own forms.
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
)
TRANSPORT_HEADER: Final = ("strict-transport-security", "max-age=31536000")
# Encoded once: every answer gets them.
_RAW_HEADERS: Final = tuple(
    (name.encode(), value.encode()) for name, value in (*HEADERS, ("cache-control", "no-store"))
)
_RAW_TRANSPORT: Final = (TRANSPORT_HEADER[0].encode(), TRANSPORT_HEADER[1].encode())


class SecurityHeaders:
    """ASGI: adds the headers, and `no-store` where a route did not choose its caching; tells each answer's status."""

    def __init__(self, app: ASGIApp, answered: Callable[[int], None]) -> None:
        self._app = app
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; decorate the start of its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def decorated(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._answered(message["status"])
                given = list(message.get("headers", ()))
                chosen = {name for name, _ in given}
                wanted = _RAW_HEADERS if scope["scheme"] != "https" else (*_RAW_HEADERS, _RAW_TRANSPORT)
                message["headers"] = given + [pair for pair in wanted if pair[0] not in chosen]
            await send(message)

        await self._app(scope, receive, decorated)


class BodyLimit:
    """ASGI: ends a request whose body is longer than the cap, before anything reads it whole."""

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a counting `receive`."""
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal() or int(announced) > self._max_bytes:
            await _too_large(send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._max_bytes:
                return {"type": "http.disconnect"}  # a body without its length announced, and endless
            return message

        await self._app(scope, counted, send)


async def _too_large(send: Send) -> None:
    body = b'{"error":"The request is too large."}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def comes_from_us(headers: Headers, *, scheme: str) -> bool:
    """Tell whether a changing request comes from our own pages, as far as its browser says.

    A program that is no browser sends neither header; it carries no ambient cookie either.
    """
    site = headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or origin == f"{scheme}://{headers.get('host', '')}"


def same_token(given: str | None, expected: str) -> bool:
    """Compare a token in constant time."""
    return given is not None and hmac.compare_digest(given.encode(errors="replace"), expected.encode())


@dataclass(frozen=True, slots=True)
class Limit:
    """So many attempts of one kind from one address."""

    name: str
    items: tuple[RateLimitItem, ...]


# Each try costs 64 MiB and 0.2 s of Argon2id; the officers of a district may share one address behind NAT.
SIGN_IN: Final = Limit("sign_in", (RateLimitItemPerMinute(60), RateLimitItemPerHour(600)))
# A person mistypes a password a few times; a guesser needs millions. Counted for the address and for the account.
SIGN_IN_REFUSED: Final = Limit("sign_in_refused", (RateLimitItemPerMinute(10), RateLimitItemPerHour(60)))
# A district of a few hundred devices enrols from one address at its first start.
ENROL: Final = Limit("enrol", (RateLimitItemPerMinute(600),))
ENROL_REFUSED: Final = Limit("enrol_refused", (RateLimitItemPerMinute(20), RateLimitItemPerHour(100)))
ADMIN_REFUSED: Final = Limit("admin_refused", (RateLimitItemPerMinute(10),))


class RateLimits:
    """Counts attempts; one instance for the process."""

    def __init__(self, real_s: Callable[[], float]) -> None:
        self._real_s = real_s
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._key = secrets.token_bytes(32)
        self._made_s = real_s()

    def hit(self, limit: Limit, who: str) -> None:
        """Count an attempt; TooManyError when there were too many."""
        if not self.count(limit, who):
            self._refuse(limit)

    def count(self, limit: Limit, who: str) -> bool:
        """Count an attempt; tell whether there is still room."""
        key = self._pseudonym(who)
        room = [
            self._limiter.hit(item, limit.name, key) for item in limit.items
        ]  # each is counted, whatever the first says
        return all(room)

    def check(self, limit: Limit, who: str) -> None:
        """Raise TooManyError when there were too many already, without counting."""
        key = self._pseudonym(who)
        if not all(self._limiter.test(item, limit.name, key) for item in limit.items):
            self._refuse(limit)

    def _refuse(self, limit: Limit) -> NoReturn:
        sentence = N_("Too many attempts. Wait %(seconds)s seconds and try again.")
        raise TooManyError(sentence, retry_after_s=min(item.get_expiry() for item in limit.items))

    def _pseudonym(self, who: str) -> str:
        if self._real_s() - self._made_s >= DAY_S:
            self._key, self._made_s = secrets.token_bytes(32), self._real_s()
        return hmac.new(self._key, _network(who).encode(errors="replace"), hashlib.sha256).hexdigest()


def _network(who: str) -> str:
    """An IPv6 customer owns a /64 and could change the rest at will; everything else counts as it stands."""
    try:
        address = ipaddress.ip_address(who)
    except ValueError:
        return who
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return who
