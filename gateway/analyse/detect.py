"""The first detector: beta-binomial LR-CUSUM on a stream's released windows. Released rows in, signals out. Pure.

A stream is a zone or the district, and one target. Nothing is kept between calls: the whole path is computed again
from released rows, so a release that comes late is judged as if it had come in time.
1. Baseline p0: the last weeks of public history (demonstration), else the stream's own first released days, a zone's
   drawn towards the other zones'.
2. `released.prepare` describes what noisy, clipped windows look like while the share is p0.
3. `cusum.betabinomial_lr` against the threshold that the district's false-alarm budget gives this stream for its
   volume, set anew when that has shifted by a quarter.
4. The first alarm raises a signal; days without an alarm clear it.
Not done here: choosing which windows are complete, reading and writing (service).
"""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Final

import numpy as np

from contracts.signals import Phase
from contracts.windows import DAY_S, NS, Calendar
from gateway.surveillance.budget import ODDS_RATIO, ThresholdTable, volume_in_use
from gateway.surveillance.cusum import betabinomial_lr
from gateway.surveillance.released import pooled_shares, possible_share, prepare

RULE: Final = "cusum"
LEARNING_DAYS: Final = 28  # released days, where there is no history to take p0 from
CLEAR_DAYS: Final = 3  # without an alarm; CUSUM starts from 0 after each, so a lasting rise alarms again and again
_CLEAR_NS: Final = CLEAR_DAYS * DAY_S * NS
VOLUME_DAYS: Final = 28  # the mean number of tests that the threshold is for is taken over so long


@dataclass(frozen=True, slots=True)
class ReleasedWindow:
    """A stream's released numbers of one window; positivity and its limits are NaN where they are not shown."""

    start_ns: int
    positives: int
    valid: int
    noise_sd: float
    noise_sd_valid: float
    positivity: float
    lower: float
    upper: float
    kiosks_reporting: int
    kiosks_expected: int


@dataclass(frozen=True, slots=True)
class Baseline:
    """The share in control, and from which window on it may be used."""

    p0: float
    from_ns: int


@dataclass(frozen=True, slots=True)
class Learnt:
    """A stream's released sums of its learning days, and from which window on they serve."""

    positives: int
    tests: int
    noise_variance: float  # of positives
    from_ns: int


@dataclass(frozen=True, slots=True)
class Judged:
    """One window as the detector saw it."""

    window: ReleasedWindow
    s: float
    threshold: float
    alarm: bool
    cases_needed: int


@dataclass(frozen=True, slots=True)
class Turn:
    """A signal is raised at its onset, or cleared; `onset_ns` is the same for both."""

    phase: Phase
    onset_ns: int
    at: Judged


@dataclass(frozen=True, slots=True)
class Written:
    """A turn that is already a signal; `at_ns` is the window at which it was found."""

    phase: Phase
    onset_ns: int
    at_ns: int


def baseline_from_history(positives: float, tests: float, *, from_ns: int) -> Baseline | None:
    """The share of public weekly counts; None where there are none."""
    if tests <= 0:
        return None
    return Baseline(float(possible_share(positives / tests)), from_ns)


def learnt(windows: Sequence[ReleasedWindow], calendar: Calendar) -> Learnt | None:
    """Sum the first LEARNING_DAYS days with a release; None until they are over, or without a test in them."""
    released = [window for window in windows if window.kiosks_reporting > 0]
    days = sorted({calendar.day_start_ns(window.start_ns) for window in released})
    if len(days) <= LEARNING_DAYS:
        return None
    first = [window for window in released if window.start_ns < days[LEARNING_DAYS]]
    tests = sum(window.valid for window in first)
    if tests <= 0:
        return None
    positives, variance = sum(window.positives for window in first), sum(window.noise_sd**2 for window in first)
    return Learnt(positives, tests, variance, days[LEARNING_DAYS])


def learnt_baseline(own: Learnt, peers: Sequence[Learnt] = ()) -> Baseline:
    """A stream's baseline from its own first days, a part of its error up; a zone's drawn towards its peers'.

    Only peers that had learnt by then count: a zone that joins later moves nobody's past.
    """
    before = sorted((one for one in peers if one is not own and one.from_ns <= own.from_ns), key=astuple)
    sums = [(one.positives, one.tests, one.noise_variance) for one in (own, *before)]
    positives, tests, variance = zip(*sums, strict=True)
    return Baseline(float(pooled_shares(positives, tests, noise_variance=variance)[0]), own.from_ns)


