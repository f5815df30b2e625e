"""Writes the clock that every process of a simulated district reads (DESIGN §14). The only writer of time.json.

Anchors are fixed for one start. The file is replaced each second with the newest instant; a restart begins
RESTART_GAP_S x speed after it, so time never goes back as long as no process outlives a missed write by that much:
when the file cannot be written in time, `beat` raises and the district must stop.
"""

import os
from pathlib import Path
from typing import Final

from contracts.clock import RESTART_GAP_S, NanosecondSource, TimeAnchors, first_anchors, read_anchors
from contracts.errors import ClockError
from contracts.windows import NS
from kioskwatch.checks import folder_error
from kioskwatch.errors import StateFolderError

WRITE_EVERY_NS: Final = NS
MAX_SILENCE_NS: Final = RESTART_GAP_S * NS


class Timekeeper:
    """District time of one start."""

    def __init__(self, path: Path, anchors: TimeAnchors, monotonic_ns: NanosecondSource) -> None:
        self.anchors = anchors
        self._path = path
        self._monotonic_ns = monotonic_ns
        self._written_ns = monotonic_ns()
        self._write()

    def now_ns(self) -> int:
        """Return district time."""
        return self.anchors.at(self._monotonic_ns())

    def beat(self) -> None:
        """Write the file when a second has passed; raise when that has failed for too long. Call it often."""
        silence_ns = self._monotonic_ns() - self._written_ns
        if silence_ns < WRITE_EVERY_NS:
            return
        try:
            self._write()
        except OSError as exc:
            if silence_ns >= MAX_SILENCE_NS:
                raise folder_error(self._path.parent, exc) from exc

    def _write(self) -> None:
        instant = self._monotonic_ns()
        fresh = self._path.with_name(".time.json.new")
        with fresh.open("wb") as file:
            file.write(self.anchors.written_at(instant))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        self._written_ns = instant


def anchors_for_start(path: Path, *, start_ns: int, speed: int | None, monotonic_ns: int) -> TimeAnchors:
    """Return the anchors of this start: where time.json ends, or `start_ns` when there is none.

    `speed` None keeps the file's. StateFolderError when the file is damaged.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return first_anchors(monotonic_ns, start_ns, speed or 1)
    except OSError as exc:
        raise folder_error(path.parent, exc) from exc
    try:
        last = read_anchors(content)
    except ClockError as exc:
        raise StateFolderError(
            f"{path} is damaged, and without it district time could go back: restore it from a backup "
            "(`kioskwatch restore`), or begin anew in another folder with --state"
        ) from exc
    again = last.restarted_at(monotonic_ns)
    if speed is None:
        return again
    return TimeAnchors(monotonic_ns, again.simulated_anchor_ns, speed, again.simulated_anchor_ns)
