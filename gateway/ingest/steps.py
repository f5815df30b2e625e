"""The checks of one message, in the order of contract rule C15. Pure: bytes, registry and `now` in, a verdict out.

    1 size · 2 topic · 3 known device                    `admit`
    4 signature                                          the service, in slices (`verifier`)
    5 schema version                                     `read`
    6 replay                                             `marks.take`, and `newer` for documents
    7 ranges · 8 allow-list                              `judge_record`, `judge_release`

Before 4 holds nothing is decoded and nothing moves a mark. A refusal before it is counted and kept without payload;
one after it is a dead letter with its payload, unless that is a second look at a window (C22).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from contracts.codec import CONTENT_BINARY, check_wire_size, unpack_json
from contracts.errors import (
    ContractError,
    EnvelopeError,
    LayoutError,
    MetricError,
    OversizeError,
    TopicError,
    VersionError,
)
from contracts.frames import Frame, ReleaseBody
from contracts.messages import (
    MAX_VALUES,
    TIME_QUALITIES,
    Batch,
    Document,
    Event,
    Identity,
    Reading,
    decode_batch,
    decode_document,
    read_identity,
)
from contracts.metrics import check_event, metric
from contracts.registry import Device
from contracts.rows import AssayCounts, DeviceReport
from contracts.topics import DOCUMENTS, UpTopic
from contracts.windows import NS
from gateway.ingest.world import World

Reason = Literal[
    "oversize",
    "topic",
    "unknown_device",
    "signature",
    "version",
    "malformed",
    "foreign_outbox",
    "range",
    "allow_list",
    "layout",
    "second_release",
    "not_taken_here",
    "projection",
]

# Device clocks may be wrong by this much and are still believed; beyond it the record is a dead letter, not a point
# in a year nobody looks at. A registry older than the system is not a clock either.
MAX_AHEAD_S: Final = 24 * 3600
MIN_TIME_NS: Final = 946_684_800 * NS  # 1 January 2000
WINDOW_SLACK_S: Final = 600  # a release may come a tick before the gateway's clock says that its window is over


@dataclass(frozen=True, slots=True)
class Received:
    """A message as the broker handed it over."""

    topic: str
    wire: bytes
    content_type: str | None
    sig: str | None
    received_ns: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message or record cannot be taken; `identity` tells which records are thereby judged, if any."""

    reason: Reason
    identity: Identity | None = None
    device: str | None = None  # whom check 3 did not know


@dataclass(frozen=True, slots=True)
class Admitted:
    """A message of a device that may speak; its signature is not checked yet."""

    received: Received
    device: Device
    kind: str

    @property
    def key(self) -> bytes:
        """The key it must be signed with."""
        key = self.device.public_key
        return b"" if key is None else key


@dataclass(frozen=True, slots=True)
class Release:
    """A release that passed every check but the one for a second look."""

    frame: Frame
    layout: int
    counters: dict[str, AssayCounts]
    late: bool


Content = Batch | Frame | Document


def admit(received: Received, world: World) -> Admitted | Refusal:
    """Checks 1 to 3."""
    try:
        check_wire_size(received.wire)  # 1
        topic = UpTopic.parse(received.topic)  # 2
    except OversizeError:
        return Refusal("oversize")
    except TopicError:
        return Refusal("topic")
    device = world.active(topic.device)  # 3
    return Refusal("unknown_device", device=topic.device) if device is None else Admitted(received, device, topic.kind)


def read(admitted: Admitted) -> Content | Refusal:
    """Check 5, for a message whose signature holds (4)."""
    if admitted.kind == "sealed":
        return Refusal("not_taken_here")  # sealed ticks go to the cohort store; without one the kiosk keeps them
    if admitted.kind == "release":
        return _read_frame(admitted.received)
    received, plain = admitted.received, b""
    try:
        plain = unpack_json(received.wire, received.content_type)
        if admitted.kind in DOCUMENTS:
            return decode_document(admitted.kind, plain)
        return decode_batch(admitted.kind, plain)
    except ContractError as exc:
        return Refusal(_reason_of(exc), None if admitted.kind in DOCUMENTS else read_identity(plain))


def _read_frame(received: Received) -> Frame | Refusal:
    try:
        if received.content_type != CONTENT_BINARY:
            raise EnvelopeError("a release is binary")
        return Frame.decode(received.wire)
    except ContractError as exc:
        return Refusal(_reason_of(exc))


def newer(known: DeviceReport | None, document: Document) -> bool:
    """Check 6 for documents: within an outbox the greatest (boot, conn) wins, the same one may say more (C12, C13)."""
    return known is None or known.ob != document.ob or (document.boot, document.conn) >= (known.boot, known.conn)


def judge_record(record: Reading | Event, stream: str, device: Device, now_ns: int) -> Reason | None:
    """Checks 7 and 8 for one record; None when it may be stored."""
    if record.tq not in TIME_QUALITIES or not MIN_TIME_NS <= record.ts_ns <= now_ns + MAX_AHEAD_S * NS:
        return "range"
    try:
        if isinstance(record, Event):
            check_event(record.code, record.state)
            return None
        return _judge_values(record.values, stream, device.kind)
    except MetricError:
        return "allow_list"


def _judge_values(values: dict[str, float], stream: str, kind: str) -> Reason | None:
    if not 0 < len(values) <= MAX_VALUES:
        return "range"
    for (low, high), value in zip(_ranges(tuple(values), stream, kind), values.values(), strict=True):
        if not low <= value <= high:
            return "range"
    return None


@lru_cache(maxsize=4096)
def _ranges(names: tuple[str, ...], stream: str, kind: str) -> tuple[tuple[float, float], ...]:
    """Return the ranges of metrics that may stand in one record; MetricError when one may not, or two do not join."""
    rows = [metric(name, stream, kind) for name in names]
    if len({row.measurement for row in rows}) > 1:
        raise MetricError("metrics of two measurements in one record")
    return tuple((row.low, row.high) for row in rows)


def judge_release(frame: Frame, world: World, now_ns: int) -> Release | Refusal:
    """Checks 7 and 8 for a release; whether it is the window's first is the journal's to know (C22)."""
    try:
        body = ReleaseBody.decode(frame.body, dict(world.layouts))
    except LayoutError:
        return Refusal("layout")
    start_ns = frame.start * NS
    over_ns = start_ns + world.calendar.window_ns
    if start_ns < MIN_TIME_NS or not world.calendar.is_window_start(start_ns):
        return Refusal("range")
    if over_ns > now_ns + WINDOW_SLACK_S * NS:
        return Refusal("range")
    counters: dict[str, AssayCounts] = {}
    numbers = iter(body.counters)
    for assay in world.layouts[body.layout].assays:
        valid, invalid = next(numbers), next(numbers)
        counters[assay.code] = AssayCounts(valid, invalid, {target: next(numbers) for target in assay.targets})
    return Release(frame, body.layout, counters, late=now_ns >= over_ns + world.calendar.window_ns)


def _reason_of(exc: ContractError) -> Reason:
    if isinstance(exc, OversizeError):
        return "oversize"
    return "version" if isinstance(exc, VersionError) else "malformed"
