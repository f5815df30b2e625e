"""Visits: who may start, when a result may be read, and the fixed-size row that remembers it. Pure.

DESIGN section 6. A place is reserved at check-in: every tick has the same number of places, the ready tick is the first
that has a free place and is late enough for a cartridge inserted in the last moment and a run that takes T_max.
Whatever the analyser does, a module counts as busy until start + T_max, so that no next start tells how a run went. A
visit's row has the same size and place whatever it holds.

    free -> reserved -> running -> sealed -> free    (what follows, sent and acknowledged, is the outbox row's)
               '-> free: no slip, or no cartridge within the insertion time
"""

import re
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from contracts.frames import MAX_RECORDS
from contracts.sealed import RECORD_BYTES
from contracts.windows import NS, TICK_S, tick_of, tick_start_ns
from edge.errors import VisitError

VISIT_ROWS: Final = 64  # all are rewritten every tick; see `VisitRules.rows_needed`
MAX_PLACES: Final = MAX_RECORDS
SAMPLE_CHARS: Final = 20  # 100 bits; an analyser takes 25 characters

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: nothing to mistake on an analyser's screen
SAMPLE_ID: Final = re.compile(rf"[{_ALPHABET}]{{{SAMPLE_CHARS}}}")

_PUBLIC = struct.Struct(">16s32s16s")
# version, state, sample, assay, insert until, deadline, ready tick, tick of the rewriting, public part, record
_ROW = struct.Struct(f">BB{SAMPLE_CHARS}s16sQQQQ{_PUBLIC.size}s{RECORD_BYTES}s")
ROW_BYTES: Final = _ROW.size
_ROW_VERSION = 2
_NO_PUBLIC = bytes(_PUBLIC.size)
_NO_RECORD = bytes(RECORD_BYTES)


class State(IntEnum):
    """Where a visit is."""

    FREE = 0
    RESERVED = 1
    RUNNING = 2
    SEALED = 3


@dataclass(frozen=True, slots=True)
class PublicPart:
    """All that the agent ever knows of a code: enough to seal for it, not to open (contracts.claim)."""

    slot: bytes
    public_key: bytes
    origin: bytes

    def __post_init__(self) -> None:
        """Refuse other lengths."""
        if (len(self.slot), len(self.public_key), len(self.origin)) != (16, 32, 16):
            raise VisitError("slot, public key and origin have 16, 32 and 16 bytes")


@dataclass(frozen=True, slots=True)
class Visit:
    """One row. A sealed visit keeps its place, its module's time and its record, and nothing that names the run."""

    state: State
    sample: str = ""
    assay: str = ""
    insert_until_ns: int = 0  # reserved: the visit lapses then
    deadline_ns: int = 0  # start + T_max: no call is taken later, and the module is busy until then
    ready_tick: int = 0
    public: PublicPart | None = None
    record: bytes = b""

    def encode(self, tick: int) -> bytes:
        """Return the row as rewritten in `tick`; that number makes every row differ, so that all are written."""
        public = self.public
        return _ROW.pack(
            _ROW_VERSION,
            self.state,
            self.sample.encode("ascii"),
            self.assay.encode("ascii"),
            self.insert_until_ns,
            self.deadline_ns,
            self.ready_tick,
            tick,
            _NO_PUBLIC if public is None else _PUBLIC.pack(public.slot, public.public_key, public.origin),
            self.record,
        )

    @classmethod
    def decode(cls, row: bytes) -> "tuple[Visit, int]":
        """Read a row and the tick of its rewriting; VisitError when it is none of ours."""
        try:
            version, state, sample, assay, insert_until_ns, deadline_ns, ready_tick, tick, public, record = _ROW.unpack(
                row
            )
            if version != _ROW_VERSION:
                raise VisitError("a visit row of another version")
            visit = cls(
                State(state),
                _text(sample),
                _text(assay),
                insert_until_ns,
                deadline_ns,
                ready_tick,
                None if public == _NO_PUBLIC else PublicPart(*_PUBLIC.unpack(public)),
                b"" if record == _NO_RECORD else record,
            )
        except (struct.error, ValueError) as exc:
            raise VisitError("a visit row is damaged") from exc
        return visit, tick

    @property
    def busy_until_ns(self) -> int:
        """Until when this visit takes a module: known before the analyser has said anything."""
        return self.insert_until_ns if self.state is State.RESERVED else self.deadline_ns


