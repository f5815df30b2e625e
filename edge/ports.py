"""What the agent's loop needs of the world; real ones in adapters and instruments, simulated ones in tests."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from edge.core.outcome import AssayTable, Level, RunReport
from edge.core.visit import PublicPart
from mqttlink.types import AckToken

# --- a line to an instrument ----------------------------------------------------------------------------


class Link(Protocol):
    """A line of bytes that never blocks. Every method raises LinkError when the line or its other end is gone."""

    def open(self) -> None:
        """Begin to open it; it is usable once `established`."""

    def established(self) -> bool:
        """Whether it can be used now."""

    def fileno(self) -> int:
        """The descriptor to wait on; -1 while there is none."""

    def wants_write(self) -> bool:
        """Whether the descriptor should be waited on for writing too."""

    def receive(self) -> bytes:
        """Return what has come, perhaps nothing."""

    def send(self, data: bytes) -> None:
        """Write, or keep what the line does not take yet."""

    def flush(self) -> None:
        """Write what was kept."""

    def close(self) -> None:
        """Close it; never raises."""


# --- what a driver tells the loop -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """The instrument answers."""

    model: str
    firmware: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The instrument does not answer any more."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """A sensor's values, by the names of the contract's table."""

    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class OrderWanted:
    """A cartridge is in a module: answer with `order`."""


@dataclass(frozen=True, slots=True)
class OrderSettled:
    """What became of an order: the analyser has it, certainly does not, or one cannot know."""

    sample: str
    delivered: Literal["yes", "no", "perhaps"]


@dataclass(frozen=True, slots=True)
class Reported:
    """Runs that the analyser reports, words and all: said in the analyser's child and never to the agent."""

    reports: tuple[RunReport, ...]


@dataclass(frozen=True, slots=True)
class RunSeen:
    """One run of an upload, without what it said."""

    sample: str | None  # None: no id of ours
    control: Level | None
    final: bool


@dataclass(frozen=True, slots=True)
class ResultsCame:
    """An upload has come in; the analyser waits: answer with `seal`."""

    runs: tuple[RunSeen, ...]


@dataclass(frozen=True, slots=True)
class SealedRun:
    """A run sealed for its visitor, and what it adds to the counters. `valid` False: an invalid run."""

    sample: str
    record: bytes
    valid: bool
    positives: frozenset[str]


@dataclass(frozen=True, slots=True)
class ControlSeen:
    """A final external control and whether every target read as the control was made."""

    level: Level
    holds: bool


@dataclass(frozen=True, slots=True)
class ResultsSealed:
    """The upload after `seal`: answer with `kept` once all of it is durable, or with `not_kept`."""

    runs: tuple[SealedRun, ...]
    controls: tuple[ControlSeen, ...]


@dataclass(frozen=True, slots=True)
class Ignored:
    """Something from the wire was passed over; `reason` is one of few words."""

    reason: str


Happening = Found | Lost | Sampled | OrderWanted | OrderSettled | Reported | ResultsCame | ResultsSealed | Ignored


class Driver(Protocol):
    """One instrument, driven without ever blocking. `now_s` is monotonic."""

    def fileno(self) -> int:
        """The descriptor to wait on; -1 while there is none."""

    def wants_write(self) -> bool:
        """Whether to wait for writing too."""

    def deadline_s(self) -> float:
        """When `step` is wanted at the latest."""

    def step(self, now_s: float) -> list[Happening]:
        """Read, write and let time pass."""

    def close(self) -> None:
        """Let the line go."""


class Sensor(Driver, Protocol):
    """An instrument that is asked for values."""

    def sample(self, now_s: float) -> None:
        """Ask for one sample; one `Sampled` or `Ignored` follows."""


class WireAnalyser(Driver, Protocol):
    """The analyser's own line, words and all: driven in its child, or by a technician who only looks."""

    def order(self, sample: str | None, stamp_ns: int, now_s: float) -> list[Happening]:
        """Answer `OrderWanted` with one order, or with none."""

    def kept(self, now_s: float) -> list[Happening]:
        """Answer `Reported`: it is durable."""

    def not_kept(self, now_s: float) -> list[Happening]:
        """Answer `Reported`: it could not be kept now; the analyser offers it again."""


@dataclass(frozen=True, slots=True)
class SealOrder:
    """One awaited run: whose it is, the district's day of the test (ISO), and how its words become calls."""

    sample: str
    public: PublicPart
    day: str
    table: AssayTable


