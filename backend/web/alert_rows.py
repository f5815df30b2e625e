"""An alert as a row of a list: the same on the district's, a zone's and the alerts' page. Pure."""

from dataclasses import dataclass
from typing import Final

import msgspec

from backend.web.names import Names
from backend.web.reasons import Facts, Finding, headline
from backend.web.words import N_
from contracts.signals import SEVERITIES
from stores.state.alerts import AlertRow

STATE_WORDS: Final = {
    "firing": N_("not yet acknowledged"),
    "acknowledged": N_("acknowledged"),
    "resolved": N_("resolved"),
}
SEVERITY_WORDS: Final = {"info": N_("info"), "warning": N_("warning"), "critical": N_("critical")}


class _Evidence(msgspec.Struct, frozen=True):
    """The part of an alert's evidence that words need."""

    facts: dict[str, float | int | str]


@dataclass(frozen=True, slots=True)
class AlertLine:
    """What a template needs."""

    id: int
    rule: str
    severity: str
    state: str
    cleared: bool
    tone: str
    headline: str
    place: str
    state_word: str
    severity_word: str
    opened_ns: int
    last_ns: int
    cleared_ns: int | None
    count: int
    by: str


def line(row: AlertRow, names: Names) -> AlertLine:
    """Put one alert into words."""
    words = names.words
    over = row.cleared and row.state != "resolved"
    return AlertLine(
        id=row.id,
        rule=row.rule,
        severity=row.severity,
        state=row.state,
        cleared=row.cleared,
        tone="good" if row.state == "resolved" else row.severity,
        headline=headline(finding(row, names), words),
        place=names.place_of(bare(row.subject)),
        state_word=", ".join([words.text(STATE_WORDS[row.state]), *([words.text(N_("over"))] if over else [])]),
        severity_word=words.text(SEVERITY_WORDS[row.severity]),
        opened_ns=row.opened_ns,
        last_ns=row.last_ns,
        cleared_ns=row.cleared_ns,
        count=row.count,
        by=_by(row, names),
    )


def finding(row: AlertRow, names: Names) -> Finding:
    """Return an alert as far as its sentences need it."""
    return Finding(row.rule, names.place_of(bare(row.subject)), facts_of(row), row.cleared)


def facts_of(row: AlertRow) -> Facts:
    """Return the numbers of the newest signal; none when they are not ours to read."""
    try:
        return msgspec.json.decode(row.evidence, type=_Evidence).facts
    except msgspec.MsgspecError:
        return {}


def bare(subject: str) -> str:
    """Return the id in device/…, zone/… or district/…."""
    return subject.partition("/")[2]


def urgency(row: AlertRow) -> tuple[bool, bool, int, int]:
    """Sort key: what nobody has acknowledged and is not over comes first, the graver before, then the newer."""
    return (row.state != "firing", row.cleared, -SEVERITIES.index(row.severity), -row.opened_ns)


def _by(row: AlertRow, names: Names) -> str:
    if row.resolved_by is not None:
        return names.words.text("resolved by %(name)s", name=row.resolved_by)
    if row.acknowledged_by is not None and row.state == "acknowledged":
        return names.words.text("with %(name)s", name=row.acknowledged_by)
    return ""
