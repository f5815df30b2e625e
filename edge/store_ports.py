"""What the agent's services need of its two files: the outbox, and a kiosk's visits and counters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge.core.layouts import LayoutBook
from edge.core.outcome import Controls
from edge.core.ranges import Range
from edge.core.visit import PublicPart, Visit, VisitRules
from edge.ports import SealedRun


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to keep. `start` is the window start (s) or tick of a frame, None for JSON records."""

    stream: str
    body: bytes
    start: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A record as kept."""

    seq: int
    start: int | None
    committed_ns: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Thinned:
    """A stream's oldest records were given up to make room."""

    stream: str
    first: int
    last: int
    n: int


@dataclass(frozen=True, slots=True)
class Appended:
    """What one commit put in: (stream, seq) each, and what it had to give up."""

    records: tuple[tuple[str, int], ...]
    thinned: tuple[Thinned, ...]


class Outbox(Protocol):
    """The durable queue. Every method raises StoreError; StoreFullError when nothing was written for want of room."""

    @property
    def ob(self) -> int:
        """The id made with this file."""

    @property
    def boot(self) -> int:
        """How often it was opened."""

    @property
    def thinned_records(self) -> int:
        """How many records were given up in this file's life."""

    def append(self, records: Sequence[NewRecord], now_ns: int) -> Appended:
        """Make records durable in one commit; a frame that is not later than the newest of its stream is left out."""

    def rows(self, stream: str, first: int, n: int) -> list[Row]:
        """Return up to n rows from a seq on."""

    def delete(self, stream: str, ranges: Sequence[Range]) -> None:
        """Delete acknowledged records."""

    def last_start(self, stream: str) -> int | None:
        """Return the newest window start (s) or tick a stream of frames took; None before the first."""

    def held(self) -> Mapping[str, list[Range]]:
        """Return what every stream holds."""

    def next_seq(self) -> Mapping[str, int]:
        """Return every stream's next seq."""

    def fill_pct(self) -> float:
        """Return how full the fullest stream is."""

    def close(self) -> None:
        """Close the file."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """A reserved row."""

    row: int
    ready_tick: int
    insert_until_ns: int


@dataclass(frozen=True, slots=True)
class AwaitedRun:
    """A run whose result is awaited: whose it is, and which targets the window of its ready tick counts."""

    sample: str
    public: PublicPart
    assay: str
    targets: tuple[str, ...]
    deadline_ns: int


class VisitStore(Protocol):
    """Visits, counters and controls: each method is one durable transaction a visit, or none. Raises StoreError."""

    @property
    def controls(self) -> Controls:
        """The newest control results."""

    @property
    def open_windows(self) -> tuple[int, int]:
        """Starts of the two open windows, ns."""

    @property
    def visits(self) -> Sequence[Visit]:
        """The rows as they stand."""

    @property
    def last_tick(self) -> int:
        """The tick in which every row was last rewritten."""

    def use_layouts(self, layouts: LayoutBook) -> None:
        """Take a new list of layouts: it holds for windows that are drawn from now on."""

    def reserve(self, now_ns: int, rules: VisitRules, assay: str) -> Reservation:
        """Reserve module and place; VisitError when there is none, or when no window awaits the result."""

    def complete(self, row: int, public: PublicPart, now_ns: int) -> None:
        """Give a reserved visit its code's public part; VisitError when it lapsed meanwhile."""

    def give_back(self, row: int) -> None:
        """Free a reserved row whose code was not handed out; a row that has lapsed stays as it is."""

    def begin(self, now_ns: int, rules: VisitRules, sample: str) -> None:
        """Start the run of whoever has checked in; VisitError when nobody has."""

    def withdraw(self, sample: str, now_ns: int) -> None:
        """Let the visit of a run that certainly never began wait on for its cartridge; unknown ids are ignored."""

    def lapse(self, now_ns: int) -> None:
        """Free every reserved row whose insertion time is over: nobody came, nothing is counted."""

    def awaited(self, sample: str | None, now_ns: int) -> AwaitedRun | None:
        """Return the run with this sample id if its result may still come; None otherwise."""

    def overdue(self, now_ns: int) -> list[AwaitedRun]:
        """Return the runs without an answer by T_max: they are to be settled as "no result"."""

    def settle(self, run: SealedRun) -> bool:
        """Keep a run's record and count it, in one transaction after which nothing names it; False if not awaited."""

    def awaits(self, tick: int) -> bool:
        """Tell whether a run that is not sealed yet has its place in this tick or an earlier one."""

    def records(self, tick: int) -> list[bytes]:
        """Return the sealed records that have their place in a tick."""

    def tick(self, tick: int) -> None:
        """Rewrite every row once `tick` lies in the outbox; the rows that it stood for are free."""

    def set_controls(self, controls: Controls) -> None:
        """Keep the result of a control."""

    def close_window(self, now_ns: int) -> bool:
        """Close the older window if it is over: its release stands ready afterwards. False when it still runs."""

    def ready_release(self) -> tuple[int, bytes] | None:
        """Return the newest closed window, start in ns and body of its release; None before the first."""

    def next_deadline_ns(self) -> int | None:
        """When the next run becomes overdue or the next reservation lapses."""

    def close(self) -> None:
        """Close the file."""
