"""Visits, counters and controls in one small file of their own, of which no earlier version survives.

DESIGN section 7: never WAL (old pages would be a second look at the counters), but a rollback journal that is
truncated, secure_delete and FULL. Rows are fixed in number and size and overwritten in place; two windows are open at
once; closing one is one transaction: its release stands ready, its counters are overwritten by the draw of the window
after next. The lock is held for good (EXCLUSIVE): a file that is unlocked in between counts its own commits in its
header, and commits minus ticks is an exact number of visitors. Not for backups or diagnostics. A power cut inside a
commit leaves the version before it in the journal until the next start.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from contracts.windows import Calendar, tick_of
from edge.adapters.sqlite import open_database, transaction, translated
from edge.core.layouts import LayoutBook
from edge.core.outcome import Call, Controls
from edge.core.visit import (
    EMPTY,
    VISIT_ROWS,
    Visit,
    VisitRules,
    next_deadline_ns,
    overdue,
    ready_ns,
    reserve,
    running,
    sealed,
    swept,
)
from edge.errors import ReleaseError, StoreCorruptError, VisitError
from edge.release.window import OpenWindow, Window, decode, decode_blob, draw, encode_blob

_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE visits (slot INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE windows (slot INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE controls (slot INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT
"""
_PRAGMAS: Final = {
    "locking_mode": "EXCLUSIVE",
    "journal_mode": "TRUNCATE",
    "synchronous": "FULL",
    "secure_delete": "ON",
    "temp_store": "MEMORY",
    "mmap_size": "0",
    "cache_size": "-256",
}
_OPEN_SLOTS: Final = (0, 1)
_READY_SLOT: Final = 2  # the newest closed window, as it is released
_CONTROL_BYTES: Final[Mapping[bool | None, bytes]] = {None: b"\0", True: b"\1", False: b"\2"}
_CONTROL_VALUES: Final = {code: value for value, code in _CONTROL_BYTES.items()}


