"""What agent, fork server and children say to each other: typed messages to bytes and back. Pure.

The fork server hears `Spawn`, `Kill` and `Warm` only: it never sees an order, a code or a call. To a child the agent
says what the agent knows anyway. What a child says of a run goes in one message of its own layout (`encode_sealed`),
which names no target and no sample but counts along the orders: read from a buffer that is overwritten, it leaves no
text behind.

    sealed:   "S" | runs(1) | controls(1) | per run: index of its order(1) valid(1) positives(1, bits along the table)
              record(256) | per control: level(1: 0 negative, 1 positive) holds(1)
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Final, Literal, TypeVar

import msgspec

from contracts.notice import MAX_NOTICE_BYTES
from contracts.sealed import RECORD_BYTES
from edge.core.outcome import AssayTable, Level
from edge.core.visit import SAMPLE_ID, PublicPart
from edge.errors import ChildError
from edge.ports import ControlSeen, ResultsSealed, SealedRun, SealOrder

MAX_RUNS: Final = 64  # to be sealed at once: as many as a kiosk has visits
MAX_REPORTS: Final = 1000  # of one upload: as many as the codec reads records (docs/protocols/genexpert.md)
MAX_TARGETS: Final = 4  # DESIGN section 6: a record has room for four
MAX_MODEL_CHARS: Final = 160  # the analyser's name for itself, three parts of 50

Kind = Literal["code", "analyser", "seal"]
Sample = Annotated[str, msgspec.Meta(pattern=f"^{SAMPLE_ID.pattern}$")]
Text = Annotated[str, msgspec.Meta(max_length=200)]
Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

M = TypeVar("M")


class _Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=True):
    """Positional, tagged by the class's name."""


# --- agent -> fork server -----------------------------------------------------------------------------------


class Spawn(_Message, frozen=True):
    """Fork a child; its channel and what else it needs come along as descriptors."""

    number: Number  # by which `Kill` names it
    kind: Kind


class Kill(_Message, frozen=True):
    """End a child at once, if it is there still."""

    number: Number


class Warm(_Message, frozen=True):
    """Draw ahead what every slip says, so that children inherit it. Printed for everybody to read: no secret."""

    notice: Annotated[bytes, msgspec.Meta(max_length=MAX_NOTICE_BYTES)]  # contracts.notice
    page_hash: Text


# --- agent -> child -----------------------------------------------------------------------------------------


class IssueCode(_Message, frozen=True):
    """Make a code and hand it out: on paper at `printer` ("HOST:PORT"), else on a page."""

    printer: Text | None
    ready_tick: Annotated[int, msgspec.Meta(ge=1, lt=2**22)]
    ready_at: Text
    expires_at: Text
    language: Text
    origin: Text
    page_hash: Text
    notice: Annotated[bytes, msgspec.Meta(max_length=MAX_NOTICE_BYTES)]  # contracts.notice


class OrderTest(_Message, frozen=True):
    """Answer the analyser's query with one order, or with none."""

    sample: Sample | None
    stamp_ns: Number


class ServeAnalyser(_Message, frozen=True):
    """Drive the line; `order` is one that the child before could not send any more."""

    assay: Text
    system: Annotated[str, msgspec.Meta(max_length=MAX_MODEL_CHARS)]
    order: OrderTest | None


class SealItem(_Message, frozen=True):
    """edge.ports.SealOrder."""

    sample: Sample
    slot: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
    public_key: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    origin: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
    day: Text
    assay: Text
    targets: Annotated[dict[Text, Text], msgspec.Meta(max_length=MAX_TARGETS)]


class SealRuns(_Message, frozen=True):
    """Seal these runs of the upload and judge its controls by the table; or, to a seal child, seal "no result"."""

    orders: Annotated[tuple[SealItem, ...], msgspec.Meta(max_length=MAX_RUNS)]
    assay: Text
    targets: Annotated[dict[Text, Text], msgspec.Meta(max_length=MAX_TARGETS)]


class Verdict(_Message, frozen=True):
    """Whether the upload is durable."""

    kept: bool


class Ping(_Message, frozen=True):
    """Are you there?"""


# --- child -> agent -----------------------------------------------------------------------------------------


class CodeIssued(_Message, frozen=True):
    """The code is with its visitor."""

    slot: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
    public_key: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    origin: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
    code_url: Text | None


class CodeNotIssued(_Message, frozen=True):
    """The printer did not take the slip."""

    reason: Literal["paper", "printer"]


class Wanted(_Message, frozen=True):
    """The analyser asks for an order."""


class Settled(_Message, frozen=True):
    """What became of an order."""

    sample: Sample
    delivered: Literal["yes", "no", "perhaps"]


class Came(_Message, frozen=True):
    """An upload waits. Each run: sample id of ours, level of a control, whether it is final."""

    runs: Annotated[tuple[tuple[Sample | None, Level | None, bool], ...], msgspec.Meta(max_length=MAX_REPORTS)]


class Passed(_Message, frozen=True):
    """Something from the wire was passed over."""

    reason: Annotated[str, msgspec.Meta(max_length=40)]


class LineGone(_Message, frozen=True):
    """The analyser closed the line, or it broke."""


class Done(_Message, frozen=True):
    """The exchange is over and the child ends; the line is free for the next one."""

    system: Annotated[str, msgspec.Meta(max_length=MAX_MODEL_CHARS)]
    order_waits: bool  # the newest order has not begun to leave


class Pong(_Message, frozen=True):
    """I am."""


class Failed(_Message, frozen=True):
    """The child ends by a mistake of ours: the name of the exception's class, never its text."""

    what: Annotated[str, msgspec.Meta(max_length=40)]


