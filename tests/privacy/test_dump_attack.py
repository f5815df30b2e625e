"""A thief of the whole gateway and results server, disks, logs, broker and all versions of the files, learns nothing.

Two attackers learn from half of the kiosks, whose records somebody told them all about, and judge the other half: real
or dummy, positive or negative. What they get is at chance; two mistakes that somebody could make are found.
"""

import logging
import secrets
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from contracts.clock import first_anchors
from contracts.sealed import RECORD_BYTES, ResultBody, open_record
from stores.state.cohorts import CohortStore
from stores.state.database import open_for_reading
from tests.support.classifiers import LEARNERS, Auc, Learner, auc
from tests.support.dump import (
    DUMMY,
    NEGATIVE,
    POSITIVE,
    Dump,
    Kiosks,
    Makers,
    Scale,
    call_words_beside,
    features,
    make_dump,
    occurrences,
)
from tests.support.forensics import code_needles, disk, find
from tests.support.mosquitto import MosquittoServer
from tests.support.pipeline import GatewayProgram
from tests.support.process import wait_until
from tests.support.raw_mqtt import RawClient, properties
from tests.support.registry import write_registry
from tests.support.seeds import seeded
from tests.support.speaker import START_NS, START_TICK, Speaker

MIN_RECORDS_A_CLASS = 10_000
FOUND = 0.55  # what a mutant must exceed
# Records are sealed with the machine's own randomness, new at each run: four areas beyond 4.5 standard deviations of
# chance come once in 40 000 runs, and 4.5 of them are 0.03.
SDS = 4.5
SMALL = Scale(kiosks=20, ticks=60)
CODES_SEARCHED = 40
DAY_NS = 24 * 3600 * 10**9


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Dump:
    folder = tmp_path_factory.mktemp("dump")
    handler = logging.FileHandler(folder / "gateway.log")
    logging.getLogger().addHandler(handler)
    try:
        return make_dump(folder, seeded("who came"), Scale(), Makers())
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


Seen = np.typing.NDArray[np.uint8]


@pytest.fixture(scope="module")
def seen(dump: Dump) -> Seen:
    return features(dump)


def attacked(dump: Dump, seen: Seen, learner: Learner, ones: set[int], others: set[int]) -> Auc:
    """Learn from the kiosks of even number, judge those of odd number."""
    what = np.array([one.what for one in dump.truth])
    asked = np.isin(what, list(ones | others))
    known = np.array([one.kiosk for one in dump.truth]) % 2 == 0
    labels = np.isin(what, list(ones))
    learnt, judged = asked & known, asked & ~known
    return auc(learner(seen[learnt], labels[learnt], seen[judged]), labels[judged])


QUESTIONS = {"real or dummy": ({NEGATIVE, POSITIVE}, {DUMMY}), "positive or negative": ({POSITIVE}, {NEGATIVE})}


@pytest.mark.timeout(600)
def test_there_are_enough_records_and_all_of_them_are_on_the_disk_and_public(dump: Dump) -> None:
    counts = np.bincount([one.what for one in dump.truth])
    assert counts.min() >= MIN_RECORDS_A_CLASS
    slots = {one.record[:16] for one in dump.truth}
    assert slots <= dump.first_seen.keys()
    assert slots <= dump.place_in_file.keys()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("question", list(QUESTIONS))
@pytest.mark.parametrize("name", list(LEARNERS))
def test_what_was_learnt_from_other_kiosks_is_worth_nothing(dump: Dump, seen: Seen, name: str, question: str) -> None:
    found = attacked(dump, seen, LEARNERS[name], *QUESTIONS[question])
    assert found.within(SDS), found
    assert SDS * found.sd_of_chance < FOUND - 0.5


@pytest.mark.timeout(600)
def test_no_code_no_key_and_no_body_is_in_any_file_and_no_call_stands_near_a_record(dump: Dump) -> None:
    needles: dict[str, bytes] = {}
    for number, code in enumerate(dump.codes[:CODES_SEARCHED]):
        record = next(one.record for one in dump.truth if one.record[:16] == code.keys().slot)
        body = open_record(code.keys(), record)
        assert ResultBody.decode(body).calls
        needles |= {f"{number} {name}": needle for name, needle in code_needles(code).items()}
        needles[f"{number} body"] = body
    needles |= {"a call": b'["sars-cov-2","positive"]', "another call": b'["sars-cov-2","negative"]'}
    assert find(needles, {"a file": disk(dump.folder)}) == set()
    assert call_words_beside(dump.folder, [one.record for one in dump.truth[:2000]]) == set()


@pytest.mark.timeout(600)
def test_neither_journal_nor_log_holds_a_record(dump: Dump) -> None:
    held = {name for name, rows in occurrences(dump.folder, [one.record for one in dump.truth]).items() if len(rows)}
    assert all(name == "state/cohorts.db" or name.startswith("public/") for name in held), held
    assert "state/cohorts.db" in held


