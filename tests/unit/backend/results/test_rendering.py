"""What a file of a cohort shows, and what somebody who keeps all its versions can learn."""

import secrets
from collections.abc import Sequence

import pytest

from backend.results.rendering import MIN_RECORDS, practice_record, render
from contracts.claim import PRACTICE_CODE, ClaimCode
from contracts.cohorts import first_ready_tick, split_records
from contracts.errors import CohortError, SealError
from contracts.sealed import RECORD_BYTES, ResultBody, open_record, result_body, seal
from tests.support.seeds import seeded

COHORT = 249_353
PRACTICE_SLOT = PRACTICE_CODE.keys().slot


def opaque() -> bytes:
    """A record as this process sees it: it never opens one. Real seals take a fifth of a millisecond each."""
    return secrets.token_bytes(RECORD_BYTES)


def made(count: int) -> list[bytes]:
    return [opaque() for _ in range(count)]


def without_practice(version: bytes) -> set[bytes]:
    return {record for record in split_records(version) if record[:16] != PRACTICE_SLOT}


@pytest.mark.parametrize(
    ("records", "count"), [(0, MIN_RECORDS), (15, 16), (16, 32), (31, 32), (32, 64), (100, 128), (128, 256)]
)
def test_a_file_is_a_power_of_two_of_whole_records_in_the_order_of_their_slots(records: int, count: int) -> None:
    shown = made(records)
    version = render(COHORT, shown, ())
    assert len(version) == count * RECORD_BYTES
    assert split_records(version) == tuple(sorted(split_records(version)))
    assert set(shown) <= without_practice(version)


def test_the_practice_code_opens_a_record_of_every_file_sealed_anew_each_time() -> None:
    versions = [render(COHORT, (), ()) for _ in range(2)]
    found = [record for version in versions for record in split_records(version) if record[:16] == PRACTICE_SLOT]
    assert len(set(found)) == 2
    body = ResultBody.decode(open_record(PRACTICE_CODE.keys(), found[0]))
    assert (body.calls, body.advice, body.day) == ((("practice", "negative"),), "none", "2026-11-22")


def test_a_visitors_record_is_found_and_opened_among_the_others() -> None:
    keys = ClaimCode.generate().keys()
    mine = seal(keys.slot, keys.public_key, keys.origin, result_body("2026-11-22", {"a": "negative"}).encode())
    version = render(COHORT, [*made(20), mine], ())
    opened = []
    for record in split_records(version):
        try:
            opened.append(open_record(keys, record))
        except SealError:
            continue
    assert [ResultBody.decode(body).calls for body in opened] == [(("a", "negative"),)]


def test_what_is_public_once_stays_and_a_file_never_gets_smaller() -> None:
    records: list[bytes] = []
    before: Sequence[bytes] = ()
    for _ in range(12):
        records += made(16)
        version = render(COHORT, records, before, filler=opaque)
        now = split_records(version)
        assert len(now) >= len(before)
        assert set(records) <= set(now)
        came = without_practice(version) - set(before)
        if len(now) == len(before):
            assert len(came) == 16, "no new filler between two doublings"
        before = now
    assert len(before) == 256


def test_rendering_again_without_new_records_changes_the_practice_record_alone() -> None:
    records = made(20)
    first = render(COHORT, records, (), filler=opaque)
    second = render(COHORT, records, split_records(first), filler=opaque)
    assert without_practice(second) == without_practice(first)
    assert render(COHORT, (), split_records(first)) != b"", "and a lost store takes nothing away"
    assert without_practice(render(COHORT, (), split_records(first))) == without_practice(first)


def test_which_filler_makes_room_is_drawn_by_lot_from_all_that_came_at_any_time() -> None:
    # If the youngest, or the oldest, always went, what came with the others and stays would be marked as a record.
    stayed = {"old": 0, "young": 0}
    for _ in range(60):
        records = made(3)
        first = render(COHORT, records, (), filler=opaque)  # 16: 12 of filler
        records += made(13)
        second = render(COHORT, records, split_records(first), filler=opaque)  # 32: the 12 and 3 more
        old = without_practice(first) - set(records)
        young = without_practice(second) - without_practice(first) - set(records)
        assert (len(old), len(young)) == (12, 3)
        records += made(7)
        third = without_practice(render(COHORT, records, split_records(second), filler=opaque))
        stayed["old"] += len(old & third)
        stayed["young"] += len(young & third)
    assert stayed["old"] + stayed["young"] == 60 * 8
    assert 340 < stayed["old"] < 425, "12/15 of 480 are 384, and five deviations are 40"


def test_a_result_and_a_kiosks_dummy_are_treated_alike_in_every_version() -> None:
    # Two worlds, one chance: the same places hold results in one and dummies in the other.
    chance = seeded("two worlds of a file")
    slots = [chance.randbytes(16) for _ in range(40)]
    keys = ClaimCode.generate().keys()
    worlds = []
    for call in ("positive", "negative"):
        body = result_body("2026-11-22", {"sars-cov-2": call}).encode()
        records = [seal(slot, keys.public_key, keys.origin, body) for slot in slots]
        version = render(COHORT, records[:20], ())
        worlds.append([len(version), len(render(COHORT, records, split_records(version)))])
    assert worlds[0] == worlds[1]


def test_a_district_that_is_too_large_for_one_file_is_refused_and_170_kiosks_fit() -> None:
    full = [number.to_bytes(16) + bytes(240) for number in range(170 * 4 * 12)]
    assert len(render(COHORT, full, (), filler=opaque)) == 8192 * RECORD_BYTES
    more = [number.to_bytes(16) + bytes(240) for number in range(171 * 4 * 12)]
    with pytest.raises(CohortError, match="170 kiosks"):
        render(COHORT, more, ())


def test_the_practice_record_is_of_the_cohorts_own_day() -> None:
    body = ResultBody.decode(open_record(PRACTICE_CODE.keys(), practice_record(COHORT)))
    assert first_ready_tick(COHORT) * 600 == 1_795_341_600
    assert body.day == "2026-11-22"
