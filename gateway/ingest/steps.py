"""The checks of one message, in the order of contract rule C15. Pure: bytes, registry and `now` in, a verdict out.

    1 size · 2 topic · 3 known device                    `admit`
    4 signature                                          the service, in slices (`verifier`)
    5 schema version                                     `read`
    6 replay                                             `marks.take`, and `newer` for documents
    7 ranges · 8 allow-list                  `all_hold`, `judge_record`, `judge_release`, `judge_tick`

Before 4 holds nothing is decoded and nothing moves a mark. A refusal before it is counted and kept without payload;
one after it is a dead letter with its payload, unless that is a second look at a window (C22) or sealed (C24). A record
that cannot be read leaves its neighbours in the message readable.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from contracts.codec import CONTENT_BINARY, check_wire_size, unpack_json
from contracts.cohorts import cohort_of, deletion_tick
from contracts.errors import (
    ContractError,
    EnvelopeError,
    LayoutError,
    MetricError,
    OversizeError,
    TopicError,
    VersionError,
)
from contracts.frames import MAX_RECORDS, Frame, ReleaseBody, TickBody
from contracts.layout import AssayLayout, noise_sd
from contracts.messages import (
    MAX_VALUES,
    TIME_QUALITIES,
    Batch,
    Document,
    Event,
    Identity,
    Reading,
    State,
    decode_batch,
    decode_document,
    read_identity,
    salvage_batch,
)
from contracts.metrics import METRICS, check_event
from contracts.registry import Device
from contracts.rows import AssayCounts, DeviceReport
from contracts.topics import DOCUMENTS, UpTopic
from contracts.windows import NS, TICK_S, tick_of
from gateway.ingest.world import Place, World

Reason = Literal[
    "oversize",
    "topic",
    "unknown_device",
    "signature",
    "version",
    "malformed",
    "foreign_outbox",
    "range",
    "step",
    "too_often",
    "allow_list",
    "layout",
    "second_release",
    "second_tick",
    "projection",
    "defect",
]

# Device clocks may be wrong by this much and are still believed; beyond it the record is a dead letter, not a point
# in a year nobody looks at. A registry older than the system is not a clock either.
MAX_AHEAD_S: Final = 24 * 3600
MIN_TIME_NS: Final = 946_684_800 * NS  # 1 January 2000
# A kiosk may be cut off for long and keeps every release. But a window older than a season changes no decision, while
# one of years ago would move the weeks from which detectors learn, and shut a zone's public history out.
MAX_LATE_S: Final = 92 * 24 * 3600
TICK_SLACK: Final = 1  # ticks that a kiosk's clock may be ahead; nothing is public before its tick has ended here
TICK_KINDS: Final = frozenset({"kiosk"})  # of devices: nobody else has anything to seal
RELEASE_KINDS: Final = TICK_KINDS  # nor anything to count
DAILY: Final = frozenset(row.name for row in METRICS.values() if row.daily)
_Range = tuple[float, float, float]  # low, high, step
WINDOW_SLACK_S: Final = 600  # a release may come a tick before the gateway's clock says that its window is over
# No honest counter lies further out: below e^-54 a draw, whatever epsilon is.
MOST_NOISE_SDS: Final = 40.0


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
    place: Place
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

FRAMES: Final = frozenset({"release", "sealed"})  # kinds of messages that are one binary frame


def admit(received: Received, world: World) -> Admitted | Refusal:
    """Checks 1 to 3."""
    try:
        check_wire_size(received.wire)  # 1
        topic = _topic(received.topic)  # 2
    except OversizeError:
        return Refusal("oversize")
    except TopicError:
        return Refusal("topic")
    device = world.active(topic.device)  # 3
    if device is None:
        return Refusal("unknown_device", device=topic.device)
    return Admitted(received, device, world.places[device.id], topic.kind)


@lru_cache(maxsize=8192)
def _topic(text: str) -> UpTopic:
    """A topic stands on every message of its device."""
    return UpTopic.parse(text)


def read(admitted: Admitted) -> Content | Refusal:
    """Check 5, for a message whose signature holds (4)."""
    if admitted.kind in FRAMES:
        return _read_frame(admitted.received)
    received = admitted.received
    try:
        plain = unpack_json(received.wire, received.content_type)
        if admitted.kind in DOCUMENTS:
            return decode_document(admitted.kind, plain)
    except ContractError as exc:
        return Refusal(_reason_of(exc))
    return _read_batch(admitted.kind, plain)


def read_again(stream: str, wire: bytes, content_type: str) -> Content | None:
    """Read a journalled message, which passed every check when it came; None when this program reads it no more."""
    try:
        if stream == "release":
            return Frame.decode(wire)
        content = _read_batch(stream, unpack_json(wire, content_type))
    except ContractError:
        return None
    return None if isinstance(content, Refusal) else content


def _read_batch(stream: str, plain: bytes) -> Content | Refusal:
    try:
        return decode_batch(stream, plain)
    except VersionError:
        return Refusal("version", read_identity(plain))
    except EnvelopeError:
        pass
    try:
        return salvage_batch(stream, plain)
    except EnvelopeError:
        return Refusal("malformed", read_identity(plain))


def _read_frame(received: Received) -> Frame | Refusal:
    try:
        if received.content_type != CONTENT_BINARY:
            raise EnvelopeError("a release and a tick are binary")
        return Frame.decode(received.wire)
    except ContractError as exc:
        return Refusal(_reason_of(exc))


def newer(known: DeviceReport | None, document: Document) -> bool:
    """Check 6 for documents: within an outbox the greatest (boot, conn) wins, and the same one may say more (C12).

    But a connection that has ended stays ended: what it said before comes late, or again (C13).
    """
    if known is None or known.ob != document.ob:
        return True
    if (document.boot, document.conn) == (known.boot, known.conn) and isinstance(document, State):
        return not document.online or _online(known)
    return (document.boot, document.conn) >= (known.boot, known.conn)


def _online(report: DeviceReport) -> bool:
    state = decode_document("state", report.body)
    return isinstance(state, State) and state.online


def all_hold(readings: Sequence[Reading], stream: str, kind: str, now_ns: int) -> bool:
    """Checks 7 and 8 for a message at once: whether `judge_record` takes every one of its readings. The hot path.

    False also where a metric is said once a day: what was said before is not known here, and it is rare.
    """
    latest_ns = now_ns + MAX_AHEAD_S * NS
    names: tuple[str, ...] = ()
    ranges: tuple[_Range, ...] = ()
    for reading in readings:
        these = tuple(reading.values)
        if these != names or not these:
            found = _allowed_ranges(these, stream, kind)
            if found is None:
                return False
            names, ranges = these, found
        if reading.tq not in TIME_QUALITIES or not MIN_TIME_NS <= reading.ts_ns <= latest_ns:
            return False
        for (low, high, step), value in zip(ranges, reading.values.values(), strict=True):
            if not low <= value <= high or (step and value % step):
                return False
    return True


def _allowed_ranges(names: tuple[str, ...], stream: str, kind: str) -> tuple[_Range, ...] | None:
    if not 0 < len(names) <= MAX_VALUES or not DAILY.isdisjoint(names):
        return None
    try:
        ranges, allowed = _ranges(names, stream, kind)
    except KeyError:
        return None
    return ranges if allowed else None


def judge_record(record: Reading | Event | None, stream: str, device: Device, now_ns: int) -> Reason | None:
    """Checks 7 and 8 for one record; None when it may be stored."""
    if record is None:
        return "malformed"
    if record.tq not in TIME_QUALITIES or not MIN_TIME_NS <= record.ts_ns <= now_ns + MAX_AHEAD_S * NS:
        return "range"
    if isinstance(record, Reading):
        return _judge_values(record.values, stream, device.kind)
    try:
        check_event(record.code, record.state)
    except MetricError:
        return "allow_list"
    return None


def _judge_values(values: dict[str, float], stream: str, kind: str) -> Reason | None:
    if not 0 < len(values) <= MAX_VALUES:
        return "range"
    try:
        ranges, allowed = _ranges(tuple(values), stream, kind)
    except KeyError:  # a metric that nobody knows; the others' ranges come first all the same
        known = {name: value for name, value in values.items() if name in METRICS}
        found = _judge_values(known, stream, kind) if known else None
        return found if found in {"range", "step"} else "allow_list"
    for (low, high, step), value in zip(ranges, values.values(), strict=True):
        if not low <= value <= high:
            return "range"
        if step and value % step:  # C28
            return "step"
    return None if allowed else "allow_list"


def daily_of(record: Reading) -> frozenset[str]:
    """Return the metrics of a record that may be said once in a district day (C28)."""
    return DAILY.intersection(record.values)


@lru_cache(maxsize=4096)
def _ranges(names: tuple[str, ...], stream: str, kind: str) -> tuple[tuple[_Range, ...], bool]:
    """Return the ranges and steps of metrics, and whether they may stand together in a record of this stream and kind.

    KeyError for a name that is none, which is not cached: a sender may make up as many as it likes.
    """
    rows = [METRICS[name] for name in names]
    allowed = all(row.stream == stream and kind in row.kinds for row in rows)
    return tuple((row.low, row.high, row.step) for row in rows), allowed and len({row.measurement for row in rows}) == 1


def judge_release(frame: Frame, device: Device, world: World, now_ns: int) -> Release | Refusal:
    """Checks 7 and 8 for a release (C27); whether it is the window's first is the journal's to know (C22)."""
    if device.kind not in RELEASE_KINDS:
        return Refusal("allow_list")
    try:
        body = ReleaseBody.decode(frame.body, dict(world.layouts))
    except LayoutError:
        return Refusal("layout")
    start_ns = frame.start * NS
    over_ns = start_ns + world.calendar.window_ns
    timely = now_ns - MAX_LATE_S * NS <= over_ns <= now_ns + WINDOW_SLACK_S * NS
    if not timely or not world.calendar.is_window_start(start_ns):
        return Refusal("range")
    layout = world.layouts[body.layout]
    if not _possible(body.counters, layout, world.calendar.window_s):
        return Refusal("range")
    counters: dict[str, AssayCounts] = {}
    numbers = iter(body.counters)
    for assay in layout.assays:
        valid, invalid = next(numbers), next(numbers)
        counters[assay.code] = AssayCounts(valid, invalid, {target: next(numbers) for target in assay.targets})
    return Release(frame, body.layout, counters, late=now_ns >= over_ns + world.calendar.window_ns)


def _possible(counters: Sequence[int], layout: AssayLayout, window_s: int) -> bool:
    """Tell whether a kiosk can have counted so many: a run has one of MAX_RECORDS places of a tick of the window."""
    most = MAX_RECORDS * window_s // TICK_S
    noise = (MOST_NOISE_SDS * noise_sd(epsilon) for assay in layout.assays for epsilon in assay.epsilons)
    return all(-far <= value <= most + far for value, far in zip(counters, noise, strict=True))


def judge_tick(frame: Frame, device: Device, now_ns: int) -> Reason | None:
    """Checks 7 and 8 for a sealed tick (C25); None when it may be stored. Nothing is looked at but its length."""
    if device.kind not in TICK_KINDS:
        return "allow_list"
    try:
        TickBody.decode(frame.body)
    except EnvelopeError:
        return "malformed"
    now = tick_of(now_ns)
    expired = now > deletion_tick(cohort_of(frame.start))
    return "range" if expired or frame.start > now + TICK_SLACK else None


def _reason_of(exc: ContractError) -> Reason:
    if isinstance(exc, OversizeError):
        return "oversize"
    return "version" if isinstance(exc, VersionError) else "malformed"
