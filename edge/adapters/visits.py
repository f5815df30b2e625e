"""Visits, counters and controls in one small file of their own, of which no earlier version survives.

DESIGN section 7: never WAL (old pages would be a second look at the counters), but a rollback journal that is
truncated, secure_delete and FULL. Rows are fixed in number and size and overwritten in place; two windows are open at
once; closing one is one transaction: its release stands ready, its counters are overwritten by the draw of the window
after next. The lock is held for good (EXCLUSIVE): a file that is unlocked in between counts its own commits in its
header, and commits minus ticks is an exact number of visitors. Not for backups or diagnostics. A power cut inside a
commit leaves the version before it in the journal until the next start.
"""

from pathlib import Path
from typing import Final

from contracts.windows import Calendar, tick_of
from edge.adapters.sqlite import open_database, transaction, translated
from edge.core.layouts import LayoutBook
from edge.core.outcome import Controls
from edge.core.visit import (
    EMPTY,
    VISIT_ROWS,
    PublicPart,
    State,
    Visit,
    VisitRules,
    awaits,
    begin,
    complete,
    lapsed,
    next_deadline_ns,
    overdue,
    ready_ns,
    records,
    reserve,
    running,
    seal,
    swept,
    withdraw,
)
from edge.errors import ReleaseError, StoreCorruptError, VisitError
from edge.ports import SealedRun
from edge.release.window import OpenWindow, Window, decode, decode_blob, draw, encode_blob
from edge.store_ports import AwaitedRun, Reservation

_VERSION: Final = 2
_ROW_BYTES_V1: Final = 382
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
_CONTROL_BYTES: Final[dict[bool | None, bytes]] = {None: b"\0", True: b"\1", False: b"\2"}
_CONTROL_VALUES: Final = {code: value for value, code in _CONTROL_BYTES.items()}


