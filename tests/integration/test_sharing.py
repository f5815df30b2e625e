"""`kioskwatch share` on real stores: what a package holds, who is refused, what the register says, who can check it.

Ingest's and analyse's states are written as those processes write them; the commands are run as an operator runs them.
"""

import contextlib
import csv
import hashlib
import io
import json
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from backend.bootstrap import apply_district_file, open_core
from backend.settings import read_settings
from backend.share_main import main as share
from backend.sharing import odm
from contracts.clock import first_anchors
from contracts.shared_releases import check_chain
from contracts.sharing import opened, public_text, read_public_key, unpack
from contracts.windows import DAY_S, NS
from kioskwatch.share_verify import main as verify
from stores.series.influx import InfluxSeries
from stores.series.lines import Point, encode
from stores.series.port import TimeSeriesStore
from stores.series.sqlite import SqliteSeries
from stores.state.accounts import Audit
from stores.state.database import open_for_reading, open_for_writing
from stores.state.devices import load_registry
from stores.state.releases import releases_after
from tests.integration.analyse_district import START_NS, ZONES, Analysis, CommittedDistrict, SetClock
from tests.support.influxd import InfluxOrg
from tests.support.seeds import SEED

ROOT = Path(__file__).parents[2]
WINDOWS = 4 * 8  # eight days: one whole week and a day of the next
EXTRA = """
[[agreement]]
name = "city"
recipient = "City department of health"
contact = "desk 7"
legal_basis = "Ordinance 12"
valid_from = 2021-12-12
valid_until = 2021-12-31
levels = ["zone_window", "zone_day", "district_day", "district_week"]
targets = ["sars-cov-2"]
environment = ["co2_ppm", "temperature_c", "humidity_pct"]

[[agreement]]
name = "county"
recipient = "County laboratory"
contact = "desk 8"
legal_basis = "Ordinance 13"
valid_from = 2021-12-12
valid_until = 2021-12-14
levels = ["district_day"]
targets = ["sars-cov-2"]
releases = "whole"

[[agreement]]
name = "university"
recipient = "University"
contact = "desk 9"
legal_basis = "Contract 4"
valid_from = 2021-12-12
valid_until = 2022-12-14
levels = ["district_day"]
targets = ["sars-cov-2"]
releases = "whole"

[[site]]
id = "hotel-1"
zone = "z10016"
kind = "hotel"
name = "Hotel"

"""
SECRET_PPM = 1234.5  # stands in the bucket `restricted` alone
ASTRAY_PPM = 4321.5  # of a hotel room as well, in the open bucket by mistake


@dataclass
class District:
    """A district's folder, as its processes left it."""

    folder: Path
    settings: Path

    def export(self, name: str, first: str, last: str, out: str = "out", *more: str) -> int:
        argv = ["export", "--agreement", name, "--from", first, "--to", last, "--out", str(self.folder / out)]
        return share([*argv, *more, "--settings", str(self.settings)])

    def package(self, name: str, out: str = "out") -> Path:
        return self.folder / out / name

    def key(self) -> str:
        return (self.folder / "ca" / "sharing.pub").read_text().strip()

    def rows(self, package: str, file: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO((self.package(package) / file).read_text())))


CITY = "city_2021-12-12_2021-12-19"


def prepared(folder: Path, series: TimeSeriesStore, series_settings: str) -> District:
    """A demonstration file with agreements, releases, roll-ups, and readings of an open and of a restricted room."""
    demo = (ROOT / "kioskwatch" / "demo" / "district.toml").read_text()
    (folder / "district.toml").write_text(
        demo.split("[[agreement]]")[0] + EXTRA + "# --- 10016" + demo.split("# --- 10016")[1]
    )
    clock, district = SetClock(), CommittedDistrict(folder, SEED)
    analysis = Analysis(district.state, series, clock, public=False)
    for window in range(WINDOWS):
        # Little is tested in the first zone: its windows are mostly noise and may not be shown.
        district.commit(
            [
                row
                for row in district.drawn(window, tests=2 if window < 8 else 30, share=0.1)
                if not (window == 9 and row.zone == ZONES[1])
            ]
        )
        analysis.at_end_of(window)
    analysis.close()
    district.close()
    _measure(series)
    now_ns = START_NS + WINDOWS * 6 * 3600 * NS + 3600 * NS
    mono = time.monotonic_ns()
    (folder / "time.json").write_bytes(first_anchors(mono, now_ns, 1).written_at(mono))
    settings = folder / "backend.toml"
    lines = {
        "state": district.state,
        "ca_dir": str(folder / "ca"),
        "district": str(folder / "district.toml"),
        "admin_token_file": str(folder / "admin.token"),
        "time_file": str(folder / "time.json"),
    }
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items()) + series_settings
    settings.write_text(text + 'simulated = true\n[broker_public]\nhost = "127.0.0.1"\nport = 8883\n')
    with contextlib.closing(open_core(read_settings(settings))) as core:
        apply_district_file(core)
    return District(folder, settings)