class VisitDatabase:
    """Implements edge.ports.VisitStore. `open_window` draws a window's starting values."""

    def __init__(
        self, path: Path, *, calendar: Calendar, layouts: LayoutBook, open_window: OpenWindow, now_ns: int
    ) -> None:
        self._path = path
        self._calendar = calendar
        self._layouts = layouts
        self._open_window = open_window
        self._connection = open_database(path, _PRAGMAS, _SCHEMA, _VERSION)
        if not self._select("SELECT slot FROM visits"):
            self._fill(now_ns)
        try:
            self._visits = [
                Visit.decode(body) for _, body in self._select("SELECT slot, body FROM visits ORDER BY slot")
            ]
            self._starts = [decode_blob(self._blob(slot))[0] for slot in _OPEN_SLOTS]
            self._controls = self._read_controls()
        except (VisitError, ReleaseError, KeyError) as exc:
            raise StoreCorruptError(f"{path.name}: {exc}") from exc

    @property
    def controls(self) -> Controls:
        """The newest control results."""
        return self._controls

    @property
    def open_windows(self) -> tuple[int, int]:
        """Starts of the two open windows, ns, the older first."""
        return min(self._starts), max(self._starts)

    def use_layouts(self, layouts: LayoutBook) -> None:
        """Take a new list of layouts: it holds for windows that are drawn from now on."""
        self._layouts = layouts

    def start(self, now_ns: int, rules: VisitRules, sample: str, assay: str) -> None:
        """Reserve place and module for a run; VisitError when there is none, or when no window awaits its result."""
        slot, visit = reserve(self._visits, now_ns, rules, sample, assay)
        window = self._window(self._open_slot_of(visit))
        if assay not in [one.code for one in window.layout.assays]:
            raise VisitError(f"layout {window.layout.number} counts no assay {assay}")
        self._write_visit(slot, visit, now_ns)

    def withdraw(self, sample: str, now_ns: int) -> None:
        """Forget a run that certainly never began; unknown ids are ignored."""
        slot = running(self._visits, sample)
        if slot is not None:
            self._write_visit(slot, EMPTY, now_ns)

    def finish(self, sample: str | None, calls: Mapping[str, Call], now_ns: int) -> bool:
        """Count a run's calls in the window of its ready tick; False when no such run is awaited."""
        slot = running(self._visits, sample)
        if slot is None:
            return False
        self._settle(slot, calls, now_ns)
        return True

    def expire(self, now_ns: int) -> int:
        """Count runs without an answer by T_max as invalid; return how many there were."""
        slots = overdue(self._visits, now_ns)
        for slot in slots:
            self._settle(slot, {}, now_ns)
        return len(slots)

    def tick(self, now_ns: int) -> None:
        """Rewrite every row, and free those whose ready tick is over."""
        visits, tick = swept(self._visits, now_ns), tick_of(now_ns)
        with transaction(self._connection, self._path):
            self._connection.executemany(
                "UPDATE visits SET body = ? WHERE slot = ?",
                [(visit.encode(tick), slot) for slot, visit in enumerate(visits)],
            )
        self._visits = visits

    def set_controls(self, controls: Controls) -> None:
        """Keep the result of a control."""
        body = _CONTROL_BYTES[controls.positive_holds] + _CONTROL_BYTES[controls.negative_holds]
        with transaction(self._connection, self._path):
            self._connection.execute("UPDATE controls SET body = ? WHERE slot = 0", (body,))
        self._controls = controls

    def close_window(self, now_ns: int) -> bool:
        """Close the older window if it is over: its release stands ready afterwards. False when it still runs."""
        older, newer = self.open_windows
        if now_ns < older + self._calendar.window_ns:
            return False
        slot = self._starts.index(older)
        start, body = decode_blob(self._blob(slot))
        following = draw(newer + self._calendar.window_ns, self._layouts.at(newer), self._open_window)
        with transaction(self._connection, self._path):
            self._write_blob(_READY_SLOT, encode_blob(start, body))
            self._write_blob(slot, following.encode())
        self._starts[slot] = following.start_ns
        return True

    def ready_release(self) -> tuple[int, bytes] | None:
        """Return the newest closed window, start in ns and body of its release; None before the first."""
        start, body = decode_blob(self._blob(_READY_SLOT))
        return (start, body) if body else None

    def next_deadline_ns(self) -> int | None:
        """When the next run becomes overdue."""
        return next_deadline_ns(self._visits)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    # --- helpers ----------------------------------------------------------------------------------------

    def _settle(self, slot: int, calls: Mapping[str, Call], now_ns: int) -> None:
        """One transaction: the run is counted, and its row names it no more."""
        visit = self._visits[slot]
        window_slot = self._open_slot_of(visit)
        window = self._window(window_slot)
        counted = window.layout.assay(visit.assay).targets  # a newer layout may know more targets than this window
        window = window.add(visit.assay, {target: call for target, call in calls.items() if target in counted})
        after = sealed(visit)
        with transaction(self._connection, self._path):
            self._write_blob(window_slot, window.encode())
            self._update_visit(slot, after, now_ns)
        self._visits[slot] = after

    def _window(self, slot: int) -> Window:
        return decode(self._blob(slot), self._layouts.by_number)

    def _open_slot_of(self, visit: Visit) -> int:
        start = self._calendar.window_start_ns(ready_ns(visit))
        if start not in self._starts:
            raise VisitError("the result would belong to a window that is not open")
        return self._starts.index(start)

    def _write_visit(self, slot: int, visit: Visit, now_ns: int) -> None:
        with transaction(self._connection, self._path):
            self._update_visit(slot, visit, now_ns)
        self._visits[slot] = visit

    def _update_visit(self, slot: int, visit: Visit, now_ns: int) -> None:
        self._connection.execute("UPDATE visits SET body = ? WHERE slot = ?", (visit.encode(tick_of(now_ns)), slot))

    def _write_blob(self, slot: int, blob: bytes) -> None:
        self._connection.execute("UPDATE windows SET body = ? WHERE slot = ?", (blob, slot))

    def _blob(self, slot: int) -> bytes:
        rows = self._select("SELECT slot, body FROM windows WHERE slot = ?", slot)
        if len(rows) != 1:
            raise StoreCorruptError(f"{self._path.name}: a counter row is missing")
        return rows[0][1]

    def _select(self, query: str, *parameters: int) -> list[tuple[int, bytes]]:
        with translated(self._path):
            return self._connection.execute(query, parameters).fetchall()

    def _read_controls(self) -> Controls:
        ((_, body),) = self._select("SELECT slot, body FROM controls")
        return Controls(_CONTROL_VALUES[body[:1]], _CONTROL_VALUES[body[1:2]])

    def _fill(self, now_ns: int) -> None:
        """Write a new file's rows: every one of its later commits changes bytes and never sizes."""
        first = self._calendar.window_start_ns(now_ns)
        starts = (first, first + self._calendar.window_ns)
        windows: list[Window] = [draw(start, self._layouts.at(first), self._open_window) for start in starts]
        blobs = [*(window.encode() for window in windows), encode_blob(0, b"")]
        empty = EMPTY.encode(tick_of(now_ns))
        with transaction(self._connection, self._path):
            self._connection.executemany("INSERT INTO windows VALUES (?, ?)", list(enumerate(blobs)))
            self._connection.executemany("INSERT INTO visits VALUES (?, ?)", [(n, empty) for n in range(VISIT_ROWS)])
            self._connection.execute("INSERT INTO controls VALUES (0, ?)", (2 * _CONTROL_BYTES[None],))


def open_visits(
    path: Path, *, calendar: Calendar, layouts: LayoutBook, open_window: OpenWindow, now_ns: int
) -> tuple[VisitDatabase, bool]:
    """Open the file; a damaged one is destroyed, not kept (True): put aside, it would be a second look at counters."""

    def opened() -> VisitDatabase:
        return VisitDatabase(path, calendar=calendar, layouts=layouts, open_window=open_window, now_ns=now_ns)

    try:
        return opened(), False
    except StoreCorruptError:
        for suffix in ("", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return opened(), True
