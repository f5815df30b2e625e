"""Committed rows that pass between processes: dedupe marks, releases, what devices last said. No I/O.

`stores.state` keeps them; who may write which is its business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

MarkKey = tuple[str, int, str]  # device, ob, stream
ReportKind = Literal["state", "birth", "reported", "cmdresp", "seen"]


@dataclass(frozen=True, slots=True)
class Mark:
    """Which records of a stream are judged: all up to `hi`, and the ranges of `also` above it."""

    device: str
    ob: int
    stream: str
    hi: int
    also: tuple[tuple[int, int], ...] = ()

    @property
    def key(self) -> MarkKey:
        """What identifies the stream."""
        return self.device, self.ob, self.stream


@dataclass(frozen=True, slots=True)
class AssayCounts:
    """One assay's counters as released: noisy, possibly negative."""

    valid: int
    invalid: int
    positives: Mapping[str, int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "positives", MappingProxyType(dict(self.positives)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRow:
    """One release; `id` and the hashes are given when it is stored."""

    id: int = 0
    device: str
    zone: str
    window_start_ns: int
    window_s: int
    layout: int
    counters: Mapping[str, AssayCounts]
    ob: int
    seq: int
    received_ns: int
    late: bool
    prev_hash: bytes = b""
    hash: bytes = b""

    def __post_init__(self) -> None:
        object.__setattr__(self, "counters", MappingProxyType(dict(self.counters)))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReport:
    """The newest document of a kind; of kind "seen" the body is empty and only `received_ns` counts."""

    device: str
    kind: ReportKind
    ob: int
    boot: int
    conn: int
    enrolment: int
    received_ns: int
    body: bytes
