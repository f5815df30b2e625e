r"""ASTM E1394 records of the analyser: what it sends, and what it understands of a host's answer. No I/O, no clock.

Delimiters `|@^\`, field numbers and words as docs/protocols/genexpert.md. Text is ISO 8859-1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from firmware_sim.errors import RecordError
from firmware_sim.instruments.genexpert.assays import CALL_WORDS, NO_RESULT, SAMPLE_CONTROL, Assay, RunError, Target
from firmware_sim.outcome import Call, Control, Ending, Outcome, Patient

CHARSET = "iso8859-1"
DELIMITERS = "@^\\"
MAX_SAMPLE_ID = 25  # 302-2261: O.3
INVALID_ASSAY, INVALID_SAMPLE = "Y", "V"  # O.26 of an order handed back
_STAMP = "%Y%m%d%H%M%S"
_HEADER_HEAD = 5  # "H", field, repeat, component, escape
_ACTION, _TEST, _SAMPLE = 11, 4, 2  # O.12, O.5, O.3, counted from 0
_TERMINATION = 2  # L.3
_CODE_COMPONENT = 3


@dataclass(frozen=True, slots=True)
class Order:
    """A host's order: run this assay under this sample id."""

    sample: str
    assay_code: str


@dataclass(frozen=True, slots=True)
class Identity:
    """How the analyser names itself."""

    device: str
    serial: int
    software: str = "6.5"
    host: str = "LIS"


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who writes, the message's number and its time stamp (district local time)."""

    identity: Identity
    number: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Readings:
    """Measured values of one run: threshold cycle and end point by analyte; 0 where there was no curve."""

    ct: dict[str, float]
    end_point: dict[str, float]


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run."""

    order: Order
    assay: Assay
    outcome: Outcome
    readings: Readings
    error: RunError | None
    started: datetime
    ended: datetime
    hardware: str  # R.14


def query(envelope: Envelope) -> bytes:
    """Ask the host for all pending orders."""
    return _message(envelope, ["Q|1|ALL||||||||||O@N"])


def cancelled_query(envelope: Envelope) -> bytes:
    """Withdraw the question."""
    return _message(envelope, ["Q|1|||||||||||A", "C|1|I|timeout^last request has been cancelled|I"])


def refused_order(envelope: Envelope, order: Order, reason: str) -> bytes:
    """Hand an order back; `reason` is INVALID_ASSAY or INVALID_SAMPLE."""
    sample = "".join(c for c in order.sample if c.isprintable() and c not in f"|{DELIMITERS}")[:MAX_SAMPLE_ID]
    code = "".join(c for c in order.assay_code if c.isprintable() and c not in f"|{DELIMITERS}")[:MAX_SAMPLE_ID]
    return _message(envelope, ["P|1", f"O|1|{sample}||^^^{code}|R||||||||||ORH||||||||||{reason}"])


def upload(envelope: Envelope, run: Run) -> bytes:
    """The result message of a run."""
    action = "Q" if run.outcome.control else ""
    order = f"O|1|{run.order.sample}||^^^{run.assay.code}|R|{_stamp(run.started)}|||||{action}||||ORH||||||||||F"
    records = [_patient(run.outcome.patient), order]
    for number, (result, is_main) in enumerate(_results(run), start=1):
        records.append(f"R|{number}|{result}")
        if run.error is not None and is_main:
            error = run.error
            records.append(f"C|1|I|Error^{error.code}^{error.title}^{error.description}^{_stamp(run.ended)}|N")
    return _message(envelope, records)


def parse_answer(text: bytes) -> Order | None:
    """The host's answer to a query: its first order, or None when it has none.

    Raises:
        RecordError: the text is no answer to a query.
    """
    records = [record for record in text.decode(CHARSET).replace("\n", "\r").split("\r") if record]
    if not records or not records[0].startswith("H") or len(records[0]) < _HEADER_HEAD:
        raise RecordError("the message has no header record")
    field, component = records[0][1], records[0][3]
    rows = [record.split(field) for record in records]
    if rows[-1][0] != "L":
        raise RecordError("the message has no terminator record")
    for row in rows:
        if row[0] == "O":
            return _order(row, component)
    if _at(rows[-1], _TERMINATION) in ("I", "F"):
        return None
    raise RecordError("the message holds neither an order nor the statement that there is none")


def usable_sample(sample: str) -> bool:
    """Whether a sample id may be printed in a message."""
    return 0 < len(sample) <= MAX_SAMPLE_ID and sample.isprintable() and not set(sample) & set(f"|{DELIMITERS}")


def control_calls(control: Control, assay: Assay, *, passes: bool) -> dict[str, Call]:
    """What a control's cartridge shows: its own word when it passes, the other one when it fails."""
    shown = (control is Control.POSITIVE) == passes
    return {target.target: Call.POSITIVE if shown else Call.NEGATIVE for target in assay.targets}


