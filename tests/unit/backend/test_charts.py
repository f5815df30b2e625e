"""What is drawn is what is downloaded, holes stay holes, and noise beyond 0..1 is clamped on the screen alone."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.boards.charts import CSV_HEAD, SHARE, Chart, Column, answer, as_csv
from backend.boards.spark import spark
from contracts.windows import NS

DAY = 86_400
T0 = 1_639_285_200  # 2021-12-12 00:00 at UTC-05:00


def column(times_s: list[int], values: list[float], *, unit: str = SHARE, **more: object) -> Column:
    return Column(
        key="positivity",
        label="Positive share",
        role="value",
        unit=unit,
        source="releases, of this district",
        times_ns=[(T0 + time) * NS for time in times_s],
        values=values,
        noise_sd=tuple(2.35 for _ in values) if more.get("noisy") else (),
    )


def chart(*columns: Column) -> Chart:
    return Chart(title="t", unit=SHARE, start_ns=T0 * NS, stop_ns=(T0 + 30 * DAY) * NS, columns=columns)


def rows(drawn: Chart) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(as_csv(drawn, utc_offset_s=-18_000))))


def test_the_file_has_a_row_for_each_point_drawn_with_source_and_noise() -> None:
    drawn = chart(column([0, DAY], [0.1, 0.25], noisy=True))
    first, second = rows(drawn)
    assert tuple(first) == CSV_HEAD
    assert first["time_utc"] == "2021-12-12T05:00:00Z"
    assert first["time_district"] == "2021-12-12T00:00:00"
    assert (second["value"], second["stored"], second["noise_sd"]) == ("0.25", "0.25", "2.35")
    assert second["source"] == "releases, of this district"


def test_a_noisy_share_below_nothing_is_clamped_on_the_screen_and_stored_as_drawn() -> None:
    drawn = chart(column([0, DAY], [-0.02, 1.1]))
    assert answer(drawn, utc_offset_s=0, time_label="Time").series[0].values == [0.0, 1.0]
    assert [(row["value"], row["stored"]) for row in rows(drawn)] == [("0.0", "-0.02"), ("1.0", "1.1")]


def test_readings_that_are_no_share_are_never_clamped() -> None:
    drawn = chart(column([0], [1624.0], unit="ppm"))
    assert answer(drawn, utc_offset_s=0, time_label="Time").series[0].values == [1624.0]


def test_a_day_that_was_left_out_breaks_the_line_and_another_columns_days_do_not() -> None:
    daily = column([0, DAY, 2 * DAY, 5 * DAY, 6 * DAY], [0.1, 0.1, 0.1, 0.2, 0.2])
    weekly = column([0, 7 * DAY, 14 * DAY], [0.1, 0.2, 0.3])
    first, second = answer(chart(daily, weekly), utc_offset_s=0, time_label="Time").series
    assert first.values == [0.1, 0.1, 0.1, None, 0.2, 0.2]
    assert first.times_s[3] == T0 + 3.5 * DAY
    assert second.values == [0.1, 0.2, 0.3]


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(-1, 2)), max_size=40, unique_by=lambda pair: pair[0]))
def test_file_and_picture_hold_the_same_points_whatever_they_are(pairs: list[tuple[int, float]]) -> None:
    pairs.sort()
    drawn = chart(column([time for time, _ in pairs], [value for _, value in pairs]))
    shown = answer(drawn, utc_offset_s=0, time_label="Time").series[0]
    points = [(t, v) for t, v in zip(shown.times_s, shown.values, strict=True) if v is not None]
    assert [v for _, v in points] == [float(row["value"]) for row in rows(drawn)]
    assert [t for t, _ in points] == [T0 + time for time, _ in pairs]
    assert shown.times_s == sorted(shown.times_s)


def test_a_column_that_contradicts_itself_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="as many values as times"):
        column([0, 1], [0.1])


def test_a_sparkline_stays_in_its_box_and_needs_two_points() -> None:
    nothing: tuple[list[int], list[float]] = ([], [])
    assert spark(start_ns=0, stop_ns=10, history=nothing, now=([1], [0.5]), low=nothing, high=nothing) is None
    made = spark(
        start_ns=0,
        stop_ns=10,
        history=([0, 5], [0.1, 0.2]),
        now=([9, 10], [0.5, -3.0]),
        low=([10], [0.4]),
        high=([10], [0.6]),
    )
    assert made is not None
    numbers = [float(text) for text in made.now.replace("M", " ").replace("L", " ").split()]
    assert all(0 <= number <= 100 for number in numbers)
    assert made.band.endswith("Z")
