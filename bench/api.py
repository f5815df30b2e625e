"""The API beside what its own worker can do at most, and how soon the first page is painted."""

import statistics
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

from bench.asking import CONNECTIONS, RUNS, rate, request
from bench.bare_backend import BARE
from bench.report import Figure, at_least, at_most
from tests.support.chromium import running_chromium, watched_page
from tests.support.console import NOW, PASSWORD, Console, running_console, serves
from tests.support.process import Program

POINTS = 300
RATIO_BAR = 0.25
PAINT_BAR_S = 1.0
_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]"


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
    asked = [request(series, cookie)]
    # The limit is part of the question, so each of these is another one for the cache.
    different = [request(f"{series}&limit={limit}", cookie) for limit in range(POINTS, 10_000)]
    rates: dict[str, list[float]] = {"bare": [], "series": [], "uncached": []}
    for _ in range(RUNS):
        rates["bare"].append(rate(port, [request(BARE, "")]))
        rates["series"].append(rate(port, asked))
        rates["uncached"].append(rate(port, different))
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
