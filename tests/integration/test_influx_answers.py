"""What the series store makes of each answer that a server, or something in its place, can give to a write."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stores.errors import LinesRefusedError, StoreAuthError, StoreUnavailableError
from stores.series.influx import InfluxSeries

LINES = [b"air co2_ppm=%d.0 %d" % (400 + n, n) for n in range(40)]
BODY = b"\n".join(LINES)
Answer = tuple[int, dict[str, str]]


class _Server(ThreadingHTTPServer):
    """Answers by a script and keeps what it called stored."""

    daemon_threads = True

    def __init__(self, answer: Callable[[bytes], Answer | None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.stored: list[bytes] = []
        self.requests = 0


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests += 1
        answer = self.server.answer(body)
        if answer is None:  # hang up after the body: the points may be stored, nobody can know
            self.close_connection = True
            return
        status, headers = answer
        if status == 204:
            self.server.stored += body.split(b"\n")
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    log_message = staticmethod(lambda *_: None)  # type: ignore[assignment]


@contextmanager
def served(answer: Callable[[bytes], Answer | None]) -> Iterator[tuple[InfluxSeries, _Server]]:
    server = _Server(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    store = InfluxSeries(f"http://127.0.0.1:{server.server_port}", "org", {"environment": "token"})
    try:
        yield store, server
    finally:
        store.close()
        server.shutdown()
        server.server_close()
        thread.join(5)


def test_204_is_one_request_and_the_only_success() -> None:
    with served(lambda _body: (204, {})) as (store, server):
        store.write("environment", BODY)
        store.write("environment", b"")
        assert (server.stored, server.requests) == (LINES, 1)


@pytest.mark.parametrize("status", [200, 202, 302, 500, 502, 503, 504])
def test_any_other_answer_keeps_the_lines_with_the_caller(status: int) -> None:
    with served(lambda _body: (status, {})) as (store, server):
        with pytest.raises(StoreUnavailableError):
            store.write("environment", BODY)
        assert server.stored == []


def test_a_server_that_is_overloaded_names_its_wait() -> None:
    with served(lambda _body: (429, {"Retry-After": "7"})) as (store, _):
        with pytest.raises(StoreUnavailableError) as refused:
            store.write("environment", BODY)
        assert refused.value.retry_after_s == 7.0


def test_a_connection_that_ends_after_the_body_is_no_success() -> None:
    with served(lambda _body: None) as (store, _), pytest.raises(StoreUnavailableError):
        store.write("environment", BODY)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_token_or_bucket_that_is_wrong_is_the_operators(status: int) -> None:
    with served(lambda _body: (status, {})) as (store, _), pytest.raises(StoreAuthError):
        store.write("environment", BODY)


def test_a_body_that_is_too_large_goes_in_halves() -> None:
    with served(lambda body: (413, {}) if len(body) > 200 else (204, {})) as (store, server):
        store.write("environment", BODY)
        assert sorted(server.stored) == sorted(LINES)


@pytest.mark.parametrize("status", [400, 422])
def test_one_bad_line_is_found_and_every_other_stored(status: int) -> None:
    with served(lambda body: (status, {}) if LINES[17] in body.split(b"\n") else (204, {})) as (store, server):
        with pytest.raises(LinesRefusedError) as refused:
            store.write("environment", BODY)
        assert [index for index, _ in refused.value.bad] == [17]
        assert sorted(server.stored) == sorted(LINES[:17] + LINES[18:])


def test_an_outage_in_the_middle_of_halving_stores_nothing_wrong_and_is_told_as_such() -> None:
    answers: Iterator[Answer] = iter([(400, {}), (204, {})])
    with served(lambda _body: next(answers, (503, {}))) as (store, server):
        with pytest.raises(StoreUnavailableError):
            store.write("environment", BODY)
        assert server.stored == LINES[:20]
