"""A printer's answers, byte by byte as docs/protocols/escpos.md lays them out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import FrameError
from edge.wire.escpos import REPORT_PRINTED, Status, is_report, printed_whole, question, status

GOOD = 0x12


def test_the_questions_are_the_manuals_bytes() -> None:
    assert [question(1), question(2), question(4)] == [b"\x10\x04\x01", b"\x10\x04\x02", b"\x10\x04\x04"]
    assert REPORT_PRINTED == b"\x1d\x72\x01"


@pytest.mark.parametrize(
    ("answers", "expected", "fault"),
    [
        ((0x12, 0x12, 0x12), Status(offline=False, cover_open=False, error=False, paper="ok"), None),
        ((0x12, 0x12, 0x1E), Status(offline=False, cover_open=False, error=False, paper="low"), None),
        ((0x1A, 0x32, 0x7E), Status(offline=True, cover_open=False, error=False, paper="out"), "paper"),
        ((0x1A, 0x16, 0x12), Status(offline=True, cover_open=True, error=False, paper="ok"), "printer"),
        ((0x1A, 0x52, 0x12), Status(offline=True, cover_open=False, error=True, paper="ok"), "printer"),
        ((0x1A, 0x12, 0x12), Status(offline=True, cover_open=False, error=False, paper="ok"), "printer"),
    ],
)
def test_each_state_is_read_and_says_what_to_mend(
    answers: tuple[int, int, int], expected: Status, fault: str | None
) -> None:
    assert status(*answers) == expected
    assert expected.fault == fault


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_any_three_bytes_are_a_status_or_refused(state: int, cause: int, paper: int) -> None:
    sound = all(byte & 0x93 == 0x12 for byte in (state, cause, paper))
    try:
        status(state, cause, paper)
    except FrameError:
        assert not sound
    else:
        assert sound


@given(st.integers(0, 255))
def test_no_byte_is_both_a_status_and_a_report(byte: int) -> None:
    assert not (is_report(byte) and byte & 0x93 == 0x12)


def test_the_report_tells_whether_the_paper_lasted() -> None:
    assert [printed_whole(byte) for byte in (0x00, 0x03, 0x0F, 0x0C)] == [True, True, False, False]
