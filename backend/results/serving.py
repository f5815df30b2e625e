"""Serves the result page and the public files: exact paths, whole files, one set of headers. No state, no look-up.

An answer depends on its path alone: no cookie, no conditional or partial request, no language or encoding is looked
at, so a browser that opened a result did nothing that others do not. Whatever is not on the list does not exist.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from starlette.types import Receive, Scope, Send

from backend.results.volume import Volume

CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
)
HEADERS: Final = (
    ("content-security-policy", CONTENT_POLICY),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    ("content-encoding", "identity"),
    ("accept-ranges", "none"),
)
TRANSPORT_HEADER: Final = ("strict-transport-security", "max-age=31536000")
INDEX: Final = "index.html"
BINARY: Final = "application/octet-stream"
JSON: Final = "application/json"
TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": JSON,
    "png": "image/png",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
RETRY_AFTER_S: Final = 60

RawHeaders = list[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """A whole answer, made once."""

    status: int
    headers: RawHeaders
    body: bytes


def content_type(path: str) -> str:
    """Return the media type that a path's ending stands for."""
    return TYPES.get(path.rpartition(".")[2], BINARY)


class ResultsApp:
    """The ASGI application."""

    def __init__(
        self, pages: Mapping[str, bytes], published: Callable[[], Mapping[str, bytes]], volume: Volume, *, tls: bool
    ) -> None:
        """`pages` is path -> content for as long as this process lives, `published` what a tick may change."""
        fixed = (*HEADERS, TRANSPORT_HEADER) if tls else HEADERS
        self._fixed: RawHeaders = [(name.encode(), value.encode()) for name, value in fixed]
        self._pages = {path: self._answer(200, content_type(path), body) for path, body in pages.items()}
        if f"/{INDEX}" in self._pages:
            self._pages["/"] = self._pages[f"/{INDEX}"]
        self._published = published
        self._volume = volume
        self._refusals = {
            404: self._answer(404, TYPES["txt"], b"There is nothing here.\n"),
            405: self._answer(405, TYPES["txt"], b"This page is only for reading.\n", ("allow", "GET, HEAD")),
            429: self._answer(
                429, TYPES["txt"], b"Too much at once: wait a minute.\n", ("retry-after", f"{RETRY_AFTER_S}")
            ),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            answer = self._find(scope)
            body = b"" if scope["method"] == "HEAD" else answer.body
            await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
            await send({"type": "http.response.body", "body": body})

    def _find(self, scope: Scope) -> Answer:
        if scope["method"] not in {"GET", "HEAD"}:
            return self._refusals[405]
        answer = self._pages.get(scope["path"])
        if answer is None:
            answer = self._public_file(scope["path"])
        client = scope.get("client")
        if not self._volume.take("" if client is None else client[0], len(answer.body)):
            return self._refusals[429]
        return answer

    def _public_file(self, path: str) -> Answer:
        body = self._published().get(path)
        return self._refusals[404] if body is None else self._answer(200, content_type(path), body)

    def _answer(self, status: int, kind: str, body: bytes, *more: tuple[str, str]) -> Answer:
        own = [("content-type", kind), ("content-length", str(len(body))), *more]
        return Answer(status, [*self._fixed, *((name.encode(), value.encode()) for name, value in own)], body)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