def _order(row: list[str], component: str) -> Order:
    if _at(row, _ACTION) == "C":
        raise RecordError("a cancelled order is no order")
    parts = _at(row, _TEST).split(component)
    return Order(_at(row, _SAMPLE), parts[_CODE_COMPONENT] if len(parts) > _CODE_COMPONENT else "")


def _at(row: list[str], index: int) -> str:
    return row[index].strip() if index < len(row) else ""


def _message(envelope: Envelope, records: list[str]) -> bytes:
    who = envelope.identity
    sender = f"{who.device}^GeneXpert^{who.software}"
    header = f"H|{DELIMITERS}|GXM-{envelope.number:011d}||{sender}|||||{who.host}||P|1394-97|{_stamp(envelope.at)}"
    return "".join(f"{record}\r" for record in (header, *records, "L|1|N")).encode(CHARSET, "replace")


def _patient(patient: Patient | None) -> str:
    if patient is None:
        return "P|1||||^^^^"
    return f"P|1|{patient.number}||{patient.number}|{patient.name}||{patient.birth_date}|U"


def _results(run: Run) -> Iterator[tuple[str, bool]]:
    """R.3 and what follows, and whether it is a main result; below each main result its analytes."""
    for target in run.assay.targets:
        test = f"^{run.assay.panel}^^{target.code}"
        call = run.outcome.calls.get(target.target, Call.NEGATIVE)
        main, first, others, control = _words(run.outcome.ending, call)
        name = f"{run.assay.name}^{run.assay.version}^{target.name}^"
        stamps = f"{_stamp(run.started)}|{_stamp(run.ended)}"
        yield f"{test}^{name}|{main}^|||||F||<None>|{stamps}|{run.hardware}", True
        for analyte in _analytes(test, target, run, (first, others, control)):
            yield analyte, False


def _analytes(test: str, target: Target, run: Run, words: tuple[str, str, str]) -> Iterator[str]:
    first, others, control = words
    named = [(name, first if i == 0 else others) for i, name in enumerate(target.analytes)]
    for name, word in (*named, (SAMPLE_CONTROL, control)):
        yield f"{test}^^^{name}^|{word}^|||"
        yield f"{test}^^^{name}^Ct|^{run.readings.ct.get(name, 0.0):.1f}|||"
        yield f"{test}^^^{name}^EndPt|^{run.readings.end_point.get(name, 0.0):.1f}|||"


def _words(ending: Ending, call: Call) -> tuple[str, str, str, str]:
    """Main result, first analyte, other analytes, sample control."""
    if ending is Ending.VALID:
        return (*CALL_WORDS[call], "PASS")
    if ending is Ending.INVALID:
        return "INVALID", "INVALID", "INVALID", "FAIL"
    return ("ERROR" if ending is Ending.ERROR else NO_RESULT), NO_RESULT, NO_RESULT, NO_RESULT


def _stamp(at: datetime) -> str:
    return at.strftime(_STAMP)
