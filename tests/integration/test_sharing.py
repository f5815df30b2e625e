"""`kioskwatch share` on real stores: what a package holds, who is refused, what the register says, who can check it.

Ingest's and analyse's states are written as those processes write them; the commands are run as an operator runs them.
"""

import hashlib
import json

import pytest

from backend.share_main import main as share
from backend.sharing import odm
from contracts.windows import DAY_S, NS
from kioskwatch.share_verify import main as verify
from stores.series.lines import Point, encode
from stores.series.sqlite import SqliteSeries
from stores.state.accounts import Audit
from stores.state.database import open_for_reading, open_for_writing
from stores.state.releases import releases_after
from tests.integration.analyse_district import START_NS, TARGET, ZONES
from tests.support.shared_district import CITY, District, sqlite_district


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> District:
    return sqlite_district(tmp_path_factory.mktemp("district"))


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
    assert "roll-ups: 2 spans with numbers, each added up again from the releases" in said


def test_a_roll_up_that_does_not_follow_from_its_releases_is_not_given(
    district: District, capsys: pytest.CaptureFixture[str]
) -> None:
    day_ns = START_NS + 4 * DAY_S * NS
    tags = {"district": "turtle-bay", "level": "district_day", "target": TARGET}
    series = SqliteSeries(district.folder / "series", frozenset({"released"}))
    kept = next(
        int(row["positives"])
        for row in district.rows(CITY, "roll_ups.csv")
        if row["level"] == "district_day" and row["start"].startswith("2021-12-16")
    )
    series.write("released", encode(Point("testing", tags, {"positives": kept + 1}, day_ns)))
    assert district.export("university", "2021-12-16", "2021-12-17", "forged") == 2
    assert "are not the sums of the releases" in capsys.readouterr().err
    series.write("released", encode(Point("testing", tags, {"positives": kept}, day_ns)))
    series.close()
    assert district.export("university", "2021-12-16", "2021-12-17", "forged") == 0


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
    package = (district.package(f"{CITY}.zip"), district.package(CITY) / "roll_ups.csv")
    assert [path.stat().st_mode & 0o777 for path in package] == [0o600, 0o600]


def test_a_folder_that_cannot_be_written_is_said_and_nothing_is_registered(
    district: District, capsys: pytest.CaptureFixture[str]
) -> None:
    (district.folder / "file").write_text("not a folder")
    count = len(_registered(district))
    assert district.export("city", "2021-12-12", "2021-12-13", "file/below") == 2
    assert "cannot be written" in capsys.readouterr().err
    assert len(_registered(district)) == count