def _measure(series: TimeSeriesStore) -> None:
    lines: dict[str, list[bytes]] = {"environment": [], "restricted": []}
    for at_ns in range(START_NS, START_NS + 2 * DAY_S * NS, 600 * NS):
        hour = (at_ns - START_NS) // NS // 3600
        fields = {"co2_ppm": 500.0 + hour, "temperature_c": 21.5, "humidity_pct": 40.0}
        hall = {"district": "turtle-bay", "zone": "z10016", "site": "hall-10016", "kind": "air_monitor"}
        lines["environment"].append(encode(Point("air", hall | {"device": "air-10016"}, fields, at_ns)))
        room = {
            "district": "turtle-bay",
            "zone": "z10016",
            "site": "hotel-1",
            "device": "room-1",
            "kind": "air_monitor",
        }
        lines["restricted"].append(encode(Point("air", room, {**fields, "co2_ppm": SECRET_PPM}, at_ns)))
    for bucket, points in lines.items():
        series.write(bucket, b"\n".join(points))


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> District:
    folder = tmp_path_factory.mktemp("district")
    series = SqliteSeries(folder / "series", frozenset({"environment", "restricted", "released"}))
    made = prepared(folder, series, f'series = "sqlite:{folder / "series"}"\n')
    series.close()
    assert made.export("city", "2021-12-12", "2021-12-19") == 0
    return made