EMPTY: Final = Visit(State.FREE)


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitRules:
    """What the cabinet and the district say about starts."""

    places: int  # records a tick (DESIGN section 6: default 4, at least the number of modules)
    modules: int
    insertion_s: int
    t_max_s: int

    def __post_init__(self) -> None:
        """Refuse rules under which rows or places could run out although modules are free."""
        if not 1 <= self.modules <= self.places <= MAX_PLACES:
            raise VisitError(f"modules must be 1 to places, and places at most {MAX_PLACES}")
        if self.insertion_s <= 0 or self.t_max_s <= 0:
            raise VisitError("insertion_s and t_max_s must be above 0")
        if self.rows_needed > VISIT_ROWS:
            raise VisitError(f"{self.rows_needed} visits could wait for their ticks at once, {VISIT_ROWS} can")

    @property
    def rows_needed(self) -> int:
        """How many visits can wait for their ticks at once: by the places of those ticks, or by the modules.

        A row lives from check-in to its ready tick; in that time a module starts no more than one run each T_max.
        """
        life_s = self.insertion_s + self.t_max_s + 2 * TICK_S
        return min(self.places * (life_s // TICK_S), self.modules * (life_s // self.t_max_s + 1) + 1)


def _text(field: bytes) -> str:
    return field.rstrip(b"\0").decode("ascii")


def new_sample_id(randbelow: Callable[[int], int]) -> str:
    """Draw the id that stands for one run between kiosk and analyser."""
    return "".join(_ALPHABET[randbelow(len(_ALPHABET))] for _ in range(SAMPLE_CHARS))


# --- a visit's steps: each returns the row to use and the visit to write there ------------------------------------


def reserve(visits: Sequence[Visit], now_ns: int, rules: VisitRules, assay: str) -> tuple[int, Visit]:
    """Reserve module and place at check-in; VisitError when no module, place or row is free, or one visit is reserved.

    One at a time: of two people with a slip each and no cartridge in yet, nobody could say whose comes first.
    """
    if any(visit.state is State.RESERVED for visit in visits):
        raise VisitError("a visitor is expected to insert a cartridge")
    if free_modules(visits, now_ns, rules) < 1:
        raise VisitError("no module is free")
    row = next((row for row, visit in enumerate(visits) if visit.state is State.FREE), None)
    if row is None:
        raise VisitError("no row is free")
    insert_until_ns = now_ns + rules.insertion_s * NS
    tick = _ready_tick(visits, insert_until_ns + rules.t_max_s * NS, rules)
    return row, Visit(State.RESERVED, assay=assay, insert_until_ns=insert_until_ns, ready_tick=tick)


def complete(visit: Visit, public: PublicPart, now_ns: int) -> Visit:
    """Give a reserved visit its code's public part; VisitError when it has lapsed meanwhile."""
    if visit.state is not State.RESERVED or visit.public is not None or now_ns >= visit.insert_until_ns:
        raise VisitError("this visit waits for no code")
    return replace(visit, public=public)


def begin(visits: Sequence[Visit], now_ns: int, rules: VisitRules, sample: str) -> tuple[int, Visit]:
    """Start the run of the reserved visit: its cartridge is in; VisitError when none is expected."""
    for row, visit in enumerate(visits):
        if visit.state is State.RESERVED and visit.public is not None and now_ns < visit.insert_until_ns:
            deadline_ns = min(now_ns + rules.t_max_s * NS, ready_ns(visit))  # min: T_max may have been set anew
            return row, replace(visit, state=State.RUNNING, sample=sample, deadline_ns=deadline_ns)
    raise VisitError("nobody has checked in")


def withdraw(visit: Visit, now_ns: int) -> Visit:
    """Take a start back whose order certainly did not leave; after the insertion time the run stays, without answer."""
    if now_ns >= visit.insert_until_ns:
        return visit
    return replace(visit, state=State.RESERVED, sample="", deadline_ns=0)


def seal(visit: Visit, record: bytes) -> Visit:
    """Return the visit after its call: what names run and code is gone; record, place and module's time stay."""
    if visit.state is not State.RUNNING or len(record) != RECORD_BYTES:
        raise VisitError(f"a run is sealed once, into {RECORD_BYTES} bytes")
    return replace(visit, state=State.SEALED, sample="", assay="", insert_until_ns=0, public=None, record=record)


# --- questions ----------------------------------------------------------------------------------------------------


def running(visits: Sequence[Visit], sample: str | None) -> int | None:
    """Return the row of the run with this sample id; None when it is unknown, called already or None."""
    found = (row for row, visit in enumerate(visits) if visit.state is State.RUNNING and visit.sample == sample)
    return next(found, None)


def lapsed(visits: Sequence[Visit], now_ns: int) -> list[int]:
    """Return the rows of visits whose insertion time passed without a cartridge."""
    return [r for r, visit in enumerate(visits) if visit.state is State.RESERVED and visit.insert_until_ns <= now_ns]


def overdue(visits: Sequence[Visit], now_ns: int) -> list[int]:
    """Return the rows of runs whose T_max has passed without a call."""
    return [row for row, visit in enumerate(visits) if visit.state is State.RUNNING and visit.deadline_ns <= now_ns]


def awaits(visits: Sequence[Visit], tick: int) -> bool:
    """Tell whether a run that is not sealed yet has its place in this tick or an earlier one."""
    return any(visit.state is State.RUNNING and visit.ready_tick <= tick for visit in visits)


def records(visits: Sequence[Visit], tick: int) -> list[bytes]:
    """Return the sealed records that have their place in this tick: at most as many as there are places."""
    return [visit.record for visit in visits if visit.state is State.SEALED and visit.ready_tick == tick]


def swept(visits: Sequence[Visit], tick: int) -> list[Visit]:
    """Return the rows as they are once `tick` lies in the outbox: those it or an earlier one stood for are free."""
    return [EMPTY if visit.state is State.SEALED and visit.ready_tick <= tick else visit for visit in visits]


def free_modules(visits: Sequence[Visit], now_ns: int, rules: VisitRules) -> int:
    """Return how many modules a next visitor could use now."""
    busy = sum(1 for visit in visits if visit.state is not State.FREE and visit.busy_until_ns > now_ns)
    return max(0, rules.modules - busy)


def most_in_a_tick(visits: Sequence[Visit]) -> int:
    """Return how many visits have their place in the same tick, at most: what fewer places could not hold any more."""
    taken = Counter(visit.ready_tick for visit in visits if visit.state is not State.FREE)
    return max(taken.values(), default=0)


def next_deadline_ns(visits: Sequence[Visit]) -> int | None:
    """Return when the next run becomes overdue or the next reservation lapses."""
    waiting = (State.RESERVED, State.RUNNING)
    return min((visit.busy_until_ns for visit in visits if visit.state in waiting), default=None)


def ready_ns(visit: Visit) -> int:
    """Return the start of a visit's ready tick: the instant whose window its call belongs to."""
    return tick_start_ns(visit.ready_tick)


def _ready_tick(visits: Sequence[Visit], earliest_ns: int, rules: VisitRules) -> int:
    """Return the first tick that starts at or after `earliest_ns` and has a free place."""
    first = tick_of(earliest_ns - 1) + 1
    for tick in range(first, first + VISIT_ROWS):
        if sum(1 for visit in visits if visit.state is not State.FREE and visit.ready_tick == tick) < rules.places:
            return tick
    raise VisitError("no place is free")
