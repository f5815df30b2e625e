import numpy as np

from gateway.analyse.detect import LEARNING_DAYS, ReleasedWindow, learnt_baseline
from gateway.analyse.service.streams import (
    PublicCounts,
    Setting,
    Stream,
    baseline,
    followed,
    learning,
    peers_of,
    points,
    signals,
)
from tests.support.seeds import SEED
from tests.unit.gateway.analyse.quiet_world import CALENDAR, START_NS, TABLE, stream, zone_releases

ZONE, DISTRICT = Stream("z1", "flu"), Stream(None, "flu")
PUBLIC = {
    ("z1", "flu"): PublicCounts(20, 1000),
    ("z2", "flu"): PublicCounts(60, 1000),
    ("z1", "rsv"): PublicCounts(9, 10),
}


def setting(*, targets: int = 1) -> Setting:
    return Setting(district="d", calendar=CALENDAR, table=TABLE, streams=7 * targets, targets=targets)


def wave(windows: int = 28) -> list[ReleasedWindow]:
    return stream(zone_releases(np.random.default_rng(SEED), windows, [1400], [0.15]))


def test_a_zone_takes_its_own_public_counts_and_the_district_those_of_all_zones() -> None:
    windows = wave(4)
    for one, share in ((ZONE, 0.02), (DISTRICT, 0.04)):
        found = baseline(one, windows, PUBLIC, CALENDAR)
        assert found is not None
        assert (found.p0, found.from_ns) == (share, START_NS)


def test_without_public_counts_a_stream_learns_and_until_then_judges_nothing() -> None:
    for public in (None, {}, {("z9", "flu"): PublicCounts(1, 10)}):
        assert followed(ZONE, wave(), public, setting()) is None
    assert followed(ZONE, [], PUBLIC, setting()) is None


def test_zones_learn_together_the_district_and_other_targets_apart() -> None:
    def quiet(seed: int, share: float) -> list[ReleasedWindow]:
        return stream(zone_releases(np.random.default_rng([SEED, seed]), 4 * LEARNING_DAYS + 4, [1400], [share]))

    other, rsv = Stream("z2", "flu"), Stream("z1", "rsv")
    windows = {ZONE: quiet(1, 0.02), other: quiet(2, 0.02), DISTRICT: quiet(3, 0.02), rsv: quiet(4, 0.3)}
    learned = learning(windows, None, CALENDAR)
    assert set(learned) == {ZONE, other, rsv}
    assert peers_of(ZONE, learned) == [learned[other]]
    assert peers_of(DISTRICT, learned) == peers_of(rsv, learned) == []
    path = followed(ZONE, windows[ZONE], None, setting(), peers_of(ZONE, learned))
    assert path is not None
    assert path.baseline == learnt_baseline(learned[ZONE], [learned[other]])
    assert set(learning(windows, PUBLIC, CALENDAR)) == set()  # public counts of each: nobody learns
    assert set(learning(windows, {("z2", "flu"): PublicCounts(1, 50)}, CALENDAR)) == {ZONE, rsv}


def test_all_streams_share_one_budget() -> None:
    assert setting().run_length == 7 * 14 * 4
    assert setting(targets=3).run_length == 3 * 7 * 14 * 4


def test_a_wave_is_one_signal_with_its_reasons_and_is_told_once() -> None:
    path = followed(ZONE, wave(), PUBLIC, setting())
    assert path is not None
    (signal,) = signals(path, setting(), [], now_ns=START_NS + 1)
    assert (signal.rule, signal.subject, signal.zone, signal.target) == ("cusum", "z1", "z1", "flu")
    assert (signal.phase, signal.severity, signal.found_ns) == ("raised", "warning", START_NS + 1)
    assert signal.facts["window_start_ns"] == signal.onset_ns
    assert float(signal.facts["s"]) > float(signal.facts["threshold"])
    assert signals(path, setting(), [signal], now_ns=START_NS + 2) == []
    (district,) = signals(path.__class__(DISTRICT, path.baseline, path.path), setting(), [], now_ns=0)
    assert (district.subject, district.zone, district.severity) == ("d", None, "critical")


def test_where_there_are_several_targets_the_rule_names_its_own() -> None:
    assert setting().rule(ZONE) == "cusum"
    assert setting(targets=2).rule(ZONE) == "cusum-flu"


def test_a_path_is_drawn_window_by_window() -> None:
    path = followed(ZONE, wave(), PUBLIC, setting())
    assert path is not None
    lines = points(path, setting())
    assert [line.ts_ns for line in lines] == [window.start_ns for window in wave()]
    assert dict(lines[0].tags) == {
        "district": "d",
        "zone": "z1",
        "target": "flu",
        "level": "zone_window",
        "rule": "cusum",
    }
    assert set(lines[0].fields) == {"s", "threshold", "p0"}
