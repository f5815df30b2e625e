"""Records to lines: laid out by hand from InfluxDB's line protocol reference, and read back by the store's parser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.messages import Event, Reading
from contracts.metrics import METRICS
from gateway.ingest.points import lines_of
from gateway.ingest.world import Place
from stores.series.lines import parse

HALL = Place("air_monitor", "hall", "z10017", restricted=False)
ROOM = Place("air_monitor", "hotel", "z10017", restricted=True)
TAGS = "device=air-1,district=turtle-bay,kind=air_monitor,site=hall,zone=z10017"


def line(record: Reading | Event, seq: int = 1, place: Place = HALL) -> tuple[str, str]:
    (only,) = lines_of([record], seq, "air-1", place, "turtle-bay")
    assert only is not None
    return only


@pytest.mark.rule("C10")
def test_a_reading_becomes_one_line_with_all_its_values_and_the_seq_in_its_last_digits() -> None:
    record = Reading(1_639_285_200_123_456_789, 2, {"co2_ppm": 612.5, "temperature_c": -3.0, "humidity_pct": 1e-05})
    assert line(record, seq=4_007) == (
        "environment",
        f"air,{TAGS} co2_ppm=612.5,temperature_c=-3.0,humidity_pct=1e-05 1639285200123456007",
    )


def test_health_and_events_go_to_the_fleet() -> None:
    assert line(Reading(1_000, 2, {"outbox_pct": 10.0}), seq=9) == ("fleet", f"health,{TAGS} outbox_pct=10.0 1009")
    assert line(Event(1_999, 2, "clock", "good"), seq=9) == (
        "fleet",
        f'event,{TAGS} code="clock",state="good" 1009',
    )


@pytest.mark.rule("C10")
def test_readings_of_equal_device_time_stay_two_points_and_one_written_again_meets_itself() -> None:
    record = Reading(1_639_285_200_000_000_000, 3, {"co2_ppm": 600.0})
    times = [line(record, seq)[1].rpartition(" ")[2] for seq in (1, 2, 999, 1_000, 1)]
    assert len(set(times)) == 4
    assert times[0] == times[4]


@pytest.mark.rule("C14")
def test_readings_of_a_restricted_place_go_to_the_restricted_bucket_and_its_health_to_the_fleet() -> None:
    assert line(Reading(1_000, 2, {"co2_ppm": 600.0}), place=ROOM)[0] == "restricted"
    assert line(Reading(1_000, 2, {"outbox_pct": 10.0}), place=ROOM)[0] == "fleet"
    assert line(Event(1_999, 2, "service_door", "opened"), place=ROOM)[0] == "restricted"


@pytest.mark.rule("C29")
def test_the_health_of_a_restricted_places_equipment_is_told_by_the_day() -> None:
    """Whatever the hour and the record's number: the newest of a day stands at its start, in place of the others."""
    day_ns = 1_639_267_200 * 10**9  # 2021-12-12T00:00:00Z
    hours = [day_ns + hour * 3600 * 10**9 + 7 for hour in (0, 5, 23)]
    stamps = {
        line(Reading(ts_ns, 2, {"outbox_pct": 10.0}), seq, ROOM)[1].split()[-1] for seq, ts_ns in enumerate(hours)
    }
    assert stamps == {str(day_ns)}
    in_hall = {line(Reading(ts_ns, 2, {"outbox_pct": 10.0}), seq)[1].split()[-1] for seq, ts_ns in enumerate(hours)}
    assert len(in_hall) == 3


def test_a_metric_that_is_no_more_has_no_line() -> None:
    kept, gone = Reading(1_000, 2, {"co2_ppm": 600.0}), Reading(1_000, 2, {"co2_ppm": 600.0, "gone": 1.0})
    lines = list(lines_of([kept, gone, None, kept], 1, "air-1", HALL, "turtle-bay"))
    assert [one and one[1].rpartition(" ")[2] for one in lines] == ["1001", None, None, "1004"]


FLOATS = st.floats(-1e300, 1e300, allow_nan=False)


@given(
    st.dictionaries(st.sampled_from(["co2_ppm", "temperature_c", "humidity_pct"]), FLOATS, min_size=1),
    st.integers(946_684_800 * 10**9, 2**62),
    st.integers(1, 2**62),
)
def test_every_line_is_read_back_as_the_record_it_was(values: dict[str, float], ts_ns: int, seq: int) -> None:
    bucket, text = line(Reading(ts_ns, 2, values), seq)
    point = parse(text.encode())
    assert (bucket, point.measurement, point.fields) == ("environment", "air", values)
    assert (point.ts_ns - point.ts_ns % 1000, point.ts_ns % 1000) == (ts_ns - ts_ns % 1000, seq % 1000)
    assert point.tags["site"] == "hall"
    assert not set(METRICS) & set(point.tags)
