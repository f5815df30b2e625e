"""What a rule or detector found: the row that ingest and analyse commit and the backend turns into an alert. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args

from contracts.errors import ContractError

Severity = Literal["info", "warning", "critical"]
SEVERITIES: Final[tuple[str, ...]] = get_args(Severity)
Phase = Literal["raised", "cleared"]
PHASES: Final[tuple[str, ...]] = get_args(Phase)


@dataclass(frozen=True, slots=True)
class Signal:
    """One finding; (rule, subject, onset_ns, phase) is unique, so evaluating again changes nothing.

    `subject` is a device id for a safety rule, a zone or district id for a detector. `facts` are the numbers that
    explain it (value, limit, hold time, released counts): what the alert's page shows as the reason.
    """

    rule: str
    subject: str
    zone: str | None
    target: str | None
    severity: Severity
    phase: Phase
    onset_ns: int  # start of the window, or the instant a limit was first exceeded
    found_ns: int  # district time at which it was found
    facts: Mapping[str, float | int | str]

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES or self.phase not in PHASES or not self.rule or not self.subject:
            raise ContractError("a signal needs a rule, a subject, a known severity and phase")
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))
