"""The work of the back-test in pieces that depend on nothing but their own seeds, so that jobs change no bit."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from gateway.backtest import weekly
from gateway.backtest.methods import Alarms, Method, methods
from gateway.backtest.real import CityDay, RealRow, city_days, judge
from gateway.backtest.scoring import (
    Delay,
    Rate,
    calibrated,
    delays,
    false_signals,
    interval,
    median_delay,
    per_fortnight,
)
from gateway.backtest.worlds import (
    CALIBRATION,
    EVALUATION,
    FOLLOWED_D,
    KINDS,
    OUTBREAKS,
    VOLUMES,
    WARM_UP_D,
    WORLDS,
    Simulated,
    World,
    simulate,
)
from gateway.surveillance.arrays import Array
from gateway.surveillance.budget import ThresholdTable

TEXTBOOK, CALIBRATED = "textbook", "calibrated"


@dataclass(frozen=True, slots=True)
class FalseRow:
    """False signals of one method in one world's quiet runs, the whole district."""

    kind: str
    volume: int
    noise: bool
    method: str
    setting: str
    limit: float  # of the zones, on the method's own scale
    signals: Rate  # in a fortnight
    alarm_days: float  # of all streams in a fortnight


@dataclass(frozen=True, slots=True)
class DelayRow:
    """Delays of one method in one scenario."""

    kind: str
    volume: int
    noise: bool
    factor: int
    days: int
    method: str
    setting: str
    delay: Delay


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that was measured."""

    seeds: int
    false: list[FalseRow] = field(default_factory=list)
    delays: list[DelayRow] = field(default_factory=list)
    real: list[RealRow] = field(default_factory=list)
    city: list[CityDay] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of work: a world, a volume of weeks, or the real data."""

    what: str
    seeds: int
    world: World | None = None
    volume: int = 0
    noise: bool = False
    data: Path | None = None

    def run(self) -> Results:
        """Do it."""
        if self.world is not None:
            return _daily(self.world, self.seeds, noise=self.noise)
        if self.data is not None:
            return Results(self.seeds, real=judge(self.data, thresholds()), city=city_days(self.data, thresholds()))
        return _weekly(self.volume, self.seeds, noise=self.noise)


def pieces(seeds: int, data: Path) -> list[Piece]:
    """All of the work, the longest first."""
    daily = [Piece(f"{w.kind} {w.volume}", seeds, world=w, noise=noise) for w in WORLDS for noise in (True, False)]
    weeks = [Piece(f"weeks {v}", seeds, volume=v, noise=noise) for v in VOLUMES for noise in (True, False)]
    return [Piece("real data", seeds, data=data), *weeks, *daily]


def run(work: Sequence[Piece], jobs: int) -> Iterator[tuple[Piece, Results]]:
    """Do the work in `jobs` processes; pieces come as they are done."""
    if jobs == 1:
        yield from ((piece, piece.run()) for piece in work)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(piece.run): piece for piece in work}
        for done in as_completed(waiting):
            yield waiting[done], done.result()


def joined(work: Sequence[Piece], done: dict[Piece, Results], seeds: int) -> Results:
    """The results in the work's order, whatever order they came in."""
    total = Results(seeds)
    for piece in work:
        rows = done[piece]
        total.false.extend(rows.false)
        total.delays.extend(rows.delays)
        total.real.extend(rows.real)
        total.city.extend(rows.city)
    return total


def thresholds() -> ThresholdTable:
    """The simulated thresholds that this version ships."""
    return ThresholdTable.read(files("gateway.surveillance").joinpath("thresholds.json").read_bytes())


def _daily(world: World, seeds: int, *, noise: bool) -> Results:
    calibration, evaluation = (simulate(world, phase, range(seeds)) for phase in (CALIBRATION, EVALUATION))
    rows = Results(seeds)
    for method in methods(thresholds()).values():
        if noise or not method.knows_noise:
            _one_method(rows, method, calibration, evaluation, noise=noise)
    return rows


def _one_method(rows: Results, method: Method, calibration: Simulated, evaluation: Simulated, *, noise: bool) -> None:
    world = evaluation.world
    chosen = calibrated(method.prepare(calibration.counts(noise=noise)), method.limits)
    limits = {TEXTBOOK: np.full_like(chosen, method.textbook), CALIBRATED: chosen}
    quiet = method.prepare(evaluation.counts(noise=noise))
    for setting, limit in limits.items():
        rows.false.append(_false_row(world, method, setting, quiet, limit, noise=noise))
    for outbreak in OUTBREAKS:
        seen = evaluation.with_outbreak(outbreak, noise=noise).where_it_breaks_out()
        alarms = method.prepare(seen)
        for setting, limit in limits.items():
            found = delays(alarms(limit[[0, -1]]), evaluation.onset, outbreak.days)
            told = (world.kind, world.volume, noise, outbreak.factor, outbreak.days, method.name, setting)
            rows.delays.append(DelayRow(*told, median_delay(found)))


def _false_row(world: World, method: Method, setting: str, quiet: Alarms, limit: Array, *, noise: bool) -> FalseRow:
    alarms = quiet(limit)
    rate = per_fortnight(false_signals(alarms).sum(axis=1))
    days = interval(alarms[WARM_UP_D:].sum(axis=(0, 2)) * (14 / FOLLOWED_D)).mean
    return FalseRow(world.kind, world.volume, noise, method.name, setting, float(limit[0]), rate, days)


def _weekly(volume: int, seeds: int, *, noise: bool) -> Results:
    rows = Results(seeds)
    kind = KINDS[0]
    for setting, result in weekly.judge_volume(volume, seeds, noise=noise).items():
        row = FalseRow(kind, volume, noise, weekly.NAME, setting, float("nan"), result.false, result.false.mean)
        rows.false.append(row)
        for outbreak, delay in result.delays.items():
            told = (kind, volume, noise, outbreak.factor, outbreak.days, weekly.NAME, setting)
            rows.delays.append(DelayRow(*told, delay))
    return rows
