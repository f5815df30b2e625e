"""Values to records: what a device may say is looked up in the contract's table before it is kept (C10, C14). Pure."""

from collections.abc import Mapping

from contracts.errors import MetricError
from contracts.messages import Event, Reading, encode
from contracts.metrics import COARSE_STEP_PCT, check_event, metric
from edge.errors import RecordError


def reading(stream: str, kind: str, ts_ns: int, tq: int, values: Mapping[str, float]) -> bytes:
    """Return a record of `bulk` or `health`; RecordError when ingest would refuse it."""
    if not values:
        raise RecordError("a reading without values")
    try:
        for name, value in values.items():
            metric(name, stream, kind).check(value)
    except MetricError as exc:
        raise RecordError(str(exc)) from exc
    return encode(Reading(ts_ns=ts_ns, tq=tq, values=dict(values)))


def event(ts_ns: int, tq: int, code: str, state: str) -> bytes:
    """Return a record of `event`; RecordError when it is not in the contract's table."""
    try:
        check_event(code, state)
    except MetricError as exc:
        raise RecordError(str(exc)) from exc
    return encode(Event(ts_ns=ts_ns, tq=tq, code=code, state=state))


def coarse_pct(value: float) -> float:
    """Round a fill level up to the contract's steps: a finer one would count visitors (DESIGN section 7)."""
    steps = -(-max(0.0, min(100.0, value)) // COARSE_STEP_PCT)
    return steps * COARSE_STEP_PCT
