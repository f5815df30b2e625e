import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.errors import LineError
from stores.series.lines import MAX_LINE_BYTES, Point, Value, encode, parse

# By hand, from the line protocol reference of InfluxDB 2.
LINE = (
    b'air,district=turtle-bay,zone=z10017 co2_ppm=612.5,n=-3i,open=true,word="say \\"no\\\\yes\\"" 1639285200000000007'
)
POINT = Point(
    "air",
    {"zone": "z10017", "district": "turtle-bay"},
    {"co2_ppm": 612.5, "n": -3, "open": True, "word": 'say "no\\yes"'},
    1639285200000000007,
)


def test_a_point_is_the_hand_made_line_and_back() -> None:
    assert encode(POINT) == LINE
    assert parse(LINE) == POINT


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"air",
        b"air co2=1.0",  # no time stamp: the server's own clock would be used
        b"air co2=1.0 1.5",
        b"air  1",
        b"Air co2=1.0 1",
        b"air,zone= co2=1.0 1",
        b"air,zone=a,zone=b co2=1.0 1",
        b"air,colour=red co2=1.0 1",
        b"air,zone=a\\ b co2=1.0 1",
        b"air zone=1.0 1",  # a field with a tag's name
        b"air co2=1.0,co2=2.0 1",
        b"air co2=NaN 1",
        b"air co2=inf 1",
        b"air co2=1e999 1",
        b"air co2=0x10 1",
        b"air co2=9223372036854775808i 1",
        b'air word="open 1',
        b'air word="tab\tinside" 1',
        b"air co2=1.0 9223372036854775807",
        b"air co2=1.0, 1",
        b"air co2=\xff 1",
        b"air co2=1.0 1\nair co2=2.0 2",
    ],
)
def test_what_we_would_not_write_is_refused(damaged: bytes) -> None:
    with pytest.raises(LineError):
        parse(damaged)


def test_a_huge_line_is_refused_before_it_is_read() -> None:
    with pytest.raises(LineError):
        parse(b'air word="' + b"x" * MAX_LINE_BYTES + b'" 1')


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**63, "line\nfeed", "x" * 5000])
def test_a_value_that_no_line_can_hold_is_refused(value: Value) -> None:
    with pytest.raises(LineError):
        encode(Point("air", {}, {"value": value}, 1))


@pytest.mark.parametrize(
    ("measurement", "tags", "fields", "ts_ns"),
    [
        ("air,zone=x", {}, {"a": 1}, 1),
        ("air", {"zone": "a b"}, {"a": 1}, 1),
        ("air", {"zone": ""}, {"a": 1}, 1),
        ("air", {"name": "x"}, {"a": 1}, 1),
        ("air", {}, {}, 1),
        ("air", {}, {"a b": 1}, 1),
        ("air", {}, {f"f{n}": 1 for n in range(65)}, 1),
        ("air", {}, {"a": 1}, 2**63),
    ],
)
def test_a_point_that_is_no_line_cannot_be_made(
    measurement: str, tags: dict[str, str], fields: dict[str, Value], ts_ns: int
) -> None:
    with pytest.raises(LineError):
        Point(measurement, tags, fields, ts_ns)


VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=30),
)
NAMES = st.from_regex(r"f[a-z0-9_]{0,9}", fullmatch=True)


@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=6), st.integers(-(2**62), 2**62))
def test_every_point_comes_back_with_its_types(fields: dict[str, Value], ts_ns: int) -> None:
    point = Point("air", {"zone": "z1"}, fields, ts_ns)
    back = parse(encode(point))
    assert back == point
    assert [type(value) for value in back.fields.values()] == [type(value) for value in fields.values()]


@given(st.binary(max_size=120))
def test_garbage_gives_a_line_error_or_a_point(garbage: bytes) -> None:
    try:
        parse(garbage)
    except LineError:
        return


@given(st.integers(0, len(LINE) - 1), st.integers(0, 255))
def test_a_damaged_line_gives_a_line_error_or_a_point_that_can_be_written(position: int, value: int) -> None:
    damaged = bytearray(LINE)
    damaged[position] = value
    try:
        point = parse(bytes(damaged))
    except LineError:
        return
    assert parse(encode(point)) == point
