"""The screens' server on real sockets: several kiosks, callers that mean harm, kiosks that come and go."""

import contextlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from edge.errors import SettingsError
from edge.screen.pages import ScreenFacts
from edge.screen.server import MAX_REQUESTS, ScreenServer
from tests.support.desk import FakeDesk
from tests.support.notices import notice
from tests.support.process import free_port, wait_until
from tests.support.visitor import Visitor, shown

FACTS = ScreenFacts(notice(), ("sars-cov-2",), 0, "a1b2")


@dataclass
class Kiosk:
    desk: FakeDesk
    port: int

    @property
    def visitor(self) -> Visitor:
        return Visitor(f"http://127.0.0.1:{self.port}")


@pytest.fixture
def server() -> Iterator[ScreenServer]:
    running = ScreenServer()
    yield running
    running.close()


def _kiosk(server: ScreenServer) -> Kiosk:
    kiosk = Kiosk(FakeDesk(), free_port())
    server.add(kiosk.port, kiosk.desk, lambda: FACTS)
    return kiosk


def _raw(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        answer = b""
        with contextlib.suppress(OSError):  # refused before all of it was read
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(65_536):
                answer += more
        return answer


def test_each_kiosk_has_its_own_port_and_its_own_visitors(server: ScreenServer) -> None:
    first, second = _kiosk(server), _kiosk(server)
    visitor = first.visitor
    visitor.choose("en")
    assert shown(visitor.press(paper=True)) == "insert"
    assert (len(first.desk.asked), len(second.desk.asked)) == (1, 0)
    stranger = second.visitor
    stranger.path = visitor.path
    assert shown(stranger.see()) == "start", "a visit of one kiosk is none of another"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\r\n\r\n", b"400"),
        (b"\xff\xfe\xfd\r\n\r\n", b"400"),
        (b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
        (b"GET / HTTP/1.1\r\n\r\n", b"421"),
        (b"GET / HTTP/1.1\r\n" + b"A: " + b"x" * 20_000, b"413"),
    ],
)
def test_what_is_no_request_is_answered_with_its_status(server: ScreenServer, data: bytes, status: bytes) -> None:
    kiosk = _kiosk(server)
    answer = _raw(kiosk.port, data)
    assert answer == b"" or answer.split(b" ")[1] == status
    assert shown(kiosk.visitor.see()) == "start"


def test_callers_who_hang_up_in_the_middle_take_no_place_away(server: ScreenServer) -> None:
    kiosk = _kiosk(server)
    for _ in range(2 * MAX_REQUESTS):
        with socket.create_connection(("127.0.0.1", kiosk.port), timeout=10) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(b"GET / HT")
    wait_until(lambda: _raw(kiosk.port, b"GET / HTTP/1.1\r\n\r\n") != b"", timeout_s=10, what="an answer")
    assert shown(kiosk.visitor.see()) == "start"


def test_a_kiosk_that_starts_anew_gets_its_port_again(server: ScreenServer) -> None:
    port = free_port()
    end = server.add(port, FakeDesk(), lambda: FACTS)
    end()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=10)
    server.add(port, FakeDesk(), lambda: FACTS)
    assert shown(Visitor(f"http://127.0.0.1:{port}").see()) == "start"


def test_a_port_that_is_taken_is_named(server: ScreenServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SettingsError, match=r"screen\.port"):
        server.add(taken.getsockname()[1], FakeDesk(), lambda: FACTS)


def test_nobody_outside_this_machine_is_answered(server: ScreenServer) -> None:
    kiosk = _kiosk(server)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", kiosk.port), timeout=10)
