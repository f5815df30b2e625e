"""SQLite files of series and state when things go wrong: a killed writer, a full disk, a damaged file, an update."""

import signal
import sqlite3
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.query import SeriesQuery
from stores.errors import SchemaTooNewError, StoreError, StoreFullError, StoreUnavailableError, WriterLockedError
from stores.series.open import open_series, read_tokens
from stores.series.sqlite import SqliteSeries
from stores.state.analyse import AnalyseState
from stores.state.database import open_for_writing
from stores.state.migrations.runner import keep_copy
from tests.support.seeds import SEED

# Writes point after point, and says of each that it is durable before the next.
_WRITER = """
import sys
from pathlib import Path
from stores.series.sqlite import SqliteSeries
store = SqliteSeries(Path(sys.argv[1]), frozenset({"fleet"}))
number = int(sys.argv[2])
while True:
    store.write("fleet", b"health n=%di %d" % (number, number))
    print(number, flush=True)
    number += 1
"""


def points(folder: Path) -> list[object]:
    store = SqliteSeries(folder)
    start = datetime(1970, 1, 1, tzinfo=UTC)
    answer = store.query(
        SeriesQuery(
            bucket="fleet",
            measurement="health",
            field="n",
            function=None,
            every_s=None,
            start=start,
            stop=start + timedelta(days=1),
            limit=100_000,
        )
    )
    store.close()
    return list(answer[0].values) if answer else []


@pytest.mark.rule("C16")
def test_what_a_killed_writer_called_durable_is_there_and_the_next_one_goes_on(tmp_path: Path) -> None:
    said = 0
    for kill in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(_WRITER), str(tmp_path), str(said + 1)], stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        for _ in range(1 + (SEED + 37 * kill) % 60):
            said = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
        writer.wait()
        writer.stdout.close()
        said = int(rest[-1]) if rest else said
        stored = points(tmp_path)
        assert stored[:said] == list(range(1, said + 1))
        assert len(stored) - said in (0, 1)  # one may be committed and not yet said
        said = len(stored)


def test_a_second_writer_of_a_bucket_is_refused_by_a_sentence(tmp_path: Path) -> None:
    first = SqliteSeries(tmp_path, frozenset({"fleet"}))
    with pytest.raises(WriterLockedError, match="stop it first"):
        SqliteSeries(tmp_path, frozenset({"environment", "fleet"}))
    other = SqliteSeries(tmp_path, frozenset({"environment"}))  # the refused one left no lock behind
    for store in (first, other):
        store.close()


def test_a_full_disk_stores_nothing_and_the_next_write_goes_on(tmp_path: Path) -> None:
    store = SqliteSeries(tmp_path, frozenset({"fleet"}))
    store.write("fleet", b"health n=1i 1")
    writer = store._writers["fleet"]._connection
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages + 1}")  # SQLite's own way to run out of room
    many = b"\n".join(b'health word="%b",n=2i %d' % (b"x" * 3000, n) for n in range(100, 200))
    with pytest.raises(StoreFullError):
        store.write("fleet", many)
    assert points(tmp_path) == [1]
    writer.execute("PRAGMA max_page_count = 1073741823")
    store.write("fleet", b"health n=3i 3")
    assert points(tmp_path) == [1, 3]
    store.close()


def test_a_file_that_is_no_database_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "fleet.db").write_bytes(b"not a database, not a database, not a database" * 40)
    with pytest.raises(StoreError, match="restore it from a backup"):
        SqliteSeries(tmp_path, frozenset({"fleet"}))


def test_a_newer_series_file_is_refused(tmp_path: Path) -> None:
    SqliteSeries(tmp_path, frozenset({"fleet"})).close()
    with sqlite3.connect(tmp_path / "fleet.db") as file:
        file.execute("PRAGMA user_version = 99")
    file.close()
    with pytest.raises(SchemaTooNewError):
        SqliteSeries(tmp_path, frozenset({"fleet"}))


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailableError, match="cannot make the folder"):
        open_for_writing(f"sqlite:{tmp_path / 'file' / 'below'}", "ingest")


def test_the_copy_before_an_update_holds_what_the_wal_held(tmp_path: Path) -> None:
    spec = f"sqlite:{tmp_path}"
    with open_for_writing(spec, "analyse") as database:
        AnalyseState(database).commit([], {"releases": 7})  # in the WAL: no checkpoint yet
        keep_copy(tmp_path / "analyse.db", "analyse_0001")
    with sqlite3.connect(tmp_path / "analyse.db.before-analyse_0001") as copy:
        assert copy.execute("SELECT name, value FROM cursors").fetchall() == [("releases", 7)]
    copy.close()


def test_a_token_folder_is_read_bucket_by_bucket(tmp_path: Path) -> None:
    (tmp_path / "fleet").write_text("secret\n")
    assert read_tokens(tmp_path, frozenset({"fleet"})) == {"fleet": "secret"}
    with pytest.raises(StoreError, match="holds the token that writes bucket alerts"):
        read_tokens(tmp_path, frozenset({"alerts"}))


@pytest.mark.parametrize("spec", ["", "sqlite:", "influx:", "influx:ftp://x", "influx:http://localhost:1", "duckdb:x"])
def test_a_setting_that_names_no_series_store_is_refused(spec: str) -> None:
    with pytest.raises(StoreError):
        open_series(spec)
