"""Visits: who may start, when a result may be read, and the fixed-size row that remembers it. Pure.

DESIGN section 6. A place is reserved when a run starts: every tick has the same number of places, the ready tick is the
first one late enough that has a free place. Whatever the analyser does, a module counts as busy until start + T_max, so
that no next start tells how a run went. A visit's row has the same size and place whatever it holds.

    free -> reserved -> running -> sealed -> free       (no screen asks first here: reserved and started at once)
"""

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from contracts.windows import NS, TICK_S, tick_of, tick_start_ns
from edge.errors import VisitError

VISIT_ROWS: Final = 64  # places a tick x ticks from a start to its ready tick: 4 x 16, thus T_max up to 150 min
MAX_PLACES: Final = 16
SAMPLE_CHARS: Final = 20  # 100 bits; an analyser takes 25 characters
SEALING_BYTES: Final = 16 + 32 + 16 + 256  # slot, public key, origin, sealed record: zero until results are sealed here

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: nothing to mistake on an analyser's screen
SAMPLE_ID: Final = re.compile(rf"[{_ALPHABET}]{{{SAMPLE_CHARS}}}")

_ROW = struct.Struct(f">BB{SAMPLE_CHARS}s16sQQQ{SEALING_BYTES}s")
ROW_BYTES: Final = _ROW.size
_ROW_VERSION = 1


class State(IntEnum):
    """Where a visit is; `sealed` covers what follows until its tick has gone out."""

    FREE = 0
    RESERVED = 1
    RUNNING = 2
    SEALED = 3


@dataclass(frozen=True, slots=True)
class Visit:
    """One row. A sealed visit keeps its place and the time its module is busy, and nothing that names the run."""

    state: State
    sample: str = ""
    assay: str = ""
    deadline_ns: int = 0  # start + T_max: no call is taken later
    ready_tick: int = 0
    sealing: bytes = bytes(SEALING_BYTES)

    def encode(self, tick: int) -> bytes:
        """Return the row as rewritten in `tick`; that number makes every row differ, so that all are written."""
        sample, assay = self.sample.encode("ascii"), self.assay.encode("ascii")
        return _ROW.pack(_ROW_VERSION, self.state, sample, assay, self.deadline_ns, self.ready_tick, tick, self.sealing)

    @classmethod
    def decode(cls, row: bytes) -> "Visit":
        """Read a row; VisitError when it is none of ours."""
        try:
            version, state, sample, assay, deadline_ns, ready_tick, _, sealing = _ROW.unpack(row)
            if version != _ROW_VERSION:
                raise VisitError("a visit row of another version")
            texts = [text.rstrip(b"\0").decode("ascii") for text in (sample, assay)]
            return cls(State(state), texts[0], texts[1], deadline_ns, ready_tick, sealing)
        except (struct.error, ValueError) as exc:
            raise VisitError("a visit row is damaged") from exc


EMPTY: Final = Visit(State.FREE)


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
        if self.insertion_s < 0 or self.t_max_s <= 0:
            raise VisitError("insertion_s must not be negative and t_max_s must be above 0")
        if self.places * self.ticks_ahead > VISIT_ROWS:
            raise VisitError(f"places x ticks until a result is ready must not exceed {VISIT_ROWS}")

    @property
    def ticks_ahead(self) -> int:
        """How many ticks lie between a start and the last tick in which its place can be needed, both included."""
        return (self.insertion_s + self.t_max_s) // TICK_S + 2


def new_sample_id(randbelow: Callable[[int], int]) -> str:
    """Draw the id that stands for one run between kiosk and analyser."""
    return "".join(_ALPHABET[randbelow(len(_ALPHABET))] for _ in range(SAMPLE_CHARS))


def reserve(visits: Sequence[Visit], now_ns: int, rules: VisitRules, sample: str, assay: str) -> tuple[int, Visit]:
    """Return the row to use and the visit to write there; VisitError when no module, place or row is free."""
    busy = sum(1 for visit in visits if visit.state is not State.FREE and visit.deadline_ns > now_ns)
    if busy >= rules.modules:
        raise VisitError("no module is free")
    slot = next((slot for slot, visit in enumerate(visits) if visit.state is State.FREE), None)
    if slot is None:
        raise VisitError("no row is free")
    tick = _ready_tick(visits, now_ns + (rules.insertion_s + rules.t_max_s) * NS, rules)
    return slot, Visit(State.RUNNING, sample, assay, now_ns + rules.t_max_s * NS, tick)


def _ready_tick(visits: Sequence[Visit], earliest_ns: int, rules: VisitRules) -> int:
    """Return the first tick that starts at or after `earliest_ns` and has a free place."""
    first = tick_of(earliest_ns - 1) + 1
    for tick in range(first, first + VISIT_ROWS):
        if sum(1 for visit in visits if visit.state is not State.FREE and visit.ready_tick == tick) < rules.places:
            return tick
    raise VisitError("no place is free")


def running(visits: Sequence[Visit], sample: str | None) -> int | None:
    """Return the row of the run with this sample id; None when it is unknown, called already or None."""
    if sample is None:
        return None
    found = (slot for slot, visit in enumerate(visits) if visit.state is State.RUNNING and visit.sample == sample)
    return next(found, None)


def overdue(visits: Sequence[Visit], now_ns: int) -> list[int]:
    """Return the rows of runs whose T_max has passed without a call."""
    return [slot for slot, visit in enumerate(visits) if visit.state is State.RUNNING and visit.deadline_ns <= now_ns]


def sealed(visit: Visit) -> Visit:
    """Return the visit after its call: what names the run is gone, its place and its module's time stay."""
    return replace(visit, state=State.SEALED, sample="", assay="")


def swept(visits: Sequence[Visit], now_ns: int) -> list[Visit]:
    """Return the rows as a tick leaves them: those whose ready tick is over are free."""
    tick = tick_of(now_ns)
    return [EMPTY if visit.state is State.SEALED and visit.ready_tick < tick else visit for visit in visits]


def next_deadline_ns(visits: Sequence[Visit]) -> int | None:
    """Return when the next run becomes overdue."""
    return min((visit.deadline_ns for visit in visits if visit.state is State.RUNNING), default=None)


def ready_ns(visit: Visit) -> int:
    """Return the start of a visit's ready tick: the instant whose window its call belongs to."""
    return tick_start_ns(visit.ready_tick)