# --- attackers who can learn, and mistakes that they find ---------------------------------------------------------


@pytest.mark.parametrize("name", list(LEARNERS))
def test_an_attacker_finds_one_telling_bit_among_hundreds_of_bytes(name: str) -> None:
    chance = np.random.default_rng(5)
    seen, labels = chance.integers(0, 256, (4000, 300), dtype=np.uint8), chance.random(4000) < 0.5
    told = labels & (chance.random(4000) < 0.6)
    seen[told, 17] |= 0x80
    assert auc(LEARNERS[name](seen[:2000], labels[:2000], seen[2000:]), labels[2000:]).value > FOUND
    assert auc(LEARNERS[name](seen[:2000], labels[:2000], seen[2000:]), chance.random(2000) < 0.5).within(SDS)


def test_the_area_under_the_curve_is_the_share_of_pairs_in_the_right_order_ties_counting_half() -> None:
    found = auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, True, False, True]))
    assert found.value == pytest.approx((1 + 0.5 + 1 + 1) / 4)


def _leave_in_order(_records: list[bytes]) -> None:
    """A mutant: dummies come last."""


MUTANTS = {
    "dummies last": Makers(shuffle=_leave_in_order),
    "random bytes as dummies": Makers(dummy=partial(secrets.token_bytes, RECORD_BYTES)),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", list(MUTANTS))
def test_a_mistake_in_the_making_of_dummies_is_found_by_both_attackers(tmp_path: Path, mutant: str) -> None:
    made = make_dump(tmp_path, seeded(mutant), SMALL, MUTANTS[mutant])
    seen = features(made)
    for learner in LEARNERS.values():
        assert attacked(made, seen, learner, *QUESTIONS["real or dummy"]).value > FOUND
        assert attacked(made, seen, learner, *QUESTIONS["positive or negative"]).within(SDS)


# --- real processes -------------------------------------------------------------------------------------------------


@pytest.mark.timeout(240)
def test_the_broker_the_gateway_and_their_logs_hold_no_code_no_body_and_no_call(tmp_path: Path) -> None:
    """Mosquitto with its store on disk, `gateway ingest` there and away: every file that they leave is searched."""
    kiosks = Kiosks([Speaker("kiosk-0", ob=100), Speaker("kiosk-1", ob=101)], Makers(), iter([0, 1, 2] * 100))
    _through_real_processes(tmp_path, kiosks)
    needles = {
        f"{n} {name}": needle for n, code in enumerate(kiosks.codes) for name, needle in code_needles(code).items()
    }
    needles |= {"a call": b'["sars-cov-2","positive"]', "another call": b'["sars-cov-2","negative"]'}
    assert find(needles, {"a file": disk(tmp_path)}) == set()
    records = [one.record for one in kiosks.truth]
    held = {name for name, rows in occurrences(tmp_path, records).items() if len(rows)}
    assert held == {"state/cohorts.db", "broker/mosquitto.db"}
    assert call_words_beside(tmp_path, records) == set()


def _through_real_processes(folder: Path, kiosks: Kiosks) -> None:
    """Ten ticks that ingest takes, and ten more that the broker keeps for it; then both are stopped."""
    state = f"sqlite:{folder / 'state'}"
    write_registry(state, kiosks.speakers, rules=())
    broker = MosquittoServer(folder / "broker")
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "deployment.key").write_bytes(key)
    now = time.monotonic_ns()
    (folder / "time.json").write_bytes(first_anchors(now, START_NS + DAY_NS, 1).written_at(now))
    (folder / "gateway.toml").write_text(
        f'state = "{state}"\nseries = "sqlite:{folder / "series"}"\ntime_file = "{folder / "time.json"}"\n'
        f'deployment_key = "{folder / "deployment.key"}"\n[broker]\nhost = "127.0.0.1"\nport = {broker.port}\n'
    )
    ingest = GatewayProgram("ingest", folder / "gateway.toml")
    broker.start()
    try:
        ingest.start()
        with RawClient(broker.port, "kiosk-0") as device:
            _publish(device, kiosks, range(1, 11))
            wait_until(lambda: sum(_sizes(state).values()) == 80, timeout_s=60, what="the ticks in the cohort store")
            ingest.stop()
            _publish(device, kiosks, range(11, 21))
    finally:
        ingest.stop()
        broker.program.stop()


def _publish(device: RawClient, kiosks: Kiosks, numbers: range) -> None:
    for number in numbers:
        for said in kiosks.tick(START_TICK + number, number):
            device.publish(said.topic, said.wire, props=properties(said.content_type, said.sig))


def _sizes(state: str) -> dict[int, int]:
    with open_for_reading(state, "cohorts") as database:
        return CohortStore(database).sizes(START_TICK + 1000)
