"""How far another process's signals are read, and whether they are still the same signals. Pure.

Signals are numbered by their table. A process that lost its state, or got an older one back, numbers from an earlier
point again: then the numbers that were read stand for other signals. So the place holds a witness, a digest of the
signal read last; where it does not fit any more, all are read again and what people were told already is passed over.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from contracts.signals import Signal
from stores.state.alerts import AlertEventRow, AlertRow
from stores.state.signals import SignalRow

_WITNESS_BYTES: Final = 7  # a cursor is a signed 64-bit number
_RAISED: Final = frozenset({"fired", "again"})


class Evidence(msgspec.Struct, frozen=True):
    """What an alert and its history keep of a signal."""

    facts: dict[str, float | int | str]
    target: str | None
    onset_ns: int
    found_ns: int


class _Onset(msgspec.Struct, frozen=True):
    """The part that tells one finding of a (rule, subject) from another."""

    onset_ns: int


class Place(NamedTuple):
    """How far a table of signals is read; three cursors."""

    last_id: int = 0
    witness: int = 0  # of the signal with that number
    again: int = 0  # 1 while all are read again

    def is_in(self, rows: Sequence[SignalRow]) -> bool:
        """Tell whether a table that reads so from `last_id` on is the one that was read."""
        if self.last_id == 0:
            return True
        return bool(rows) and rows[0].id == self.last_id and _witness(rows[0].signal) == self.witness

    def behind(self, rows: Sequence[SignalRow], *, all_read: bool) -> "Place":
        """Return the place behind these rows."""
        again = 0 if all_read else self.again
        return self._replace(again=again) if not rows else Place(rows[-1].id, _witness(rows[-1].signal), again)


def place_names(source: str) -> tuple[str, str, str]:
    """Return the names of a place's cursors."""
    return source, f"{source} witness", f"{source} again"


def is_told(signal: Signal, row: AlertRow | None, history: Iterable[AlertEventRow]) -> bool:
    """Tell whether a signal that is read again did its work before; `row` is the open alert of its (rule, subject)."""
    if signal.phase == "cleared":  # of an earlier stretch than the one that the alert is open for
        return row is not None and signal.onset_ns < _onset_ns(row.evidence)
    return any(event.event in _RAISED and _onset_ns(event.evidence) == signal.onset_ns for event in history)


def evidence_of(signal: Signal) -> str:
    """Return what an alert keeps of a signal."""
    kept = Evidence(dict(signal.facts), signal.target, signal.onset_ns, signal.found_ns)
    return msgspec.json.encode(kept).decode()


def _onset_ns(evidence: str) -> int:
    try:
        return msgspec.json.decode(evidence, type=_Onset).onset_ns
    except msgspec.MsgspecError:
        return -1  # not ours to read: equal to no onset, later than none


def _witness(signal: Signal) -> int:
    key = msgspec.json.encode([signal.rule, signal.subject, signal.onset_ns, signal.phase])
    return int.from_bytes(hashlib.sha256(key).digest()[:_WITNESS_BYTES]) + 1  # never 0: that is "none"