class Analyser(Driver, Protocol):
    """The analyser as the agent sees it: what a run said stays in the analyser's child."""

    def order(self, sample: str | None, stamp_ns: int, now_s: float) -> list[Happening]:
        """Answer `OrderWanted` with one order, or with none."""

    def seal(self, orders: tuple[SealOrder, ...], table: AssayTable, now_s: float) -> list[Happening]:
        """Answer `ResultsCame`: seal these runs, drop the others, judge controls by `table`; `ResultsSealed` follows.

        It may follow in a later `step`. When the child or the line is lost meanwhile it never comes: the analyser
        offers the upload again.
        """

    def kept(self, now_s: float) -> list[Happening]:
        """Answer `ResultsSealed`: it is durable."""

    def not_kept(self, now_s: float) -> list[Happening]:
        """Answer `ResultsCame` or `ResultsSealed`: it could not be kept now; the analyser offers it again."""


class Sealer(Protocol):
    """Seals "no result, please test again" for runs without an answer, in a short-lived child. Never blocks."""

    def seal_no_result(self, orders: tuple[SealOrder, ...]) -> None:
        """Seal these; a call while others are under way replaces them."""

    def step(self, now_s: float) -> tuple[SealedRun, ...] | None:
        """Return what was sealed since, once; None while nothing is ready."""

    def fileno(self) -> int:
        """The descriptor to wait on; -1 while there is none."""

    def close(self) -> None:
        """End the child, if there is one."""


# --- codes ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IssueOrder:
    """What a slip (or the page instead of it) has to say. `expires_ns` is the end of the last tick it opens in."""

    language: str
    paper: bool
    ready_tick: int
    expires_ns: int


@dataclass(frozen=True, slots=True)
class Issued:
    """A code was made and handed out; `code_url` is the loopback page that shows it when there is no paper."""

    public: PublicPart
    code_url: str | None


@dataclass(frozen=True, slots=True)
class NotIssued:
    """No code was handed out; nothing of it is left."""

    reason: Literal["paper", "printer", "internal"]


class CodeMaker(Protocol):
    """Makes codes in short-lived children, one at a time. Never blocks."""

    def issue(self, order: IssueOrder) -> None:
        """Begin; `step` tells how it went."""

    def step(self, now_s: float) -> Issued | NotIssued | None:
        """Return how the order ended, once; None while it has not."""

    def fileno(self) -> int:
        """The descriptor to wait on; -1 while there is none."""

    def deadline_s(self) -> float:
        """When `step` is wanted at the latest; infinite while there is nothing to wait for."""

    def end_display(self) -> None:
        """End the child that shows a code, if there is one."""

    def close(self) -> None:
        """End every child."""


class KioskChildren(Protocol):
    """Makes what a kiosk runs in short-lived child processes."""

    def analyser(self, link: str, assay: str) -> Analyser:
        """Return the analyser at a link ("tcp:HOST:PORT")."""

    def code_maker(self) -> CodeMaker:
        """Return the maker of codes and slips."""

    def sealer(self) -> Sealer:
        """Return what seals runs without an answer."""


# --- the broker, the clock, waiting -------------------------------------------------------------------------


class Uplink(Protocol):
    """The part of an MQTT session that the agent uses; see mqttlink.session."""

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the connection."""

    def start(self) -> None:
        """Begin connecting."""

    def stop(self, *, timeout_s: float) -> None:
        """Send what was taken, say goodbye and end."""

    def publish(
        self, token: int, topic: str, payload: bytes, *, sig: str | None, content_type: str | None, retain: bool = False
    ) -> bool:
        """Take one message; its end comes as `on_published`. False when nothing is connected or the window is full."""

    def ack(self, token: AckToken) -> None:
        """Acknowledge a received message to the broker."""


class Waiter(Protocol):
    """Sleeps until something can be read, written or heard."""

    def wait(self, reading: Iterable[int], writing: Iterable[int], timeout_s: float) -> None:
        """Sleep until a descriptor is ready, `wake` was called or the time is over."""

    def wake(self) -> None:
        """End the sleep, from any thread."""


class ClockQuality(Protocol):
    """How far the district time of this machine may be trusted."""

    def now(self) -> int:
        """Return the `tq` of this moment."""
