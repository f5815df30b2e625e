"""The screen's HTTP: requests as browsers send them, by hand from RFC 9112, and everything else."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.screen.http import MAX_BODY_BYTES, Answer, RequestError, body_bytes_wanted, form_of

GET = b"GET /visit/abc?x=1 HTTP/1.1\r\nHost: 127.0.0.1:8801\r\nAccept: */*"
POST = (
    b"POST /check-in HTTP/1.1\r\nHost: 127.0.0.1:8801\r\nOrigin: http://127.0.0.1:8801\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 15"
)


def test_a_browsers_request_is_read() -> None:
    request, wanted = body_bytes_wanted(GET)
    assert (request.method, request.path, wanted) == ("GET", "/visit/abc", 0)
    assert request.headers == {"host": "127.0.0.1:8801", "accept": "*/*"}
    request, wanted = body_bytes_wanted(POST)
    assert (request.method, request.path, wanted) == ("POST", "/check-in", 15)
    assert form_of(b"token=ab&paper=1") == {"token": "ab", "paper": "1"}


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", 400),
        (b"GET", 400),
        (b"GET / HTTP/2", 400),
        (b"GET http://evil/ HTTP/1.1", 400),
        (b"PUT / HTTP/1.1", 405),
        (GET + b"\r\nno colon", 400),
        (GET + b"\r\nHost: twice", 400),
        (GET + b"\r\n folded: header", 400),
        (GET + b"\r\nX: \xff", 400),
        (GET + b"\r\n" + b"\r\n".join(b"X%d: 1" % number for number in range(70)), 400),
        (POST.replace(b"15", b"-1"), 400),
        (POST.replace(b"15", b"9999999999999999999999"), 413),
        (POST.replace(b"15", b"%d" % (MAX_BODY_BYTES + 1)), 413),
        (POST.replace(b"x-www-form-urlencoded", b"json"), 400),
        (POST + b"\r\nTransfer-Encoding: chunked", 400),
    ],
)
def test_what_is_none_is_refused_with_its_status(head: bytes, status: int) -> None:
    with pytest.raises(RequestError) as caught:
        body_bytes_wanted(head)
    assert caught.value.status == status


@pytest.mark.parametrize("body", [b"a", b"a=1&a=2", b"\xff=1", b"&".join(b"n%d=1" % number for number in range(9))])
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError):
        form_of(body)


@given(st.binary(max_size=300))
def test_garbage_is_a_request_or_refused(data: bytes) -> None:
    for read in (body_bytes_wanted, form_of):
        with contextlib.suppress(RequestError):
            read(data)


def test_an_answer_ends_its_connection() -> None:
    answer = Answer(200, b"ok", (("X-A", "b"),)).encode()
    assert answer == b"HTTP/1.1 200 OK\r\nConnection: close\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok"
