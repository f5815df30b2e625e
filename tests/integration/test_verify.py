"""`gateway verify`: everything published follows from the releases, and whatever does not is named."""

import re
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from contracts.clock import first_anchors
from gateway.__main__ import main
from stores.series.lines import Point, encode
from stores.series.sqlite import SqliteSeries
from stores.state.database import open_for_writing
from tests.integration.analyse_district import (
    KIOSKS,
    START_NS,
    TARGET,
    WINDOW_NS,
    Analysis,
    CommittedDistrict,
    SetClock,
    place,
)
from tests.support.seeds import SEED

DISTRICT_DAY = {"district": "turtle-bay", "level": "district_day", "target": TARGET}


@dataclass(frozen=True)
class Site:
    settings: Path
    series: Path
    state: Path

    def publish(self, point: Point) -> None:
        """As if somebody had written to the bucket who is not analyse."""
        with_lock = SqliteSeries(self.series, frozenset({"released"}))
        with_lock.write("released", encode(point))
        with_lock.close()

    def verify(self) -> int:
        return main(["verify", "--settings", str(self.settings)])


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Nine windows, rolled up by analyse as they came: one release late, one missing for good."""
    clock, district = SetClock(), CommittedDistrict(tmp_path, SEED)
    series = SqliteSeries(tmp_path / "series", frozenset({"released"}))
    analysis = Analysis(district.state, series, clock, public=False)
    late = []
    for window in range(9):
        here = district.drawn(window, tests=12, share=0.05)
        if window == 3:
            late = [here.pop()]
        district.commit([row for row in here if window != 5 or row.device != next(iter(KIOSKS))])
        analysis.at_end_of(window)
    analysis.at_end_of(8, later_ns=WINDOW_NS // 2)
    district.commit(late)
    analysis.analyst.step()
    analysis.close()
    series.close()
    district.close()
    time_file = tmp_path / "time.json"
    now_ns = time.monotonic_ns()
    time_file.write_bytes(first_anchors(now_ns, clock.at_ns, 1).written_at(now_ns))
    settings = tmp_path / "gateway.toml"
    settings.write_text(
        f'state = "{district.state}"\nseries = "sqlite:{tmp_path / "series"}"\ntime_file = "{time_file}"\n'
        'deployment_key = "none"\n[broker]\nhost = "localhost"\nport = 1\n'
    )
    return Site(settings, tmp_path / "series", tmp_path / "state")


def test_what_analyse_published_is_computed_again_byte_for_byte_late_and_missing_releases_included(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert site.verify() == 0
    said = capsys.readouterr().out
    assert re.search(r"chain head [0-9a-f]{64}", said)
    lines = re.search(r"published lines: (\d+) follow", said)
    assert lines is not None
    assert int(lines[1]) == 7 * (9 + 3 + 1)  # six zones and the district: windows, days, one week


@pytest.mark.rule("C31")
def test_a_kiosk_that_is_moved_afterwards_changes_nothing_that_was_published(site: Site) -> None:
    """Also for the window that it never released: it is missed where it stood."""
    moved = dict(KIOSKS) | {next(iter(KIOSKS)): KIOSKS[next(reversed(KIOSKS))]}
    with open_for_writing(f"sqlite:{site.state}", "backend") as backend:
        place(backend, moved, now_ns=START_NS + 9 * WINDOW_NS)
    assert site.verify() == 0


def test_a_changed_number_and_an_invented_line_are_named_without_their_numbers(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.publish(Point("testing", DISTRICT_DAY, {"positives": 31_337}, START_NS))
    site.publish(Point("testing", DISTRICT_DAY | {"level": "district_window"}, {"valid": 424_242}, START_NS + 1))
    assert site.verify() == 1
    said = capsys.readouterr().out
    assert "different: district=turtle-bay,level=district_day,target=sars-cov-2" in said
    assert "not from any release: district=turtle-bay,level=district_window,target=sars-cov-2" in said
    assert "31337" not in said
    assert "424242" not in said


def test_a_release_that_was_changed_after_it_was_received_breaks_the_chain(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite3.connect(site.state / "ingest.db") as database:
        database.execute("UPDATE releases SET counters = replace(counters, '\"valid\": ', '\"valid\": 1') WHERE id = 4")
    database.close()
    assert site.verify() == 1
    assert "chain of releases is broken at number 4" in capsys.readouterr().out
