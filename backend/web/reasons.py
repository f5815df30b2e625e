"""Why an alert fired, how sure that is and what to do now, in sentences. Pure: an alert's facts in, words out.

An officer has ten minutes. Each kind of finding has a headline and three short lists; the numbers behind them stay
below in a table. The kind is read off the facts, so a rule may have any name in district.toml. Advice follows the
ladder of surveillance.md §6: one signal alone never asks for a public notice. The system recommends; people decide.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from backend.web.words import N_, Words
from contracts.metrics import METRICS

Facts = Mapping[str, float | int | str]

METRIC_NAMES: Final[Mapping[str, str]] = {
    "co2_ppm": N_("carbon dioxide (CO₂)"),
    "temperature_c": N_("temperature"),
    "humidity_pct": N_("relative humidity"),
    "outbox_pct": N_("outbox"),
    "disk_pct": N_("disk"),
    "clock_quality": N_("clock"),
    "thinned_records": N_("readings given up"),
    "instrument_ok": N_("instrument"),
    "certificate_days": N_("certificate"),
    "day_min_temperature_c": N_("lowest temperature of the day"),
    "control_ok": N_("control"),
    "lots_level": N_("cartridges"),
    "paper_level": N_("paper"),
}
FACT_NAMES: Final[Mapping[str, str]] = {
    "value": N_("Value"),
    "limit": N_("Limit"),
    "clear": N_("Over when below"),
    "hold_s": N_("The rule asks for"),
    "held_s": N_("Lasted"),
    "metric": N_("Measured"),
    "readings": N_("Readings in a row"),
    "positives": N_("Positive, with noise"),
    "valid": N_("Valid tests, with noise"),
    "positivity": N_("Positive share"),
    "lower": N_("95% range, lower end"),
    "upper": N_("95% range, upper end"),
    "p0": N_("Expected share"),
    "s": N_("Detector's sum"),
    "threshold": N_("Detector's threshold"),
    "noise_sd": N_("Noise of the positives (standard deviation)"),
    "kiosks_reporting": N_("Releases that had come"),
    "kiosks_expected": N_("Releases expected"),
    "cases_needed": N_("Positives that would have been enough"),
    "odds_ratio": N_("Rise the detector looks for (odds ratio)"),
    "window_s": N_("Window"),
}
_ORDER: Final = {name: place for place, name in enumerate(FACT_NAMES)}
_SHARES: Final = frozenset({"positivity", "lower", "upper", "p0"})
_SPANS: Final = frozenset({"hold_s", "held_s", "window_s"})


@dataclass(frozen=True, slots=True)
class Reason:
    """What an alert's page says."""

    headline: str
    why: tuple[str, ...]
    sure: tuple[str, ...]
    now: tuple[str, ...]
    numbers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """An alert, as far as its words need it."""

    rule: str
    place: str
    facts: Facts
    over: bool


def tell(finding: Finding, words: Words) -> Reason:
    """Put a finding into words."""
    for mark, teller in _TELLERS:
        if mark <= finding.facts.keys():
            return teller(finding, words)
    return _tell_unknown(finding, words)


def headline(finding: Finding, words: Words) -> str:
    """Return the one line of a list."""
    return tell(finding, words).headline


def shown(metric: str, value: float, words: Words) -> str:
    """Return a reading with its unit."""
    row = METRICS.get(metric)
    unit = f"\N{NO-BREAK SPACE}{row.unit}" if row is not None and row.unit else ""
    return f"{words.number(value, DIGITS.get(metric, 0))}{unit}"


# A tenth of a ppm says nothing, a tenth of a degree does.
DIGITS: Final[Mapping[str, int]] = {"temperature_c": 1, "day_min_temperature_c": 1, "humidity_pct": 1}


def _tell_limit(finding: Finding, words: Words) -> Reason:
    facts, _ = finding.facts, words.text
    metric = str(facts["metric"])
    name, value, limit = (
        _(METRIC_NAMES.get(metric, metric)),
        shown(metric, _number(facts, "value"), words),
        shown(metric, _number(facts, "limit"), words),
    )
    held = words.span(_number(facts, "held_s") or _number(facts, "hold_s"))
    why = (
        _("%(metric)s reached %(value)s; the limit is %(limit)s.", metric=_sentence(name), value=value, limit=limit),
        _("It had stayed beyond the limit for %(held)s without a break.", held=held),
    )
    clear = shown(metric, _number(facts, "clear"), words) if "clear" in facts else limit
    return Reason(
        headline=_("%(metric)s beyond its limit", metric=_sentence(name)),
        why=why,
        sure=(
            _("One sensor measured this; nothing is estimated and no privacy noise is in it."),
            _("Look at the curve: air in a room rises and falls smoothly. A jump or a flat line points to the sensor."),
        ),
        now=(
            *(
                []
                if metric != "co2_ppm"
                else [
                    _("Open windows or raise the supply of fresh air. Let people leave the room if it does not fall.")
                ]
            ),
            _("The rule calls it over once the value is back at %(clear)s.", clear=clear),
            _("If the room was empty all the time, send a technician to the sensor."),
        ),
        numbers=_numbers(finding, words),
    )


