"""Real series: no one knows which alarms were false, so waves are found in hindsight, without any detector. Reads CSV.

A wave begins where the share of the next three weeks is at least twice that of the eight weeks before, with nothing
like it in the twelve weeks before that. A method finds it by an alarm from then until four weeks later; an alarm is
outside when no wave began in the twelve weeks up to it. Three years have no constant share, so ours takes its baseline
from the eight weeks that end two weeks before each judged one. Noise: what KIOSKS_A_ZONE kiosks would have added.
"""

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from gateway.backtest.methods import OURS, Alarms, Method, cusum_alarms, methods
from gateway.backtest.weekly import LABEL as _FARRINGTON_LABEL
from gateway.backtest.weekly import NAME as _FARRINGTON
from gateway.backtest.worlds import EPSILON_POSITIVES, EPSILON_VALID, SEED, Counts, discrete_laplace, laplace_sd
from gateway.errors import BacktestError
from gateway.surveillance.arrays import Array, BoolArray, IntArray
from gateway.surveillance.budget import ThresholdTable
from gateway.surveillance.ears import c2
from gateway.surveillance.ewma import RED_BELOW, essence
from gateway.surveillance.farrington import flexible
from gateway.surveillance.released import possible_share
from gateway.surveillance.wastewater import trend

DISTRICT, CITY, PLANTS = "un_district_weekly_tests.csv", "nyc_daily_tests.csv", "wisconsin_wastewater.csv"
FILES: Final = (DISTRICT, CITY, PLANTS)

KIOSKS_A_ZONE: Final = 5
CITY_KIOSKS: Final = 170  # as many as one cohort of sealed results holds (DESIGN §6)
BASELINE_WEEKS, GAP_WEEKS = 8, 2
RISE: Final = 2.0
RISE_WEEKS, QUIET_WEEKS = 3, 12
FOUND_WEEKS: Final = 4
WEEK_D: Final = 7
_THURSDAY: Final = 4  # 1970-01-01 was one: days to the Monday after it
CITY_YEARS: Final = 3  # of reference weeks: all that the city's series has
TREND_SAMPLES: Final = 6  # three weeks at two samples a week
TREND_P: Final = 0.05
EARS_LIMIT: Final = 3.0


@dataclass(frozen=True, slots=True)
class RealRow:
    """One method on one real series (or several that are judged together, summed)."""

    data: str
    method: str
    noise: bool
    judged: int  # windows, over all streams
    alarms: int
    outside: int  # alarms in no wave
    waves: int
    found: int
    median_delay: float  # windows, of those found; NaN without one


@dataclass(frozen=True, slots=True)
class CityDay:
    """A day of the city for the picture."""

    day: str
    share: float  # of seven days
    ours: bool
    ears: bool  # C3


@dataclass(frozen=True, slots=True)
class _Windows:
    """A series to judge: counts (windows, 1, streams)."""

    name: str
    positives: Array  # as published, (windows, streams): waves are found in these
    tests: Array
    counts: Counts  # with or without noise
    days: int  # in a window


def judge(folder: Path, table: ThresholdTable) -> list[RealRow]:
    """Every method on every series that it can judge."""
    rows = []
    for noise in (False, True):
        for windows in (_district(folder, noise=noise), _city(folder, noise=noise)):
            rows += [
                _row(windows, method, table, noise=noise)
                for method in methods(table).values()
                if _told(method, noise=noise)
            ]
        rows.append(_farrington(folder, noise=noise))
    return rows + _plants(folder)


def city_days(folder: Path, table: ThresholdTable) -> list[CityDay]:
    """The city's days, with the alarms of ours and of C3 at their textbook limits."""
    windows = _city(folder, noise=True)
    every = methods(table)
    ours = _prepared(windows, every[OURS], table)(np.asarray(every[OURS].textbook))[:, 0, 0]
    ears = every["c3"].prepare(windows.counts)(np.asarray(every["c3"].textbook))[:, 0, 0]
    week = np.ones(WEEK_D)
    x, n = (np.convolve(values[:, 0], week)[: len(values)] for values in (windows.positives, windows.tests))
    days = [row["date"] for row in _read(folder, CITY)]
    return [CityDay(*told) for told in zip(days, (x / n).tolist(), ours.tolist(), ears.tolist(), strict=True)]


def wave_starts(positives: Array, tests: Array, per_week: int) -> IntArray:
    """Indices at which a wave of one series begins (see the module)."""
    x, n = (np.concatenate(([0.0], np.cumsum(values))) for values in (positives, tests))
    ahead, behind = RISE_WEEKS * per_week, BASELINE_WEEKS * per_week
    starts: list[int] = []
    last_like_it = -QUIET_WEEKS * per_week
    for at in range(behind, len(positives) - ahead + 1):
        before = (x[at] - x[at - behind]) / max(n[at] - n[at - behind], 1.0)
        after = (x[at + ahead] - x[at]) / max(n[at + ahead] - n[at], 1.0)
        if after >= RISE * before > 0:
            if at - last_like_it >= QUIET_WEEKS * per_week:
                starts.append(at)
            last_like_it = at
    return np.array(starts, dtype=np.int64)


