"""The real result application with a test's own district behind it: any clock, any cohort, any fault on the way.

Serves what `kioskwatch backend results` serves, through the same application and web server; only the cohort store and
the publisher are replaced by what a test puts there. Every request is kept as the bytes of its head, so that two
look-ups can be compared, and answers can be spoilt as networks and forgers do.
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import uvicorn
from starlette.types import Message, Receive, Scope, Send

from backend.results.page_hash import page_files
from backend.results.serving import ResultsApp
from backend.results.volume import Volume
from backend.web.server import listen
from contracts import cohorts
from contracts.claim import PRACTICE_CODE, ClaimCode
from contracts.sealed import ResultBody, dummy, result_body, seal
from tests.support.process import wait_until

LEAST_RECORDS = 8
PRACTICE_DAY = "2026-11-22"
SLICE_BYTES = 16_384
UNLIMITED = 1 << 60
Change = Callable[[bytes], bytes]


@lru_cache(maxsize=1)
def fillers() -> tuple[bytes, ...]:
    """Records that nobody can open; a few, since a test looks at one file at a time."""
    return tuple(dummy() for _ in range(LEAST_RECORDS))


@lru_cache(maxsize=1)
def practice() -> bytes:
    """The record of the practice code."""
    return sealed(PRACTICE_CODE, result_body(PRACTICE_DAY, {"practice": "negative"}))


def sealed(code: ClaimCode, body: ResultBody | bytes) -> bytes:
    """What the kiosk that gave out the code seals."""
    keys = code.keys()
    return seal(keys.slot, keys.public_key, keys.origin, body if isinstance(body, bytes) else body.encode())


def cohort_file(*records: bytes, count: int | None = None) -> bytes:
    """A public file: sorted by slot, padded to a power of two."""
    wanted = count or max(LEAST_RECORDS, cohorts.padded_count(len(records) + 1))
    filling = (fillers() * (wanted // LEAST_RECORDS + 1))[: wanted - len(records) - 1]
    return b"".join(sorted([*records, practice(), *filling]))


@dataclass(slots=True)
class District:
    """What the host serves, and what becomes of it on the way."""

    tick: int  # the newest complete one
    files: dict[int, bytes] = field(default_factory=dict)
    speed: int = 1
    notice: Mapping[str, Mapping[str, str]] | None = None
    spoil: dict[str, Change] = field(default_factory=dict)  # of answers, by the beginning of their path
    missing: tuple[str, ...] = ()  # beginnings of paths that are not there
    cut: int | None = None  # a cohort's connection breaks after so many bytes
    exhausted: bool = False  # the allowance of the visitor's address
    slow_s: float = 0.0  # before each slice of a cohort
    heads: list[bytes] = field(default_factory=list)  # of the requests so far

    def put(self, ready_tick: int, *records: bytes, count: int | None = None) -> None:
        """Fill the cohort of a ready tick."""
        self.files[cohorts.cohort_of(ready_tick)] = cohort_file(*records, count=count)

    def published(self) -> Mapping[str, bytes]:
        """Path -> content, as the publisher gives it."""
        empty = cohort_file()
        live = cohorts.live_cohorts(self.tick)
        files = {cohorts.file_path(cohort): self.files.get(cohort, empty) for cohort in live}
        return {"/clock.json": cohorts.encode_clock(cohorts.PublicClock.at(self.tick)), **files, **self._notice()}

    def _notice(self) -> Mapping[str, bytes]:
        said = {"v": 1, "speed": self.speed, "page_hash": "0123456789abcdef", "notice": self.notice}
        return {"/notice.json": json.dumps(said, ensure_ascii=False).encode()}

    def asked(self) -> list[str]:
        """Method and path of each request so far."""
        return [b" ".join(head.split(b" ")[:2]).decode() for head in self.heads]

    def looked_up(self) -> list[str]:
        """Those of them that a look-up consists of."""
        return [asked for asked in self.asked() if asked.startswith(("GET /clock.json", "GET /cohorts/"))]


class _Allowance(Volume):
    """The real one, which a test may exhaust."""

    def __init__(self, district: District) -> None:
        super().__init__(UNLIMITED, time.monotonic)
        self._district = district

    def take(self, address: str, length: int) -> bool:
        """Refuse while the test says so."""
        return not self._district.exhausted and super().take(address, length)


class _Line:
    """Between the web server and the application: notes what is asked and spoils what is answered."""

    def __init__(self, app: ResultsApp, district: District) -> None:
        self._app = app
        self._district = district

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        lines = [f"{scope['method']} {path} HTTP/{scope['http_version']}".encode()]
        self._district.heads.append(b"\r\n".join(lines + [b": ".join(header) for header in scope["headers"]]))
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        gone = path.startswith(self._district.missing) if self._district.missing else False
        await self._app({**scope, "path": "/nothing/here"} if gone else scope, receive, keep)
        await self._send(path, answer, send)

    async def _send(self, path: str, answer: list[Message], send: Send) -> None:
        start, body = answer[0], answer[1]["body"]
        for beginning, change in self._district.spoil.items():
            body = change(body) if path.startswith(beginning) else body
        headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
        await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
        cohort = path.startswith("/cohorts/")
        if cohort and self._district.cut is not None:
            await send(_part(body[: self._district.cut], more=True))
            return  # the server breaks the connection
        for at in range(0, max(1, len(body)), SLICE_BYTES):
            if cohort and self._district.slow_s:
                await asyncio.sleep(self._district.slow_s)
            await send(_part(body[at : at + SLICE_BYTES], more=at + SLICE_BYTES < len(body)))


def _part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


@contextmanager
def served(district: District) -> Iterator[str]:
    """Serve a district on loopback; gives the origin, which browsers take for a secure context."""
    pages = {f"/{name}": content for name, content in page_files().items()}
    app = ResultsApp(pages, district.published, _Allowance(district), tls=False)
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(
        _Line(app, district),
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started, timeout_s=20, what="the result page's server")
        yield f"http://localhost:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