def test_the_receiver_finds_everything_whole(district: District, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (district.package(f"{CITY}.zip"), district.package(CITY), district.package(CITY) / "manifest.json"):
        assert verify([str(path), "--key", district.key()]) == 0
    said = capsys.readouterr().out
    assert "SIMULATED" in said
    assert "agreement city, for City department of health" in said
    with open_for_reading(f"sqlite:{district.folder / 'state'}", "ingest") as ingest:
        stored = releases_after(ingest, 0)
    assert f"chain head: {stored[-1].hash.hex()} after release {stored[-1].id}" in said
    assert f"chain: {len(stored)} releases, in order" in said


def test_roll_ups_are_the_published_ones_and_what_may_not_be_shown_is_empty(district: District) -> None:
    rows = district.rows(CITY, "roll_ups.csv")
    levels = {row["level"] for row in rows}
    assert levels == {"zone_window", "zone_day", "district_day", "district_week"}
    assert {row["status"] for row in rows} == {"shown", "few", "none"}
    for row in rows:
        numbers = [row[name] for name in ("positives", "valid", "invalid")]
        assert all(numbers) if row["status"] == "shown" else not any(numbers), row
        assert row["status"] == "shown" or not row["positivity"]
    (missing,) = (row for row in rows if row["status"] == "none")
    assert (missing["zone"], missing["start"]) == (ZONES[1], "2021-12-14T06:00:00-05:00")
    assert (missing["kiosks_reporting"], missing["kiosks_expected"]) == ("0", "3")
    # Parents are the sums of their children: the district's day of the zones' days, wherever all of them are shown.
    days = [row for row in rows if row["level"] == "zone_day" and row["start"].startswith("2021-12-17")]
    (parent,) = (r for r in rows if r["level"] == "district_day" and r["start"].startswith("2021-12-17"))
    assert len(days) == len(ZONES)
    assert int(parent["positives"]) == sum(int(row["positives"]) for row in days)


def test_a_week_that_the_period_cuts_in_two_is_not_shared(district: District) -> None:
    weeks = [row["start"] for row in district.rows(CITY, "roll_ups.csv") if row["level"] == "district_week"]
    assert weeks == ["2021-12-12T00:00:00-05:00"]
    days = {row["start"][:10] for row in district.rows(CITY, "roll_ups.csv") if row["level"] == "zone_day"}
    assert days == {f"2021-12-{day}" for day in range(12, 20)}


def test_every_column_of_every_table_is_in_the_data_dictionary(district: District) -> None:
    described = {(row["file"], row["column"]) for row in district.rows(CITY, "dictionary.csv")}
    for path in district.package(CITY).glob("*.csv"):
        if path.name != "dictionary.csv":
            columns = path.read_text().splitlines()[0].split(",")
            assert {(path.name, column) for column in columns} <= described
    assert all(row["meaning"] for row in district.rows(CITY, "dictionary.csv"))


def test_readings_are_tables_of_the_open_data_model_and_of_open_rooms_alone(district: District) -> None:
    measures = district.rows(CITY, "odm_measures.csv")
    assert len(measures) == 3 * 48  # three metrics, an hour a row
    first = next(row for row in measures if row["measure"] == "co2")
    assert (first["value"], first["unit"], first["aggregation"]) == ("500", "ppm", "me")
    assert (first["relDateStart"], first["relDateEnd"]) == ("2021-12-12T00:00:00-05:00", "2021-12-12T01:00:00-05:00")
    assert {row["siteID"] for row in measures} == {"hall-10016"}
    assert [row["siteID"] for row in district.rows(CITY, "odm_sites.csv")] == ["hall-10016"]
    everything = b"".join(path.read_bytes() for path in district.package(CITY).iterdir())
    for word in (b"1234.5", b"4321.5", b"hotel", b"room-1"):
        assert word not in everything


def test_keys_of_the_model_point_to_rows_and_keep_its_lengths(district: District) -> None:
    tables = {table: district.rows(CITY, odm.file_name(table)) for table in odm.TABLES}
    # Lengths of the dictionary 2.2.3: 30, but 10 for an instrument and 15 for a protocol's container and a value.
    for table, column, most in (
        ("measures", "measureRepID", 30),
        ("measures", "value", 15),
        ("sites", "siteID", 30),
        ("instruments", "instrumentID", 10),
        ("protocolrelationships", "protocolIDContainer", 15),
    ):
        assert all(0 < len(row[column]) <= most for row in tables[table])
    assert len({row["measureRepID"] for row in tables["measures"]}) == len(tables["measures"])
    steps = {row["stepID"]: row["instrumentID"] for row in tables["protocolsteps"]}
    relations = {row["protocolIDContainer"]: row["stepIDSub"] for row in tables["protocolrelationships"]}
    instruments = {row["instrumentID"] for row in tables["instruments"]}
    assert {steps[relations[row["protocolID"]]] for row in tables["measures"]} == instruments


def test_whole_releases_are_chained_again_by_their_receiver(
    district: District, capsys: pytest.CaptureFixture[str]
) -> None:
    assert district.export("university", "2021-12-15", "2021-12-16") == 0
    name = "university_2021-12-15_2021-12-16"
    earlier = str(district.package(f"{CITY}.zip"))
    assert verify([str(district.package(f"{name}.zip")), "--key", district.key(), "--earlier", earlier]) == 0
    said = capsys.readouterr().out
    assert "chain: 144 releases, computed again from each release" in said
    assert "earlier package: 144 releases in both, the same in both" in said
    package = opened(unpack(district.package(f"{name}.zip").read_bytes()), read_public_key(district.key()))
    links, whole = check_chain(package.files["releases.csv"], package.manifest.chain)
    assert whole
    # What the receiver adds up from releases is what the roll-up says.
    rows = csv.DictReader(io.StringIO(package.files["releases.csv"].decode()))
    positives = sum(json.loads(row["counters"])["SARSCOV2"]["positives"]["sars-cov-2"] for row in rows)
    assert positives == sum(int(row["positives"]) for row in district.rows(name, "roll_ups.csv"))
    assert len(links) == 144


@pytest.mark.parametrize(
    ("name", "first", "last", "more", "said"),
    [
        ("nobody", "2021-12-12", "2021-12-13", (), "district.toml has no [[agreement]] named nobody."),
        ("county", "2021-12-12", "2021-12-13", (), "Agreement county ended on 2021-12-14."),
        ("city", "2021-12-12", "2021-12-20", (), "2021-12-20 is not over in the district: whole days are shared."),
        ("city", "2021-12-11", "2021-12-13", (), "covers the days from 2021-12-12"),
        ("city", "2021-12-12", "2021-12-13", ("--level", "district_window"), "does not cover district_window"),
    ],
)
def test_what_no_agreement_covers_is_refused_with_one_sentence_and_leaves_nothing(
    district: District,
    capsys: pytest.CaptureFixture[str],
    name: str,
    first: str,
    last: str,
    more: tuple[str, ...],
    said: str,
) -> None:
    before = _registered(district)
    assert district.export(name, first, last, "refused", *more) == 2
    told = capsys.readouterr().err
    assert told.startswith("kioskwatch share: ")
    assert said in told
    assert told.count("\n") == 1
    assert not (district.folder / "refused").exists()
    assert _registered(district) == before


def _registered(district: District) -> list[str]:
    with open_for_reading(f"sqlite:{district.folder / 'state'}", "backend") as database:
        return [row.detail for row in Audit(database).latest(100, action="shared")]


def test_the_register_says_who_took_what_and_a_package_is_made_once(
    district: District, capsys: pytest.CaptureFixture[str]
) -> None:
    assert share(["register", "--settings", str(district.settings)]) == 0
    assert "city" in capsys.readouterr().out
    newest = next(told for told in map(json.loads, reversed(_registered(district))) if told["last_day"] == "2021-12-19")
    archive = district.package(f"{CITY}.zip").read_bytes()
    assert newest["package"] == hashlib.sha256(archive).hexdigest()
    listed = dict(line.split("=") for line in newest["files"].splitlines())
    assert listed["roll_ups.csv"] == hashlib.sha256((district.package(CITY) / "roll_ups.csv").read_bytes()).hexdigest()
    count = len(_registered(district))
    assert district.export("city", "2021-12-12", "2021-12-19") == 2
    assert "is there already" in capsys.readouterr().err
    assert len(_registered(district)) == count


def test_what_cannot_be_registered_is_not_given(district: District, capsys: pytest.CaptureFixture[str]) -> None:
    with open_for_writing(f"sqlite:{district.folder / 'state'}", "backend"):  # a backend that does not answer
        assert district.export("city", "2021-12-12", "2021-12-13", "unregistered") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list((district.folder / "unregistered").iterdir()) == []


def test_the_key_is_made_once_for_its_owner_alone_and_printed(
    district: District, capsys: pytest.CaptureFixture[str]
) -> None:
    assert share(["key", "--settings", str(district.settings)]) == 0
    assert capsys.readouterr().out.strip() == district.key()
    assert (district.folder / "ca" / "sharing.key").stat().st_mode & 0o777 == 0o600


# --- the receiver's machine -------------------------------------------------------------------------------

_ONLY_CONTRACTS = """
import sys
allowed = {"contracts", "kioskwatch", "cryptography", "msgspec", "_cffi_backend", "cffi"}
class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in allowed and top not in sys.stdlib_module_names:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Refuse())
from kioskwatch.cli import main
sys.exit(main(sys.argv[1:]))
"""


def _as_receiver(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _ONLY_CONTRACTS, "share", "verify", *words]
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=30)


