"""Cohorts: which public file holds a result, from when until when (DESIGN §6). Pure arithmetic on ticks; no clock.

A cohort is twelve ticks, two hours. `complete` is always the newest tick that has ended: what a kiosk publishes in
tick t becomes public when t has ended, so a result is there from the moment that `complete` reaches its ready tick,
and has expired TTL_TICKS ticks later. A cohort is kept for one hour after its last result expired, then deleted.

`clock.json` is `{v, tick, oldest_cohort}`, tick being `complete`. JSON knows no leading zeros: the numbers are padded
with spaces before them, so that the file has one length.
"""

from dataclasses import dataclass
from typing import Final, Self

import msgspec

from contracts.claim import MAX_TICK, SLOT_BYTES
from contracts.errors import CohortError
from contracts.sealed import RECORD_BYTES
from contracts.windows import tick_of, tick_start_ns

COHORT_TICKS: Final = 12
TTL_TICKS: Final = 1440  # ten days
GRACE_TICKS: Final = 6  # one hour between expiry and deletion
MAX_COHORT_RECORDS: Final = 8192  # 2 MiB: what a phone is asked to load
USUAL_PLACES: Final = 4  # records a tick of a kiosk with up to four modules
MAX_KIOSKS: Final = (MAX_COHORT_RECORDS - 1) // (USUAL_PLACES * COHORT_TICKS)  # 170, beside the practice record
CLOCK_BYTES: Final = 64
CLOCK_NAME: Final = "clock.json"
FILE_SUFFIX: Final = ".bin"
_NUMBER_CHARS = 10
_CLOCK_VERSION = 1


def cohort_of(tick: int) -> int:
    """Return the cohort of a ready tick, whenever its record arrives."""
    return tick // COHORT_TICKS


def first_ready_tick(cohort: int) -> int:
    """Return the first ready tick of a cohort."""
    return cohort * COHORT_TICKS


def last_ready_tick(cohort: int) -> int:
    """Return the last ready tick of a cohort."""
    return cohort * COHORT_TICKS + COHORT_TICKS - 1


def complete_tick(now_ns: int) -> int:
    """Return the newest tick that has ended; CohortError before the first one and beyond a ready group's 22 bits."""
    complete = tick_of(now_ns) - 1
    if not 0 <= complete <= MAX_TICK:
        raise CohortError("ticks are counted from 1970 until 2049")
    return complete


def readable_from_ns(ready_tick: int) -> int:
    """Return the instant from which a result can be read: its ready tick has ended."""
    return tick_start_ns(ready_tick + 1)


def expires_ns(ready_tick: int) -> int:
    """Return the instant at which a result has expired."""
    return tick_start_ns(ready_tick + 1 + TTL_TICKS)


def is_ready(ready_tick: int, complete: int) -> bool:
    """Tell whether a result of that ready tick is public."""
    return ready_tick <= complete


def is_expired(ready_tick: int, complete: int) -> bool:
    """Tell whether a result of that ready tick has expired."""
    return complete >= ready_tick + TTL_TICKS


def deletion_tick(cohort: int) -> int:
    """Return the tick which, once complete, sees every trace of the cohort deleted."""
    return last_ready_tick(cohort) + TTL_TICKS + GRACE_TICKS


def is_live(cohort: int, complete: int) -> bool:
    """Tell whether a cohort has a public file: begun, and not yet deleted."""
    return first_ready_tick(cohort) <= complete < deletion_tick(cohort)


def oldest_cohort(complete: int) -> int:
    """Return the oldest live cohort."""
    return max(0, cohort_of(complete - TTL_TICKS - GRACE_TICKS - COHORT_TICKS + 1) + 1)


def live_cohorts(complete: int) -> range:
    """Return the live cohorts, oldest first: 121 or 122 of them, by the tick alone."""
    return range(oldest_cohort(complete), cohort_of(complete) + 1)


def newest_complete_cohort(complete: int) -> int:
    """Return the newest cohort whose twelve ticks have all ended: where the practice code (ready group 00000) looks."""
    return cohort_of(complete + 1) - 1


def file_name(cohort: int) -> str:
    """Return the name of a cohort's public file, of one length."""
    return f"{cohort:06}{FILE_SUFFIX}"


def file_path(cohort: int) -> str:
    """Return the path of a cohort's public file on the result page's origin."""
    return f"/cohorts/{file_name(cohort)}"


def padded_count(records: int) -> int:
    """Return how many records a public file of that many has: the next power of two; CohortError above the limit."""
    if records > MAX_COHORT_RECORDS:
        raise CohortError(
            f"{records} records, and a file has at most {MAX_COHORT_RECORDS}: make two districts of this one, each of "
            f"at most {MAX_KIOSKS} kiosks"
        )
    return 1 << max(0, records - 1).bit_length()


def split_records(data: bytes) -> tuple[bytes, ...]:
    """Return the records of a public file in the order of their slots; CohortError for what is no such file."""
    count, rest = divmod(len(data), RECORD_BYTES)
    if rest or not 1 <= count <= MAX_COHORT_RECORDS or count & (count - 1):
        raise CohortError("a cohort is a power of two of whole records")
    records = tuple(data[at : at + RECORD_BYTES] for at in range(0, len(data), RECORD_BYTES))
    slots = [record[:SLOT_BYTES] for record in records]
    if slots != sorted(slots):
        raise CohortError("a cohort is sorted by slot")
    return records


@dataclass(frozen=True, slots=True)
class PublicClock:
    """What `clock.json` says."""

    tick: int  # complete
    oldest_cohort: int

    def __post_init__(self) -> None:
        if not 0 <= self.tick <= MAX_TICK or not 0 <= self.oldest_cohort <= cohort_of(self.tick):
            raise CohortError("not a tick and the oldest cohort at that tick")

    @classmethod
    def at(cls, complete: int) -> Self:
        """Return the clock when that tick is the newest complete one."""
        return cls(complete, oldest_cohort(complete))

    @property
    def cohorts(self) -> range:
        """The live cohorts, oldest first."""
        return range(self.oldest_cohort, cohort_of(self.tick) + 1)


class _Clock(msgspec.Struct):
    v: int
    tick: int
    oldest_cohort: int


def encode_clock(clock: PublicClock) -> bytes:
    """Return the bytes of `clock.json`: always CLOCK_BYTES of them."""
    tick, oldest = f"{clock.tick:{_NUMBER_CHARS}}", f"{clock.oldest_cohort:{_NUMBER_CHARS}}"
    text = f'{{"v":{_CLOCK_VERSION},"tick":{tick},"oldest_cohort":{oldest}}}'
    return text.ljust(CLOCK_BYTES - 1).encode() + b"\n"


def parse_clock(data: bytes) -> PublicClock:
    """Read `clock.json`; CohortError on anything else."""
    if len(data) != CLOCK_BYTES:
        raise CohortError(f"clock.json has {CLOCK_BYTES} bytes")
    try:
        read = msgspec.json.decode(data, type=_Clock)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise CohortError("not a clock.json") from exc
    if read.v != _CLOCK_VERSION:
        raise CohortError("a clock.json of another version")
    return PublicClock(read.tick, read.oldest_cohort)
