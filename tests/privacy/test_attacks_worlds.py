"""D3 and D7: worlds of equal noise that differ in one test, in one restricted value, or in what is sealed.

Everything runs the real way: signed messages, ingest, projection, roll-up, every panel of every board, Prometheus.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Final

import pytest

from contracts.claim import ClaimCode
from contracts.sealed import RECORD_BYTES, dummy, result_body, seal
from gateway.analyse.service.spans import FIELDS
from stores.series.lines import Value
from stores.series.open import open_series
from tests.integration.analyse_district import Place, rows
from tests.support.published import PUBLISHED, Script, Seen, district, live
from tests.support.seeds import seeded

WHERE: Final = ("kiosk-1", 0)  # the one test that differs: kiosk and window
# word -> what it adds to (positives, valid, invalid) against nobody having come
ADDS: Final = {"positive": (1, 1, 0), "negative": (0, 1, 0), "invalid": (0, 0, 1)}
COUNTS: Final = ("positives", "valid", "invalid")
# What of the state may differ when a release does: (table, column); everything else is the same, byte for byte.
MAY_DIFFER: Final = {("journal", "payload"), ("releases", "counters"), ("releases", "prev_hash"), ("releases", "hash")}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Seen]:
    folder, keys = tmp_path_factory.mktemp("worlds"), seeded("keys of worlds")
    speakers = district(keys)
    records = tuple(dummy() for _ in range(4))
    scripts = {word: Script({WHERE: (word,)}, records=lambda: records) for word in ADDS}
    scripts["absent"] = Script(records=lambda: records)
    scripts["hotel"] = Script(hotel_ppm=655.0, records=lambda: records)
    scripts["results"] = Script(records=_results)
    return {name: live(folder / name, speakers, script) for name, script in scripts.items()}


def _results() -> tuple[bytes, ...]:
    """Four results in place of four dummies."""
    sealed = []
    for call in ("positive", "negative", "invalid", "positive"):
        keys = ClaimCode.generate().keys()
        body = result_body("2021-12-12", {"sars-cov-2": call})
        sealed.append(seal(keys.slot, keys.public_key, keys.origin, body.encode()))
    return tuple(sealed)


def released(seen: Seen) -> Mapping[Place, dict[str, Value]]:
    store = open_series(f"sqlite:{seen.folder / 'series'}")
    try:
        return rows(store, "testing", FIELDS)
    finally:
        store.close()


def columns_that_differ(one: Seen, other: Seen) -> set[tuple[str, str]]:
    """(table, column) of the state in which rows of the same place differ."""
    found: set[tuple[str, str]] = set()
    assert one.tables.keys() == other.tables.keys()
    for table, rows_of_one in one.tables.items():
        names = one.columns[table]
        assert len(rows_of_one) == len(other.tables[table]), table
        for a, b in zip(rows_of_one, other.tables[table], strict=True):
            found |= {(table, name) for name, x, y in zip(names, a, b, strict=True) if x != y}
    return found


@pytest.mark.parametrize("word", list(ADDS))
def test_one_test_moves_the_numbers_of_its_window_day_and_week_by_what_it_is_and_no_others(
    worlds: Mapping[str, Seen], word: str
) -> None:
    without, with_it = released(worlds["absent"]), released(worlds[word])
    assert without.keys() == with_it.keys()
    first = min(start for level, _, start in without if level.endswith("window"))
    moved = set()
    for place, before in without.items():
        delta = tuple(int(with_it[place][name]) - int(before[name]) for name in COUNTS)
        assert delta in {(0, 0, 0), ADDS[word]}
        if any(delta):
            moved.add(place)
        else:
            assert with_it[place] == before, "nothing else of this place moves either"
        rest = {name: value for name, value in before.items() if name not in {*COUNTS, *SHOWN}}
        assert rest == {name: with_it[place][name] for name in rest}
    assert {(level, zone) for level, zone, _ in moved} == {
        (f"{level}_{span}", "z10016" if level == "zone" else "") for level in ("zone", "district") for span in SPANS
    }
    assert {start for level, _, start in moved if level.endswith("window")} == {first}


SPANS: Final = ("window", "day", "week")
SHOWN: Final = ("positives_shown", "valid_shown", "positivity", "lower", "upper", "status")  # follow from the counts


def test_what_follows_from_the_counts_follows_from_them_alone(worlds: Mapping[str, Seen]) -> None:
    for word in ADDS:
        for row in released(worlds[word]).values():
            if "positivity" in row:
                assert math.isclose(float(row["positivity"]), float(row["positives"]) / float(row["valid"]))
            if "valid_shown" in row:
                assert (row["valid_shown"], row["positives_shown"]) == (row["valid"], row["positives"])
    assert any("positivity" in row for row in released(worlds["absent"]).values()), "something is shown"


@pytest.mark.parametrize("word", list(ADDS))
def test_in_the_state_the_release_alone_differs(worlds: Mapping[str, Seen], word: str) -> None:
    assert columns_that_differ(worlds["absent"], worlds[word]) == MAY_DIFFER
    assert worlds["absent"].sizes == worlds[word].sizes
    assert worlds["absent"].counters == worlds[word].counters
    for bucket in set(PUBLISHED) - {"released"}:
        assert worlds["absent"].series.get(bucket) == worlds[word].series.get(bucket)


def test_a_restricted_value_changes_nothing_that_is_published(worlds: Mapping[str, Seen]) -> None:
    usual, hotel = worlds["absent"], worlds["hotel"]
    assert usual.series["restricted"] != hotel.series["restricted"], "the value was stored"
    assert usual.differs_from(hotel) == set()
    assert columns_that_differ(usual, hotel) == {("journal", "payload")}
    assert usual.sizes == hotel.sizes


def test_what_is_sealed_changes_nothing_but_its_own_bytes(worlds: Mapping[str, Seen]) -> None:
    """D7: given equal releases, results in all places of all ticks, or dummies."""
    usual, results = worlds["absent"], worlds["results"]
    assert usual.differs_from(results) == set()
    assert columns_that_differ(usual, results) == set()
    assert usual.sizes == results.sizes
    assert usual.sealed != results.sealed
    assert [len(body) for body in usual.sealed] == [len(body) for body in results.sealed] == [4 * RECORD_BYTES] * 4


def test_a_restricted_place_that_counts_as_any_other_is_seen(tmp_path: Path) -> None:
    """A mutant: the value reaches what the risk index and the boards read."""
    speakers, records = district(Random(3)), tuple(dummy() for _ in range(4))
    seen = [
        live(tmp_path / str(ppm), speakers, Script(hotel_ppm=ppm, records=lambda: records), mutant=True)
        for ppm in (640.0, 655.0)
    ]
    assert "bucket environment" in seen[0].differs_from(seen[1])
    assert any(name.startswith("panel ") for name in seen[0].differs_from(seen[1]))
