"""The backend as `kioskwatch backend serve` runs it, with one address more: `/bench/bare` answers prepared bytes.

So the API can be compared with what the very same worker, server and event loop do at their fastest.
Usage: python -m bench.bare_backend BACKEND_TOML ANSWER_BYTES
"""

import contextlib
import sys
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from backend.bootstrap import Backend, open_core
from backend.settings import read_settings
from backend.web.server import listen, serve

BARE = "/bench/bare"


class WithBareAnswer:
    """An application in front of which one address is answered without looking at the request."""

    def __init__(self, app: ASGIApp, size: int) -> None:
        self._app = app
        self._body = b"x" * size
        self._headers = [(b"content-type", b"application/json"), (b"content-length", str(size).encode())]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] != "http" or scope["path"] != BARE:
            await self._app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await send({"type": "http.response.body", "body": self._body})


def main(settings_file: str, size: str) -> int:
    """Serve until a signal."""
    settings = read_settings(Path(settings_file))
    listener = listen(settings.host, settings.port)
    with (
        contextlib.closing(listener),
        contextlib.closing(open_core(settings)) as core,
        contextlib.closing(Backend(core)) as backend,
    ):
        app = WithBareAnswer(backend.app, int(size))
        serve(app, listener, certificate=None, ready=lambda: print("ready", flush=True), stopping=backend.hub.close)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