def _told(method: Method, *, noise: bool) -> bool:
    return noise or not method.knows_noise


def _row(windows: _Windows, method: Method, table: ThresholdTable, *, noise: bool) -> RealRow:
    alarms = _prepared(windows, method, table)(np.asarray(method.textbook))[:, 0]
    per_week = WEEK_D // windows.days
    first = (BASELINE_WEEKS + GAP_WEEKS) * per_week
    judged = alarms.copy()
    judged[:first] = False
    x, n = windows.positives, windows.tests
    parts = [_against(judged[:, k], wave_starts(x[:, k], n[:, k], per_week), per_week) for k in range(x.shape[1])]
    found = [delay for part in parts for delay in part[1]]
    return RealRow(
        windows.name,
        method.name,
        noise,
        judged=(len(alarms) - first) * x.shape[1],
        alarms=int(judged.sum()),
        outside=sum(part[0] for part in parts),
        waves=sum(part[2] for part in parts),
        found=len(found),
        median_delay=float(np.median(found)) if found else float("nan"),
    )


def _prepared(windows: _Windows, method: Method, table: ThresholdTable) -> Alarms:
    if method.name != OURS:
        return method.prepare(windows.counts)
    per_week = WEEK_D // windows.days
    counts = windows.counts
    p0 = possible_share(_rolling_share(counts.positives, counts.tests, per_week))
    start = (BASELINE_WEEKS + GAP_WEEKS) * per_week
    return cusum_alarms(counts, p0, table, streams=p0.shape[2], start=start, days=windows.days)


def _rolling_share(positives: Array, tests: Array, per_week: int) -> Array:
    x, n = (np.concatenate((np.zeros((1, *v.shape[1:])), np.cumsum(v, axis=0))) for v in (positives, tests))
    last = np.maximum(np.arange(len(positives)) - GAP_WEEKS * per_week, 1)
    first = np.maximum(last - BASELINE_WEEKS * per_week, 0)
    share: Array = (x[last] - x[first]) / np.maximum(n[last] - n[first], 1.0)
    return share


def _against(alarms: BoolArray, starts: IntArray, per_week: int) -> tuple[int, list[int], int]:
    """Alarms outside waves, the delays of the waves found, and how many waves there were."""
    inside = np.zeros(len(alarms), dtype=np.bool_)
    found = []
    for start in starts:
        inside[start : start + QUIET_WEEKS * per_week] = True
        hits = np.flatnonzero(alarms[start : start + FOUND_WEEKS * per_week])
        if len(hits):
            found.append(int(hits[0]))
    return int((alarms & ~inside).sum()), found, len(starts)


def _district(folder: Path, *, noise: bool) -> _Windows:
    rows = _read(folder, DISTRICT)
    areas, weeks = sorted({row["area"] for row in rows}), sorted({row["week_ending"] for row in rows})
    cube = np.zeros((2, len(weeks), len(areas)))
    for row in rows:
        at = weeks.index(row["week_ending"]), areas.index(row["area"])
        cube[0][at], cube[1][at] = float(row["positives"]), float(row["tests"])
    x, n = (np.concatenate([zones, zones.sum(axis=1, keepdims=True)], axis=1) for zones in cube)
    kiosks = np.array([KIOSKS_A_ZONE] * len(areas) + [KIOSKS_A_ZONE * len(areas)])
    return _Windows("diplomatic district, weeks", x, n, _noisy(x, n, kiosks * WEEK_D, noise=noise), WEEK_D)


def _city(folder: Path, *, noise: bool) -> _Windows:
    x, n = (column[:, None] for column in _city_columns(folder))
    return _Windows("city, days", x, n, _noisy(x, n, np.array([CITY_KIOSKS]), noise=noise), 1)


def _city_columns(folder: Path) -> tuple[Array, Array]:
    rows = _read(folder, CITY)
    return np.array([float(r["positives"]) for r in rows]), np.array([float(r["tests"]) for r in rows])


def _noisy(x: Array, n: Array, draws: IntArray, *, noise: bool) -> Counts:
    """Counts with the noise of so many releases in each window of each stream; zones and their sum draw apart."""
    rng = np.random.default_rng([SEED, x.size])
    scale = np.sqrt(draws) if noise else np.zeros(len(draws))
    added = [
        np.stack([discrete_laplace(rng, epsilon, int(k), (len(x), 1))[:, 0] for k in draws], axis=1) * noise
        for epsilon in (EPSILON_POSITIVES, EPSILON_VALID)
    ]
    return Counts(
        positives=(x + added[0])[:, None],
        tests=(n + added[1])[:, None],
        noise_sd=scale * laplace_sd(EPSILON_POSITIVES),
        noise_sd_valid=scale * laplace_sd(EPSILON_VALID),
        learnt=np.full((1, x.shape[1]), np.nan),  # its baseline moves along: `_rolling_share`
    )


