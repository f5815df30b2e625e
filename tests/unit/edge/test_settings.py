"""cabinet.toml: what is taken, and what stops the start with a sentence."""

from pathlib import Path

import pytest

from edge.adapters.door import DoorFile
from edge.errors import SettingsError
from edge.settings import (
    Cabinet,
    DeviceSection,
    DoorSection,
    EnrolSection,
    InstrumentSection,
    PrinterSection,
    ScreenSection,
    SimulatedSection,
    load_cabinet,
    load_cabinets,
)
from tests.support.repository import ROOT

KIOSK = """
time_file = "../../time.json"
[device]
id = "kiosk-10016-1"
kind = "kiosk"
[enrol]
url = "https://127.0.0.1:8800"
token = "once"
ca_fingerprint = "ab"
[simulated]
seed = 7
[[instrument]]
kind = "genexpert"
link = "tcp:127.0.0.1:9000"
modules = 4
t_max_s = 2700
insertion_s = 30
assay = "SARSCOV2"
targets = ["sars-cov-2"]
"""
AIR = """
[device]
id = "air-10016"
kind = "air_monitor"
folder = "/var/lib/kioskwatch/air"
[enrol]
url = "https://gateway.example:8800"
[[instrument]]
kind = "scd30"
link = "serial:/dev/ttyUSB0"
sample_period_s = 60
"""


def _write(folder: Path, text: str, name: str = "cabinet.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_simulated_kiosk_and_a_real_air_monitor_are_read(tmp_path: Path) -> None:
    kiosk = load_cabinet(_write(tmp_path, KIOSK))
    assert kiosk.folder == tmp_path / "."
    assert kiosk.time_file == tmp_path / "../../time.json"
    rules = kiosk.cabinet.instrument[0].visit_rules()
    assert (rules.places, rules.modules, rules.insertion_s, rules.t_max_s) == (4, 4, 30, 2700)
    air = load_cabinet(_write(tmp_path, AIR))
    assert air.folder == Path("/var/lib/kioskwatch/air")
    assert air.time_file is None


def test_a_real_kiosk_has_the_designs_defaults(tmp_path: Path) -> None:
    lines = [
        line for line in KIOSK.splitlines() if not line.startswith(("time_file", "[simulated]", "seed", "insertion"))
    ]
    rules = load_cabinet(_write(tmp_path, "\n".join(lines))).cabinet.instrument[0].visit_rules()
    assert (rules.places, rules.insertion_s) == (4, 600)


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("seed = 7", "sede = 7", "sede"),
        ("modules = 4", "modules_ = 4", "modules_"),
        ('id = "kiosk-10016-1"', 'id = "Kiosk 1"', "id"),
        ('kind = "kiosk"', 'kind = "tram"', "kind"),
        ('kind = "kiosk"', 'kind = "air_monitor"', "analyser"),
        ('time_file = "../../time.json"', "", "time_file"),
        ("[simulated]\nseed = 7", "", "simulated"),
        ("modules = 4", "modules = 5\nplaces = 4", "places"),
        ("t_max_s = 2700", "t_max_s = 0", "t_max_s"),
        ('assay = "SARSCOV2"', "", "assay"),
        ("modules = 4", "sample_period_s = 60", "sample_period_s"),
        ('kind = "genexpert"', 'kind = "genexprt"', "genexprt"),
        ('link = "tcp:127.0.0.1:9000"', "link = 9000", "link"),
        ("[enrol]", "[enrol", ""),
    ],
)
def test_a_wrong_setting_stops_the_start_and_names_itself(tmp_path: Path, old: str, new: str, word: str) -> None:
    assert old in KIOSK
    with pytest.raises(SettingsError) as refused:
        load_cabinet(_write(tmp_path, KIOSK.replace(old, new)))
    assert "cabinet.toml" in str(refused.value)
    assert word in str(refused.value)


def test_no_instrument_two_analysers_and_a_sensor_without_period_are_refused(tmp_path: Path) -> None:
    analyser = KIOSK[KIOSK.index("[[instrument]]") :]
    for text in (
        KIOSK[: KIOSK.index("[[instrument]]")] + "",
        KIOSK + analyser,
        AIR.replace("sample_period_s = 60", ""),
        AIR.replace("sample_period_s = 60", "sample_period_s = -1"),
    ):
        with pytest.raises(SettingsError):
            load_cabinet(_write(tmp_path, text))


def test_a_missing_file_and_one_that_is_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "missing.toml", tmp_path / "binary.toml"):
        with pytest.raises(SettingsError, match=path.name):
            load_cabinet(path)


