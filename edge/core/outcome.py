"""An analyser's own report to calls, by a table; and whether its controls still hold. Pure.

The analyser has judged the run already (DESIGN section 9); here its words become the four words of a call. What no row
of the table knows is invalid, never negative. A report has no field for anything about a person.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

Call = Literal["positive", "negative", "inconclusive", "invalid"]
Level = Literal["positive", "negative"]

# Main words of GeneXpert reports (docs/protocols/genexpert.md). Semi-quantitative words mean "found".
_CALLS: Mapping[str, Call] = MappingProxyType(
    {
        "POSITIVE": "positive",
        "DETECTED": "positive",
        "NEGATIVE": "negative",
        "NOT DETECTED": "negative",
        "PRESUMPTIVE POS": "inconclusive",
        "INDETERMINATE": "inconclusive",
        "INVALID": "invalid",
        "ERROR": "invalid",
        "NO RESULT": "invalid",
    }
)


@dataclass(frozen=True, slots=True)
class RunReport:
    """What an analyser says of one run: the words of its main results by result code.

    `sample` is an id of our own making, or None when the analyser names another one. `control` is the level of an
    external control. `final` is False while the run may still change.
    """

    sample: str | None
    assay: str
    words: Mapping[str, str]
    control: Level | None
    final: bool

    def __post_init__(self) -> None:
        """Keep a copy that nobody can change."""
        object.__setattr__(self, "words", MappingProxyType(dict(self.words)))


@dataclass(frozen=True, slots=True)
class AssayTable:
    """An assay as kiosk and analyser agreed on it: result code of the analyser -> target of the layout."""

    assay: str
    targets: Mapping[str, str]

    def __post_init__(self) -> None:
        """Keep a copy that nobody can change."""
        object.__setattr__(self, "targets", MappingProxyType(dict(self.targets)))


def assay_table(assay: str, targets: tuple[str, ...], result_codes: Mapping[str, str]) -> AssayTable:
    """Build an assay's table; a target without a stated code has the assay's (if alone) or its own in capitals."""
    stated = {target: code for code, target in result_codes.items()}
    if len(targets) == 1:
        return AssayTable(assay, {stated.get(targets[0], assay): targets[0]})
    return AssayTable(assay, {stated.get(target, target.replace("-", "").upper()): target for target in targets})


@dataclass(frozen=True, slots=True)
class Dialect:
    """An assay and how the cabinet's analyser names its results, whichever targets a layout counts."""

    assay: str
    result_codes: Mapping[str, str]

    def table(self, targets: tuple[str, ...]) -> AssayTable:
        """Return the table for these targets."""
        return assay_table(self.assay, targets, self.result_codes)


def calls_of(report: RunReport, table: AssayTable) -> dict[str, Call]:
    """Return target -> call; all invalid when the report is of another assay, invalid what it does not mention."""
    if report.assay != table.assay:
        return dict.fromkeys(table.targets.values(), "invalid")
    return {target: _CALLS.get(report.words.get(code, ""), "invalid") for code, target in table.targets.items()}


def control_holds(report: RunReport, table: AssayTable) -> bool:
    """Tell whether every target of a control reads as the control was made."""
    return all(call == report.control for call in calls_of(report, table).values())


@dataclass(frozen=True, slots=True)
class Controls:
    """The newest result of each external control; None before the first one."""

    positive_holds: bool | None = None
    negative_holds: bool | None = None

    @property
    def failed(self) -> bool:
        """Whether the kiosk is locked: a failed level stays failed until that level passes."""
        return self.positive_holds is False or self.negative_holds is False

    def after(self, level: Level, *, holds: bool) -> "Controls":
        """Return the state after one control."""
        if level == "positive":
            return replace(self, positive_holds=holds)
        return replace(self, negative_holds=holds)
