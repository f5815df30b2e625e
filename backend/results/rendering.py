"""What a cohort's public file holds: everybody's records, one that anybody may open, and filler. Pure but for chance.

Sorted by slot, a power of two of records, none smaller than MIN_RECORDS. What hides a visitor's record are the kiosk's
own dummies, sealed there by the same code: this process could not tell them apart either. Filler hides less: how many
kiosks were there, and that a cohort had none.

Whoever keeps every version of a file sees what came and what went, so:
1. A record that is public once stays in every later version, as it is, and a file never gets smaller.
2. Filler stays as well, over a restart too: it is read back from the file before, so that nothing on disk says which
   records are filler. New filler comes only when the file doubles, together with the records that made it double.
3. Between two doublings records take the place of filler. Which goes is drawn by lot, so what stays is not marked:
   all that can be learned is how many records came in a tick, and every kiosk publishes always the same number.
4. The practice record is sealed anew in each version; its slot is published anyway.
"""

import secrets
from collections.abc import Callable, Collection
from typing import Final

from contracts.claim import PRACTICE_CODE, SLOT_BYTES
from contracts.cohorts import first_ready_tick, padded_count
from contracts.sealed import PRACTICE_TARGET, dummy, result_body, seal
from contracts.windows import tick_start_ns, to_datetime

MIN_RECORDS: Final = 16  # 4 KiB: a cohort in which no kiosk was there looks like any young one

_PRACTICE = PRACTICE_CODE.keys()
_lots = secrets.SystemRandom()


def practice_record(cohort: int) -> bytes:
    """Seal the record that everybody may open, under the code that is printed on posters."""
    day = to_datetime(tick_start_ns(first_ready_tick(cohort))).date().isoformat()
    body = result_body(day, {PRACTICE_TARGET: "negative"}).encode()
    return seal(_PRACTICE.slot, _PRACTICE.public_key, _PRACTICE.origin, body)


def render(
    cohort: int, records: Collection[bytes], before: Collection[bytes], *, filler: Callable[[], bytes] = dummy
) -> bytes:
    """Return the file of a cohort; CohortError when it has more records than a file may have.

    Args:
        cohort: Its number.
        records: All records of its ticks that have ended.
        before: The records of the file's last version; none for a new file.
        filler: Makes a record that nobody can open.
    """
    shown = {*records, practice_record(cohort)}
    count = max(MIN_RECORDS, padded_count(len(shown)), padded_count(len(before)))
    kept = [one for one in before if one not in shown and one[:SLOT_BYTES] != _PRACTICE.slot]
    room = count - len(shown)
    if len(kept) > room:
        kept = _lots.sample(kept, room)
    fresh = [filler() for _ in range(room - len(kept))]
    return b"".join(sorted([*shown, *kept, *fresh]))
