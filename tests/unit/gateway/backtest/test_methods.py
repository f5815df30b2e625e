import numpy as np
import pytest

from contracts.windows import DAY_S, NS, Calendar
from gateway.analyse.detect import ReleasedWindow, follow, learnt, learnt_baseline
from gateway.backtest.methods import OURS, methods, ours, restarting
from gateway.backtest.run import thresholds
from gateway.backtest.weekly import FIRST_MONDAY, tail_surprise
from gateway.backtest.worlds import EVALUATION, STREAMS, ZONES, Counts, World, simulate
from gateway.surveillance.budget import stream_run_length
from gateway.surveillance.cusum import betabinomial_gain, betabinomial_lr
from gateway.surveillance.farrington import flexible
from tests.support.seeds import SEED

TABLE = thresholds()
CALENDAR = Calendar(window_s=DAY_S, utc_offset_s=0, week_start=0)


def test_ours_alarms_on_the_days_on_which_the_gateway_would() -> None:
    counts = simulate(World("growing", 60), EVALUATION, range(3)).counts(noise=True)
    alarms = ours(counts, TABLE)(np.asarray(1.0))
    for seed in range(3):
        rows = [released_rows(counts, seed, stream) for stream in range(STREAMS)]
        learning = [learnt(one, CALENDAR) for one in rows]
        for stream, own in enumerate(learning):
            assert own is not None
            peers = [one for one in learning[:ZONES] if one is not None] if stream < ZONES else []
            path = follow(
                rows[stream],
                learnt_baseline(own, peers),
                table=TABLE,
                run_length=stream_run_length(STREAMS, 1),
                calendar=CALENDAR,
            )
            shipped = [day.window.start_ns // (DAY_S * NS) for day in path if day.alarm]
            assert shipped == np.flatnonzero(alarms[:, seed, stream]).tolist()


def released_rows(counts: Counts, seed: int, stream: int) -> list[ReleasedWindow]:
    sd, sd_valid = float(counts.noise_sd[stream]), float(counts.noise_sd_valid[stream])
    days = zip(counts.positives[:, seed, stream], counts.tests[:, seed, stream], strict=True)
    return [
        ReleasedWindow(day * DAY_S * NS, int(x), int(n), sd, sd_valid, 0.0, 0.0, 1.0, 1, 1)
        for day, (x, n) in enumerate(days)
    ]


def test_the_recursion_is_the_librarys() -> None:
    rng = np.random.default_rng(SEED)
    tests = rng.poisson(40, (200, 5)).astype(np.float64)
    positives = rng.binomial(tests.astype(np.int64), 0.05).astype(np.float64)
    told = {"p0": np.asarray(0.03), "odds_ratio": np.asarray(2.0), "dispersion": np.asarray(0.001)}
    gain = betabinomial_gain(positives, tests, *told.values())
    path = betabinomial_lr(positives, tests, threshold=1.5, **told)
    assert path.alarm.any()
    assert (restarting(gain, np.full(gain.shape, 1.5)) == path.alarm).all()


def test_a_higher_limit_never_makes_a_memoryless_method_alarm_more() -> None:
    counts = simulate(World("weekday", 60), EVALUATION, range(5)).counts(noise=True)
    for method in methods(TABLE).values():
        if method.name != OURS:
            alarms = method.prepare(counts)
            low, high = alarms(np.asarray(method.textbook)), alarms(np.asarray(2 * method.textbook))
            assert low.any(), method.name
            assert not (high & ~low).any(), method.name


def test_the_share_of_a_week_is_the_share_of_seven_days() -> None:
    counts = simulate(World("weekday", 200), EVALUATION, range(2)).counts(noise=False)
    alarms = methods(TABLE)["positivity"].prepare(counts)(np.asarray(0.02))
    x, n = counts.positives[33:40].sum(axis=0), counts.tests[33:40].sum(axis=0)
    assert (alarms[39] == (x / n > 0.02)).all()


def test_a_week_surprises_by_more_than_alpha_exactly_when_farrington_alarms() -> None:
    rng = np.random.default_rng(SEED)
    counts = rng.negative_binomial(3, 0.2, 250).astype(np.float64)
    at = np.arange(215, 250)
    weeks = FIRST_MONDAY + 7 * np.arange(250)
    fits = flexible(counts, weeks, at, min_cases=(0.0, 1), alpha=0.2)
    assert 0 < fits.alarm.sum() < len(at)
    assert fits.dispersion.min() > 1
    surprise = tail_surprise(counts[at], fits)
    assert (surprise > -np.log10(0.2)).tolist() == fits.alarm.tolist()


@pytest.mark.parametrize("name", ["c1", "c2", "c3", "essence"])
def test_a_floor_only_takes_alarms_away(name: str) -> None:
    counts = simulate(World("weekday", 20), EVALUATION, range(10)).counts(noise=True)
    every = methods(TABLE)
    limit = np.asarray(every[name].textbook)
    plain, floor = every[name].prepare(counts)(limit), every[f"{name}-floor"].prepare(counts)(limit)
    assert floor[:60].sum() < plain[:60].sum()
