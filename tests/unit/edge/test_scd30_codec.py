"""The SCD30's registers against the worked example of Sensirion's interface description."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import RecordError
from edge.instruments.scd30.codec import (
    DATA_READY,
    FIRMWARE,
    MEASUREMENT,
    START_MEASURING,
    decode_data_ready,
    decode_firmware,
    decode_measurement,
)

# Interface description 1.4.5: 439.09 ppm, 27.2 degrees, 48.8 percent.
WORDS = (0x43DB, 0x8C2E, 0x41D9, 0xE7FF, 0x4243, 0x3A1B)


def test_the_questions_are_the_bytes_of_the_interface_description() -> None:
    assert FIRMWARE.encode().hex(" ") == "61 03 00 20 00 01 8c 60"
    assert DATA_READY.encode().hex(" ") == "61 03 00 27 00 01 3d a1"
    assert MEASUREMENT.encode().hex(" ") == "61 03 00 28 00 06 4c 60"
    assert START_MEASURING.encode().hex(" ") == "61 06 00 36 00 00 60 64"


def test_the_worked_example_is_read() -> None:
    sample = decode_measurement(WORDS)
    assert sample.co2_ppm == pytest.approx(439.09, abs=0.01)
    assert sample.temperature_c == pytest.approx(27.2, abs=0.05)
    assert sample.humidity_pct == pytest.approx(48.8, abs=0.05)


def test_firmware_and_data_ready_are_read() -> None:
    assert decode_firmware((0x0342,)) == "3.66"
    assert decode_data_ready((1,)) is True
    assert decode_data_ready((0,)) is False


@pytest.mark.parametrize("words", [(0x7FC0, 0, 0, 0, 0, 0), (0, 0, 0x7F80, 0, 0, 0), (0,) * 5, ()])
def test_what_is_no_measurement_is_a_record_error(words: tuple[int, ...]) -> None:
    with pytest.raises(RecordError):
        decode_measurement(words)


def test_data_ready_is_0_or_1_and_nothing_else() -> None:
    with pytest.raises(RecordError):
        decode_data_ready((2,))


@given(st.lists(st.integers(0, 0xFFFF), max_size=8).map(tuple))
def test_any_words_give_a_value_or_the_typed_error(words: tuple[int, ...]) -> None:
    for decode in (decode_firmware, decode_data_ready, decode_measurement):
        try:
            decode(words)
        except RecordError:
            continue
