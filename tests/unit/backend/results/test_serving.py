"""Answers of the result page's server: exact paths, one set of headers, nothing that depends on who asks."""

import asyncio
import logging

import httpx
import pytest

from backend.results.quiet import ForeignWordsFilter
from backend.results.serving import CONTENT_POLICY, ResultsApp
from backend.results.volume import MAX_ADDRESSES, OVERHEAD_BYTES, Volume

PAGES = {"/index.html": b"<!doctype html>", "/app.js": b"1", "/words/en.js": b"2", "/health/zh.html": b"3"}
PUBLIC = {"/clock.json": b"{}".ljust(64), "/cohorts/000001.bin": bytes(4096), "/cohorts/000002.bin": b"\1" * 4096}


class RealTime:
    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


def client(*, tls: bool = False, allowed: int = 10**9, time: RealTime | None = None) -> httpx.AsyncClient:
    app = ResultsApp(PAGES, lambda: PUBLIC, Volume(allowed, time or RealTime()), tls=tls)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://results")


async def get(path: str, **headers: str) -> httpx.Response:
    async with client() as asking:
        return await asking.get(path, headers=headers)


def run(path: str, **headers: str) -> httpx.Response:
    return asyncio.run(get(path, **headers))


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/", PAGES["/index.html"], "text/html; charset=utf-8"),
        ("/index.html", PAGES["/index.html"], "text/html; charset=utf-8"),
        ("/app.js", b"1", "text/javascript; charset=utf-8"),
        ("/words/en.js", b"2", "text/javascript; charset=utf-8"),
        ("/clock.json", PUBLIC["/clock.json"], "application/json"),
        ("/cohorts/000001.bin", PUBLIC["/cohorts/000001.bin"], "application/octet-stream"),
    ],
)
def test_what_is_on_the_list_is_served_whole(path: str, body: bytes, kind: str) -> None:
    answer = run(path)
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, body, kind)


@pytest.mark.parametrize(
    "path",
    [
        "/cohorts/000003.bin",
        "/cohorts/1.bin",
        "/cohorts/",
        "/../etc/passwd",
        "/app.js/",
        "/%2e%2e/app.js",
        "/look",
        "/favicon.ico",
        "/static/app.js",
        "/health/",
        "/index.html%00",
    ],
)
def test_whatever_is_not_on_the_list_does_not_exist(path: str) -> None:
    answer = run(path)
    assert (answer.status_code, answer.content) == (404, b"There is nothing here.\n")


def test_every_answer_has_the_strict_headers_and_no_other_trace() -> None:
    for path in ("/", "/clock.json", "/cohorts/000001.bin", "/nothing"):
        headers = run(path).headers
        assert headers["content-security-policy"] == CONTENT_POLICY
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cross-origin-embedder-policy"] == "require-corp"
        assert headers["content-encoding"] == "identity"
        assert not {"set-cookie", "etag", "last-modified", "vary", "server", "strict-transport-security"} & set(headers)


def test_two_cohorts_are_answered_with_the_same_headers_whatever_is_asked_of_them() -> None:
    plain = run("/cohorts/000001.bin")
    asked = {
        "range": "bytes=0-15",
        "if-none-match": "*",
        "if-modified-since": "Sun, 29 Nov 2026 00:00:00 GMT",
        "accept-encoding": "gzip, br",
        "cookie": "code=1",
        "accept-language": "ar",
    }
    other = run("/cohorts/000002.bin", **asked)
    assert other.status_code == 200
    assert len(other.content) == len(plain.content)
    assert other.headers == plain.headers


def test_over_tls_browsers_are_told_to_stay_there() -> None:
    async def ask() -> httpx.Response:
        async with client(tls=True) as asking:
            return await asking.get("/")

    assert "strict-transport-security" in asyncio.run(ask()).headers


def test_the_page_is_only_for_reading() -> None:
    async def ask(method: str) -> httpx.Response:
        async with client() as asking:
            return await asking.request(method, "/clock.json")

    assert [asyncio.run(ask(method)).status_code for method in ("POST", "PUT", "DELETE", "OPTIONS")] == [405] * 4
    head = asyncio.run(ask("HEAD"))
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "64")


def test_an_address_that_takes_too_much_waits_a_minute_and_the_others_do_not() -> None:
    time = RealTime()
    volume = Volume(2 * (4096 + OVERHEAD_BYTES), time)
    assert [volume.take("192.0.2.1", 4096) for _ in range(3)] == [True, True, False]
    assert volume.take("192.0.2.2", 4096)
    time.s += 60
    assert volume.take("192.0.2.1", 4096)


def test_a_network_of_one_customer_counts_once_and_a_name_that_is_none_counts_too() -> None:
    volume = Volume(1, RealTime())
    assert volume.take("2001:db8:0:1::1", 10)
    assert not volume.take("2001:db8:0:1:ffff::9", 10)
    assert volume.take("2001:db8:0:2::1", 10)
    assert volume.take("::ffff:192.0.2.1", 10)
    assert volume.take("::ffff:192.0.2.2", 10), "a mapped address is not a network"
    assert volume.take("fe80::1%eth0", 10)
    assert volume.take("not:an:address", 10)
    assert volume.take("", 10)


def test_no_address_is_kept_and_its_hash_changes_every_day() -> None:
    time = RealTime()
    volume = Volume(1, time)
    volume.take("192.0.2.1", 10)
    first = set(volume._taken)
    assert all(b"192" not in key and len(key) == 32 for key in first)
    time.s += 86_400
    volume.take("192.0.2.1", 10)
    assert not first & set(volume._taken)


def test_a_flood_of_addresses_takes_no_more_memory() -> None:
    volume = Volume(1, RealTime())
    for number in range(MAX_ADDRESSES + 50):
        volume.take(f"address {number}", 1)
    assert len(volume._taken) == MAX_ADDRESSES + 1


def test_a_foreign_librarys_words_never_reach_the_log() -> None:
    try:
        raise ValueError("/cohorts/249353.bin asked by 192.0.2.1")
    except ValueError as exc:
        record = logging.LogRecord(
            "uvicorn.error", logging.ERROR, "", 0, "192.0.2.1 asked for %s", ("/x",), (ValueError, exc, None)
        )
    assert ForeignWordsFilter().filter(record)
    assert logging.Formatter().format(record) == "something went wrong in uvicorn.error (ValueError)"
    own = logging.LogRecord("backend.results", logging.WARNING, "", 0, "our words", (), None)
    assert ForeignWordsFilter().filter(own)
    assert own.getMessage() == "our words"
