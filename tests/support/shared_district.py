"""A district whose processes have run for eight days, for tests of what is shared from it.

Ingest's and analyse's states are written as those processes write them; the commands run as an operator runs them.
"""

import contextlib
import csv
import io
import json
import time
from dataclasses import dataclass
from pathlib import Path

from backend.bootstrap import apply_district_file, open_core
from backend.settings import read_settings
from backend.share_main import main as share
from contracts.clock import first_anchors
from contracts.windows import DAY_S, NS
from stores.series.lines import Point, encode
from stores.series.port import TimeSeriesStore
from stores.series.sqlite import SqliteSeries
from tests.integration.analyse_district import START_NS, ZONES, Analysis, CommittedDistrict, SetClock
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
    measure(series)
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


def measure(series: TimeSeriesStore) -> None:
    """Two days of an open room, and of a hotel room in its own bucket and, by mistake, in the open one."""
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


def sqlite_district(folder: Path) -> District:
    """One machine's, with the package CITY already given."""
    series = SqliteSeries(folder / "series", frozenset({"environment", "restricted", "released"}))
    made = prepared(folder, series, f'series = "sqlite:{folder / "series"}"\n')
    series.close()
    assert made.export("city", "2021-12-12", "2021-12-19") == 0
    return made
