"""`kioskwatch backtest` from end to end, with few seeds: what it writes, and that jobs change no bit."""

import csv
from pathlib import Path

import pytest

from gateway.backtest.worlds import OUTBREAKS, WORLDS
from kioskwatch.cli import main

SEEDS = 3


def files(folder: Path) -> dict[str, bytes]:
    """By path; the page without the line that says how many jobs there were."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.timeout(300)
def test_the_command_writes_the_same_evidence_with_one_process_and_with_two(tmp_path: Path) -> None:
    for jobs in ("1", "2"):
        out = tmp_path / jobs
        assert main(["backtest", "--seeds", str(SEEDS), "--jobs", jobs, "--out", str(out)]) == 0
    alone, together = files(tmp_path / "1"), files(tmp_path / "2")
    page = "EVIDENCE.md"
    assert together[page] == alone[page].replace(b"--jobs 1", b"--jobs 2")
    assert {name: text for name, text in alone.items() if name != page} == {
        name: text for name, text in together.items() if name != page
    }
    assert set(alone) == {
        page,
        *(f"evidence/{name}.csv" for name in ("false_alarms", "delays", "real")),
        *(f"evidence/{name}.svg" for name in ("false_alarms", "found_20", "found_60", "found_200", "city")),
    }
    with (tmp_path / "1/evidence/delays.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    ours = [row for row in rows if row["method"] == "ours"]
    assert len(ours) == len(WORLDS) * len(OUTBREAKS) * 2 * 2  # with noise and without, textbook and calibrated
    assert {row["seeds"] for row in rows} == {str(SEEDS)}
    assert {row["method"] for row in rows} >= {"c1", "c2-floor", "essence", "positivity", "farrington"}
