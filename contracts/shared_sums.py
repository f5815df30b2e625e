"""Whether the sums of `roll_ups.csv` follow from the releases that a package holds whole. No I/O.

Written apart from the roll-up itself: a receiver's check that shares its code would share its mistakes.
"""

import csv
import io
from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from contracts.errors import ClockError, SharingError
from contracts.rows import ReleaseRow
from contracts.windows import to_ns

FILE: Final = "roll_ups.csv"
COUNTS: Final = ("positives", "valid", "invalid")
_NEEDED: Final = frozenset({"zone", "target", "start", "end", "status", *COUNTS})


def check_sums(table: bytes, releases: Sequence[ReleaseRow]) -> int:
    """Return how many spans' numbers were added up again; SharingError names the first that is another sum.

    A span whose numbers may not be shown has none to compare.
    """
    checked = 0
    windows = sorted(releases, key=_window)
    for row in _rows(table):
        if row["status"] != "shown":
            continue
        said = [row[name] for name in COUNTS]
        if said != [str(number) for number in _sums(row, windows)]:
            where = row["zone"] or "the district"
            raise SharingError(f"{FILE}: the numbers of {where} from {row['start']} are not the sums of the releases")
        checked += 1
    return checked


def _sums(row: dict[str, str], windows: Sequence[ReleaseRow]) -> tuple[int, int, int]:
    start_ns, end_ns, target = _instant(row["start"]), _instant(row["end"]), row["target"]
    first, stop = (bisect_left(windows, ns, key=_window) for ns in (start_ns, end_ns))
    counts = [
        counts
        for release in windows[first:stop]
        if row["zone"] in ("", release.zone)
        for counts in release.counters.values()
        if target in counts.positives
    ]
    return (
        sum(one.positives[target] for one in counts),
        sum(one.valid for one in counts),
        sum(one.invalid for one in counts),
    )


def _window(release: ReleaseRow) -> int:
    return release.window_start_ns


def _rows(table: bytes) -> list[dict[str, str]]:
    try:
        reader = csv.DictReader(io.StringIO(table.decode()), strict=True)
        rows = [dict(row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as exc:
        raise SharingError(f"{FILE} is no table") from exc
    if not set(reader.fieldnames or ()) >= _NEEDED or any(None in row or None in row.values() for row in rows):
        raise SharingError(f"{FILE} has other columns than this program knows: update kioskwatch")
    return rows


def _instant(text: str) -> int:
    try:
        return to_ns(datetime.fromisoformat(text))
    except (ValueError, ClockError) as exc:
        raise SharingError(f"{FILE} has a time that is none") from exc
