"""The page that shows a code: who gets it, who does not, and that no request breaks it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.children.page import answer

HOST, PATH, PAGE = "127.0.0.1:4242", "/unguessable", b"<p>the code</p>"
HEADERS = (("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", "default-src 'none'"))


def _answer(request: bytes) -> bytes:
    return answer(request, host=HOST, path=PATH, page=PAGE, headers=HEADERS)


def _request(line: str = f"GET {PATH} HTTP/1.1", *headers: str) -> bytes:
    return "\r\n".join([line, *(headers or (f"Host: {HOST}",)), "\r\n"]).encode()


def test_the_page_comes_whole_with_its_policy_and_is_kept_nowhere() -> None:
    head, _, body = _answer(_request()).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert body == PAGE
    for line in (
        b"Cache-Control: no-store",
        b"Content-Security-Policy: default-src 'none'",
        b"X-Content-Type-Options: nosniff",
        b"Connection: close",
        f"Content-Length: {len(PAGE)}".encode(),
    ):
        assert line in lines


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (_request("GET / HTTP/1.1"), b"404"),
        (_request(f"GET {PATH}/ HTTP/1.1"), b"404"),
        (_request(f"GET {PATH}? HTTP/1.1"), b"404"),
        (_request(f"GET http://{HOST}{PATH} HTTP/1.1"), b"404"),
        (_request(f"POST {PATH} HTTP/1.1"), b"405"),
        (_request(f"HEAD {PATH} HTTP/1.1"), b"405"),
        (_request(f"GET {PATH}"), b"400"),
        (_request(f"GET {PATH} HTTP/2"), b"400"),
        (_request(f"GET {PATH} HTTP/1.1", "Host: evil.example"), b"421"),
        (_request(f"GET {PATH} HTTP/1.1", "Accept: */*"), b"421"),
        (_request(f"GET {PATH} HTTP/1.1", f"Host: {HOST}", f"Host: {HOST}"), b"421"),
    ],
)
def test_whoever_asks_otherwise_gets_nothing_of_it(request_bytes: bytes, status: bytes) -> None:
    answered = _answer(request_bytes)
    assert answered.split(b" ")[1] == status
    assert PAGE not in answered
    assert b"Content-Length: 0" in answered


@given(st.binary(max_size=300))
def test_garbage_gets_an_answer_without_content(garbage: bytes) -> None:
    answered = _answer(garbage + b"\r\n\r\n")
    assert answered.startswith(b"HTTP/1.1 4")
    assert PAGE not in answered