class VisitDatabase:
    """Implements edge.store_ports.VisitStore. `open_window` draws a window's starting values."""

    def __init__(
        self, path: Path, *, calendar: Calendar, layouts: LayoutBook, open_window: OpenWindow, now_ns: int
    ) -> None:
        self._path = path
        self._calendar = calendar
        self._layouts = layouts
        self._open_window = open_window
        self._connection = open_database(path, _PRAGMAS, _SCHEMA, _VERSION)
        rows = self._select("SELECT slot, body FROM visits")
        if not rows:
            self._fill(now_ns)
        elif len(rows[0][1]) == _ROW_BYTES_V1:
            self._renew_rows(now_ns)
        try:
            decoded = [Visit.decode(body) for _, body in self._select("SELECT slot, body FROM visits ORDER BY slot")]
            self._visits = [visit for visit, _ in decoded]
            self._tick = max(tick for _, tick in decoded)
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

    @property
    def visits(self) -> tuple[Visit, ...]:
        """The rows as they stand."""
        return tuple(self._visits)

    @property
    def last_tick(self) -> int:
        """The tick in which every row was last rewritten."""
        return self._tick

    # --- a visit's steps ----------------------------------------------------------------------------------

    def reserve(self, now_ns: int, rules: VisitRules, assay: str) -> Reservation:
        """Reserve module and place; VisitError when there is none, or when no window awaits the result."""
        row, visit = reserve(self._visits, now_ns, rules, assay)
        window = self._window(self._open_slot_of(visit))
        if assay not in [one.code for one in window.layout.assays]:
            raise VisitError(f"layout {window.layout.number} counts no assay {assay}")
        self._write_visit(row, visit)
        return Reservation(row, visit.ready_tick, visit.insert_until_ns)

    def complete(self, row: int, public: PublicPart, now_ns: int) -> None:
        """Give a reserved visit its code's public part; VisitError when it lapsed meanwhile."""
        self._write_visit(row, complete(self._visits[row], public, now_ns))

    def give_back(self, row: int) -> None:
        """Free a reserved row whose code was not handed out; a row that has lapsed stays as it is."""
        visit = self._visits[row]
        if visit.state is State.RESERVED and visit.public is None:
            self._write_visit(row, EMPTY)

    def begin(self, now_ns: int, rules: VisitRules, sample: str) -> None:
        """Start the run of whoever has checked in; VisitError when nobody has."""
        self._write_visit(*begin(self._visits, now_ns, rules, sample))

    def withdraw(self, sample: str, now_ns: int) -> None:
        """Let the visit of a run that certainly never began wait on for its cartridge; unknown ids are ignored."""
        row = running(self._visits, sample)
        if row is not None:
            self._write_visit(row, withdraw(self._visits[row], now_ns))

    def lapse(self, now_ns: int) -> None:
        """Free every reserved row whose insertion time is over: nobody came, nothing is counted."""
        for row in lapsed(self._visits, now_ns):
            self._write_visit(row, EMPTY)

    def awaited(self, sample: str | None, now_ns: int) -> AwaitedRun | None:
        """Return the run with this sample id if its result may still come; None otherwise."""
        row = running(self._visits, sample)
        if row is None or self._visits[row].deadline_ns <= now_ns:
            return None
        return self._awaited(self._visits[row])

    def overdue(self, now_ns: int) -> list[AwaitedRun]:
        """Return the runs without an answer by T_max: they are to be settled as "no result"."""
        return [self._awaited(self._visits[row]) for row in overdue(self._visits, now_ns)]

    def settle(self, run: SealedRun) -> bool:
        """Keep a run's record and count it, in one transaction after which nothing names it; False if not awaited."""
        row = running(self._visits, run.sample)
        if row is None:
            return False
        visit = self._visits[row]
        window_slot = self._open_slot_of(visit)
        window = self._window(window_slot)
        targets = window.layout.assay(visit.assay).targets if run.valid else ()
        calls = {target: "positive" if target in run.positives else "negative" for target in targets}
        window = window.add(visit.assay, calls)
        after = seal(visit, run.record)
        with transaction(self._connection, self._path):
            self._write_blob(window_slot, window.encode())
            self._update_visit(row, after)
        self._visits[row] = after
        return True

    # --- ticks and windows --------------------------------------------------------------------------------

    def awaits(self, tick: int) -> bool:
        """Tell whether a run that is not sealed yet has its place in this tick or an earlier one."""
        return awaits(self._visits, tick)

    def records(self, tick: int) -> list[bytes]:
        """Return the sealed records that have their place in a tick."""
        return records(self._visits, tick)

    def tick(self, tick: int) -> None:
        """Rewrite every row once `tick` lies in the outbox; the rows that it stood for are free."""
        visits = swept(self._visits, tick)
        with transaction(self._connection, self._path):
            self._connection.executemany(
                "UPDATE visits SET body = ? WHERE slot = ?",
                [(visit.encode(tick), row) for row, visit in enumerate(visits)],
            )
        self._visits, self._tick = visits, tick

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
        """When the next run becomes overdue or the next reservation lapses."""
        return next_deadline_ns(self._visits)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    # --- helpers ----------------------------------------------------------------------------------------

    def _awaited(self, visit: Visit) -> AwaitedRun:
        if visit.public is None:
            raise StoreCorruptError(f"{self._path.name}: a run without its code's public part")
        targets = self._window(self._open_slot_of(visit)).layout.assay(visit.assay).targets
        return AwaitedRun(visit.sample, visit.public, visit.assay, targets, visit.deadline_ns)

    def _window(self, slot: int) -> Window:
        return decode(self._blob(slot), self._layouts.by_number)

    def _open_slot_of(self, visit: Visit) -> int:
        start = self._calendar.window_start_ns(ready_ns(visit))
        if start not in self._starts:
            raise VisitError("the result would belong to a window that is not open")
        return self._starts.index(start)

    def _write_visit(self, row: int, visit: Visit) -> None:
        with transaction(self._connection, self._path):
            self._update_visit(row, visit)
        self._visits[row] = visit

    def _update_visit(self, row: int, visit: Visit) -> None:
        self._connection.execute("UPDATE visits SET body = ? WHERE slot = ?", (visit.encode(self._tick), row))

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

    def _renew_rows(self, now_ns: int) -> None:
        """Take over a file of layout 1, whose visits nobody can read a result of: its counters stay."""
        empty = EMPTY.encode(tick_of(now_ns))
        with transaction(self._connection, self._path):
            self._connection.execute("UPDATE visits SET body = ?", (empty,))
            self._connection.execute(f"PRAGMA user_version={_VERSION}")

    def _fill(self, now_ns: int) -> None:
        """Write a new file's rows: every one of its later commits changes bytes and never sizes."""
        first = self._calendar.window_start_ns(now_ns)
        starts = (first, first + self._calendar.window_ns)
        windows: list[Window] = [draw(start, self._layouts.at(first), self._open_window) for start in starts]
        blobs = [*(window.encode() for window in windows), encode_blob(0, b"")]
        empty = EMPTY.encode(tick_of(now_ns) - 1)  # the tick of now is the first to go out
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
