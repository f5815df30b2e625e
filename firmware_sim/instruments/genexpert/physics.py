"""How long a run takes and what it measures, drawn from the run's key. No I/O, no clock."""

from dataclasses import dataclass

from firmware_sim.chance import below, normal, uniform
from firmware_sim.instruments.genexpert.assays import RUN_ERRORS, SAMPLE_CONTROL, Assay, RunError
from firmware_sim.instruments.genexpert.messages import Readings
from firmware_sim.outcome import Call, Ending, Outcome

_MINUTE_S = 60.0
FULL_RUN_MIN = (30.0, 35.0)
EARLY_RUN_MIN = (20.0, 30.0)  # Xpress ends early when a target is found
ERROR_RUN_MIN = (2.0, 28.0)
LATE_RUN_MIN = (60.0, 90.0)  # beyond any host's T_max
CT_RANGE = (16.0, 38.0)
_POSITIVE_END_POINT, _NEGATIVE_END_POINT, _CONTROL_END_POINT = 400.0, 3.0, 300.0
_END_POINT_SD = 20.0
_SECOND_GENE_CT, _CONTROL_CT, _CONTROL_CT_SD = 1.5, 28.0, 0.8

RunKey = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """A run before it is reported."""

    duration_s: float
    readings: Readings
    error: RunError | None


def measure(outcome: Outcome, assay: Assay, key: RunKey, *, ct_shift: float = 0.0) -> Measured:
    """What the analyser finds in a cartridge; `ct_shift` cycles are added to every curve (a fault)."""
    ct, end_point = {}, {}
    for target in assay.targets:
        call = outcome.calls.get(target.target, Call.NEGATIVE)
        for i, name in enumerate(target.analytes):
            found = outcome.ending is Ending.VALID and (call is Call.POSITIVE or (call is Call.PRESUMPTIVE and i == 0))
            ct[name] = _threshold_cycle(key) + i * _SECOND_GENE_CT + ct_shift if found else 0.0
            end_point[name] = _end_point(found, outcome, (*key, name))
    if outcome.ending is Ending.VALID:
        ct[SAMPLE_CONTROL] = _CONTROL_CT + _CONTROL_CT_SD * normal(*key, "control") + ct_shift
        end_point[SAMPLE_CONTROL] = _CONTROL_END_POINT + _END_POINT_SD * normal(*key, "control end point")
    error = RUN_ERRORS[below(len(RUN_ERRORS), *key, "error")] if outcome.ending is Ending.ERROR else None
    return Measured(_duration_s(outcome, key), Readings(ct, end_point), error)


def _threshold_cycle(key: RunKey) -> float:
    return _between(CT_RANGE, uniform(*key, "ct"))


def _end_point(found: bool, outcome: Outcome, key: RunKey) -> float:
    if outcome.ending in (Ending.ERROR, Ending.NO_RESULT):
        return 0.0
    mean = _POSITIVE_END_POINT if found else _NEGATIVE_END_POINT
    return mean + (_END_POINT_SD if found else 1.0) * normal(*key, "end point")


def _duration_s(outcome: Outcome, key: RunKey) -> float:
    share = uniform(*key, "duration")
    if outcome.late:
        return _between(LATE_RUN_MIN, share) * _MINUTE_S
    if outcome.ending in (Ending.ERROR, Ending.NO_RESULT):
        return _between(ERROR_RUN_MIN, share) * _MINUTE_S
    if outcome.positive:
        low, high = CT_RANGE
        return _between(EARLY_RUN_MIN, (_threshold_cycle(key) - low) / (high - low)) * _MINUTE_S
    return _between(FULL_RUN_MIN, share) * _MINUTE_S


def _between(limits: tuple[float, float], share: float) -> float:
    low, high = limits
    return low + (high - low) * share
