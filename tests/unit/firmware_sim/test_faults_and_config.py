"""The fault menu's bytes, and a district file that is read strictly."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim import config
from firmware_sim.config import Address, AnalyserConfig, SensorConfig
from firmware_sim.errors import ConfigError
from firmware_sim.faults import ASTM_LINE, MODBUS_LINE, Fault, Line, Send, Unplug, damage, parse
from firmware_sim.wire.astm import encode

FRAME = encode(b"R|1|result\r")[0]


def sent(fault: Fault, turn: int, line: Line = ASTM_LINE) -> bytes:
    return b"".join(step.data for step in damage(fault, FRAME, turn, line) if isinstance(step, Send))


@given(st.sampled_from(Fault), st.integers(0, 10_000), st.sampled_from([b"\x05", b"\x06", b"\x04", b"\x15"]))
def test_control_characters_pass_every_cable(fault: Fault, turn: int, control: bytes) -> None:
    assert damage(fault, control, turn, ASTM_LINE) == [Send(control)]


@pytest.mark.parametrize(
    ("fault", "every"),
    [(Fault.TRUNCATED_FRAME, 5), (Fault.WRONG_CHECKSUM, 4), (Fault.UNPLUG, 20), (Fault.NOISE, 3), (Fault.DUPLICATE, 3)],
)
def test_a_cable_fault_strikes_every_nth_frame_and_spares_the_others(fault: Fault, every: int) -> None:
    struck = [turn for turn in range(60) if sent(fault, turn, MODBUS_LINE) != FRAME]
    assert struck == list(range(every - 1, 60, every))


def test_each_fault_damages_what_it_names() -> None:
    assert FRAME.startswith(sent(Fault.TRUNCATED_FRAME, 4))
    wrong = sent(Fault.WRONG_CHECKSUM, 3)
    assert (wrong[:-4], wrong[-2:]) == (FRAME[:-4], FRAME[-2:])
    assert wrong[-4:-2] != FRAME[-4:-2]
    assert damage(Fault.UNPLUG, FRAME, 19, ASTM_LINE)[-1] == Unplug()
    assert sent(Fault.NOISE, 2).endswith(FRAME)
    assert all(byte >= 0x80 for byte in sent(Fault.NOISE, 2)[: -len(FRAME)])
    assert len(sent(Fault.NOISE, 5).lstrip(bytes(range(128, 256)))) == len(FRAME)
    assert FRAME not in sent(Fault.NOISE, 5)
    assert sent(Fault.DUPLICATE, 2, MODBUS_LINE) == FRAME + FRAME
    assert sent(Fault.DUPLICATE, 2, ASTM_LINE) == FRAME, "a stop-and-wait line would lose step"


def test_a_slow_line_loses_nothing() -> None:
    steps = damage(Fault.SLOW, FRAME, 0, MODBUS_LINE)
    assert b"".join(step.data for step in steps if isinstance(step, Send)) == FRAME
    assert all(isinstance(step, Send) and len(step.data) <= 4 and step.pause_s > 0 for step in steps)


def test_an_instrument_has_only_the_faults_it_can_have() -> None:
    assert parse("late", kind="genexpert") is Fault.LATE
    with pytest.raises(ConfigError, match="choose one of none, noise"):
        parse("late", kind="scd30")
    with pytest.raises(ConfigError, match="no fault 'fire'"):
        parse("fire", kind="genexpert")


GOOD = """
[clock]
time_file = "/run/time.json"
[scenario]
name = "replay"
seed = 7
utc_offset_h = -5
status_file = "/run/status.json"
[[instrument]]
kind = "genexpert"
device = "kiosk-10016-1"
zone = "z10016"
listen = "127.0.0.1:4001"
modules = 4
door_s = 2700
fault = "duplicate"
patient_fields = true
[[instrument]]
kind = "scd30"
device = "air-10017"
zone = "z10017"
link = "/run/air-10017"
scenario_room = true
"""


def test_a_district_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "district.toml"
    path.write_text(GOOD)
    district = config.read(path)
    assert (district.scenario, district.seed, district.utc_offset_s) == ("replay", 7, -18_000)
    analyser, sensor = district.instruments
    assert isinstance(analyser, AnalyserConfig)
    assert (analyser.listen, analyser.fault) == (Address("127.0.0.1", 4001), Fault.DUPLICATE)
    assert analyser.patient_fields
    assert isinstance(sensor, SensorConfig)
    assert (sensor.link, sensor.scenario_room, sensor.fault) == (Path("/run/air-10017"), True, Fault.NONE)


def test_half_hours_of_offset_are_possible(tmp_path: Path) -> None:
    path = tmp_path / "district.toml"
    path.write_text("[scenario]\nutc_offset_h = 5.5\n")
    assert config.read(path).utc_offset_s == 19_800


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("[clock]", "[klock]"), "the file has 'klock'"),
        (("time_file", "file"), "has 'file', which is unknown"),
        (('name = "replay"', 'name = "panic"'), "choose one of quiet"),
        (("seed = 7", 'seed = "7"'), "seed must be of type int"),
        (("utc_offset_h = -5", "utc_offset_h = 99"), "-14 to 14"),
        (("utc_offset_h = -5", "utc_offset_h = nan"), "-14 to 14"),
        (("utc_offset_h = -5", 'utc_offset_h = "west"'), "utc_offset_h must be of type float"),
        (('kind = "scd30"', 'kind = "sps30"'), "choose one of genexpert, printer, scd30"),
        (('zone = "z10016"', ""), "needs a device and a zone"),
        (('listen = "127.0.0.1:4001"', ""), "needs listen"),
        (('listen = "127.0.0.1:4001"', 'listen = "4001"'), "is not HOST:PORT"),
        (('listen = "127.0.0.1:4001"', 'listen = "h:99999"'), "is not HOST:PORT"),
        (("modules = 4", "modules = 0"), "modules is 0"),
        (("door_s = 2700", "door_s = -1"), "door_s is -1"),
        (("door_s = 2700", "door_s = true"), "door_s must be of type int"),
        (("modules = 4", 'assay = "XYZ"'), "choose one of SARSCOV2"),
        (('"duplicate"', '"fire"'), "no fault 'fire'"),
        (("scenario_room = true", 'scenario_room = "yes"'), "scenario_room must be of type bool"),
        (("scenario_room = true", "modules = 4"), "has 'modules', which is unknown"),
        (('device = "air-10017"', 'device = "kiosk-10016-1"'), "two instruments have the same device"),
        (("[[instrument]]", "[instrument"), "cannot read"),
    ],
)
def test_a_wrong_district_file_stops_with_a_sentence(tmp_path: Path, change: tuple[str, str], sentence: str) -> None:
    path = tmp_path / "district.toml"
    path.write_text(GOOD.replace(*change))
    with pytest.raises(ConfigError, match=sentence.replace("[", r"\[")):
        config.read(path)


def test_a_district_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        config.read(tmp_path / "nowhere.toml")


def test_an_instrument_that_is_no_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "district.toml"
    path.write_text("instrument = [1]")
    with pytest.raises(ConfigError, match="number 1 is no table"):
        config.read(path)
