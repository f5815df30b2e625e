"""Tables of a package as CSV, and its data dictionary: every column with its unit, meaning, noise and method. Pure."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from contracts.shared_releases import FILE as RELEASES
from contracts.shared_releases import LINK_COLUMNS, RELEASE_COLUMNS

ROLL_UPS: Final = "roll_ups.csv"
DICTIONARY: Final = "dictionary.csv"
_ROLL_UP: Final = "sum of kiosks' releases; parents are the sums of their children"
_LAPLACE: Final = "discrete Laplace, drawn on the kiosk before the first test: epsilon 1 over an assay's targets"
_LAPLACE_VALID: Final = "discrete Laplace, drawn on the kiosk before the first test: epsilon 0.25"
_EXACT: Final = "none"
_WILSON: Final = "Wilson's score interval, widened by the noise; 95 %"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    unit: str
    meaning: str
    noise: str = _EXACT
    method: str = ""


ROLL_UP_COLUMNS: Final = (
    Column("level", "", "whose sum and how long: zone or district, by window, day or week"),
    Column("zone", "", "the zone's id; empty for the district"),
    Column("target", "", "what was tested for"),
    Column("start", "ISO 8601", "beginning of the span, with the district's offset from UTC"),
    Column("end", "ISO 8601", "end of the span, itself not part of it"),
    Column("status", "", "shown; few: too few tests for the noise, numbers left empty; none: no kiosk released"),
    Column("positives", "tests", "positive tests as released; may be negative; empty is not zero", _LAPLACE, _ROLL_UP),
    Column("valid", "tests", "tests with a result, as released; empty is not zero", _LAPLACE_VALID, _ROLL_UP),
    Column("invalid", "tests", "tests without a result, as released; empty is not zero", _LAPLACE_VALID, _ROLL_UP),
    Column("noise_sd_positives", "tests", "standard deviation of the noise in positives", _EXACT, "variances add"),
    Column("noise_sd_valid", "tests", "standard deviation of the noise in valid", _EXACT, "variances add"),
    Column("positivity", "share", "positives / valid; empty below its own limit", "that of both counts", _ROLL_UP),
    Column("lower_95", "share", "lower limit of the true share", "contained in the limits", _WILSON),
    Column("upper_95", "share", "upper limit of the true share", "contained in the limits", _WILSON),
    Column("kiosks_reporting", "releases", "releases in the sum"),
    Column("kiosks_expected", "releases", "releases that there should be"),
    Column("late_releases", "releases", "releases in the sum that came late"),
)
_RELEASE: Final = {
    "number": Column("number", "", "place in the chain of releases as received; gaps mean nothing"),
    "device": Column("device", "", "the kiosk"),
    "zone": Column("zone", "", "where it stood"),
    "window_start_ns": Column("window_start_ns", "ns since 1970-01-01 UTC", "beginning of the window released"),
    "window_s": Column("window_s", "s", "length of the window"),
    "layout": Column("layout", "", "number of the assay layout"),
    "counters": Column("counters", "tests", "released counters as JSON", "as in roll_ups.csv, of one kiosk"),
    "ob": Column("ob", "", "random number of the kiosk's outbox"),
    "seq": Column("seq", "", "number of the record in that outbox"),
    "received_ns": Column("received_ns", "ns since 1970-01-01 UTC", "when the gateway committed it, district clock"),
    "late": Column("late", "", "1: came later than its window allows"),
    "hash": Column("hash", "hexadecimal", "SHA-256 over the hash before it and the release", _EXACT, "hash chain"),
}


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Return a table; None is an empty cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue().encode()


def dictionary(described: Iterable[tuple[str, Sequence[Column]]]) -> bytes:
    """Return the data dictionary of the files described."""
    rows = [
        (file, column.name, column.unit, column.meaning, column.noise, column.method)
        for file, columns in described
        for column in columns
    ]
    return csv_bytes(("file", "column", "unit", "meaning", "noise", "method"), rows)


def release_columns(*, whole: bool) -> tuple[str, tuple[Column, ...]]:
    """Return the dictionary's rows for releases.csv."""
    return RELEASES, tuple(_RELEASE[name] for name in (RELEASE_COLUMNS if whole else LINK_COLUMNS))
