"""`kill -9` of the result page's process while it renders: no file is torn, nothing public vanishes, filler stays."""

import secrets
import threading
import time
from pathlib import Path

import pytest

from contracts.claim import PRACTICE_CODE
from contracts.cohorts import FILE_SUFFIX, split_records
from contracts.sealed import RECORD_BYTES
from contracts.windows import tick_of
from stores.state.cohorts import CohortStore, SealedTick
from stores.state.database import open_for_writing
from tests.support.process import wait_until
from tests.support.results import Results
from tests.support.seeds import fault_timeout_s, kill_count, seeded

SPEED = 600  # a tick lasts a second
KIOSKS, RECORDS = 6, 4
SLOT = PRACTICE_CODE.keys().slot


class Kiosks:
    """Publish every tick into the store, as ingest writes it, until they are told to end."""

    def __init__(self, store: CohortStore, results: Results) -> None:
        self._store = store
        self._results = results
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.records: dict[bytes, int] = {}  # record -> its tick

    def __enter__(self) -> "Kiosks":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def now(self) -> int:
        return tick_of(self._results.anchors.at(time.monotonic_ns()))

    def _run(self) -> None:
        done = self.now - 1
        while not self._stop.wait(0.05):
            while done < self.now:
                done += 1
                for kiosk in range(KIOSKS):
                    body = secrets.token_bytes(RECORDS * RECORD_BYTES)
                    self._store.add([SealedTick(f"kiosk-{kiosk}", done, body)])
                    pieces = range(0, len(body), RECORD_BYTES)
                    # A new one each time: others look at it meanwhile.
                    self.records = self.records | {body[at : at + RECORD_BYTES]: done for at in pieces}


def public(folder: Path) -> dict[str, set[bytes]]:
    """The records of every file but the practice record; CohortError for a torn one."""
    files = sorted((folder / "public").glob(f"*{FILE_SUFFIX}"))
    return {
        path.name: {record for record in split_records(path.read_bytes()) if not record.startswith(SLOT)}
        for path in files
    }


@pytest.mark.timeout(fault_timeout_s())
def test_whatever_moment_it_is_killed_at_what_was_public_stays_and_filler_is_never_made_anew(tmp_path: Path) -> None:
    chance = seeded("result page killed")
    with open_for_writing(f"sqlite:{tmp_path / 'state'}", "cohorts") as database:
        results = Results(tmp_path, speed=SPEED)
        with Kiosks(CohortStore(database), results) as kiosks:
            results.start()
            before = public(tmp_path)
            for _ in range(kill_count(6)):
                time.sleep(chance.uniform(0.2, 1.5))
                results.kill()
                after = public(tmp_path)
                check(before, after, kiosks.records)
                before = after
                results.start()
            last = max(kiosks.records.values())
            wait_until(lambda: kiosks.now > last + 2, timeout_s=30, what="the next ticks")
            wait_until(
                lambda: {one for one, tick in kiosks.records.items() if tick <= last} <= union(public(tmp_path)),
                timeout_s=30,
                what="every record in public",
            )
            results.stop()


def union(files: dict[str, set[bytes]]) -> set[bytes]:
    return set().union(*files.values())


def check(before: dict[str, set[bytes]], after: dict[str, set[bytes]], records: dict[bytes, int]) -> None:
    """Compare two looks at the folder: everything that a kiosk sealed stays, and what came is no needless filler."""
    for name in before.keys() & after.keys():
        assert len(after[name]) >= len(before[name])
        assert not {one for one in before[name] - after[name] if one in records}, "a public record vanished"
        if len(after[name]) == len(before[name]):
            assert after[name] - before[name] <= records.keys(), "filler was made anew"
