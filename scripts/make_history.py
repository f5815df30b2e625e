"""Make the shipped public history from the raw file: what `kioskwatch history import` reads.

    python scripts/make_history.py [OUT.csv]

A week starts six days before the day it ends on (Sunday, where the source's weeks end on Saturday); a zone is `z` and
its ZIP area; the target of the source's molecular tests is `sars-cov-2`. Rows whose counts the source did not report
are left out. Nothing is scaled: this is the city's own history, not the kiosks'.
"""

import csv
import io
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

ROOT = Path(__file__).parents[1]
RAW = ROOT / "firmware_sim" / "scenarios" / "data" / "un_district_weekly_tests.csv"
OUT = ROOT / "kioskwatch" / "demo" / "history.csv"
HEADER = ("zone", "week_start", "target", "tests", "positives")
TARGET = "sars-cov-2"


def rows(raw: str) -> Iterator[tuple[str, str, str, int, int]]:
    """The history's rows, ordered by week and zone."""
    found = [
        (date.fromisoformat(row["week_ending"]) - timedelta(days=6), f"z{row['area']}", row["tests"], row["positives"])
        for row in csv.DictReader(io.StringIO(raw))
    ]
    for week_start, zone, tests, positives in sorted(found):
        if tests and positives:
            yield zone, week_start.isoformat(), TARGET, int(tests), int(positives)


def history(raw: str) -> str:
    """The whole file."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(rows(raw))
    return out.getvalue()


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else OUT).write_text(
        history(RAW.read_text(encoding="utf-8")), encoding="utf-8"
    )
