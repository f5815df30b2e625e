"""A store file that was restored or made anew under running readers: they see the new one, not the old one for ever."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts.query import SeriesQuery
from contracts.rows import DeviceReport
from stores.errors import StoreUnavailableError
from stores.series.lines import Point, encode
from stores.series.sqlite import SqliteSeries
from stores.state.database import open_for_reading, open_for_writing
from stores.state.journal import IngestBatch, IngestState
from stores.state.reports import load_reports


def _state(folder: Path, *devices: str) -> Path:
    with open_for_writing(f"sqlite:{folder}", "ingest") as database:
        reports = [
            DeviceReport(device=device, kind="seen", ob=1, boot=0, conn=0, enrolment=1, received_ns=1, body=b"")
            for device in devices
        ]
        IngestState(database).commit(IngestBatch(reports=reports))
    return folder / "ingest.db"


def test_a_reader_of_a_state_goes_on_with_the_file_that_took_its_place(tmp_path: Path) -> None:
    here = _state(tmp_path / "here", "kiosk-1")
    there = _state(tmp_path / "there", "kiosk-2", "kiosk-3")
    with open_for_reading(f"sqlite:{here.parent}", "ingest") as reader:
        assert [one.device for one in load_reports(reader)] == ["kiosk-1"]
        there.replace(here)
        assert [one.device for one in load_reports(reader)] == ["kiosk-2", "kiosk-3"]


def test_while_there_is_no_file_a_reader_says_so_and_reads_the_next_one(tmp_path: Path) -> None:
    here = _state(tmp_path / "here", "kiosk-1")
    with open_for_reading(f"sqlite:{here.parent}", "ingest") as reader:
        assert len(load_reports(reader)) == 1
        here.unlink()
        with pytest.raises(StoreUnavailableError):
            load_reports(reader)
        _state(here.parent)
        assert load_reports(reader) == []


def _series(folder: Path, value: float) -> SqliteSeries:
    store = SqliteSeries(folder, frozenset({"environment"}))
    store.write("environment", encode(Point("air", {"district": "here"}, {"co2_ppm": value}, 10**18)))
    return store


def test_a_reader_of_a_series_goes_on_with_the_file_that_took_its_place(tmp_path: Path) -> None:
    question = SeriesQuery(
        bucket="environment",
        measurement="air",
        field="co2_ppm",
        function=None,
        every_s=None,
        start=datetime(2001, 1, 1, tzinfo=UTC),
        stop=datetime(2002, 1, 1, tzinfo=UTC),
    )
    for folder, value in (("here", 1.0), ("there", 2.0)):
        _series(tmp_path / folder, value).close()
    reader = SqliteSeries(tmp_path / "here")
    assert [one.values for one in reader.query(question)] == [[1.0]]
    (tmp_path / "there" / "environment.db").replace(tmp_path / "here" / "environment.db")
    assert [one.values for one in reader.query(question)] == [[2.0]]
    reader.close()
