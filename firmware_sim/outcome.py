"""What is true of one cartridge before the analyser measures it, and when its person comes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Ending(StrEnum):
    """How a run ends."""

    VALID = "valid"
    INVALID = "invalid"  # the sample control was not found
    ERROR = "error"  # the analyser stopped the run and gives a code
    NO_RESULT = "no_result"  # too little data


class Call(StrEnum):
    """The truth about one target."""

    POSITIVE = "positive"
    PRESUMPTIVE = "presumptive"  # one of two genes
    NEGATIVE = "negative"


class Control(StrEnum):
    """An external control in place of a visitor's sample."""

    POSITIVE = "positive"
    NEGATIVE = "negative"


@dataclass(frozen=True, slots=True)
class Patient:
    """What somebody may have typed in at the analyser; a host must drop it."""

    number: str
    name: str
    birth_date: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """One cartridge. Targets of the assay that `calls` does not name are negative."""

    calls: Mapping[str, Call] = field(default_factory=dict)
    ending: Ending = Ending.VALID
    control: Control | None = None
    control_passes: bool = True
    late: bool = False
    twice: bool = False
    patient: Patient | None = None

    @property
    def positive(self) -> bool:
        """Whether the run may end early."""
        return self.ending is Ending.VALID and Call.POSITIVE in self.calls.values()


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody stands at the kiosk with a cartridge, at simulated UTC nanoseconds."""

    at_ns: int
    outcome: Outcome
