"""`[[agreement]]` of district.toml: which authority may be given what, from when and until when. Pure.

An agreement is concluded on paper; here stands what of it the program has to keep. What is not named is not covered.
"""

import datetime
from collections.abc import Collection, Iterator, Sequence
from typing import Final, Literal

import msgspec

from backend.devices.file_lines import MAX_TEXT
from contracts.errors import ContractError
from contracts.metrics import METRICS
from contracts.topics import check_name

LEVELS: Final = tuple(f"{place}_{length}" for place in ("zone", "district") for length in ("window", "day", "week"))
MEASURES: Final = tuple(name for name, metric in METRICS.items() if metric.bucket == "environment")
_TEXTS: Final = ("recipient", "contact", "legal_basis")

Wrong = tuple[int, str, str]  # which agreement, which key, what to write there


class Agreement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One agreement: both days belong to it; it covers data of these days and is used on these days."""

    name: str
    recipient: str
    contact: str
    legal_basis: str
    valid_from: datetime.date
    valid_until: datetime.date
    levels: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()  # metrics of open rooms
    releases: Literal["links", "whole"] = "links"  # whole: each kiosk's released numbers, as they were received

    def days_left(self, today: datetime.date) -> int:
        """Return on how many days it may still be used, today included; 0 once it ended."""
        return max(0, (self.valid_until - max(today, self.valid_from)).days + 1)


def wrong_agreements(agreements: Sequence[Agreement], targets: Collection[str]) -> Iterator[Wrong]:
    """Yield what is wrong with them, in the order of the file; `targets` are those of the district's assays."""
    for index, agreement in enumerate(agreements):
        for key, sentence in _wrong(agreement, targets):
            yield index, key, sentence


def _wrong(agreement: Agreement, targets: Collection[str]) -> Iterator[tuple[str, str]]:
    try:
        check_name(agreement.name)
    except ContractError as exc:
        yield "name", str(exc)
    for key in _TEXTS:
        if not 1 <= len(getattr(agreement, key).strip()) <= MAX_TEXT:
            yield key, f"1 to {MAX_TEXT} characters"
    if agreement.valid_until < agreement.valid_from:
        yield "valid_until", "this lies before valid_from"
    for key, known in (("levels", LEVELS), ("targets", targets), ("environment", MEASURES)):
        chosen = getattr(agreement, key)
        if not set(chosen) <= set(known) or len(set(chosen)) != len(chosen):
            yield key, f"some of {', '.join(sorted(known))}, each once"
    yield from _wrong_together(agreement, targets)


def _wrong_together(agreement: Agreement, targets: Collection[str]) -> Iterator[tuple[str, str]]:
    if bool(agreement.levels) != bool(agreement.targets):
        yield "levels", "levels and targets go together"
    if not agreement.levels and not agreement.environment:
        yield "levels", "an agreement that covers nothing: give levels and targets, or environment"
    if agreement.releases == "whole" and set(agreement.targets) != set(targets):
        yield "releases", "a whole release holds every target: name them all, or share links"