def _farrington(folder: Path, *, noise: bool) -> RealRow:
    """Three years back, so only the city's last weeks can be judged."""
    days = [row["date"] for row in _read(folder, CITY)]
    first = (_THURSDAY - int(np.datetime64(days[0], "D").astype(np.int64))) % WEEK_D  # Monday
    weeks = (len(days) - first) // WEEK_D
    city = _city(folder, noise=noise)
    x, n, seen = (
        values[first : first + weeks * WEEK_D].reshape(weeks, WEEK_D).sum(axis=1)
        for values in (city.positives, city.tests, city.counts.positives)
    )
    mondays = np.datetime64(days[first], "D") + WEEK_D * np.arange(weeks)
    judged = flexible(np.maximum(seen, 0.0), mondays, np.arange(weeks), tests=n, years_back=CITY_YEARS)
    known = np.isfinite(judged.expected)
    starts = wave_starts(x, n, 1)
    outside, found, waves = _against(judged.alarm, starts[known[starts]], 1)
    return RealRow(
        "city, weeks",
        _FARRINGTON,
        noise,
        judged=int(known.sum()),
        alarms=int(judged.alarm.sum()),
        outside=outside,
        waves=waves,
        found=len(found),
        median_delay=float(np.median(found)) if found else float("nan"),
    )


def _plants(folder: Path) -> list[RealRow]:
    """Concentrations, not counts: EARS C2 and ESSENCE as they are, and the library's own trend. No noise: no person."""
    sites: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    for row in _read(folder, PLANTS):
        if row["n1_copies_per_l"]:
            sites[row["site"]].append((row["date"], float(row["n1_copies_per_l"]), float(row["n1_lod"] or "nan")))
    rules: dict[str, Callable[[list[tuple[str, float, float]]], BoolArray]] = {
        "c2": lambda samples: np.nan_to_num(c2([s[1] for s in samples]).value, nan=-np.inf) > EARS_LIMIT,
        "essence": lambda samples: np.nan_to_num(essence([s[1] for s in samples]).p_value, nan=1.0) < RED_BELOW,
        "trend": _rising,
    }
    return [
        _plants_row(name, [rule(samples) for samples in sites.values()], sites.values()) for name, rule in rules.items()
    ]


def _plants_row(name: str, alarms: list[BoolArray], sites: Iterable[list[tuple[str, float, float]]]) -> RealRow:
    parts = []
    for alarm, samples in zip(alarms, sites, strict=True):
        levels = np.array([sample[1] for sample in samples])
        per_week = 2  # samples
        parts.append(_against(alarm, wave_starts(levels, np.ones(len(levels)), per_week), per_week))
    found = [delay for part in parts for delay in part[1]]
    return RealRow(
        "six plants, samples",
        name,
        noise=False,
        judged=sum(len(alarm) for alarm in alarms),
        alarms=int(sum(alarm.sum() for alarm in alarms)),
        outside=sum(part[0] for part in parts),
        waves=sum(part[2] for part in parts),
        found=len(found),
        median_delay=float(np.median(found)) if found else float("nan"),
    )


def _rising(samples: list[tuple[str, float, float]]) -> BoolArray:
    """The last TREND_SAMPLES rise, with p < TREND_P."""
    days = [sample[0] for sample in samples]
    levels = np.array([sample[1] for sample in samples])
    least = float(np.nanmin([sample[2] for sample in samples]))
    rising = np.zeros(len(samples), dtype=np.bool_)
    for end in range(TREND_SAMPLES, len(samples) + 1):
        span = slice(end - TREND_SAMPLES, end)
        found = trend(levels[span], days[span], lod=least, samples=TREND_SAMPLES)
        rising[end - 1] = found.slope_log10_per_day > 0 and found.p_value < TREND_P
    return rising


def _read(folder: Path, name: str) -> list[dict[str, str]]:
    path = folder / name
    try:
        with path.open(encoding="utf-8", newline="") as opened:
            rows = list(csv.DictReader(opened))
    except OSError as exc:
        raise BacktestError(f"{path} cannot be read ({exc.strerror}): --data names the folder of a checkout") from exc
    if not rows:
        raise BacktestError(f"{path} is empty")
    return rows


LABELS: Final = {_FARRINGTON: _FARRINGTON_LABEL, "trend": f"trend of {TREND_SAMPLES} samples"}
