"""A history file is checked whole: every bad row by its line number, and nothing is imported beside a bad one."""

import csv
import io
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.windows import DAY_S, NS, Calendar, to_ns
from gateway.analyse.history import HEADER, MAX_BYTES, MAX_ROWS, Limits, Week, read
from gateway.errors import HistoryError
from scripts import make_history

SHIPPED = Path(__file__).parents[4] / "kioskwatch" / "demo" / "history.csv"
START_NS = to_ns(datetime(2021, 12, 12, 5, tzinfo=UTC))
LIMITS = Limits(
    district="turtle-bay",
    calendar=Calendar(window_s=6 * 3600, utc_offset_s=-5 * 3600, week_start=6),
    zones=frozenset({"z10016", "z10017", "z10021", "z10022", "z10044", "z10065"}),
    targets=frozenset({"sars-cov-2"}),
    first_release_ns={},
    now_ns=START_NS,
)
HEAD = ",".join(HEADER)
GOOD = "z10016,2021-12-05,sars-cov-2,4935,242"


def file(*rows: str) -> bytes:
    return "\n".join([HEAD, *rows, ""]).encode()


def refused(content: bytes, limits: Limits = LIMITS) -> HistoryError:
    with pytest.raises(HistoryError) as caught:
        read(content, limits, before=None)
    return caught.value


def test_a_week_begins_at_the_districts_midnight() -> None:
    assert read(file(GOOD), LIMITS, before=None) == [Week(START_NS - 7 * DAY_S * NS, "z10016", "sars-cov-2", 4935, 242)]


def test_the_shipped_history_is_what_the_script_makes_and_is_taken_up_to_the_kiosks_first_day() -> None:
    assert SHIPPED.read_text(encoding="utf-8") == make_history.history(make_history.RAW.read_text(encoding="utf-8"))
    weeks = read(SHIPPED.read_bytes(), LIMITS, before=date(2021, 12, 12))
    assert len(weeks) == 71 * 6  # 2020-08-02 to 2021-12-05, six zones, no week without a report
    assert max(week.start_ns for week in weeks) == START_NS - 7 * DAY_S * NS
    # By hand from the raw file: the last row of 10016 before 12 December ends on 2021-12-11.
    assert Week(START_NS - 7 * DAY_S * NS, "z10016", "sars-cov-2", 4935, 242) in weeks


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("z99999,2021-12-05,sars-cov-2,10,1", "zone"),
        ("z10016,2021-12-05,influenza-a,10,1", "target"),
        ("z10016,2021-12-05,sars-cov-2,ten,1", "tests"),
        ("z10016,2021-12-05,sars-cov-2,-10,1", "tests"),
        ("z10016,2021-12-05,sars-cov-2,10.5,1", "tests"),
        ("z10016,2021-12-05,sars-cov-2,10,", "positives"),
        ("z10016,2021-12-05,sars-cov-2,10,11", "more positives than tests"),
        ("z10016,2021-12-05,sars-cov-2,12345678901,1", "tests"),
        ("z10016,2021-12-06,sars-cov-2,10,1", "sunday"),
        ("z10016,05.12.2021,sars-cov-2,10,1", "date"),
        ("z10016,2021-W48-7,sars-cov-2,10,1", "date"),
        ("z10016,2021-02-30,sars-cov-2,10,1", "date"),
        ("z10016,1888-01-01,sars-cov-2,10,1", "date"),
        ("z10016,2021-12-12,sars-cov-2,10,1", "not over"),
        ("z10016,2021-12-05,sars-cov-2,10", "columns"),
        ("z10016,2021-12-05,sars-cov-2,10,1,extra", "columns"),
    ],
)
def test_a_bad_row_is_named_by_its_line_and_the_good_ones_stay_out_too(row: str, said: str) -> None:
    error = refused(file(GOOD, row))
    assert [line for line, _ in error.problems] == [3]
    assert said in error.problems[0][1]


def test_every_bad_row_is_told_at_once() -> None:
    error = refused(file("z1,2021-12-05,sars-cov-2,1,1", GOOD, "", "z10016,2021-12-05,sars-cov-2,1,2", GOOD))
    assert [line for line, _ in error.problems] == [2, 5, 6]
    assert "line 3" in error.problems[2][1]


def test_weeks_from_a_zones_first_release_on_are_refused() -> None:
    # z10016 released first on Wednesday the 8th: the week of the 5th was not over then, the one before was.
    first = START_NS - 4 * DAY_S * NS
    limits = replace(LIMITS, first_release_ns={"z10016": first})
    error = refused(file(GOOD, "z10017,2021-12-05,sars-cov-2,10,1"), limits)
    assert [line for line, _ in error.problems] == [2]
    assert "2021-12-08" in error.problems[0][1]
    assert len(read(file("z10016,2021-11-28,sars-cov-2,10,1"), limits, before=None)) == 1


def test_later_weeks_are_left_out_with_before_but_still_checked() -> None:
    later = "z10016,2022-01-02,sars-cov-2,10,1"
    assert len(read(file(GOOD, later), LIMITS, before=date(2021, 12, 12))) == 1
    with pytest.raises(HistoryError) as caught:
        read(file(GOOD, "z10016,2022-01-02,sars-cov-2,10,11"), LIMITS, before=date(2021, 12, 12))
    assert [line for line, _ in caught.value.problems] == [3]
    with pytest.raises(HistoryError, match="no week"):
        read(file(later), LIMITS, before=date(2021, 12, 12))


@pytest.mark.parametrize("head", ["", "zone,week,target,tests,positives", HEAD + ",source", "\ufeff\ufeff" + HEAD])
def test_another_header_is_refused(head: str) -> None:
    assert refused(f"{head}\n{GOOD}\n".encode()).problems[0][0] == 1


def test_a_byte_order_mark_and_windows_line_ends_are_no_fault() -> None:
    assert len(read(b"\xef\xbb\xbf" + file(GOOD).replace(b"\n", b"\r\n"), LIMITS, before=None)) == 1


def test_files_without_end_are_refused_before_they_are_read_whole() -> None:
    assert "bytes" in str(refused(b"x" * (MAX_BYTES + 1)))
    assert "rows" in str(refused(file(*["z1,,,,"] * (MAX_ROWS + 1))))


@given(st.binary(max_size=400))
@example(HEAD.encode() + b"\n\x00")
@example(HEAD.encode() + b'\n"z10016')
@example(HEAD.encode() + b"\n\xff\xfe")
def test_garbage_gives_a_history_error_and_nothing_else(content: bytes) -> None:
    for candidate in (content, HEAD.encode() + b"\n" + content):
        with pytest.raises(HistoryError):
            read(candidate, LIMITS, before=None)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(LIMITS.zones)), st.integers(1, 80), st.integers(0, 10**9 - 1), st.floats(0, 1)
        ),
        min_size=1,
        max_size=30,
        unique_by=lambda row: row[:2],
    )
)
def test_what_a_csv_writer_writes_is_read_back(rows: list[tuple[str, int, int, float]]) -> None:
    expected, out = [], io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEADER)
    for zone, weeks_ago, tests, share in rows:
        start_ns = START_NS - weeks_ago * 7 * DAY_S * NS
        day = date(2021, 12, 12).fromordinal(date(2021, 12, 12).toordinal() - 7 * weeks_ago)
        positives = int(tests * share)
        writer.writerow((zone, day, "sars-cov-2", tests, positives))
        expected.append(Week(start_ns, zone, "sars-cov-2", tests, positives))
    assert read(out.getvalue().encode(), LIMITS, before=None) == sorted(expected)
