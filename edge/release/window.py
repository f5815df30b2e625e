"""All counters of one window, in the order of its assay layout, as a blob of constant length. Pure.

The blob is what the visit store keeps, its body is what a release carries: the same numbers, never others (DESIGN
section 7). A layout is the one in force when the counters were drawn.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from contracts.errors import LayoutError
from contracts.frames import COUNTER_BYTES, ReleaseBody
from contracts.layout import MAX_ASSAYS, MAX_TARGETS, AssayLayout
from contracts.windows import to_datetime
from edge.errors import ReleaseError
from edge.release.counters import WindowCounters, count

OpenWindow = Callable[[datetime, tuple[str, ...]], WindowCounters]
"""`counters.open_window` with its source of randomness."""

_HEAD = struct.Struct(">QH")  # window start in ns, length of the body
_LAYOUT_BYTES = 4
BODY_BYTES: Final = _LAYOUT_BYTES + COUNTER_BYTES * MAX_ASSAYS * (2 + MAX_TARGETS)
BLOB_BYTES: Final = _HEAD.size + BODY_BYTES


@dataclass(frozen=True, slots=True)
class Window:
    """One window's counters, one entry an assay."""

    start_ns: int
    layout: AssayLayout
    counters: tuple[WindowCounters, ...]

    def add(self, assay: str, calls: Mapping[str, str]) -> "Window":
        """Return the window with one run counted; ReleaseError when the layout has no such assay."""
        codes = [one.code for one in self.layout.assays]
        if assay not in codes:
            raise ReleaseError(f"layout {self.layout.number} counts no assay {assay[:16]!r}")
        at = codes.index(assay)
        changed = count(self.counters[at], calls)
        return replace(self, counters=(*self.counters[:at], changed, *self.counters[at + 1 :]))

    def body(self) -> bytes:
        """Return the body of this window's release as the counters stand."""
        numbers: list[int] = []
        for assay, counters in zip(self.layout.assays, self.counters, strict=True):
            numbers += [counters.valid, counters.invalid, *(counters.positives[target] for target in assay.targets)]
        return ReleaseBody(self.layout.number, tuple(numbers)).encode()

    def encode(self) -> bytes:
        """Return the blob."""
        return encode_blob(self.start_ns, self.body())


def draw(start_ns: int, layout: AssayLayout, open_window: OpenWindow) -> Window:
    """Draw the starting values of every counter of a window."""
    start = to_datetime(start_ns)
    return Window(start_ns, layout, tuple(open_window(start, assay.targets) for assay in layout.assays))


def encode_blob(start_ns: int, body: bytes) -> bytes:
    """Return a release or a window at constant length."""
    return _HEAD.pack(start_ns, len(body)) + body.ljust(BODY_BYTES, b"\0")


def decode_blob(blob: bytes) -> tuple[int, bytes]:
    """Return start and body; ReleaseError when it is none of ours."""
    if len(blob) != BLOB_BYTES:
        raise ReleaseError("a counter row has another length")
    start_ns, size = _HEAD.unpack_from(blob)
    if size > BODY_BYTES:
        raise ReleaseError("a counter row states an impossible length")
    return start_ns, blob[_HEAD.size : _HEAD.size + size]


def decode(blob: bytes, layouts: Mapping[int, AssayLayout]) -> Window:
    """Read a window; ReleaseError when it is damaged or of a layout that nobody knows."""
    start_ns, body = decode_blob(blob)
    try:
        release = ReleaseBody.decode(body, dict(layouts))
    except LayoutError as exc:
        raise ReleaseError("counters of an unknown layout, or damaged") from exc
    layout, numbers = layouts[release.layout], iter(release.counters)
    start = to_datetime(start_ns)
    counters = []
    for assay in layout.assays:
        valid, invalid = next(numbers), next(numbers)
        positives = {target: next(numbers) for target in assay.targets}
        counters.append(WindowCounters(window_start=start, positives=positives, valid=valid, invalid=invalid))
    return Window(start_ns, layout, tuple(counters))
