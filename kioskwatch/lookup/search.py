"""From a code and public files to a result: which file, whether it is time, and the one record that opens. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from contracts.claim import PRACTICE_TICK, ClaimCode, ClaimKeys, parse_fragment, parse_ready_group
from contracts.cohorts import PublicClock, cohort_of, is_expired, is_ready, newest_complete_cohort
from contracts.errors import SealError
from contracts.sealed import ResultBody, open_record

FRAGMENT_MARK: Final = "#"


class When(Enum):
    """What the clock says of a ready tick."""

    NOT_READY = auto()
    READY = auto()
    EXPIRED = auto()


@dataclass(frozen=True, slots=True)
class Slip:
    """What a slip says; `ready_tick` None when its sixth group is not at hand."""

    code: ClaimCode
    ready_tick: int | None


def read_slip(code: str, group: str = "") -> Slip:
    """Read a typed code with its ready group, or an address or fragment as the slip's QR holds it; ClaimCodeError."""
    if FRAGMENT_MARK in code:
        return Slip(*parse_fragment(code[code.index(FRAGMENT_MARK) :].strip()))
    return Slip(ClaimCode.parse(code), parse_ready_group(group) if group.strip() else None)


def when(ready_tick: int, clock: PublicClock) -> When:
    """Tell whether a result of that tick can be there now. The practice code's always is."""
    if ready_tick == PRACTICE_TICK:
        return When.READY
    if not is_ready(ready_tick, clock.tick):
        return When.NOT_READY
    return When.EXPIRED if is_expired(ready_tick, clock.tick) else When.READY


def cohort_for(ready_tick: int, clock: PublicClock) -> int:
    """Return the file to load: always one that exists, so that nobody sees who asks too early or too late."""
    wanted = newest_complete_cohort(clock.tick) if ready_tick == PRACTICE_TICK else cohort_of(ready_tick)
    return min(max(wanted, clock.oldest_cohort), clock.cohorts[-1])


def find(records: Iterable[bytes], keys: ClaimKeys) -> ResultBody | None:
    """Open the record of these keys; None when there is none, or none that a kiosk of ours sealed."""
    for record in records:
        try:
            return ResultBody.decode(open_record(keys, record))
        except SealError:
            continue
    return None
