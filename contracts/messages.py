"""Every message of the contract: JSON batches and documents (C8, C9, C12, C13). No I/O, no clock.

A batch joins consecutive rows of one stream's outbox: `{v, ob, stream, seq, n, lo, hist, r}`. An outbox row is one
record's encoded bytes and is never decoded again before it is sent. Binary frames are in `contracts.frames`.
"""

import re
from collections.abc import Sequence
from typing import Final, Literal, TypeVar

import msgspec

from contracts.errors import EnvelopeError, VersionError

VERSION: Final = 1
MAX_RECORDS: Final = 50  # a message; also bounds what one bad message can cost ingest
MAX_JOINED_BYTES: Final = 32 * 1024
MAX_VALUES: Final = 32  # metrics of a reading
MAX_ID: Final = 2**63 - 1  # ob and seq fit every store's signed 64-bit integer
MAX_ACK_RANGES: Final = 64
HISTORIC_AFTER_S: Final = 60  # real seconds between a record's commit and its sending, then `hist`

JSON_STREAMS: Final = ("event", "health", "bulk")

# Clock quality `tq` of a record (C10).
TQ_UNKNOWN, TQ_FREE, TQ_DISCIPLINED, TQ_JUMPED = range(4)
TIME_QUALITIES: Final = range(4)


