"""Ingest lost its state while analyse runs: analyse ends to begin anew, and passes over none of the new releases."""

import shutil
from pathlib import Path

import pytest

from gateway.errors import ReplacedError
from stores.series.sqlite import SqliteSeries
from tests.integration.analyse_district import Analysis, CommittedDistrict, SetClock, released_numbers
from tests.support.seeds import SEED


def test_analyse_begins_anew_when_ingest_lost_its_releases(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    old = CommittedDistrict(tmp_path / "old", SEED)
    series = SqliteSeries(tmp_path / "series", frozenset({"released", "history"}))
    analysis = Analysis(old.state, series, SetClock())
    old.commit(old.drawn(0, tests=50, share=0.1))
    analysis.at_end_of(0)
    (tmp_path / "new").mkdir()
    new = CommittedDistrict(tmp_path / "new", SEED + 1)
    new.commit([*new.drawn(1, tests=50, share=0.1), *new.drawn(2, tests=50, share=0.1)])  # more rows than were lost
    old.ingest.close()
    new.close()
    for file in (tmp_path / "old" / "state").glob("ingest.db*"):
        file.unlink()
    shutil.copy(tmp_path / "new" / "state" / "ingest.db", tmp_path / "old" / "state" / "ingest.db")
    with pytest.raises(ReplacedError):
        analysis.at_end_of(2)
    analysis.close()
    again = Analysis(old.state, series, SetClock())
    again.at_end_of(2)
    found = released_numbers(series)
    assert len({start for level, _, start in found if level == "district_window"}) == 3
    again.close()
    series.close()
    old.backend.close()