def follow(
    windows: Sequence[ReleasedWindow],
    baseline: Baseline,
    *,
    table: ThresholdTable,
    run_length: float,
    calendar: Calendar,
) -> list[Judged]:
    """Judge a stream's windows (ascending) from the baseline on; `run_length` is its share of the alarm budget."""
    judged = [window for window in windows if window.start_ns >= baseline.from_ns]
    if not judged:
        return []
    noise_sd = np.array([window.noise_sd for window in judged])
    ready = prepare(
        [window.positives for window in judged],
        [window.valid for window in judged],
        p0=baseline.p0,
        noise_sd=noise_sd,
        noise_sd_valid=[window.noise_sd_valid for window in judged],
    )
    volume = volume_in_use(ready.tests, VOLUME_DAYS * DAY_S // calendar.window_s)
    threshold = table.threshold(p0=baseline.p0, tests=volume, noise_sd=noise_sd, run_length=run_length)
    path = betabinomial_lr(
        ready.positives,
        ready.tests,
        p0=ready.p0,
        odds_ratio=ODDS_RATIO,
        dispersion=ready.dispersion,
        threshold=np.maximum(threshold, 0.0),
    )
    columns = zip(
        judged, path.s.tolist(), threshold.tolist(), path.alarm.tolist(), path.cases_needed.tolist(), strict=True
    )
    return [Judged(*row) for row in columns]


def turns(path: Sequence[Judged]) -> list[Turn]:
    """When the stream's signal was raised and cleared, in order."""
    found: list[Turn] = []
    onset_ns, last_alarm_ns = None, 0
    for at in path:
        if at.alarm:
            last_alarm_ns = at.window.start_ns
            if onset_ns is None:
                onset_ns = last_alarm_ns
                found.append(Turn("raised", onset_ns, at))
        elif onset_ns is not None and at.window.start_ns - last_alarm_ns >= _CLEAR_NS:
            found.append(Turn("cleared", onset_ns, at))
            onset_ns = None
    return found


def news(path: Sequence[Judged], written: Sequence[Written]) -> list[Turn]:
    """The turns that people have not been told yet; `written` are those that they have, in order.

    What is written stands: a late release that moves an onset raises nothing twice, phases alternate, and an alarm
    that a late release took back is cleared when it would have been.
    """
    last = written[-1] if written else Written("cleared", -1, -1)
    computed = turns(path)
    fresh: list[Turn] = []
    for turn in computed:
        if turn.at.window.start_ns > last.at_ns and turn.phase != last.phase:
            onset_ns = turn.onset_ns if turn.phase == "raised" else last.onset_ns
            fresh.append(Turn(turn.phase, onset_ns, turn.at))
            last = Written(turn.phase, onset_ns, turn.at.window.start_ns)
    taken_back = last.phase == "raised" and not (computed and computed[-1].phase == "raised")
    if taken_back and path and path[-1].window.start_ns - last.onset_ns >= _CLEAR_NS:
        fresh.append(Turn("cleared", last.onset_ns, path[-1]))
    return fresh


def facts(turn: Turn, baseline: Baseline, *, level: str, calendar: Calendar) -> dict[str, float | int | str]:
    """What an alert's page says about it: the numbers that it rests on, and only released ones."""
    at, window = turn.at, turn.at.window
    known: dict[str, float | int | str] = {
        "s": round(at.s, 3),
        "threshold": round(at.threshold, 3),
        "p0": round(baseline.p0, 5),
        "odds_ratio": ODDS_RATIO,
        "cases_needed": at.cases_needed,
        "positives": window.positives,
        "valid": window.valid,
        "noise_sd": round(window.noise_sd, 2),
        "kiosks_reporting": window.kiosks_reporting,
        "kiosks_expected": window.kiosks_expected,
        "window_start_ns": window.start_ns,
        "window_s": calendar.window_s,
        "level": level,
    }
    shown = {"positivity": window.positivity, "lower": window.lower, "upper": window.upper}
    return known | {name: round(value, 5) for name, value in shown.items() if not math.isnan(value)}