class Reading(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    """`[ts_ns, tq, {metric: value}]`: one record, one line in the series store. Numbers only: no cycle to collect."""

    ts_ns: int
    tq: int
    values: dict[str, float]


class Event(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    """`[ts_ns, tq, code, state]`; both words are of the allow-list."""

    ts_ns: int
    tq: int
    code: str
    state: str


class _Versioned(msgspec.Struct, frozen=True):
    """What every message has; also all that is read of a message of another version."""

    v: int


class _Batch(_Versioned, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fields in front of the records."""

    ob: int
    stream: str
    seq: int
    n: int
    lo: int
    hist: bool


class ReadingBatch(_Batch, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A message on `up/bulk` or `up/health`."""

    r: list[Reading]


class EventBatch(_Batch, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A message on `up/event`."""

    r: list[Event]


class DamagedBatch(_Batch, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A batch with records that cannot be read: None in their places."""

    r: list[Reading | Event | None]


Batch = ReadingBatch | EventBatch | DamagedBatch


class _UnreadBatch(_Batch, frozen=True, forbid_unknown_fields=True, kw_only=True):
    r: list[msgspec.Raw]


class _Document(_Versioned, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What describes a device now. Within an `ob` the greatest (boot, conn) wins (C12)."""

    ob: int
    boot: int
    conn: int


class State(_Document, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`up/state`, retained; also the last will, with `online` false."""

    online: bool
    fw: str


class InstrumentBirth(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An instrument as the agent found it."""

    kind: str
    model: str
    fw: str


class Birth(_Document, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`up/birth`: on connecting, on `down/rebirth`, on change."""

    fw: str
    ts_ns: int
    instruments: list[InstrumentBirth]
    metrics: list[str]
    layout: int | None  # number of the assay layout in force; None for a device without an analyser


class Reported(_Document, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`up/reported`, retained: the twin's answer to `down/desired`."""

    version: int
    accepted: bool
    errors: list[str]


class CommandAnswer(_Document, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`up/cmdresp`: one state of one command."""

    id: str
    state: Literal["received", "started", "succeeded", "failed", "expired", "rejected"]


Document = State | Birth | Reported | CommandAnswer


class Ack(_Versioned, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`down/ack`: every record up to `hi`, and each range of `also` above it, is judged (C17)."""

    ob: int
    stream: str
    hi: int
    also: list[tuple[int, int]]


class Desired(_Versioned, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`down/desired`, retained: the twin's document, by version."""

    version: int
    doc: dict[str, float | int | str | bool]


class Command(_Versioned, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`down/cmd`: done once, or refused after `not_after_ns` of district time."""

    id: str
    name: str
    not_after_ns: int
    args: dict[str, float | int | str | bool]


class Rebirth(_Versioned, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`down/rebirth`: say again what you are."""


class GatewayState(_Versioned, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`_gw/{gateway}/state`, retained, unsigned: a hint whether anyone listens, never a reason to delete."""

    online: bool


Down = Ack | Desired | Command | Rebirth

_BATCHES: Final[dict[str, type[ReadingBatch] | type[EventBatch]]] = {
    "event": EventBatch,
    "health": ReadingBatch,
    "bulk": ReadingBatch,
}
DOCUMENTS_BY_KIND: Final[dict[str, type[Document]]] = {
    "state": State,
    "birth": Birth,
    "reported": Reported,
    "cmdresp": CommandAnswer,
}
DOWNS_BY_KIND: Final[dict[str, type[Down]]] = {"ack": Ack, "desired": Desired, "cmd": Command, "rebirth": Rebirth}

_BATCH_DECODERS = {kind: msgspec.json.Decoder(struct) for kind, struct in _BATCHES.items()}
_DOCUMENT_DECODERS = {kind: msgspec.json.Decoder(struct) for kind, struct in DOCUMENTS_BY_KIND.items()}
_DOWN_DECODERS = {kind: msgspec.json.Decoder(struct) for kind, struct in DOWNS_BY_KIND.items()}
_RECORD_DECODERS: Final[dict[str, "msgspec.json.Decoder[Reading] | msgspec.json.Decoder[Event]"]] = {
    "event": msgspec.json.Decoder(Event),
    "health": msgspec.json.Decoder(Reading),
    "bulk": msgspec.json.Decoder(Reading),
}
_UNREAD_DECODER = msgspec.json.Decoder(_UnreadBatch)
_HEADER = msgspec.json.Decoder(_Versioned)
_GATEWAY = msgspec.json.Decoder(GatewayState)
_M = TypeVar("_M", bound=_Versioned)
_ENCODER = msgspec.json.Encoder()


def encode(message: Document | Down | GatewayState | Reading | Event) -> bytes:
    """Return a document, a `down` message or one record as JSON."""
    return _ENCODER.encode(message)


def join(*, ob: int, stream: str, seq: int, lo: int, hist: bool, rows: Sequence[bytes]) -> bytes:
    """Return a batch of encoded records that follow each other from `seq` on; nothing is decoded."""
    head = f'{{"v":{VERSION},"ob":{ob},"stream":"{stream}","seq":{seq},"n":{len(rows)},"lo":{lo},'
    return f'{head}"hist":{"true" if hist else "false"},"r":['.encode() + b",".join(rows) + b"]}"


def decode_batch(stream: str, plain: bytes) -> ReadingBatch | EventBatch:
    """Read the JSON of an up message of a stream; VersionError or EnvelopeError."""
    batch = _decode(_BATCH_DECODERS[stream], plain)
    _check_batch(batch, stream, len(batch.r))
    return batch


def salvage_batch(stream: str, plain: bytes) -> DamagedBatch:
    """Read what can be read of a batch whose records are not all of their kind; EnvelopeError when none can be."""
    unread = _decode(_UNREAD_DECODER, plain)
    _check_batch(unread, stream, len(unread.r))
    records = [_record(stream, raw) for raw in unread.r]
    if not any(records):
        raise EnvelopeError("no record of its kind")
    return DamagedBatch(
        v=unread.v,
        ob=unread.ob,
        stream=stream,
        seq=unread.seq,
        n=unread.n,
        lo=unread.lo,
        hist=unread.hist,
        r=records,
    )


def _record(stream: str, raw: msgspec.Raw) -> Reading | Event | None:
    try:
        return _RECORD_DECODERS[stream].decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _check_batch(batch: _Batch, stream: str, records: int) -> None:
    if not 0 < batch.ob <= MAX_ID or not 0 < batch.seq <= MAX_ID - MAX_RECORDS or not 0 < batch.lo <= batch.seq:
        raise EnvelopeError("ob, seq and lo are positive 63-bit integers and lo is at most seq")
    if batch.stream != stream or batch.n != records or not 0 < batch.n <= MAX_RECORDS:
        raise EnvelopeError(f"a batch holds n = 1 to {MAX_RECORDS} records of its topic's stream")


class Identity(msgspec.Struct, frozen=True):
    """Which records a message was meant to hold; what may be read of one that is signed but otherwise unreadable."""

    ob: int
    seq: int
    n: int
    lo: int


def read_identity(plain: bytes) -> Identity | None:
    """Return the identity of a batch whose rest could not be read; None when that is damaged too."""
    try:
        found = _IDENTITY.decode(plain)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        head = _HEAD.match(plain)  # no JSON at all, but as far as this a publisher's own
        if head is None:
            return None
        found = Identity(*map(int, head.groups()))
    plausible = 0 < found.ob <= MAX_ID and 0 < found.lo <= found.seq <= MAX_ID - MAX_RECORDS
    return found if plausible and 0 < found.n <= MAX_RECORDS else None


def decode_document(kind: str, plain: bytes) -> Document:
    """Read the JSON of an up document; VersionError or EnvelopeError."""
    document = _decode(_DOCUMENT_DECODERS[kind], plain)
    if not 0 < document.ob <= MAX_ID or not 0 <= document.boot <= MAX_ID or not 0 <= document.conn <= MAX_ID:
        raise EnvelopeError("ob, boot and conn are 63-bit integers")
    return document


def decode_down(kind: str, plain: bytes) -> Down:
    """Read the JSON of a down message; VersionError or EnvelopeError."""
    message = _decode(_DOWN_DECODERS[kind], plain)
    if isinstance(message, Ack):
        _check_ack(message)
    return message


def decode_gateway_state(plain: bytes) -> GatewayState:
    """Read a gateway's state; VersionError or EnvelopeError."""
    return _decode(_GATEWAY, plain)


_IDENTITY = msgspec.json.Decoder(Identity)
# How `join` begins a batch, whatever follows.
_HEAD = re.compile(
    rb'\{"v":[0-9]{1,9},"ob":([0-9]{1,19}),"stream":"[a-z]{1,16}","seq":([0-9]{1,19}),"n":([0-9]{1,2}),"lo":([0-9]{1,19}),'
)


def _check_ack(ack: Ack) -> None:
    edges = [ack.hi, *(edge for pair in ack.also for edge in pair)]
    if len(ack.also) > MAX_ACK_RANGES or not 0 < ack.ob <= MAX_ID or not all(0 <= edge <= MAX_ID for edge in edges):
        raise EnvelopeError("an acknowledgement out of bounds")
    below = ack.hi
    for first, last in ack.also:
        if not below < first <= last:
            raise EnvelopeError("ranges of an acknowledgement lie above hi, in order, apart from each other")
        below = last


def _decode(decoder: msgspec.json.Decoder[_M], plain: bytes) -> _M:
    try:
        message = decoder.decode(plain)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        _refuse_other_version(plain)
        raise EnvelopeError("not JSON of its kind") from exc
    if message.v != VERSION:
        raise VersionError("another version")
    return message


def _refuse_other_version(plain: bytes) -> None:
    """Tell a newer program's message from garbage."""
    try:
        header = _HEADER.decode(plain)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    if header.v != VERSION:
        raise VersionError("another version")
