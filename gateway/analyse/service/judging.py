"""Judges every stream and commits what is new to tell. Its only memory that lasts are the signals themselves."""

import logging
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from contracts.query import SeriesQuery
from contracts.signals import Signal
from contracts.windows import DAY_S, NS, to_datetime
from gateway.analyse.detect import ReleasedWindow
from gateway.analyse.service import streams
from gateway.analyse.service.streams import Followed, PublicCounts, Setting, Stream
from stores.series.port import TimeSeriesStore
from stores.state.analyse import AnalyseState
from stores.state.database import Database
from stores.state.signals import signals_after

log = logging.getLogger(__name__)

Told = defaultdict[tuple[str, str], list[Signal]]  # (rule, subject) -> in the order of their commits
Windows = Mapping[Stream, Mapping[int, ReleasedWindow]]

HISTORY_WEEKS: Final = 8  # of public history before the first release give p0 in the demonstration
_HISTORY_NS: Final = HISTORY_WEEKS * 7 * DAY_S * NS


class Judge:
    """Follows the streams; called again after a StoreError it loses nothing and tells nothing twice."""

    def __init__(self, own: Database, series: TimeSeriesStore, *, public_baseline: bool) -> None:
        self._own = own
        self._state = AnalyseState(own)
        self._series = series
        self._public_baseline = public_baseline
        self._public: dict[tuple[str, str], PublicCounts] = {}
        self._told: Told | None = None

    def judge(self, windows: Windows, setting: Setting, *, first_ns: int, now_ns: int) -> list[Followed]:
        """Commit the new signals of all streams; return the paths of those that have a baseline."""
        public = self._public_counts(first_ns) if self._public_baseline else None
        told = self._told_before()
        rows = {stream: [by_start[at] for at in sorted(by_start)] for stream, by_start in windows.items()}
        learned = streams.learning(rows, public, setting.calendar)
        paths = [
            path
            for stream, own in rows.items()
            if (path := streams.followed(stream, own, public, setting, streams.peers_of(stream, learned)))
        ]
        fresh = [
            signal
            for path in paths
            for signal in streams.signals(path, setting, told[_key(path, setting)], now_ns=now_ns)
        ]
        if fresh:
            self._state.commit(fresh, {})
            for signal in fresh:
                told[signal.rule, signal.subject].append(signal)
                log.info("signal %s of %s %s", signal.rule, signal.subject, signal.phase)
        return paths

    def _told_before(self) -> Told:
        if self._told is None:
            told: Told = defaultdict(list)
            last = 0
            while rows := signals_after(self._own, last):
                for row in rows:
                    told[row.signal.rule, row.signal.subject].append(row.signal)
                last = rows[-1].id
            self._told = told
        return self._told

    def _public_counts(self, first_ns: int) -> dict[tuple[str, str], PublicCounts]:
        """Public counts of the last weeks before the first release; asked again while there are none."""
        if not self._public:
            positives, tests = self._public_sum("positives", first_ns), self._public_sum("tests", first_ns)
            self._public = {key: PublicCounts(positives.get(key, 0.0), count) for key, count in tests.items()}
        return self._public

    def _public_sum(self, field: str, first_ns: int) -> dict[tuple[str, str], float]:
        question = SeriesQuery(
            bucket="history",
            measurement="weekly",
            field=field,
            function="sum",
            every_s=None,
            group_by=("zone", "target"),
            start=to_datetime(first_ns - _HISTORY_NS),
            stop=to_datetime(first_ns),
        )
        return {(one.tags["zone"], one.tags["target"]): float(one.values[0]) for one in self._series.query(question)}


def _key(path: Followed, setting: Setting) -> tuple[str, str]:
    return setting.rule(path.stream), path.stream.zone or setting.district