def _tell_stuck(finding: Finding, words: Words) -> Reason:
    facts, _ = finding.facts, words.text
    metric = str(facts["metric"])
    why = _(
        "The last %(readings)s readings of %(metric)s were all exactly the same.",
        readings=words.number(_number(facts, "readings")),
        metric=_(METRIC_NAMES.get(metric, metric)),
    )
    return Reason(
        headline=_("A sensor gives the same value again and again"),
        why=(why,),
        sure=(_("Air never stands still to the last digit: the sensor or its cable is almost certainly at fault."),),
        now=(
            _("Send a technician: power, cable, then the sensor itself."),
            _("Until it moves again, do not read this room's air as safe."),
        ),
        numbers=_numbers(finding, words),
    )


def _tell_detector(finding: Finding, words: Words) -> Reason:
    facts, _ = finding.facts, words.text
    why = []
    if {"positivity", "p0"} <= facts.keys():
        sentence = N_(
            "In %(window)s %(share)s of the tests were positive; %(expected)s was expected from the weeks before."
        )
        share, expected = words.percent(_number(facts, "positivity")), words.percent(_number(facts, "p0"))
        why.append(_(sentence, window=_window(facts, words), share=share, expected=expected))
    s, threshold = (words.number(_number(facts, name), 1) for name in ("s", "threshold"))
    sentence = N_(
        "The detector adds the evidence up window by window: its sum is %(s)s, and it reports above %(most)s."
    )
    why.append(_(sentence, s=s, most=threshold))
    return Reason(
        headline=_("More positive tests than expected"),
        why=tuple(why),
        sure=_how_sure(facts, words),
        now=(
            _("Check that the zone's kiosks passed their controls, and look at the neighbouring zones."),
            _("Ask for more tests here within 24 hours; a second stream (wastewater, air) would confirm it."),
            _("On this signal alone give no public notice. The system recommends; you decide."),
        ),
        numbers=_numbers(finding, words),
    )


def _window(facts: Facts, words: Words) -> str:
    if not {"window_start_ns", "window_s"} <= facts.keys():
        return words.text("the newest window")
    start, span = words.instant(int(_number(facts, "window_start_ns"))), words.span(_number(facts, "window_s"))
    return words.text("the %(span)s from %(start)s on", span=span, start=start)


def _how_sure(facts: Facts, words: Words) -> tuple[str, ...]:
    _ = words.text
    sure = []
    if {"lower", "upper"} <= facts.keys():
        sentence = N_(
            "With the noise that protects visitors the true share lies between %(lower)s and %(upper)s (95%%)."
        )
        lower, upper = (words.percent(max(0.0, min(1.0, _number(facts, end)))) for end in ("lower", "upper"))
        sure.append(_(sentence, lower=lower, upper=upper))
    if {"kiosks_reporting", "kiosks_expected"} <= facts.keys():
        reporting, expected = int(_number(facts, "kiosks_reporting")), int(_number(facts, "kiosks_expected"))
        if reporting < expected:
            sure.append(
                _(
                    "Only %(come)s of %(expected)s expected releases had come.",
                    come=reporting,
                    expected=expected,
                )
            )
        else:
            sure.append(_("All %(expected)s expected releases had come.", expected=expected))
    sure.append(_("The threshold is set so that the whole district has about one false alarm a fortnight."))
    return tuple(sure)


def _tell_restricted(finding: Finding, words: Words) -> Reason:
    _ = words.text
    held = words.span(_number(finding.facts, "held_s"))
    return Reason(
        headline=_("A safety limit is exceeded"),
        why=(_("It had lasted for %(held)s when the rule reported it.", held=held),),
        sure=(_("People live or lie in this room, so its readings are not shown here; only that the rule applies."),),
        now=(_("Ask the people on site to look, or open the readings together with a second officer."),),
        numbers=(),
    )


def _tell_unknown(finding: Finding, words: Words) -> Reason:
    return Reason(
        headline=words.text("Rule %(rule)s reports", rule=finding.rule),
        why=(words.text("The rule gave no sentence of its own; its numbers are below."),),
        sure=(),
        now=(words.text("Look at the place, and note what you found."),),
        numbers=_numbers(finding, words),
    )


_Teller = Callable[[Finding, Words], Reason]
# The first whose facts are all there tells.
_TELLERS: Final[tuple[tuple[frozenset[str], _Teller], ...]] = (
    (frozenset({"metric", "value", "limit"}), _tell_limit),
    (frozenset({"metric", "readings"}), _tell_stuck),
    (frozenset({"s", "threshold"}), _tell_detector),
    (frozenset({"metric", "held_s"}), _tell_restricted),
)


def _numbers(finding: Finding, words: Words) -> tuple[tuple[str, str], ...]:
    metric = str(finding.facts.get("metric", ""))
    return tuple(
        (words.text(FACT_NAMES.get(name, name)), _shown_fact(name, value, metric, words))
        for name, value in sorted(finding.facts.items(), key=lambda fact: _ORDER.get(fact[0], 0))
        if name in FACT_NAMES
    )


def _shown_fact(name: str, value: float | str, metric: str, words: Words) -> str:
    if isinstance(value, str):
        return words.text(METRIC_NAMES.get(value, value)) if name == "metric" else value
    if name in _SHARES:
        return words.percent(value)
    if name in _SPANS:
        return words.span(value)
    if metric and name in ("value", "limit", "clear"):
        return shown(metric, value, words)
    return words.number(value, 0 if isinstance(value, int) else 2)


def _number(facts: Facts, name: str) -> float:
    value = facts.get(name, 0.0)
    return float(value) if not isinstance(value, str) and math.isfinite(value) else 0.0


def _sentence(name: str) -> str:
    return name[:1].upper() + name[1:]
