"""The API beside what its own worker can do at most, and how soon the first page is painted."""

import selectors
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

from bench.bare_backend import BARE
from bench.report import Figure, at_least, at_most
from tests.support.chromium import running_chromium, watched_page
from tests.support.console import NOW, PASSWORD, Console, running_console, serves
from tests.support.process import Program

POINTS = 300
CONNECTIONS = 16
RUN_S = 4.0
RUNS = 3
RATIO_BAR = 0.25
PAINT_BAR_S = 1.0
_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]"
_CHUNK_BYTES = 262_144


def measure(folder: Path) -> Iterator[Figure]:
    """Requests a second, turn and turn about, on one worker; then Chromium."""
    with running_console(folder) as console:  # fills the stores and sets a password
        series = _series_path(console)
        with closing(console.client()) as officer:
            body = officer.get(series).raise_for_status().content
            cookie = "; ".join(f"{name}={value}" for name, value in officer.cookies.items())
        yield from _first_paint(console)
    command = [sys.executable, "-m", "bench.bare_backend", str(folder / "backend.toml"), str(len(body))]
    program = Program(command, log=folder / "bare.log", ready=lambda: serves(console.url))
    program.start()
    try:
        yield from _requests(console.url, cookie, series)
    finally:
        program.stop()


def _requests(url: str, cookie: str, series: str) -> Iterator[Figure]:
    port = urlsplit(url).port or 0
    asked = [_request(series, cookie)]
    # The limit is part of the question, so each of these is another one for the cache.
    different = [_request(f"{series}&limit={limit}", cookie) for limit in range(POINTS, 10_000)]
    rates: dict[str, list[float]] = {"bare": [], "series": [], "uncached": []}
    for _ in range(RUNS):
        rates["bare"].append(_rate(port, [_request(BARE, "")]))
        rates["series"].append(_rate(port, asked))
        rates["uncached"].append(_rate(port, different))
    bare, same, uncached = (statistics.median(rates[name]) for name in ("bare", "series", "uncached"))
    size = f"{POINTS} points"
    yield Figure("API", f"bare answer of the same size, same worker, {CONNECTIONS} connections", f"{bare:,.0f} req/s")
    yield Figure("API", f"series of {size}, logged in", f"{same:,.0f} req/s")
    yield at_least("API", f"series of {size} ÷ bare answer", same / bare, RATIO_BAR, "×")
    yield Figure("API", f"series of {size}, no two questions alike", f"{uncached:,.0f} req/s")


def _first_paint(console: Console) -> Iterator[Figure]:
    with running_chromium() as browser, watched_page(browser) as page:
        page.goto(f"{console.url}/sign-in?lang=en")
        page.fill("[name=name]", "admin")
        page.fill("[name=password]", PASSWORD)
        page.press("[name=password]", "Enter")
        page.wait_for_url(f"{console.url}/")
        paints: list[float] = []
        for path in ("/", "/zones/z10022", "/alerts", "/devices", "/"):
            page.goto(console.url + path, wait_until="load")
            page.wait_for_function(f"{_PAINTED} !== undefined")
            paints.append(page.evaluate(f"{_PAINTED}.startTime") / 1000)
    yield at_most("API", f"first contentful paint, worst of {len(paints)} pages", max(paints), PAINT_BAR_S, "s")


def _series_path(console: Console) -> str:
    room = next(device.id for device in console.district.device if device.kind == "air_monitor")
    start = NOW - timedelta(seconds=POINTS * 600)
    words = {
        "bucket": "environment",
        "measurement": "air",
        "field": "co2_ppm",
        "start": _iso(start),
        "stop": _iso(NOW),
        "tag": f"device:{room}",
    }
    path = "/api/v1/series?" + "&".join(f"{name}={quote(value)}" for name, value in words.items())
    with closing(console.client()) as officer:
        found = officer.get(path).raise_for_status().json()["series"]
    if [len(one["values"]) for one in found] != [POINTS]:
        raise RuntimeError(f"the question gives {[len(one['values']) for one in found]} points, not {POINTS}")
    return path


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _request(path: str, cookie: str) -> bytes:
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    return (head + (f"Cookie: {cookie}\r\n" if cookie else "") + "\r\n").encode()


def _rate(port: int, requests: list[bytes]) -> float:
    """Answers a second over keep-alive connections, one request under way on each.

    The answers are of one length, which the first tells: after it bytes are only counted, so that this end of the wire
    costs next to nothing.
    """
    length = _answer_bytes(port, requests[0])
    selector = selectors.DefaultSelector()
    missing: dict[socket.socket, int] = {}
    turn = 0
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        selector.register(connection, selectors.EVENT_READ)
        connection.sendall(requests[turn % len(requests)])
        missing[connection] = length
        turn += 1
    answered = 0
    started = time.monotonic()
    while time.monotonic() - started < RUN_S:
        for key, _ in selector.select(1.0):
            connection = key.fileobj  # type: ignore[assignment]  # sockets alone are registered
            received = len(connection.recv(_CHUNK_BYTES))
            if not received:
                raise RuntimeError(f"port {port} closed a connection after {answered} answers")
            missing[connection] -= received
            if missing[connection] <= 0:
                missing[connection] += length
                answered += 1
                connection.sendall(requests[turn % len(requests)])
                turn += 1
    rate = answered / (time.monotonic() - started)
    selector.close()
    for connection in missing:
        connection.close()
    return rate


def _answer_bytes(port: int, request: bytes) -> int:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(_CHUNK_BYTES)
        head = answer.partition(b"\r\n\r\n")[0]
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"the request was answered with {head.splitlines()[0]!r}")
        length = next(int(line[15:]) for line in head.lower().splitlines() if line.startswith(b"content-length:"))
        return len(head) + 4 + length