def test_two_cabinets_may_share_neither_folder_nor_id(tmp_path: Path) -> None:
    one = _write(tmp_path, KIOSK)
    with pytest.raises(SettingsError, match="folder"):
        load_cabinets([one, _write(tmp_path, KIOSK.replace("kiosk-10016-1", "kiosk-10016-2"), "other.toml")])
    (tmp_path / "b").mkdir()
    with pytest.raises(SettingsError, match="kiosk-10016-1"):
        load_cabinets([one, _write(tmp_path / "b", KIOSK)])


def test_an_error_never_shows_the_token(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        load_cabinet(_write(tmp_path, KIOSK.replace('token = "once"', 'token = "TOPSECRET"\nwrong = 1')))
    assert "TOPSECRET" not in str(refused.value)


@pytest.mark.parametrize(
    "section",
    [
        DeviceSection,
        DoorSection,
        EnrolSection,
        SimulatedSection,
        InstrumentSection,
        PrinterSection,
        ScreenSection,
        Cabinet,
    ],
)
def test_every_setting_stands_in_the_manual(section: type) -> None:
    manual = (ROOT / "docs/CABINET.md").read_text()
    missing = [name for name in section.__struct_fields__ if name not in manual]  # type: ignore[attr-defined]
    assert missing == []


FRONT = '\n[printer]\nlink = "tcp:127.0.0.1:9100"\n[screen]\nport = 8080\nslot_url = "http://127.0.0.1:8081"\n'


def test_a_kiosk_has_a_screen_and_a_printer(tmp_path: Path) -> None:
    cabinet = load_cabinet(_write(tmp_path, KIOSK + FRONT)).cabinet
    assert cabinet.printer == PrinterSection(link="tcp:127.0.0.1:9100")
    assert cabinet.screen == ScreenSection(port=8080, slot_url="http://127.0.0.1:8081")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (AIR + "\n[screen]\nport = 8080\n", "a kiosk's"),
        (AIR + '\n[printer]\nlink = "tcp:127.0.0.1:9100"\n', "a kiosk's"),
        (KIOSK + FRONT.replace("8080", "0"), "screen.port"),
        (KIOSK + FRONT.replace("8080", "70000"), "screen.port"),
        (KIOSK + FRONT.replace("tcp:127.0.0.1:9100", "usb:lp0"), "a printer is"),
        (KIOSK.replace("[simulated]\nseed = 7\n", "").replace('time_file = "../../time.json"', "") + FRONT, "slot_url"),
    ],
)
def test_a_screen_or_printer_that_cannot_be_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        load_cabinet(_write(tmp_path, text))


def test_two_kiosks_share_no_screen(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    other = _write(tmp_path / "b", (KIOSK + FRONT).replace("kiosk-10016-1", "kiosk-10016-2"))
    with pytest.raises(SettingsError, match=r"screen\.port"):
        load_cabinets([_write(tmp_path, KIOSK + FRONT), other])


def test_the_printer_is_a_kiosks_and_has_an_address(tmp_path: Path) -> None:
    printer = load_cabinet(_write(tmp_path, KIOSK + '\n[printer]\nlink = "tcp:127.0.0.1:9100"\n')).cabinet.printer
    assert printer == PrinterSection("tcp:127.0.0.1:9100")
    for text in (KIOSK + '\n[printer]\nlink = "lp0"\n', AIR + '\n[printer]\nlink = "tcp:127.0.0.1:9100"\n'):
        with pytest.raises(SettingsError, match="printer"):
            load_cabinet(_write(tmp_path, text))


def test_the_door_is_a_kiosks_and_lies_beside_the_cabinet_file(tmp_path: Path) -> None:
    loaded = load_cabinet(_write(tmp_path, KIOSK + '\n[door]\npath = "door"\n'))
    assert loaded.door_file == tmp_path / "door"
    assert load_cabinet(_write(tmp_path, KIOSK)).door_file is None
    with pytest.raises(SettingsError, match="door"):
        load_cabinet(_write(tmp_path, AIR + '\n[door]\npath = "door"\n'))


@pytest.mark.parametrize(("content", "is_open"), [("0\n", False), ("1\n", True), ("", True), (None, True), ("?", True)])
def test_a_door_that_nobody_can_call_closed_is_open(tmp_path: Path, content: str | None, *, is_open: bool) -> None:
    contact = tmp_path / "door"
    if content is not None:
        contact.write_text(content)
    assert DoorFile(contact).is_open() is is_open
    assert not DoorFile(None).is_open()
