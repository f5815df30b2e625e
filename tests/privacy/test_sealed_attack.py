"""Somebody who has the whole cohort store looks for the results among the dummies, and for what they say.

The attacker is handed records of known kind to learn from: for every bit, how much likelier it is in a result. That
finds any difference that a fixed place could carry; the mutants show that it does.
"""

import secrets
from collections.abc import Callable

import numpy as np
import pytest

from contracts.claim import ClaimCode
from contracts.sealed import RECORD_BYTES, Call, dummy, result_body, seal

LEARNT, JUDGED = 1200, 600
DEVIATIONS = 5.0
AUC_SD = float(np.sqrt((2 * JUDGED + 1) / (12 * JUDGED * JUDGED)))  # of a guesser (Mann and Whitney, 1947)

Maker = Callable[[], bytes]


def result(call: Call) -> bytes:
    keys = ClaimCode.generate().keys()
    return seal(keys.slot, keys.public_key, keys.origin, result_body("2026-11-22", {"sars-cov-2": call}).encode())


def panel() -> bytes:
    keys = ClaimCode.generate().keys()
    calls: dict[str, Call] = dict.fromkeys(("sars-cov-2", "fluav", "flubv", "rsv"), "inconclusive")
    return seal(keys.slot, keys.public_key, keys.origin, result_body("2026-11-22", calls).encode())


def bits(make: Maker, count: int) -> "np.ndarray[tuple[int, int], np.dtype[np.uint8]]":
    records = np.frombuffer(b"".join(make() for _ in range(count)), dtype=np.uint8).reshape(count, RECORD_BYTES)
    return np.unpackbits(records, axis=1)


def auc(one: Maker, other: Maker) -> float:
    """How often the attacker ranks one of the first kind above one of the second: 0.5 is guessing."""
    learnt = [(bits(make, LEARNT).sum(axis=0) + 1) / (LEARNT + 2) for make in (one, other)]
    when_set = np.log(learnt[0] / learnt[1])
    when_clear = np.log((1 - learnt[0]) / (1 - learnt[1]))
    scores = [np.where(bits(make, JUDGED) == 1, when_set, when_clear).sum(axis=1) for make in (one, other)]
    return float((scores[0][:, None] > scores[1][None, :]).mean())


def found_by_chance(value: float) -> bool:
    return abs(value - 0.5) < DEVIATIONS * AUC_SD


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: result("negative"), dummy),
        (lambda: result("positive"), lambda: result("negative")),
        (panel, lambda: result("negative")),
    ],
    ids=["a result, a dummy", "positive, negative", "a panel, one target"],
)
def test_a_record_tells_nothing_to_who_has_no_code(one: Maker, other: Maker) -> None:
    assert found_by_chance(auc(one, other))


def random_bytes() -> bytes:
    return secrets.token_bytes(RECORD_BYTES)


def without_padding() -> bytes:
    return result("negative")[:-8] + bytes(8)


@pytest.mark.parametrize("mutant", [random_bytes, without_padding])
def test_a_dummy_that_is_no_real_seal_is_found(mutant: Maker) -> None:
    assert not found_by_chance(auc(lambda: result("negative"), mutant))