ToServer = Spawn | Kill | Warm
ToChild = IssueCode | ServeAnalyser | OrderTest | SealRuns | Verdict | Ping
FromChild = CodeIssued | CodeNotIssued | Wanted | Settled | Came | Passed | LineGone | Done | Pong | Failed

_ENCODER: Final = msgspec.msgpack.Encoder()
_TO_SERVER: Final[msgspec.msgpack.Decoder[ToServer]] = msgspec.msgpack.Decoder(ToServer)
_TO_CHILD: Final[msgspec.msgpack.Decoder[ToChild]] = msgspec.msgpack.Decoder(ToChild)
_FROM_CHILD: Final[msgspec.msgpack.Decoder[FromChild]] = msgspec.msgpack.Decoder(FromChild)


def encode(message: ToServer | ToChild | FromChild) -> bytes:
    """Return a message's bytes."""
    return _ENCODER.encode(message)


def decode_for_server(data: bytes | memoryview) -> ToServer:
    """Read what an agent says to the fork server; ChildError on anything else."""
    return _decode(_TO_SERVER, data)


def decode_for_child(data: bytes | memoryview) -> ToChild:
    """Read what an agent says to a child; ChildError on anything else."""
    return _decode(_TO_CHILD, data)


def decode_from_child(data: bytes | memoryview) -> FromChild:
    """Read what a child says, sealed runs excepted; ChildError on anything else."""
    return _decode(_FROM_CHILD, data)


def _decode(decoder: msgspec.msgpack.Decoder[M], data: bytes | memoryview) -> M:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, ValueError, TypeError) as exc:
        raise ChildError("a message that is none") from exc


# --- orders to seal -----------------------------------------------------------------------------------------


def seal_runs(orders: Sequence[SealOrder], table: AssayTable) -> SealRuns:
    """Return the message for these orders."""
    items = tuple(
        SealItem(
            order.sample,
            order.public.slot,
            order.public.public_key,
            order.public.origin,
            order.day,
            order.table.assay,
            dict(order.table.targets),
        )
        for order in orders
    )
    return SealRuns(items, table.assay, dict(table.targets))


def orders_of(message: SealRuns) -> tuple[SealOrder, ...]:
    """Return the orders of a message."""
    return tuple(
        SealOrder(
            item.sample,
            PublicPart(item.slot, item.public_key, item.origin),
            item.day,
            AssayTable(item.assay, item.targets),
        )
        for item in message.orders
    )


# --- sealed runs --------------------------------------------------------------------------------------------

_SEALED: Final = ord("S")  # no message of msgpack that is an array begins with it
_HEAD_BYTES: Final = 3
_RUN_BYTES: Final = 3 + RECORD_BYTES
_CONTROL_BYTES: Final = 2
_LEVELS: Final[tuple[Level, Level]] = ("negative", "positive")


def encode_sealed(sealed: ResultsSealed, orders: Sequence[SealOrder]) -> bytes:
    """Return the message; every sealed run belongs to one of the orders."""
    parts = [bytes((_SEALED, len(sealed.runs), len(sealed.controls)))]
    places = {order.sample: place for place, order in enumerate(orders)}
    for run in sealed.runs:
        targets = _targets(orders[places[run.sample]].table)
        bits = sum(1 << bit for bit, target in enumerate(targets) if target in run.positives)
        parts += [bytes((places[run.sample], run.valid, bits)), run.record]
    parts += [bytes((_LEVELS.index(control.level), control.holds)) for control in sealed.controls]
    return b"".join(parts)


def is_sealed(data: memoryview) -> bool:
    """Tell whether this is a message of sealed runs."""
    return len(data) > 0 and data[0] == _SEALED


def decode_sealed(data: memoryview, orders: Sequence[SealOrder]) -> ResultsSealed:
    """Read sealed runs along the orders that were given; ChildError on anything else."""
    if len(data) < _HEAD_BYTES or data[0] != _SEALED:
        raise ChildError("a message that is none")
    runs, controls = data[1], data[2]
    controls_at = _HEAD_BYTES + runs * _RUN_BYTES
    if len(data) != controls_at + controls * _CONTROL_BYTES:
        raise ChildError("sealed runs of another length")
    read = tuple(_run(data[at : at + _RUN_BYTES], orders) for at in range(_HEAD_BYTES, controls_at, _RUN_BYTES))
    if len({run.sample for run in read}) != runs:
        raise ChildError("a run that is sealed twice")
    return ResultsSealed(read, tuple(_control(data[at:]) for at in range(controls_at, len(data), _CONTROL_BYTES)))


def _run(data: memoryview, orders: Sequence[SealOrder]) -> SealedRun:
    place, valid, bits = data[0], data[1], data[2]
    if place >= len(orders) or valid > 1 or bits >> len(orders[place].table.targets):
        raise ChildError("a sealed run that nobody ordered")
    order = orders[place]
    return SealedRun(order.sample, bytes(data[3:]), valid == 1, _some(_targets(order.table), bits))


def _control(data: memoryview) -> ControlSeen:
    if data[0] > 1 or data[1] > 1:
        raise ChildError("a control of no level")
    return ControlSeen(_LEVELS[data[0]], data[1] == 1)


def _targets(table: AssayTable) -> tuple[str, ...]:
    return tuple(table.targets.values())


@lru_cache(maxsize=256)
def _some(targets: tuple[str, ...], bits: int) -> frozenset[str]:
    """Return one set for all runs that read so: none of them owns it, so none leaves it behind."""
    return frozenset(target for bit, target in enumerate(targets) if bits >> bit & 1)
