"""A simulated person at the real screen server, and a real person's hand at the simulated slot."""

import asyncio
import socket
import struct
from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.service.desk import Fault
from firmware_sim.config import Address
from firmware_sim.errors import NoFreeModuleError, RecordError
from firmware_sim.outcome import Call, Ending, Outcome
from firmware_sim.person import LANGUAGES, Person
from firmware_sim.slot import Slot
from firmware_sim.wire.http import parse_answer, parse_form, parse_request
from tests.support.desk import NOW_NS, T_MAX_NS
from tests.support.process import free_port
from tests.support.screens import running_screen
from tests.support.simulators import LoopThread
from tests.support.visitor import Visitor, frames, shown

T = TypeVar("T")


def _done(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def _at(url: str) -> Address:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return Address(parts.hostname, parts.port)


def test_a_person_checks_in_and_leaves_as_a_browser_would() -> None:
    with running_screen() as screen:

        async def visit() -> bool:
            person = Person(_at(screen.url), 1, "kiosk", 7)
            came = await person.check_in()
            await person.leave()
            return came

        assert _done(visit())
        assert len(screen.desk.asked) == 1
        assert screen.desk.asked[0][0] in LANGUAGES
        assert screen.desk.asked[0][1], "with paper"
        assert screen.desk.left == 1


def test_people_read_different_languages() -> None:
    with running_screen() as screen:

        async def visits() -> None:
            for number in range(24):
                await Person(_at(screen.url), 1, "kiosk", number).check_in()
                screen.desk.visit = None

        _done(visits())
        assert {language for language, _ in screen.desk.asked} == set(LANGUAGES)


@pytest.mark.parametrize("fault", ["analyser", "control", "door", "clock", "store"])
def test_a_person_goes_away_from_a_kiosk_that_is_out_of_order(fault: Fault) -> None:
    with running_screen() as screen:
        screen.desk.fault = fault
        assert not _done(Person(_at(screen.url), 1).check_in())
        assert screen.desk.asked == []


def test_a_person_goes_away_from_a_kiosk_whose_places_are_taken() -> None:
    with running_screen() as screen:
        screen.desk.busy_until_ns = [NOW_NS + T_MAX_NS] * 4
        assert not _done(Person(_at(screen.url), 1).check_in())


def test_a_person_photographs_the_code_when_there_is_no_paper() -> None:
    with running_screen() as screen:
        screen.desk.fault = "paper"
        assert _done(Person(_at(screen.url), 1).check_in())
        assert [paper for _, paper in screen.desk.asked] == [False]


def test_a_person_goes_away_from_a_kiosk_that_is_off() -> None:
    assert not _done(Person(Address("127.0.0.1", free_port()), 1).check_in())


# --- the slot ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cartridge", "outcome"),
    [
        ("negative", Outcome()),
        ("positive", Outcome(calls={"sars-cov-2": Call.POSITIVE})),
        ("invalid", Outcome(ending=Ending.INVALID)),
    ],
)
def test_a_cartridge_goes_from_the_page_to_the_analyser_and_past_the_kiosk(cartridge: str, outcome: Outcome) -> None:
    with running_screen(simulated=True) as screen:
        person = Visitor(screen.url)
        person.choose("en")
        page = person.press(paper=True)
        assert shown(page) == "insert"
        person.insert(page, cartridge)
        assert screen.inserted == [outcome]
        assert shown(person.see()) == "done"


def _said(url: str, request: bytes) -> bytes:
    at = _at(url)
    with socket.create_connection((at.host, at.port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while more := connection.recv(4096):
            answer += more
        return answer


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST /en HTTP/1.1\r\nHost: {host}", b"403"),
        ("POST /en HTTP/1.1\r\nHost: {host}\r\nOrigin: http://evil.example", b"403"),
        ("GET /en HTTP/1.1\r\nHost: evil.example", b"421"),
        ("GET /xx HTTP/1.1\r\nHost: {host}", b"404"),
    ],
)
def test_no_other_page_puts_a_cartridge_in(head: str, status: bytes) -> None:
    body = "cartridge=positive"
    with running_screen(simulated=True) as screen:
        person = Visitor(screen.url)
        person.choose("en")
        slot = frames(person.press(paper=True))["slot"]
        lines = head.replace("{host}", urlsplit(slot).netloc)
        request = f"{lines}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        assert _said(slot, request).split(b" ")[1] == status
        assert screen.inserted == []


def test_garbage_at_the_slot_ends_the_connection_and_nothing_else() -> None:
    with running_screen(simulated=True) as screen:
        person = Visitor(screen.url)
        person.choose("en")
        page = person.press(paper=True)
        slot = frames(page)["slot"]
        for garbage in (b"\xff\xfe\r\n\r\n", b"x" * 100_000, b"GET\r\n\r\n", b""):
            with socket.create_connection((_at(slot).host, _at(slot).port), timeout=10) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.sendall(garbage)
        person.insert(page, "negative")
        assert len(screen.inserted) == 1


def test_a_slot_whose_places_are_taken_says_so() -> None:
    thread = LoopThread()

    def full(_: Outcome) -> None:
        raise NoFreeModuleError("every module is taken")

    slot = Slot(Address("127.0.0.1", 0), full)
    try:
        where = thread.run(slot.open())
        body = "cartridge=negative"
        head = f"POST /en HTTP/1.1\r\nHost: {where}\r\nOrigin: http://{where}\r\nContent-Length: {len(body)}"
        assert b"Every place is taken." in _said(f"http://{where}", f"{head}\r\n\r\n{body}".encode())
        thread.call(slot.close)
    finally:
        thread.close()


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_garbage_is_no_answer_and_no_request(data: bytes) -> None:
    for read in (parse_answer, parse_request):
        try:
            read(data)
        except RecordError:
            continue
    parse_form(data)