def test_the_receiver_needs_the_package_the_key_and_two_libraries(district: District, tmp_path: Path) -> None:
    archive = tmp_path / "package.zip"
    archive.write_bytes(district.package(f"{CITY}.zip").read_bytes())
    (tmp_path / "key").write_text(district.key() + "\n")
    done = _as_receiver("package.zip", "--key", "key", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "signature: made with the key given" in done.stdout


def test_each_harm_to_a_package_is_one_sentence_and_exit_code_1(district: District, tmp_path: Path) -> None:
    whole = district.package(f"{CITY}.zip").read_bytes()
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:  # as a receiver unpacks it, by another program
        archive.extractall(folder)
    key = district.key()
    other = public_text(Ed25519PrivateKey.generate().public_key())
    (tmp_path / "altered.zip").write_bytes(whole.replace(b"zone_day", b"zone_dax", 1))
    (tmp_path / "cut.zip").write_bytes(whole[:-30])
    assert _as_receiver(str(folder), "--key", key, folder=tmp_path).returncode == 0
    harms = [("altered.zip", key, "altered"), ("cut.zip", key, "cut off"), ("no.zip", key, "cannot be read")]
    harms += [("unpacked", other, "another key")]
    (folder / "note.txt").write_text("hello")
    harms += [("unpacked/manifest.json", key, "note.txt does not belong")]
    for path, with_key, said in harms:
        done = _as_receiver(path, "--key", with_key, folder=tmp_path)
        assert done.returncode == 1, path
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
        assert "Traceback" not in done.stderr
    (folder / "note.txt").unlink()
    (folder / "odm_sites.csv").unlink()
    done = _as_receiver("unpacked", "--key", key, folder=tmp_path)
    assert (done.returncode, "odm_sites.csv is missing" in done.stderr) == (1, True)
    assert _as_receiver("unpacked", "--key", "no-key", folder=tmp_path).returncode == 2


# --- a city ------------------------------------------------------------------------------------------------


def test_on_influxdb_a_package_holds_the_same_tables(district: District, tmp_path: Path, influx_org: InfluxOrg) -> None:
    for bucket, token in influx_org.tokens.items():
        (tmp_path / bucket).write_text(token + "\n")
    store = InfluxSeries(influx_org.url, influx_org.name, influx_org.tokens)
    settings = (
        f'series = "influx:{influx_org.url}"\nseries_org = "{influx_org.name}"\nseries_token_dir = "{tmp_path}"\n'
    )
    folder = tmp_path / "district"
    folder.mkdir()
    city = prepared(folder, store, settings)
    store.close()
    assert city.export("city", "2021-12-12", "2021-12-19") == 0
    for file in ("roll_ups.csv", "dictionary.csv", *map(odm.file_name, odm.TABLES)):
        assert city.rows(CITY, file) == district.rows(CITY, file), file
    assert verify([str(city.package(f"{CITY}.zip")), "--key", city.key()]) == 0
    with open_for_reading(f"sqlite:{folder / 'state'}", "backend") as database:
        assert load_registry(database).district.id == "turtle-bay"
