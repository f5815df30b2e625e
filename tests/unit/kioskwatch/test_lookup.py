"""`kioskwatch lookup` without a network: what is read, which file is loaded, and what opens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.claim import PRACTICE_CODE, PRACTICE_TICK, ClaimCode, fragment, ready_group
from contracts.cohorts import TTL_TICKS, PublicClock, cohort_of
from contracts.errors import ClaimCodeError
from contracts.sealed import dummy, result_body, seal
from kioskwatch.errors import OptionError
from kioskwatch.lookup.command import main
from kioskwatch.lookup.files import PublicFiles
from kioskwatch.lookup.search import Slip, When, cohort_for, find, read_slip, when

TICK = 2_992_236  # the first of its cohort
CLOCK = PublicClock.at(TICK + 30)
CODE = ClaimCode.parse("01234-56789-ABCDE-FGHJK-MNPJ5")  # of tests/vectors/claim.json: names of tests must not change


def sealed(code: ClaimCode, body: bytes) -> bytes:
    keys = code.keys()
    return seal(keys.slot, keys.public_key, keys.origin, body)


@pytest.mark.parametrize(
    ("code", "group"),
    [
        (str(CODE), ready_group(TICK)),
        (str(CODE).lower() + "\n", f" {ready_group(TICK).lower()}\r\n"),
        (fragment(CODE, TICK), ""),
        (f"https://results.example.org/{fragment(CODE, TICK)}\n", "anything"),
    ],
)
def test_a_slip_is_read_as_typed_or_as_its_address(code: str, group: str) -> None:
    assert read_slip(code, group) == Slip(CODE, TICK)


def test_a_slip_without_its_sixth_group_has_no_ready_tick() -> None:
    assert read_slip(str(CODE), " \n") == Slip(CODE, None)
    assert read_slip(f"#1.{CODE.symbols}") == Slip(CODE, None)


@given(st.text(max_size=80), st.text(max_size=10))
def test_any_other_text_is_a_claim_code_error(code: str, group: str) -> None:
    try:
        read_slip(code, group)
    except ClaimCodeError:
        return


@pytest.mark.parametrize(
    ("tick", "expected"),
    [
        (CLOCK.tick + 1, When.NOT_READY),
        (CLOCK.tick, When.READY),
        (CLOCK.tick - TTL_TICKS + 1, When.READY),
        (CLOCK.tick - TTL_TICKS, When.EXPIRED),
        (PRACTICE_TICK, When.READY),
    ],
)
def test_the_clock_decides_whether_a_result_can_be_there(tick: int, expected: When) -> None:
    assert when(tick, CLOCK) is expected


def test_the_file_to_load_always_exists() -> None:
    assert cohort_for(TICK, CLOCK) == cohort_of(TICK)
    assert cohort_for(PRACTICE_TICK, CLOCK) == cohort_of(TICK) + 1, "the newest complete one"
    assert cohort_for(CLOCK.tick + 500, CLOCK) == CLOCK.cohorts[-1]
    assert cohort_for(1, CLOCK) == CLOCK.oldest_cohort


def test_the_one_record_that_opens_is_found_and_bad_ones_of_the_same_slot_are_passed_over() -> None:
    body = result_body("2026-11-22", {"a": "positive"})
    mine = sealed(CODE, body.encode())
    damaged = mine[:-1] + bytes([mine[-1] ^ 1])
    nonsense = sealed(CODE, b"{}")
    assert find([dummy(), damaged, nonsense, mine], CODE.keys()) == body
    assert find([dummy(), damaged, nonsense, b""], CODE.keys()) is None
    assert find([], PRACTICE_CODE.keys()) is None


@pytest.mark.parametrize(
    "origin",
    ["", "results.example.org", "ftp://results.example.org", "http://results.example.org", "https://u@h", "https://h/path",
     "https://h:99999", "https://[", "http://192.0.2.1"],
)  # fmt: skip
def test_an_origin_that_is_none_or_goes_in_the_clear_is_refused(origin: str) -> None:
    with pytest.raises(OptionError):
        PublicFiles(origin)


@pytest.mark.parametrize("argument", [str(CODE), f"--code={CODE}", fragment(CODE, TICK)])
def test_a_code_on_the_command_line_is_refused_and_not_repeated(
    argument: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([argument]) == 2
    said = capsys.readouterr()
    assert CODE.symbols[:5] not in said.out + said.err
    assert "never stands on the command line" in said.err
