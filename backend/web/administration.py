"""Administration from this machine: a token in a file that only the operator's account can read.

Asked for by `kioskwatch up`, `kioskwatch device …` and `kioskwatch user …` while the backend runs. Answers only peers
on this machine: loopback, or the address the request came in on.
"""

import ipaddress
import secrets
from pathlib import Path
from typing import Final

from starlette.requests import HTTPConnection, Request

from backend.errors import NotAllowedError, OperatorError
from backend.web.security import ADMIN_REFUSED, RateLimits, same_token
from backend.web.viewer import client_address
from backend.web.words import N_

TOKEN_BYTES: Final = 32
MIN_TOKEN_CHARS: Final = 20


def ensure_admin_token(path: Path) -> str:
    """Return the token of a file, made at the first start; OperatorError when the file is of no use."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(TOKEN_BYTES) + "\n")
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise OperatorError("%(path)s cannot be read or made.", path=path) from exc
    if len(token) < MIN_TOKEN_CHARS:
        raise OperatorError("%(path)s holds no token: remove it, and the next start makes one.", path=path)
    return token


def is_local(connection: HTTPConnection) -> bool:
    """Tell whether the peer is on this machine."""
    peer = client_address(connection)
    server = connection.scope.get("server")
    try:
        return ipaddress.ip_address(peer).is_loopback or (server is not None and peer == server[0])
    except ValueError:
        return False


class AdminOnly:
    """A route's demand, as a FastAPI dependency."""

    def __init__(self, token: str, limits: RateLimits) -> None:
        self._token = token
        self._limits = limits

    async def __call__(self, request: Request) -> None:
        """Pass, or raise NotAllowedError; wrong tokens are counted."""
        if not self.passes(request):
            self._limits.hit(ADMIN_REFUSED, client_address(request))
            raise NotAllowedError(N_("Administration needs the token file, on this machine."))

    def passes(self, request: Request) -> bool:
        """Tell whether a request comes from this machine with the token."""
        return is_local(request) and self.knows(request)

    def knows(self, request: Request) -> bool:
        """Tell whether a request carries the token, wherever it comes from."""
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return same_token(given, self._token)
