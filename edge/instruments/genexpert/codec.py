"""GeneXpert-flavoured ASTM E1394 records: a message's text to what a kiosk may know of it, and our answers. Pure.

docs/protocols/genexpert.md names fields and sources. Delimiters are those that the header declares. What somebody typed
at the analyser about a person cannot be kept: P and C records are passed over unread, a sample id that is not one of
ours becomes None, and of a result only words of fixed lists and codes are taken. There is no attribute for the rest.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from edge.core.outcome import Level, RunReport
from edge.core.visit import SAMPLE_ID
from edge.errors import RecordError

MAX_RECORDS = 1000  # a panel with all analytes has about 100

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,14}")  # test code, 15 characters
_CONTROL = re.compile(r"QC-(POS|NEG)-[0-9]{1,6}")
_WORD = re.compile(r"[A-Z]{1,16}(?: [A-Z]{1,16}){0,2}")
_PLAIN = re.compile(r"[A-Za-z0-9 ._-]{1,50}")
_DELIMITERS = 5  # H and its four characters
_LEVELS: dict[str, Level] = {"POS": "positive", "NEG": "negative"}
_NOT_FINAL = "I"
_HANDED_BACK = frozenset({"Y", "V"})  # unknown assay, unusable sample id


@dataclass(frozen=True, slots=True)
class OrderQuery:
    """The analyser asks which tests are waiting; `system` is its name for itself, to be echoed."""

    system: str


@dataclass(frozen=True, slots=True)
class QueryWithdrawn:
    """The analyser waited too long for an answer and asks no more."""


@dataclass(frozen=True, slots=True)
class OrderReturned:
    """The analyser will not run this order."""

    sample: str | None


Item = OrderQuery | QueryWithdrawn | OrderReturned | RunReport


@dataclass(slots=True)
class _Order:
    """An O record and the main words of the R records behind it."""

    sample: str | None
    control: Level | None
    assay: str
    report_type: str
    words: dict[str, str] = field(default_factory=dict)


class _Records:
    """The records of one message, split as its header says."""

    def __init__(self, text: bytes) -> None:
        lines = [line for line in text.decode("latin-1").split("\r") if line]
        head = lines[0] if lines else ""
        if not head.startswith("H") or len(head) < _DELIMITERS or len(set(head[1:_DELIMITERS])) != _DELIMITERS - 1:
            raise RecordError("a message begins with a header and its delimiters")
        if len(lines) > MAX_RECORDS:
            raise RecordError(f"more than {MAX_RECORDS} records")
        self._lines = lines
        self._field, self._repeat, self._component = head[1], head[2], head[3]

    def __iter__(self) -> Iterator[list[str]]:
        """Give the fields of each record."""
        return (line.split(self._field) for line in self._lines)

    def component(self, fields: list[str], number: int, part: int) -> str:
        """Return a component by the standard's numbers (both from 1), the first repeat; empty when absent."""
        parts = _get(_get(fields, number).split(self._repeat), 1).split(self._component)
        return _get(parts, part)


def decode(text: bytes) -> tuple[Item, ...]:
    """Return what a message says, in its order; RecordError when it is no message of this analyser."""
    records = _Records(text)
    items: list[Item] = []
    system, order = "", None
    for fields in records:
        kind = fields[0]
        if kind == "H":
            system = _system(_get(fields, 5))
        elif kind == "Q":
            items.append(_query(records, fields, system))
        elif kind == "O":
            items.extend(_report(order))
            order = _order(records, fields)
        elif kind == "R":
            _add_word(records, fields, order)
    items.extend(_report(order))
    return tuple(items)


def encode_order(sample: str, assay: str, *, system: str, message_id: str, now: datetime) -> bytes:
    """Return the answer that orders one run."""
    stamp = _stamp(now)
    order = f"O|1|{sample}||^^^{assay}|R|{stamp}|||||A||||ORH||||||||||Q"
    return _message(system, message_id, stamp, ["P|1", order, "L|1|F"])


def encode_no_order(*, system: str, message_id: str, now: datetime) -> bytes:
    """Return the answer that nothing waits."""
    return _message(system, message_id, _stamp(now), ["L|1|I"])


def _message(system: str, message_id: str, stamp: str, records: list[str]) -> bytes:
    head = f"H|@^\\|{message_id}||LIS|||||{system}||P|1394-97|{stamp}"
    return "".join(f"{record}\r" for record in (head, *records)).encode("ascii")


def _stamp(now: datetime) -> str:
    return now.strftime("%Y%m%d%H%M%S")


def _get(parts: list[str], number: int) -> str:
    return parts[number - 1] if number <= len(parts) else ""


def _system(text: str) -> str:
    """Return the analyser's name, made safe to be echoed between our own delimiters."""
    parts = [part for part in text.split("^")[:3] if _PLAIN.fullmatch(part)]
    return "^".join(parts)


def _query(records: _Records, fields: list[str], system: str) -> Item:
    status = records.component(fields, 13, 1)
    return QueryWithdrawn() if status == "A" else OrderQuery(system)


def _order(records: _Records, fields: list[str]) -> _Order:
    text = records.component(fields, 3, 1)
    assay = records.component(fields, 5, 4)
    is_control = records.component(fields, 12, 1) == "Q"
    level = _CONTROL.fullmatch(text)
    return _Order(
        sample=text if SAMPLE_ID.fullmatch(text) and not is_control else None,
        control=_LEVELS[level[1]] if level and is_control else None,
        assay=assay if _CODE.fullmatch(assay) else "",
        report_type=records.component(fields, 26, 1),
    )


def _add_word(records: _Records, fields: list[str], order: _Order | None) -> None:
    """Keep a main result: it has an assay name and no complement. A second, different word for a code spoils it."""
    if order is None:
        raise RecordError("a result without its order")
    code, name, complement = (records.component(fields, 3, part) for part in (4, 5, 8))
    if not name or complement or not _CODE.fullmatch(code):
        return
    word = records.component(fields, 4, 1)
    word = word if _WORD.fullmatch(word) else ""
    order.words[code] = word if order.words.get(code, word) == word else ""


def _report(order: _Order | None) -> list[Item]:
    if order is None:
        return []
    if order.report_type in _HANDED_BACK:
        return [OrderReturned(order.sample)]
    final = order.report_type != _NOT_FINAL
    return [RunReport(order.sample, order.assay, order.words, order.control, final)]
