"""district.toml: a whole file reads as written; every mistake is one sentence with its line; nothing else escapes."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.devices.district_file import parse_district
from backend.errors import DistrictFileError

GOOD = """\
[district]
id = "turtle-bay"
name = "Turtle Bay"
names = { zh = "龟湾" }
utc_offset = "-05:00"
week_start = "sunday"
window_s = 21600
languages = ["en", "zh"]

[[assay]]
code = "SARSCOV2"
targets = ["sars-cov-2"]

[[zone]]
id = "z1"
name = "First zone"
population = 50912

[[zone]]
id = "z2"
name = "Second zone"

[[site]]
id = "site-1"
zone = "z1"
kind = "kiosk"
name = "Test point"

[[site]]
id = "hall-2"
zone = "z2"
kind = "venue"
name = "Hall"

[[device]]
id = "kiosk-1"
site = "site-1"
kind = "kiosk"

[[device]]
id = "air-2"
site = "hall-2"
kind = "air_monitor"
label = "above the door"

[[limit]]
rule = "co2"
metric = "co2_ppm"
above = 1500
clear = 1200
hold_s = 1800
site_kinds = ["venue"]

[[stuck]]
rule = "stuck"
metric = "co2_ppm"
readings = 12
"""

# a mistake -> what stands instead; the sentence must name the line of the mistake and hold the words
MISTAKES = [
    ('week_start = "sunday"', 'week_start = "someday"', "one of friday"),
    ('utc_offset = "-05:00"', 'utc_offset = "EST"', "looks like -05:00"),
    ('utc_offset = "-05:00"', 'utc_offset = "-05:07"', "multiple of 15 minutes"),
    ("window_s = 21600", "window_s = 3600", "a window is one of"),
    ('languages = ["en", "zh"]', 'languages = ["tlh"]', "some of ar"),
    ('id = "turtle-bay"', 'id = "Turtle Bay"', "an id is"),
    ('targets = ["sars-cov-2"]', 'targets = ["sars-cov-2", "sars-cov-2"]', "different targets"),
    ('targets = ["sars-cov-2"]', 'targets = ["a", "b", "c", "d", "e"]', "at most 4 different targets"),
    ('targets = ["sars-cov-2"]', 'targets = ["respiratory-virus-1", "r-2", "r-3", "respiratory-virus-4"]', "shorten"),
    ('id = "z2"', 'id = "z1"', "twice"),
    ("population = 50912", "population = 0", "1 or more"),
    ("population = 50912", 'population = "many"', "Expected `int | null`"),
    ("population = 50912", "populatoin = 50912", "unknown field"),
    ('zone = "z2"', 'zone = "z3"', "no [[zone]] with this id"),
    ('kind = "venue"', 'kind = "pub"', "one of checkpoint"),
    ('name = "Hall"', 'name = ""', "1 to 120 characters"),
    ('name = "Hall"', 'name = "Hall"\nvalid_from = 2021-12-12', "only a checkpoint"),
    ('name = "Hall"', 'name = "Hall"\npopulation = 0', "contribute to a sample"),
    ('site = "hall-2"', 'site = "hall-9"', "no [[site]] with this id"),
    ('kind = "air_monitor"', 'kind = "thermometer"', "one of air_monitor"),
    ('id = "air-2"', 'id = "kiosk-1"', "twice"),
    ('id = "air-2"', 'id = "z1"', "has this id already"),
    ("above = 1500", "above = 99999", "0 to 40000 ppm"),
    ("above = 1500", "above = nan", "0 to 40000 ppm"),
    ("above = 1500", "above = 1500\nbelow = 3", "exactly one"),
    ("clear = 1200", "clear = 1600", "good side"),
    ("hold_s = 1800", "hold_s = -1", "0 to 604800"),
    ('site_kinds = ["venue"]', 'site_kinds = ["pub"]', "some of checkpoint"),
    ('metric = "co2_ppm"\nreadings', 'metric = "co3"\nreadings', "one of certificate_days"),
    ("readings = 12", "readings = 1", "2 to 10000"),
    ('rule = "stuck"', 'rule = "co2"', "twice"),
    ("readings = 12", "readings = = 12", "not TOML"),
]


def test_a_whole_file_reads_as_it_is_written() -> None:
    file = parse_district(GOOD)
    assert (file.district.id, file.utc_offset_s, file.week_start) == ("turtle-bay", -18_000, 6)
    assert [zone.id for zone in file.zone] == ["z1", "z2"]
    assert [device.id for device in file.device] == ["kiosk-1", "air-2"]
    assert [(assay.code, assay.targets) for assay in file.assays()] == [("SARSCOV2", ("sars-cov-2",))]
    assert (file.limit[0].above, file.limit[0].hold_s, file.stuck[0].readings) == (1500, 1800, 12)


@pytest.mark.parametrize(("right", "wrong", "words"), MISTAKES)
def test_each_mistake_is_one_sentence_that_names_its_line(right: str, wrong: str, words: str) -> None:
    assert GOOD.count(right) == 1, right
    line = GOOD[: GOOD.index(right)].count("\n") + 1
    with pytest.raises(DistrictFileError, match=re.escape(words)) as caught:
        parse_district(GOOD.replace(right, wrong))
    assert caught.value.line in {line, line + 1}
    assert str(caught.value).startswith(f"district.toml, line {caught.value.line}, ")
    assert "\n" not in str(caught.value)


def test_a_missing_key_names_the_line_of_its_table() -> None:
    with pytest.raises(DistrictFileError, match="missing required field `site`") as caught:
        parse_district(GOOD.replace('site = "hall-2"\n', ""))
    assert caught.value.line == GOOD[: GOOD.index('id = "air-2"')].count("\n")


def test_kiosks_without_an_assay_are_refused() -> None:
    without = GOOD.replace('[[assay]]\ncode = "SARSCOV2"\ntargets = ["sars-cov-2"]\n', "")
    with pytest.raises(DistrictFileError, match="at least one"):
        parse_district(without)


def test_one_device_more_than_the_cap_is_refused_before_anything_else_is_looked_at() -> None:
    many = "".join(f'[[device]]\nid = "d{i}"\nsite = "x"\nkind = "y"\n' for i in range(5001))
    with pytest.raises(DistrictFileError, match="at most 5000"):
        parse_district(GOOD + many)


@given(st.text(max_size=400))
def test_any_text_is_a_district_or_the_typed_error(text: str) -> None:
    with pytest.raises(DistrictFileError):
        parse_district(text)  # no random text names a district, a zone and nothing wrong


@given(st.data())
def test_a_file_with_any_piece_exchanged_is_a_district_or_the_typed_error(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(GOOD) - 1))
    length = data.draw(st.integers(0, 30))
    piece = data.draw(st.text(max_size=12) | st.sampled_from(["[[zone]]", "[district]", "nan", "1e999", "{}", "[[]]"]))
    with contextlib.suppress(DistrictFileError):
        assert parse_district(GOOD[:start] + piece + GOOD[start + length :]).zone


def test_a_district_holds_as_many_kiosks_as_fit_one_public_file_and_no_more() -> None:
    def with_kiosks(count: int) -> str:
        more = (
            f'\n[[device]]\nid = "kiosk-{number}"\nsite = "site-1"\nkind = "kiosk"\n' for number in range(2, count + 1)
        )
        return GOOD + "".join(more)

    assert sum(device.kind == "kiosk" for device in parse_district(with_kiosks(170)).device) == 170
    with pytest.raises(DistrictFileError, match="170 kiosks") as caught:
        parse_district(with_kiosks(171))
    assert caught.value.line is not None
