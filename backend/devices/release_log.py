"""What a kiosk released, for those who keep it running: window, layout, counters as released, received, late. Pure.

Nothing else is known of a window, here or anywhere: the counters began as noise, and may be negative.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from contracts.rows import AssayCounts, ReleaseRow
from contracts.windows import NS, to_datetime

SHOWN: Final = 28  # a week of windows of six hours


@dataclass(frozen=True, slots=True)
class LogLine:
    """One release."""

    start_ns: int
    window_s: int
    layout: int
    counters: str
    received_ns: int
    late: bool


def log_lines(releases: Sequence[ReleaseRow]) -> list[LogLine]:
    """Return releases as lines, in the order given."""
    return [
        LogLine(
            start_ns=row.window_start_ns,
            window_s=row.window_s,
            layout=row.layout,
            counters="; ".join(_counts(code, counts) for code, counts in row.counters.items()),
            received_ns=row.received_ns,
            late=row.late,
        )
        for row in releases
    ]


def as_text(line: LogLine, utc_offset_s: int) -> str:
    """Return a line for a terminal, in district time."""
    window, received = (
        to_datetime(ns + utc_offset_s * NS).strftime("%Y-%m-%d %H:%M") for ns in (line.start_ns, line.received_ns)
    )
    late = "  late" if line.late else ""
    hours = line.window_s // 3600
    return f"{window} +{hours}h  layout {line.layout}  {line.counters}  received {received}{late}"


def _counts(code: str, counts: AssayCounts) -> str:
    positives = ", ".join(f"{target} {number}" for target, number in counts.positives.items())
    return f"{code}: valid {counts.valid}, invalid {counts.invalid}, {positives}"
