"""The loop of `gateway analyse`: committed releases in; released numbers, detector paths and signals out.

1. take releases committed since the last poll;
2. find windows that are complete (or over), and those that a late release changed;
3. roll them up, with the days and weeks that hold them;
4. judge every stream and commit signals;
5. draw into bucket `released`: an outage of the series store delays charts, and signals only while p0 is unknown.
Nothing is remembered over a restart but the signals: at the start everything is computed and written again, which
changes nothing that was right.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from contracts.clock import Clock
from contracts.registry import RegistrySnapshot
from contracts.rows import ReleaseRow
from gateway.analyse.detect import ReleasedWindow
from gateway.analyse.service import spans, streams, sums
from gateway.analyse.service.drawing import Drawer
from gateway.analyse.service.holdings import Holdings
from gateway.analyse.service.judging import Judge
from gateway.analyse.service.spans import ShownKey, Span
from gateway.analyse.service.streams import Setting, Stream
from gateway.errors import ReplacedError
from gateway.surveillance.budget import ThresholdTable
from stores.errors import StoreAuthError, StoreUnavailableError
from stores.series.lines import Point
from stores.series.port import TimeSeriesStore
from stores.state.database import Database
from stores.state.devices import load_registry
from stores.state.releases import releases_after

log = logging.getLogger(__name__)

POLL_S: Final = 0.3  # readers of committed rows poll at least twice a second (DESIGN §3)
REGISTRY_S: Final = 5.0  # how old the registry may be
RETRY_S: Final = 2.0


class Stop(Protocol):
    """A `threading.Event`: set when the process shall end."""

    def is_set(self) -> bool:
        """Tell whether it was set."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, or for so many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What the loop reads and writes."""

    ingest: Database
    backend: Database
    own: Database
    series: TimeSeriesStore
    table: ThresholdTable
    clock: Clock
    public_baseline: bool  # the demonstration takes p0 from public history; a real district learns its own


class Analyst:
    """Rolls up and judges; `step` may be called again after any StoreError and goes on where it was."""

    def __init__(self, sources: Sources) -> None:
        self._from = sources
        self._judge = Judge(sources.own, sources.series, public_baseline=sources.public_baseline)
        self._drawer = Drawer(sources.series)
        self._holdings = Holdings()
        self._registry: tuple[RegistrySnapshot, float] | None = None
        self._newest: ReleaseRow | None = None  # of those that were read
        self._windows: defaultdict[Stream, dict[int, ReleasedWindow]] = defaultdict(dict)
        self._emitted: set[int] = set()
        self._late: set[int] = set()  # windows that changed after they were emitted
        self._changed: dict[Span, None] = {}
        self._to_judge = False

    def run(self, stop: Stop) -> None:
        """Poll until told to stop; troubles with stores are said once and tried again. ReplacedError."""
        trouble = ""
        while not stop.is_set():
            try:
                self.step()
            except (StoreUnavailableError, StoreAuthError) as exc:
                if str(exc) != trouble:
                    log.warning("trying again: %s", exc)
                trouble = str(exc)
            else:
                if trouble:
                    log.info("the stores answer again")
                trouble = ""
            stop.wait(RETRY_S if trouble else POLL_S)

    def step(self) -> None:
        """Take what is new, judge it, draw it."""
        registry = self._fresh_registry()
        self._take_releases()
        first_ns, now_ns = self._holdings.first_ns, self._from.clock.now_ns()
        if first_ns is None:
            return
        self._roll_up(self._due(first_ns, now_ns, registry), registry)
        if self._to_judge:
            setting = self._setting(registry, now_ns)
            for path in self._judge.judge(self._windows, setting, first_ns=first_ns, now_ns=now_ns):
                self._drawer.put(streams.points(path, setting))
            self._to_judge = False
        if self._changed:
            shown = self._drawer.shown(first_ns, now_ns)
            points = {span: self._point(span, registry, shown) for span in self._changed}
            self._drawer.put(points.values())
            shown |= {
                span.shown(field) for span, point in points.items() for field in spans.REPLACED if field in point.fields
            }
            self._changed = {}
        self._drawer.draw()

    def _fresh_registry(self) -> RegistrySnapshot:
        real_s = self._from.clock.real_s()
        if self._registry is None or real_s - self._registry[1] >= REGISTRY_S:
            self._registry = (load_registry(self._from.backend), real_s)
        return self._registry[0]

    def _take_releases(self) -> None:
        rows = self._rows_behind(self._newest)
        while rows:
            for row in rows:
                self._holdings.add(row)
                if row.window_start_ns in self._emitted:
                    self._late.add(row.window_start_ns)
            self._newest = rows[-1]
            rows = releases_after(self._from.ingest, self._newest.id)

    def _rows_behind(self, newest: ReleaseRow | None) -> list[ReleaseRow]:
        """Return the rows behind one; ReplacedError when ingest lost that one and numbers its releases anew."""
        if newest is None:
            return releases_after(self._from.ingest, 0)
        rows = releases_after(self._from.ingest, newest.id - 1)
        if not rows or rows[0].hash != newest.hash:
            raise ReplacedError("ingest has other releases than those that were read; analyse begins anew")
        return rows[1:]

    def _due(self, first_ns: int, now_ns: int, registry: RegistrySnapshot) -> list[int]:
        """Windows that are complete or over and were not emitted yet, and those that changed since, ascending."""
        settled = self._holdings.settled(first_ns, now_ns, registry)
        ready = {start for start in settled if start not in self._emitted}
        due = sorted(ready | self._late)
        self._emitted |= ready
        self._late.clear()
        return due

    def _roll_up(self, due: Sequence[int], registry: RegistrySnapshot) -> None:
        touched = sums.touched(self._holdings, due, registry)
        self._changed |= touched
        for span in touched:
            if span.length == "window":
                stream = Stream(span.zone, span.target)
                rolled, _ = sums.rolled(self._holdings, stream, [span.start_ns], registry)
                self._windows[stream][span.start_ns] = streams.released_window(span.start_ns, rolled)
        self._to_judge |= bool(due)

    def _point(self, span: Span, registry: RegistrySnapshot, shown: Collection[ShownKey]) -> Point:
        until_ns = max(self._emitted) + registry.district.calendar.window_ns
        return sums.point(self._holdings, span, registry, until_ns=until_ns, shown=shown)

    def _setting(self, registry: RegistrySnapshot, now_ns: int) -> Setting:
        layout = registry.layout_at(now_ns)
        targets = {target for assay in (layout.layout.assays if layout else ()) for target in assay.targets}
        targets |= {place.target for place in self._holdings.places()}
        return Setting(
            district=registry.district.id,
            calendar=registry.district.calendar,
            table=self._from.table,
            streams=(len(registry.zones) + 1) * len(targets),
            targets=len(targets),
        )
