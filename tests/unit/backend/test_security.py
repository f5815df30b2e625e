"""What stands in front of every request: origin, body cap, headers, limits by a hash of the address."""

import asyncio

import pytest
from limits import RateLimitItemPerMinute
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from backend.errors import TooManyError
from backend.web.security import (
    CONTENT_POLICY,
    DAY_S,
    BodyLimit,
    Limit,
    RateLimits,
    SecurityHeaders,
    comes_from_us,
    same_token,
)

THREE = Limit("three", (RateLimitItemPerMinute(3),))

# headers of a changing request -> may it pass (Fetch Metadata and RFC 6454; a program sends neither)
ORIGINS: list[tuple[dict[str, str], bool]] = [
    ({"host": "kw.example"}, True),
    ({"host": "kw.example", "origin": "https://kw.example"}, True),
    ({"host": "kw.example", "origin": "https://kw.example", "sec-fetch-site": "same-origin"}, True),
    ({"host": "kw.example", "sec-fetch-site": "none"}, True),
    ({"host": "kw.example", "origin": "http://kw.example"}, False),
    ({"host": "kw.example", "origin": "https://evil.example"}, False),
    ({"host": "kw.example", "origin": "https://kw.example.evil.example"}, False),
    ({"host": "kw.example", "origin": "https://kw.example:8443"}, False),
    ({"host": "kw.example", "origin": "null"}, False),
    ({"host": "kw.example", "sec-fetch-site": "cross-site"}, False),
    ({"host": "kw.example", "sec-fetch-site": "same-site"}, False),
    ({"host": "kw.example", "origin": "https://kw.example", "sec-fetch-site": "cross-site"}, False),
]


@pytest.mark.parametrize(("headers", "passes"), ORIGINS)
def test_only_our_own_pages_may_change_something(headers: dict[str, str], *, passes: bool) -> None:
    assert comes_from_us(Headers(headers), scheme="https") is passes


def test_a_token_is_compared_whole_and_survives_any_bytes() -> None:
    assert same_token("abc", "abc")
    assert not same_token("ab", "abc")
    assert not same_token(None, "abc")
    assert not same_token("\udcff", "abc")


def test_the_content_policy_allows_no_inline_script_or_style_and_no_foreign_source() -> None:
    assert "unsafe" not in CONTENT_POLICY
    assert "http" not in CONTENT_POLICY
    assert "*" not in CONTENT_POLICY
    assert CONTENT_POLICY.startswith("default-src 'none'")


def test_the_fourth_attempt_in_a_minute_is_refused_and_another_address_is_not() -> None:
    limits = RateLimits(lambda: 0.0)
    for _ in range(3):
        limits.hit(THREE, "192.0.2.1")
    with pytest.raises(TooManyError) as caught:
        limits.hit(THREE, "192.0.2.1")
    assert caught.value.retry_after_s == 60
    limits.hit(THREE, "192.0.2.2")


def test_checking_counts_nothing_and_counting_fills_it() -> None:
    limits = RateLimits(lambda: 0.0)
    for _ in range(10):
        limits.check(THREE, "a")
    assert [limits.count(THREE, "a") for _ in range(4)] == [True, True, True, False]
    with pytest.raises(TooManyError):
        limits.check(THREE, "a")


def test_an_ipv6_customer_is_one_network_whatever_address_it_takes() -> None:
    limits = RateLimits(lambda: 0.0)
    for last in range(3):
        limits.hit(THREE, f"2001:db8:1:2::{last + 1}")
    with pytest.raises(TooManyError):
        limits.hit(THREE, "2001:db8:1:2:ffff::9")
    limits.hit(THREE, "2001:db8:1:3::1")


def test_the_key_of_the_hashes_is_another_one_the_next_day() -> None:
    now = [0.0]
    limits = RateLimits(lambda: now[0])
    first = limits._pseudonym("192.0.2.1")
    assert first == limits._pseudonym("192.0.2.1")
    assert "192" not in first
    now[0] = DAY_S
    assert limits._pseudonym("192.0.2.1") != first


async def _drain(_scope: Scope, receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] == "http.request" and message.get("more_body"):
        pass
    status = 200 if message["type"] == "http.request" else 499
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def _status(headers: dict[str, str], chunks: list[bytes]) -> int:
    """Send a POST through the cap and return the status that came back."""
    waiting = [
        {"type": "http.request", "body": chunk, "more_body": number < len(chunks) - 1}
        for number, chunk in enumerate(chunks)
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "headers": Headers(headers).raw}
    asyncio.run(BodyLimit(_drain, max_bytes=10)(scope, receive, send))
    return int(sent[0]["status"])


def test_a_body_is_cut_off_whether_its_length_was_announced_or_not() -> None:
    assert _status({"content-length": "10"}, [b"0123456789"]) == 200
    assert _status({"content-length": "11"}, []) == 413
    assert _status({"content-length": "-1"}, []) == 413
    assert _status({"content-length": "zehn"}, []) == 413
    assert _status({}, [b"01234", b"56789"]) == 200
    assert _status({}, [b"01234", b"567890"]) == 499  # whoever reads on is told that the client has gone


def test_every_answer_gets_the_headers_and_a_routes_own_caching_stays() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": [(b"cache-control", b"max-age=1")]})

    sent: list[Message] = []
    seen: list[int] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    asyncio.run(SecurityHeaders(app, seen.append)({"type": "http", "scheme": "https"}, receive, send))
    headers = Headers(raw=sent[0]["headers"])
    assert headers["content-security-policy"] == CONTENT_POLICY
    assert headers["cache-control"] == "max-age=1"
    assert "max-age" in headers["strict-transport-security"]
    assert seen == [204]
