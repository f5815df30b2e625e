"""The detectors over all streams: which baseline, which share of the alarm budget, what is new to tell. Pure.

A stream is a zone or the district, and one target. Its path is computed again from its released windows each time;
the only thing that lasts are the signals that people were told, and those the caller keeps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from contracts.signals import Severity, Signal
from contracts.windows import DAY_S, Calendar
from gateway.analyse.detect import (
    RULE,
    Baseline,
    Judged,
    Learnt,
    ReleasedWindow,
    Written,
    baseline_from_history,
    facts,
    follow,
    learnt,
    learnt_baseline,
    news,
)
from gateway.analyse.rollup import RollUp
from gateway.analyse.service.spans import tags
from gateway.surveillance.budget import ThresholdTable, stream_run_length
from stores.series.lines import Point

MEASUREMENT: Final = "detector"
_SEVERITY: Final[Mapping[bool, Severity]] = {True: "critical", False: "warning"}  # of the district, of a zone


@dataclass(frozen=True, slots=True)
class Stream:
    """A zone (None = the district) and a target."""

    zone: str | None
    target: str

    @property
    def level(self) -> str:
        """The level of the windows that it judges."""
        return "district_window" if self.zone is None else "zone_window"


@dataclass(frozen=True, slots=True)
class PublicCounts:
    """Public positives and tests of a zone, summed over the weeks before the kiosks."""

    positives: float
    tests: float


@dataclass(frozen=True, slots=True)
class Setting:
    """What all streams share."""

    district: str
    calendar: Calendar
    table: ThresholdTable
    streams: int  # among which the alarm budget is divided
    targets: int

    @property
    def run_length(self) -> float:
        """Windows between false alarms of one stream."""
        return stream_run_length(self.streams, DAY_S / self.calendar.window_s)

    def rule(self, stream: Stream) -> str:
        """The signal's rule; its key has no target, so where there are several the rule names it."""
        return RULE if self.targets == 1 else f"{RULE}-{stream.target}"


@dataclass(frozen=True, slots=True)
class Followed:
    """A stream's path and what it rests on."""

    stream: Stream
    baseline: Baseline
    path: Sequence[Judged]


def released_window(start_ns: int, rolled: RollUp) -> ReleasedWindow:
    """A window's roll-up as the detector takes it."""
    return ReleasedWindow(
        start_ns=start_ns,
        positives=rolled.positives,
        valid=rolled.valid,
        noise_sd=rolled.noise_sd,
        noise_sd_valid=rolled.noise_sd_valid,
        positivity=rolled.positivity,
        lower=rolled.lower,
        upper=rolled.upper,
        kiosks_reporting=rolled.kiosks_reporting,
        kiosks_expected=rolled.kiosks_expected,
    )


def baseline(
    stream: Stream,
    windows: Sequence[ReleasedWindow],
    public: Mapping[tuple[str, str], PublicCounts] | None,
    calendar: Calendar,
    peers: Sequence[Learnt] = (),
) -> Baseline | None:
    """From public counts by (zone, target) where they may be used and there are any, else learnt; None = not yet."""
    counts = [
        one for (zone, target), one in (public or {}).items() if target == stream.target and stream.zone in (None, zone)
    ]
    first_ns = windows[0].start_ns
    given = baseline_from_history(
        sum(one.positives for one in counts), sum(one.tests for one in counts), from_ns=first_ns
    )
    own = None if given else learnt(windows, calendar)
    return given if own is None else learnt_baseline(own, peers)


def learning(
    windows: Mapping[Stream, Sequence[ReleasedWindow]],
    public: Mapping[tuple[str, str], PublicCounts] | None,
    calendar: Calendar,
) -> dict[Stream, Learnt]:
    """What each zone that needs to has learnt so far."""
    zones = {one: rows for one, rows in windows.items() if one.zone and (one.zone, one.target) not in (public or {})}
    return {one: found for one, rows in zones.items() if (found := learnt(rows, calendar))}


def peers_of(stream: Stream, learned: Mapping[Stream, Learnt]) -> list[Learnt]:
    """What the other zones learnt of a zone's target; the district learns alone."""
    if stream.zone is None:
        return []
    return [found for one, found in learned.items() if one.zone != stream.zone and one.target == stream.target]


def followed(
    stream: Stream,
    windows: Sequence[ReleasedWindow],
    public: Mapping[tuple[str, str], PublicCounts] | None,
    setting: Setting,
    peers: Sequence[Learnt] = (),
) -> Followed | None:
    """A stream's path; None while it has no baseline."""
    start = baseline(stream, windows, public, setting.calendar, peers) if windows else None
    if start is None:
        return None
    path = follow(windows, start, table=setting.table, run_length=setting.run_length, calendar=setting.calendar)
    return Followed(stream, start, path)


def points(one: Followed, setting: Setting) -> list[Point]:
    """The lines of a path."""
    named = tags(setting.district, one.stream.zone, one.stream.target, one.stream.level) | {"rule": RULE}
    return [
        Point(
            MEASUREMENT,
            named,
            {"s": judged.s, "threshold": judged.threshold, "p0": one.baseline.p0},
            judged.window.start_ns,
        )
        for judged in one.path
    ]


def signals(one: Followed, setting: Setting, told: Sequence[Signal], *, now_ns: int) -> list[Signal]:
    """What people have not been told yet, given what they have of this rule and subject, in order."""
    written = [Written(signal.phase, signal.onset_ns, _window_of(signal)) for signal in told]
    return [
        Signal(
            rule=setting.rule(one.stream),
            subject=one.stream.zone or setting.district,
            zone=one.stream.zone,
            target=one.stream.target,
            severity=_SEVERITY[one.stream.zone is None],
            phase=turn.phase,
            onset_ns=turn.onset_ns,
            found_ns=now_ns,
            facts=facts(turn, one.baseline, level=one.stream.level, calendar=setting.calendar),
        )
        for turn in news(one.path, written)
    ]


def _window_of(signal: Signal) -> int:
    return int(signal.facts.get("window_start_ns", signal.onset_ns))
