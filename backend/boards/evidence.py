"""The numbers behind the district's and the zones' pages: read once a second for everybody who looks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from backend.boards.reader import AIR, Points, Reader, Span, latest, number
from contracts.windows import DAY_S, NS, WEEK_S

DAYS: Final = 42  # of released days on the cards
HISTORY_WEEKS: Final = 26
FRESH_AIR_S: Final = 2 * 3600  # an older CO2 reading is not "now"
DISTRICT: Final = ""  # the district itself among zones: its points have no tag zone

DAY_FIELDS: Final = (
    "positivity",
    "lower",
    "upper",
    "valid",
    "noise_sd_valid",
    "kiosks_reporting",
    "kiosks_expected",
    "status",
)
WEEK_FIELDS: Final = ("positivity", "lower", "upper")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Field -> zone ("" = the district) -> points."""

    now_ns: int
    span: Span
    days: Mapping[str, Mapping[str, Points]]
    weeks: Mapping[str, Mapping[str, Points]]
    history: Mapping[str, Points]
    co2: Mapping[str, tuple[int, float]]  # device -> newest reading


@dataclass(frozen=True, slots=True)
class Share:
    """A day's or week's positive share with its range."""

    start_ns: int
    value: float
    lower: float
    upper: float


def gather(reader: Reader, target: str, now_ns: int) -> Evidence:
    """Ask for all of it."""
    span = Span(now_ns - HISTORY_WEEKS * WEEK_S * NS, now_ns + 1)
    recent = Span(now_ns - DAYS * DAY_S * NS, now_ns + 1)
    return Evidence(
        now_ns=now_ns,
        span=span,
        days={field: _levels(reader, field, "day", target, recent) for field in DAY_FIELDS},
        weeks={field: _levels(reader, field, "week", target, recent) for field in WEEK_FIELDS},
        history=reader.history("positivity", target, span),
        co2=_co2(reader, now_ns),
    )


def _levels(reader: Reader, field: str, length: str, target: str, span: Span) -> Mapping[str, Points]:
    zones = reader.released(field, f"zone_{length}", target, span)
    return {**zones, **reader.released(field, f"district_{length}", target, span)}


def _co2(reader: Reader, now_ns: int) -> Mapping[str, tuple[int, float]]:
    span = Span(now_ns - FRESH_AIR_S * NS, now_ns + 1)
    found = reader.ask(AIR, "co2_ppm", span, group_by=("device",))
    newest: dict[str, tuple[int, float]] = {}
    for series in found:
        value = number(series.values[-1])
        if value is not None:
            newest[series.tags["device"]] = (series.times_ns[-1], value)
    return newest


def newest_share(fields: Mapping[str, Mapping[str, Points]], zone: str, before_ns: int | None = None) -> Share | None:
    """Return the newest share that may be shown, or the newest that starts before an instant."""
    table = fields["positivity"].get(zone, {})
    times = [time for time in table if before_ns is None or time < before_ns]
    if not times:
        return None
    start = max(times)
    value, lower, upper = (number(fields[field].get(zone, {}).get(start)) for field in WEEK_FIELDS)
    if value is None or lower is None or upper is None:
        return None
    return Share(start, *(min(1.0, max(0.0, part)) for part in (value, lower, upper)))


def reporting(evidence: Evidence, zone: str) -> tuple[int, int] | None:
    """Return how many kiosks reported of how many, on the newest day; None when no day is there."""
    seen, expected = (latest(evidence.days[name].get(zone)) for name in ("kiosks_reporting", "kiosks_expected"))
    if seen is None or expected is None:
        return None
    return int(number(seen[1]) or 0), int(number(expected[1]) or 0)


def trend(evidence: Evidence, zone: str) -> tuple[str, Share, Share] | None:
    """Compare the two newest weeks: "up" and "down" only when their ranges do not touch, else "same"."""
    newest = newest_share(evidence.weeks, zone)
    before = newest_share(evidence.weeks, zone, newest.start_ns) if newest is not None else None
    if newest is None or before is None:
        return None
    if newest.lower > before.upper:
        return "up", newest, before
    return ("down" if newest.upper < before.lower else "same"), newest, before
