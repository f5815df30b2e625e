"""Answers leave when they are made: TCP_NODELAY is set on every connection that the server takes."""

import http.client
import statistics
import time
from urllib.parse import urlsplit

from tests.support.console import Console

# Nagle's algorithm and the peer's delayed acknowledgement hold a second packet back for at least this long (Linux).
DELAYED_ACK_S = 0.04


def test_an_answer_does_not_wait_for_an_acknowledgement(console: Console) -> None:
    connection = http.client.HTTPConnection(urlsplit(console.url).netloc, timeout=10)
    took = []
    for _ in range(21):
        started = time.perf_counter()
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        took.append(time.perf_counter() - started)
    connection.close()
    assert statistics.median(took) < DELAYED_ACK_S / 2
