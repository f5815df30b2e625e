"""What the doctor sees of a folder: healthy, damaged, open to others, out of time. Nothing is changed by looking."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backend.devices.authority import ensure_authority, issue_gateway, issue_server
from contracts.clock import first_anchors
from contracts.notice import FIELDS, LANGUAGES
from edge.slip.raster import printable
from kioskwatch import doctor
from kioskwatch.doctor import Finding, Patient, Verdict
from kioskwatch.folder import StateFolder
from kioskwatch.plan import STARTER_DISTRICT
from tests.support.notices import filled

NOW = datetime(2100, 1, 1, tzinfo=UTC)  # later than any file of this test
START_NS = 1_639_285_200_000_000_000


def _patient(root: Path, *, search_path: str = "") -> Patient:
    return Patient(StateFolder(root), "127.0.0.1", 8800, 8883, search_path, NOW)


def _verdicts(findings: list[Finding]) -> set[Verdict]:
    return {finding.verdict for finding in findings}


def _store(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (v TEXT)")
        connection.executemany("INSERT INTO t VALUES (?)", [("x" * 100,)] * 1000)
        connection.commit()


def test_a_folder_that_does_not_exist_yet_is_healthy(tmp_path: Path) -> None:
    patient = _patient(tmp_path / "var")
    for check in (doctor.state_folder, doctor.stores, doctor.certificates, doctor.clock, doctor.disk):
        assert _verdicts(list(check(patient))) <= {"ok", "note"}
    assert not (tmp_path / "var").exists()


def test_every_finding_that_is_not_ok_says_how_to_mend_it(tmp_path: Path) -> None:
    root = tmp_path / "var"
    root.mkdir()
    root.chmod(0o755)
    (root / "time.json").write_text("{}")
    _store(root / "state" / "ingest.db")
    (root / "state" / "ingest.db").write_bytes(b"no database at all" * 100)
    (root / "ca").mkdir()
    (root / "ca" / "server.pem").write_text("no certificate")
    patient = _patient(root)
    checks = (doctor.mosquitto, doctor.state_folder, doctor.stores, doctor.certificates, doctor.clock)
    findings = [finding for check in checks for finding in check(patient)]
    wrong = [finding for finding in findings if finding.verdict == "wrong"]
    assert len(wrong) == 4
    assert all(finding.mend for finding in findings if finding.verdict != "ok")


def test_whole_stores_are_ok_and_a_flipped_page_is_found(tmp_path: Path) -> None:
    path = tmp_path / "series" / "fleet.db"
    _store(path)
    assert _verdicts(list(doctor.stores(_patient(tmp_path)))) == {"ok"}
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xa5" * 4096
    path.write_bytes(content)
    found = list(doctor.stores(_patient(tmp_path)))
    assert [finding.verdict for finding in found] == ["wrong"]
    assert "restore" in found[0].mend


def test_what_visitors_still_have_to_be_told_is_listed_by_table(tmp_path: Path) -> None:
    assert _verdicts(list(doctor.visitors(_patient(tmp_path)))) == {"ok"}
    path = tmp_path / "district.toml"
    path.write_text(STARTER_DISTRICT.read_text())
    found = list(doctor.visitors(_patient(tmp_path)))
    assert [finding.what.partition(": ")[2].partition(",")[0] for finding in found] == [
        "results",
        *(f"notice.{name}" for name in FIELDS),
    ]
    assert _verdicts(found) == {"wrong"}
    assert all("write" in finding.mend for finding in found)
    own = replace(_patient(tmp_path), district=tmp_path / "own.toml")
    (tmp_path / "own.toml").write_text(filled(STARTER_DISTRICT.read_text()).replace("contact (fr)", "tbd"))
    (finding,) = doctor.visitors(own)
    assert finding.what.endswith("own.toml: notice.contact, fr")
    (tmp_path / "own.toml").write_text(filled(STARTER_DISTRICT.read_text()))
    assert _verdicts(list(doctor.visitors(own))) == {"ok"}
    (tmp_path / "own.toml").write_text("[notice.contact]\nen = 7\n")
    assert _verdicts(list(doctor.visitors(own))) == {"wrong"}


def test_a_simulated_district_may_do_without_a_notice_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "time.json").write_bytes(first_anchors(1, START_NS, 600).written_at(1))
    (tmp_path / "district.toml").write_text(STARTER_DISTRICT.read_text())
    assert _verdicts(list(doctor.visitors(_patient(tmp_path)))) == {"note"}


def test_files_of_a_newer_program_are_found(tmp_path: Path) -> None:
    path = tmp_path / "state" / "ingest.db"
    _store(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999_from_the_future')")
        connection.commit()
    series = tmp_path / "series" / "fleet.db"
    _store(series)
    with closing(sqlite3.connect(series)) as connection:
        connection.execute("PRAGMA user_version = 999")
    found = list(doctor.stores(_patient(tmp_path)))
    assert [(finding.verdict, "newer" in finding.what) for finding in found] == [("wrong", True), ("wrong", True)]


@pytest.mark.parametrize(
    ("age_days", "verdict"), [(0, "ok"), (380, "ok"), (385, "note"), (396, "note"), (398, "wrong")]
)
def test_certificates_are_judged_by_the_days_they_have_left(tmp_path: Path, age_days: int, verdict: Verdict) -> None:
    made = NOW - timedelta(days=age_days)
    issue_server(tmp_path / "ca", ["127.0.0.1"], made)
    issue_gateway(tmp_path / "ca", made)
    found = {
        finding.what.split(":")[0].rpartition("/")[2]: finding.verdict
        for finding in doctor.certificates(_patient(tmp_path))
    }
    assert found.pop("ca.pem") == "ok"
    assert set(found.values()) == {verdict}
    assert len(found) == 2


def test_a_key_that_others_may_read_is_found(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    ensure_authority(tmp_path / "ca", NOW)
    assert _verdicts(list(doctor.state_folder(_patient(tmp_path)))) == {"ok"}
    (tmp_path / "ca" / "ca.key").chmod(0o644)
    found = list(doctor.state_folder(_patient(tmp_path)))
    assert [finding.verdict for finding in found] == ["wrong"]
    assert "ca/ca.key" in found[0].what


def test_a_machine_clock_behind_the_files_is_found(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "ingest.db").touch()
    behind = Patient(StateFolder(tmp_path), "127.0.0.1", 1, 2, "", datetime(2020, 1, 1, tzinfo=UTC))
    assert _verdicts(list(doctor.clock(behind))) == {"wrong"}
    assert _verdicts(list(doctor.clock(_patient(tmp_path)))) == {"ok"}


def test_simulated_time_is_shown(tmp_path: Path) -> None:
    (tmp_path / "time.json").write_bytes(first_anchors(1, START_NS, 600).written_at(1))
    assert "2021-12-12 05:00" in list(doctor.clock(_patient(tmp_path)))[-1].what


def _script(folder: Path, text: str) -> str:
    program = folder / "mosquitto"
    program.write_text(f"#!/bin/sh\necho '{text}'\nexit 3\n")
    program.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("mosquitto version 2.0.11", "ok"),
        ("mosquitto version 2.1.2", "ok"),
        ("mosquitto version 1.6.9", "wrong"),
        ("something else", "wrong"),
        ("", "wrong"),
    ],
)
def test_mosquitto_is_judged_by_the_version_it_names(tmp_path: Path, said: str, verdict: Verdict) -> None:
    found = list(doctor.mosquitto(_patient(tmp_path, search_path=_script(tmp_path, said))))
    assert [finding.verdict for finding in found] == [verdict]


def test_an_unknown_option_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main(["--nonsense"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_slips_are_found_printable_or_the_package_is_named(tmp_path: Path) -> None:
    (finding,) = doctor.slips(_patient(tmp_path))
    if all(printable(language) for language in LANGUAGES):
        assert finding.verdict == "ok"
    else:
        assert (finding.verdict, doctor.SLIP_PACKAGES in finding.mend) == ("note", True)


def test_a_machine_without_fonts_prints_english_alone(tmp_path: Path) -> None:
    assert not any(printable(language, tmp_path) for language in LANGUAGES)
