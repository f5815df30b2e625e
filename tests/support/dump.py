"""What a gateway and a results process have on their disks after some days, and what an attacker makes of it.

Kiosks' ticks go the real way: sealed by `contracts.sealed`, put together by `edge.core.ticks`, signed, judged and
stored by ingest, rendered by the publisher of `kioskwatch backend results`; all in this process, with time that jumps
from tick to tick. Which record is what is drawn by lot, so whatever tells the classes apart is a leak and no busy hour.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt

from backend.results.publisher import Publisher
from contracts.claim import SLOT_BYTES, ClaimCode
from contracts.codec import CONTENT_BINARY
from contracts.cohorts import split_records
from contracts.frames import Frame, TickBody
from contracts.sealed import RECORD_BYTES, dummy, result_body, seal
from contracts.windows import tick_start_ns
from edge.core.ticks import Dummy, Shuffle, tick_body
from stores.state.cohorts import CohortStore
from stores.state.database import open_for_reading
from tests.support.ingest import Bench, ingest_bench
from tests.support.registry import write_registry
from tests.support.speaker import START_TICK, Said, Speaker

PLACES = 4
TICKS_A_SNAPSHOT = 4
DAY = "2021-12-12"
TARGET = "sars-cov-2"
ENC = slice(SLOT_BYTES, SLOT_BYTES + 32)
# Of these bytes each bit is a feature too: slot, encapsulated key, the first and the last block of the cipher text.
IN_BITS = np.r_[0:64, RECORD_BYTES - 16 : RECORD_BYTES]
CELLS = 65_536

DUMMY, NEGATIVE, POSITIVE = 0, 1, 2
_CALLS = {NEGATIVE: "negative", POSITIVE: "positive"}


@dataclass(frozen=True)
class Scale:
    """How much of a district is simulated; `kiosks` x `ticks` x 4 records, a third of each class."""

    kiosks: int = 20
    ticks: int = 388


@dataclass(frozen=True)
class Makers:
    """What a kiosk makes its ticks with; a mutant differs in one."""

    dummy: Dummy = dummy
    shuffle: Shuffle = secrets.SystemRandom().shuffle


@dataclass(frozen=True)
class Published:
    """One record as it was put into a tick, and what it is: the truth that an attacker does not have."""

    kiosk: int
    tick: int
    place: int
    record: bytes
    what: int


@dataclass(frozen=True)
class Dump:
    """The folder with all files of the gateway and the results process, its snapshots, and the truth."""

    folder: Path
    truth: Sequence[Published]
    codes: Sequence[ClaimCode]  # of all sealed results
    first_seen: dict[bytes, int]  # slot -> the first snapshot of a public file in which it stood
    place_in_file: dict[bytes, int]  # slot -> where, in the last one


def _slots(files: Sequence[bytes]) -> Iterator[tuple[bytes, int]]:
    for content in files:
        for place, record in enumerate(split_records(content)):
            yield record[:SLOT_BYTES], place


@dataclass
class Kiosks:
    """Kiosks that publish ticks; `deal` says what each record is."""

    speakers: Sequence[Speaker]
    makers: Makers
    deal: Iterator[int]
    truth: list[Published] = field(default_factory=list)
    codes: list[ClaimCode] = field(default_factory=list)

    def tick(self, tick: int, seq: int) -> list[Said]:
        return [self._said(number, speaker, tick, seq) for number, speaker in enumerate(self.speakers)]

    def _said(self, number: int, speaker: Speaker, tick: int, seq: int) -> Said:
        what = {}
        for one in (next(self.deal) for _ in range(PLACES)):
            if one != DUMMY:
                what[self._sealed(_CALLS[one])] = one
        body = tick_body(list(what), PLACES, self.makers.dummy, self.makers.shuffle)
        for place, record in enumerate(TickBody.decode(body).records):
            self.truth.append(Published(number, tick, place, record, what.get(record, DUMMY)))
        return speaker.say("sealed", Frame(speaker.ob, seq, 1, tick, body).encode(), CONTENT_BINARY)

    def _sealed(self, call: str) -> bytes:
        code = ClaimCode.generate()
        self.codes.append(code)
        keys = code.keys()
        body = result_body(DAY, {TARGET: call})  # type: ignore[dict-item]
        return seal(keys.slot, keys.public_key, keys.origin, body.encode())


def make_dump(folder: Path, chance: Random, scale: Scale, makers: Makers) -> Dump:
    """Let a district live and return what lies on the disks afterwards."""
    deal = [n % 3 for n in range(scale.kiosks * scale.ticks * PLACES)]
    chance.shuffle(deal)
    speakers = [Speaker(f"kiosk-{number}", ob=100 + number) for number in range(scale.kiosks)]
    state = f"sqlite:{folder / 'state'}"
    write_registry(state, speakers)
    district = Kiosks(speakers, makers, iter(deal))
    with ingest_bench(state) as bench, open_for_reading(state, "cohorts") as reading:
        publisher = Publisher(CohortStore(reading), folder / "public", bench.clock)
        first_seen = _live(bench, district, publisher, scale.ticks)
        assert bench.reasons == []
        files = [content for path, content in publisher.published.items() if path != "/clock.json"]
    return Dump(folder, district.truth, district.codes, first_seen, dict(_slots(files)))


def _live(bench: Bench, district: Kiosks, publisher: Publisher, ticks: int) -> dict[bytes, int]:
    first_seen: dict[bytes, int] = {}
    waiting: list[Said] = []
    for number in range(ticks):
        tick = START_TICK + number
        waiting += district.tick(tick, number + 1)
        if (number + 1) % TICKS_A_SNAPSHOT:
            continue
        bench.clock.ns = tick_start_ns(tick + 1)
        bench.hear(*waiting)
        waiting.clear()
        publisher.step()
        live = [content for path, content in publisher.published.items() if path != "/clock.json"]
        for slot, _ in _slots([one for one in live if len(one) > 16 * RECORD_BYTES]):
            first_seen.setdefault(slot, number // TICKS_A_SNAPSHOT)
    return first_seen


# --- what an attacker sees of each record ---------------------------------------------------------------------


def occurrences(folder: Path, starts: Sequence[bytes]) -> dict[str, npt.NDArray[np.int64]]:
    """For each file: where records lie in it, as (number of the record, offset) rows. Found by their first 8 bytes."""
    keys = np.array([int.from_bytes(start[:8], "little") for start in starts], dtype=np.uint64)
    order = np.argsort(keys)
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found[str(path.relative_to(folder))] = _occurrences(path.read_bytes() + bytes(8), keys[order], order)
    return found


def _occurrences(
    content: bytes, ordered: npt.NDArray[np.uint64], order: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    rows = []
    for shift in range(8):
        words = np.frombuffer(content, dtype="<u8", count=(len(content) - shift) // 8, offset=shift)
        at = np.searchsorted(ordered, words).clip(max=len(ordered) - 1)
        hits = np.flatnonzero(ordered[at] == words)
        rows.append(np.stack([order[at[hits]], hits * 8 + shift], axis=1))
    return np.concatenate(rows)


def features(dump: Dump) -> npt.NDArray[np.uint8]:
    """One row a record: bytes, bits, and everything about where and when it lies, scaled to 0..255."""
    records = [one.record for one in dump.truth]
    raw = np.frombuffer(b"".join(records), dtype=np.uint8).reshape(len(records), RECORD_BYTES)
    bits = np.unpackbits(raw[:, IN_BITS], axis=1) * np.uint8(255)
    where = [_scaled(column) for column in _places(dump, records)]
    ones = np.unpackbits(raw, axis=1).sum(axis=1)
    return np.concatenate([raw, bits, np.stack([*where, _scaled(ones)], axis=1)], axis=1)


def _places(dump: Dump, records: Sequence[bytes]) -> Iterator[npt.NDArray[np.int64]]:
    slots = [record[:SLOT_BYTES] for record in records]
    getters: tuple[Callable[[int], int], ...] = (
        lambda n: dump.truth[n].place,
        lambda n: dump.truth[n].tick,
        lambda n: dump.truth[n].tick % 12,
        lambda n: dump.truth[n].kiosk,
        lambda n: dump.first_seen.get(slots[n], -1),
        lambda n: dump.place_in_file.get(slots[n], -1),
        lambda n: dump.place_in_file.get(slots[n], -1) % 2,
    )
    for getter in getters:
        yield np.array([getter(n) for n in range(len(records))])
    copies = np.zeros(len(records), np.int64)
    for rows in occurrences(dump.folder, slots).values():
        offset = np.zeros(len(records), np.int64)
        offset[rows[:, 0]] = rows[:, 1]
        np.add.at(copies, rows[:, 0], 1)
        if len(rows) > len(records) // 2:  # a store that holds them all; a public file holds a few
            yield offset
            yield offset % 4096
    assert (copies >= 1).all(), "the search itself does not find what is there"
    yield copies


def _scaled(column: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Ranks, so that any order of magnitude has room in a byte."""
    values, inverse = np.unique(column, return_inverse=True)
    scaled: npt.NDArray[np.uint8] = (inverse * 255 // max(len(values) - 1, 1)).astype(np.uint8)
    return scaled


def call_words_beside(folder: Path, starts: Sequence[bytes], reach: int = 512) -> set[str]:
    """The files in which a call's word lies near one of these records."""
    found = set()
    for name, rows in occurrences(folder, starts).items():
        content = (folder / name).read_bytes() if len(rows) else b""
        for _, at in rows.tolist():
            near = content[max(0, at - reach) : at + RECORD_BYTES + reach]
            if b"positive" in near or b"negative" in near or b"invalid" in near:
                found.add(name)
    return found
