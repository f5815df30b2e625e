"""Forged, cut, swapped, replayed and altered records and files: "not available", never an exception, never a result."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from contracts.claim import ClaimCode
from contracts.sealed import RECORD_BYTES, Call, ResultBody, dummy, result_body, seal
from tests.support.result_host import cohort_file, sealed
from tests.support.result_visit import (
    BODY,
    CODE,
    TICK,
    district,
    said,
    show_result,
    stands_at,
    type_in,
    visiting,
)

pytestmark = pytest.mark.timeout(90)  # a browser on a shared machine

OTHER = ClaimCode.generate()
RECORD = sealed(CODE, BODY)


def with_slot(record: bytes, code: ClaimCode) -> bytes:
    return code.keys().slot + record[16:]


def as_kiosk(body: bytes) -> bytes:
    return sealed(CODE, body)


def flipped(record: bytes, at: int) -> bytes:
    return record[:at] + bytes([record[at] ^ 1]) + record[at + 1 :]


def forged_origin() -> bytes:
    keys = CODE.keys()
    return seal(keys.slot, keys.public_key, bytes(16), BODY.encode())


FORGED: dict[str, Callable[[], bytes]] = {
    "nothing there": dummy,
    "another's record in this slot": lambda: with_slot(sealed(OTHER, BODY), CODE),
    "this record in another slot": lambda: with_slot(RECORD, OTHER),
    "sealed to the right key with a wrong origin": forged_origin,
    "enc altered": lambda: flipped(RECORD, 20),
    "text altered": lambda: flipped(RECORD, 100),
    "tag altered": lambda: flipped(RECORD, 255),
    "enc of small order": lambda: RECORD[:16] + bytes(32) + RECORD[48:],
    "not JSON": lambda: as_kiosk(b"positive"),
    "not UTF-8": lambda: as_kiosk(b"\xff\xfe"),
    "empty": lambda: as_kiosk(b""),
    "another version": lambda: as_kiosk(b'{"v":2,"day":"2026-11-22","advice":"none","calls":[]}'),
    "no such day": lambda: as_kiosk(b'{"v":1,"day":"2026-02-30","advice":"none","calls":[]}'),
    "an unknown advice": lambda: as_kiosk(b'{"v":1,"day":"2026-11-22","advice":"pay","calls":[]}'),
    "an unknown call": lambda: as_kiosk(b'{"v":1,"day":"2026-11-22","advice":"none","calls":[["a","maybe"]]}'),
    "a call that is no pair": lambda: as_kiosk(b'{"v":1,"day":"2026-11-22","advice":"none","calls":["ab"]}'),
    "markup for a target": lambda: as_kiosk(b'{"v":1,"day":"2026-11-22","advice":"none","calls":[["<b>","positive"]]}'),
    "a target twice": lambda: as_kiosk(
        b'{"v":1,"day":"2026-11-22","advice":"none","calls":[["a","positive"],["a","negative"]]}'
    ),
    "more fields": lambda: as_kiosk(b'{"v":1,"day":"2026-11-22","advice":"none","calls":[],"x":1}'),
    "null": lambda: as_kiosk(b"null"),
    "a prototype": lambda: as_kiosk(b'{"v":1,"__proto__":{},"advice":"none","calls":[["__proto__","positive"]]}'),
}


def absent(page: Page) -> None:
    """Not available, and nothing that looks like a result."""
    stands_at(page, "absent")
    assert "Result not available" in said(page)
    assert page.locator(".call").count() == 0


def test_a_record_that_no_kiosk_sealed_for_this_code_is_not_available(browser: Browser) -> None:
    host = district()
    with visiting(browser, host) as (page, _):
        type_in(page, str(CODE), TICK)
        stands_at(page, "result")
        page.click("#do-hide")
        host.put(TICK, dummy())
        type_in(page, str(CODE), TICK)
        for name, make in FORGED.items():
            host.put(TICK, make())
            page.click("#do-again")
            absent(page)
            assert "try again until" in said(page), name
        host.put(TICK, *(make() for make in FORGED.values()), RECORD)  # among all of them, the real one is found
        page.click("#do-again")
        stands_at(page, "result")


def unsorted(file: bytes) -> bytes:
    records = [file[at : at + RECORD_BYTES] for at in range(0, len(file), RECORD_BYTES)]
    return b"".join(reversed(records))


SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "cut in a record": lambda file: file[:-1],
    "cut between records": lambda file: file[: 3 * RECORD_BYTES],
    "empty": lambda _: b"",
    "too long": lambda file: file * 8192,
    "unsorted": unsorted,
    "of another kind": lambda _: b"<html>Please sign in to the network</html>",
    "random": lambda file: bytes(byte ^ 0x5A for byte in file),
    "replayed from another cohort": lambda _: cohort_file(sealed(OTHER, BODY)),
}


def test_a_spoilt_file_is_not_available(browser: Browser) -> None:
    host = district(dummy())
    with visiting(browser, host) as (page, _):
        type_in(page, str(CODE), TICK)
        absent(page)
        for name, spoil in SPOILT.items():
            host.spoil["/cohorts/"] = spoil
            host.put(TICK, RECORD)
            page.click("#do-again")
            expect(page.locator("#do-again")).to_be_visible()
            expect(page.locator("#state-title")).to_have_text(
                "The connection was lost" if name == "too long" else "Result not available"
            )
            host.spoil.clear()
            host.put(TICK, dummy())
            page.click("#do-again")
            absent(page)


def test_many_copies_of_a_slot_do_not_hide_the_real_record(browser: Browser) -> None:
    copies = [with_slot(sealed(OTHER, BODY), CODE) for _ in range(20)]
    with visiting(browser, district(*copies, RECORD, RECORD)) as (page, _):
        type_in(page, str(CODE), TICK)
        stands_at(page, "result")


def test_a_run_without_any_result_asks_for_another_test(browser: Browser) -> None:
    with visiting(browser, district(sealed(CODE, ResultBody("2026-11-22", "repeat", ())))) as (page, _):
        type_in(page, str(CODE), TICK)
        stands_at(page, "result")
        assert re.search(r"No result.*test again", said(page), re.DOTALL)


def test_a_target_that_the_page_does_not_know_is_shown_by_its_code(browser: Browser) -> None:
    with visiting(browser, district(sealed(CODE, result_body("2026-11-22", {"new-virus": "invalid"})))) as (page, _):
        type_in(page, str(CODE), TICK)
        stands_at(page, "result")
        assert "new-virus" in said(page)


WORDS: dict[Call, tuple[str, str]] = {
    "positive": ("Positive", "confirmed by a laboratory"),
    "negative": ("Negative", "Nothing more is needed"),
    "inconclusive": ("Unclear", "test again"),
    "invalid": ("No result", "test again"),
}


def test_each_call_has_its_word_and_its_advice(browser: Browser) -> None:
    host = district()
    with visiting(browser, host) as (page, _):
        for call, words in WORDS.items():
            host.put(TICK, sealed(CODE, result_body("2026-11-22", {"sars-cov-2": call})))
            show_result(page)
            assert all(word in said(page) for word in words)
            page.click("#do-hide")
