"""Cartridges that the analyser knows, and the words and codes it reports with. Tables; docs/protocols/genexpert.md."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from firmware_sim.outcome import Call


@dataclass(frozen=True, slots=True)
class Target:
    """One main result of an assay."""

    target: str
    code: str  # R.3 component 4
    name: str  # R.3 component 7; empty in a single-result assay
    analytes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Assay:
    """One kind of cartridge, under the host test code typed in at the analyser."""

    code: str
    name: str
    version: int
    panel: str  # R.3 component 2; empty in a single-result assay
    targets: tuple[Target, ...]


ASSAYS: Mapping[str, Assay] = MappingProxyType(
    {
        assay.code: assay
        for assay in (
            Assay(
                code="SARSCOV2",
                name="Xpert Xpress SARS-CoV-2",
                version=2,
                panel="",
                targets=(Target("sars-cov-2", "SARSCOV2", "", ("E", "N2")),),
            ),
            Assay(
                code="COV2FLURSV",
                name="Xpert Xpress CoV-2/Flu/RSV plus",
                version=1,
                panel="COV2FLURSV",
                targets=(
                    Target("sars-cov-2", "COV2", "SARS-CoV-2", ("E", "N2")),
                    Target("flu-a", "FLUA", "Flu A", ("FluA 1", "FluA 2")),
                    Target("flu-b", "FLUB", "Flu B", ("FluB",)),
                    Target("rsv", "RSV", "RSV", ("RSV",)),
                ),
            ),
        )
    }
)

SAMPLE_CONTROL = "SPC"
NO_RESULT = "NO RESULT"

# Main word and the words of the analytes, first and others.
CALL_WORDS: Mapping[Call, tuple[str, str, str]] = MappingProxyType(
    {
        Call.POSITIVE: ("POSITIVE", "POS", "POS"),
        Call.PRESUMPTIVE: ("PRESUMPTIVE POS", "POS", "NEG"),
        Call.NEGATIVE: ("NEGATIVE", "NEG", "NEG"),
    }
)


@dataclass(frozen=True, slots=True)
class RunError:
    """Why a run was stopped; code and wording in the style of the analyser's error list."""

    code: int
    title: str
    description: str


RUN_ERRORS = (
    RunError(5007, "Post-run analysis error", "Error 5007: probe check failed, a probe value is above its maximum"),
    RunError(2008, "Operation terminated", "Error 2008: syringe pressure is above the protocol limit"),
    RunError(5011, "Post-run analysis error", "Error 5011: signal loss in an amplification curve"),
    RunError(2037, "Self-test error", "Error 2037: the cartridge integrity test failed"),
)
