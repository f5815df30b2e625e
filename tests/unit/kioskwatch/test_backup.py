"""A backup holds what a district owns and nothing that must not be copied; restoring puts it back and loses nothing."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.clock import first_anchors, read_anchors
from kioskwatch.backup import MANIFEST, STATE_ORDER, back_up, main, restore
from kioskwatch.checks import take_lock
from kioskwatch.errors import AlreadyRunningError, OperatorError, OptionError, StateFolderError
from kioskwatch.folder import BUCKETS, StateFolder

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def _database(path: Path, *values: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE IF NOT EXISTS t (v TEXT)")
        connection.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
        connection.commit()


def _values(path: Path) -> list[str]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT v FROM t ORDER BY rowid")]


def _district(root: Path) -> StateFolder:
    folder = StateFolder(root)
    for owner in STATE_ORDER:
        _database(folder.state / f"{owner}.db", owner)
    for bucket in BUCKETS:
        _database(folder.series / f"{bucket}.db", bucket)
    folder.ca.mkdir()
    (folder.ca / "ca.key").write_text("a key")
    (folder.ca / "crl.pem").write_text("a list")
    folder.time.write_bytes(first_anchors(1, 1_000, 600).written_at(1))
    # What must never be in a copy:
    _database(folder.state / "cohorts.db", "sealed")
    cabinet = folder.devices / "kiosk-1"
    _database(cabinet / "visits.db", "counters")
    _database(cabinet / "outbox.db", "rows")
    (cabinet / "device.key").write_text("the device's own key")
    (cabinet / "device.pem").write_text("its certificate")
    folder.logs.mkdir()
    (folder.logs / "edge.log").write_text("log")
    folder.admin_token.write_text("token")
    return folder


def test_everything_owned_is_copied_and_restored_into_an_empty_folder(tmp_path: Path) -> None:
    folder = _district(tmp_path / "var")
    back_up(folder, tmp_path / "copy", now=NOW)
    fresh = StateFolder(tmp_path / "fresh")
    restore(fresh, tmp_path / "copy")
    for owner in STATE_ORDER:
        assert _values(fresh.state / f"{owner}.db") == [owner]
    for bucket in BUCKETS:
        assert _values(fresh.series / f"{bucket}.db") == [bucket]
    assert (fresh.ca / "ca.key").read_text() == "a key"
    assert fresh.time.read_bytes() == folder.time.read_bytes()


def test_visit_stores_cohorts_outboxes_device_keys_logs_and_tokens_are_never_copied(tmp_path: Path) -> None:
    folder = _district(tmp_path / "var")
    back_up(folder, tmp_path / "copy", now=NOW)
    copied = sorted(
        str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*") if path.is_file()
    )
    assert copied == sorted(
        [
            *(f"state/{owner}.db" for owner in ("ingest", "analyse", "backend")),
            *(f"series/{bucket}.db" for bucket in BUCKETS),
            "ca/ca.key",
            "ca/crl.pem",
            "time.json",
            MANIFEST,
        ]
    )
    everything = b"".join(path.read_bytes() for path in (tmp_path / "copy").rglob("*") if path.is_file())
    for secret in (b"counters", b"sealed", b"the device's own key", b"token"):
        assert secret not in everything


def test_a_cursor_is_copied_before_the_rows_it_points_into_and_a_projection_after_its_source(tmp_path: Path) -> None:
    manifest = back_up(_district(tmp_path / "var"), tmp_path / "copy", now=NOW)
    order = [entry.path for entry in manifest.files]
    assert order[:3] == ["state/backend.db", "state/analyse.db", "state/ingest.db"]
    assert all(name.startswith("series/") for name in order[3:9])


def test_a_commit_that_is_still_open_is_not_in_the_copy_and_one_in_the_wal_is(tmp_path: Path) -> None:
    folder = _district(tmp_path / "var")
    with closing(sqlite3.connect(folder.state / "ingest.db", isolation_level=None)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("INSERT INTO t VALUES ('committed')")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO t VALUES ('open')")
        back_up(folder, tmp_path / "copy", now=NOW)
        writer.execute("COMMIT")
    assert _values(tmp_path / "copy" / "state" / "ingest.db") == ["ingest", "committed"]


def test_restoring_keeps_what_was_there_lets_cabinets_enrol_again_and_never_turns_time_back(tmp_path: Path) -> None:
    folder = _district(tmp_path / "var")
    back_up(folder, tmp_path / "copy", now=NOW)
    _database(folder.state / "ingest.db", "later")
    folder.time.write_bytes(first_anchors(1, 9_000, 600).written_at(1))
    restore(folder, tmp_path / "copy")
    assert _values(folder.state / "ingest.db") == ["ingest"]
    assert _values(folder.root / "replaced-1" / "state" / "ingest.db") == ["ingest", "later"]
    assert read_anchors(folder.time.read_bytes()).last_simulated_ns == 9_000
    cabinet = folder.devices / "kiosk-1"
    assert not (cabinet / "device.pem").exists()
    assert _values(cabinet / "outbox.db") == ["rows"]


def test_a_running_district_is_not_restored_into(tmp_path: Path) -> None:
    folder = _district(tmp_path / "var")
    back_up(folder, tmp_path / "copy", now=NOW)
    take_lock(folder.lock)
    with pytest.raises(AlreadyRunningError):
        restore(folder, tmp_path / "copy")
    assert _values(folder.state / "ingest.db") == ["ingest"]


def test_a_damaged_or_incomplete_backup_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    folder = _district(tmp_path / "var")
    back_up(folder, tmp_path / "copy", now=NOW)
    (tmp_path / "copy" / "series" / "fleet.db").write_bytes(b"damaged")
    with pytest.raises(OptionError, match="damaged"):
        restore(StateFolder(tmp_path / "fresh"), tmp_path / "copy")
    (tmp_path / "copy" / "series" / "fleet.db").unlink()
    with pytest.raises(OptionError, match="cannot be read"):
        restore(StateFolder(tmp_path / "fresh"), tmp_path / "copy")
    (tmp_path / "copy" / MANIFEST).unlink()
    with pytest.raises(OptionError, match="no complete backup"):
        restore(StateFolder(tmp_path / "fresh"), tmp_path / "copy")
    assert not (tmp_path / "fresh").exists()


@pytest.mark.parametrize(
    "path",
    ["../../etc/passwd", "/etc/passwd", "ca/../../x", "ca/sub/x", "state/cohorts.db", "devices/kiosk-1/visits.db"],
)
def test_a_manifest_cannot_name_a_file_elsewhere(tmp_path: Path, path: str) -> None:
    back_up(_district(tmp_path / "var"), tmp_path / "copy", now=NOW)
    manifest = json.loads((tmp_path / "copy" / MANIFEST).read_text())
    manifest["files"].append({"path": path, "sha256": "0" * 64, "size_bytes": 0})
    (tmp_path / "copy" / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(OptionError, match="not made by kioskwatch"):
        restore(StateFolder(tmp_path / "fresh"), tmp_path / "copy")


def test_a_store_that_cannot_be_read_leaves_no_half_backup(tmp_path: Path) -> None:
    folder = _district(tmp_path / "var")
    (folder.series / "fleet.db").write_bytes(b"this is no database, and long enough to be looked at" * 50)
    with pytest.raises(OperatorError, match="could not be read"):
        back_up(folder, tmp_path / "copy", now=NOW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["var"]


def test_backing_up_nothing_or_over_something_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateFolderError, match="holds no district"):
        back_up(StateFolder(tmp_path / "none"), tmp_path / "copy", now=NOW)
    with pytest.raises(OptionError, match="exists already"):
        back_up(_district(tmp_path / "var"), tmp_path, now=NOW)


def test_the_command_says_one_sentence_and_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restore", str(tmp_path / "none"), "--state", str(tmp_path / "var")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["backup"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
