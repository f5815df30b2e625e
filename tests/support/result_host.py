"""A small host of the result page with the test's own district: the shipped files, real headers, any cohort.

It behaves as `kioskwatch backend results` does towards a browser, and can be told to fail as networks and forgers do.
Every request is kept as the bytes of its head, so that two look-ups can be compared.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from contracts import cohorts
from contracts.claim import PRACTICE_CODE, ClaimCode
from contracts.sealed import ResultBody, dummy, result_body, seal
from tests.support.repository import ROOT

STATIC = ROOT / "backend/results/static"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".json": "application/json"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Strict-Transport-Security": "max-age=31536000",
}
LEAST_RECORDS = 8
Answer = Callable[[bytes], bytes]


@lru_cache(maxsize=1)
def fillers() -> tuple[bytes, ...]:
    """Records that nobody can open; a few, since a test looks at one file at a time."""
    return tuple(dummy() for _ in range(LEAST_RECORDS))


def sealed(code: ClaimCode, body: ResultBody | bytes) -> bytes:
    """What the kiosk that gave out the code seals."""
    keys = code.keys()
    return seal(keys.slot, keys.public_key, keys.origin, body if isinstance(body, bytes) else body.encode())


def cohort_file(*records: bytes, count: int | None = None) -> bytes:
    """A public file: sorted by slot, padded to a power of two."""
    practice = sealed(PRACTICE_CODE, result_body("2026-11-22", {"practice": "negative"}))
    wanted = count or max(LEAST_RECORDS, cohorts.padded_count(len(records) + 1))
    filling = (fillers() * (wanted // LEAST_RECORDS + 1))[: wanted - len(records) - 1]
    return b"".join(sorted([*records, practice, *filling]))


@dataclass(slots=True)
class District:
    """What the host serves. `spoil` changes bodies by the beginning of their path; paths in `missing` get a 404."""

    tick: int
    files: dict[int, bytes] = field(default_factory=dict)
    speed: int = 1
    notice: Mapping[str, Mapping[str, str]] | None = None
    spoil: dict[str, Answer] = field(default_factory=dict)
    cut: int | None = None  # the connection breaks after so many bytes
    slow_s: float = 0.0  # before each 16 KiB
    missing: tuple[str, ...] = ()
    heads: list[bytes] = field(default_factory=list)

    def put(self, ready_tick: int, *records: bytes, count: int | None = None) -> None:
        """Fill the cohort of a ready tick."""
        self.files[cohorts.cohort_of(ready_tick)] = cohort_file(*records, count=count)

    def body(self, path: str) -> bytes | None:
        """The bytes of a path, None where there is nothing."""
        found = self._body(path)
        for beginning, change in self.spoil.items():
            if found is not None and path.startswith(beginning):
                found = change(found)
        return found

    def _body(self, path: str) -> bytes | None:
        if any(path.startswith(beginning) for beginning in self.missing):
            return None
        if path == "/clock.json":
            return cohorts.encode_clock(cohorts.PublicClock.at(self.tick))
        if path == "/notice.json":
            said = {"v": 1, "speed": self.speed, "page_hash": "0123456789abcdef", "notice": self.notice}
            return json.dumps(said, ensure_ascii=False).encode()
        if path.startswith("/cohorts/"):
            number = int(path.removeprefix("/cohorts/").removesuffix(".bin"))
            live = cohorts.live_cohorts(self.tick)
            return self.files.get(number, cohort_file()) if number in live else None
        file = (STATIC / (path.removeprefix("/") or "index.html")).resolve()
        return file.read_bytes() if file.is_file() and file.is_relative_to(STATIC) else None

    def asked(self) -> list[str]:
        """Method and path of each request so far."""
        return [b" ".join(head.split(b"\r\n")[0].split()[:2]).decode() for head in self.heads]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    district: ClassVar[District]

    def do_GET(self) -> None:
        lines = [self.requestline, *(f"{name}: {value}" for name, value in self.headers.items())]
        head = "\r\n".join(lines).encode()
        self.district.heads.append(head)
        body = self.district.body(self.path)
        self.send_response(404 if body is None else 200)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        kind = TYPES.get(Path(self.path if self.path != "/" else "index.html").suffix, "application/octet-stream")
        self.send_header("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self._send(body or b"")

    def _send(self, body: bytes) -> None:
        cohort = self.path.startswith("/cohorts/")
        if cohort and self.district.cut is not None:
            self.wfile.write(body[: self.district.cut])
            self.close_connection = True
            return
        for at in range(0, len(body), 16_384):
            if cohort and self.district.slow_s:
                time.sleep(self.district.slow_s)
            self.wfile.write(body[at : at + 16_384])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing, as the real one."""


@contextmanager
def served(district: District) -> Iterator[str]:
    """Serve a district on loopback; gives the origin, which browsers take for a secure context."""
    handler = type("Handler", (_Handler,), {"district": district})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
