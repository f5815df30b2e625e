"""The district and its zones in sentences: what happened, how sure we are, what needs somebody now. Pure.

A share that may not be shown is told as "too few tests", never as zero; no share is without its range.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from backend.boards.evidence import DISTRICT, Evidence, Share, newest_share, reporting, trend
from backend.boards.reader import latest, numbers
from backend.boards.spark import Spark, spark
from backend.web.alert_rows import AlertLine, line, urgency
from backend.web.names import Names
from backend.web.reasons import shown
from backend.web.words import N_, Words
from contracts.windows import DAY_S, NS
from stores.state.alerts import AlertRow

LISTED_ALERTS: Final = 5
DAYS_LISTED: Final = 14
STALE_S: Final = 2 * DAY_S  # a zone whose newest day is older is told as silent

_TREND_WORDS: Final = {
    "up": N_("This week it is higher than the week before (%(now)s after %(before)s), beyond what noise explains."),
    "down": N_("This week it is lower than the week before (%(now)s after %(before)s), beyond what noise explains."),
    "same": N_("This week (%(now)s) cannot be told from the week before (%(before)s): their ranges overlap."),
}


@dataclass(frozen=True, slots=True)
class ZoneCard:
    """A zone on the district's page."""

    id: str
    name: str
    tone: str
    state_word: str
    positivity: str
    positivity_note: str
    spark: Spark | None
    spark_label: str
    releases: str
    co2: str
    open_alerts: str


def lede(alerts: Sequence[AlertRow], words: Words) -> str:
    """Return the one line that says whether anybody is needed."""
    firing = sum(row.state == "firing" and not row.cleared for row in alerts)
    if firing:
        return words.plural("One alert needs a person now", "%(n)s alerts need a person now", firing)
    over = sum(row.state == "firing" for row in alerts)
    if over:
        return words.plural("One alert went over by itself: look at it", "%(n)s alerts went over by themselves", over)
    if alerts:
        return words.plural("One alert is being worked on", "%(n)s alerts are being worked on", len(alerts))
    return words.text("Nothing needs you now")


def sentences(evidence: Evidence, zone: str, words: Words) -> list[str]:
    """Return what is known of a zone's (or the district's) tests, and how sure that is."""
    told = [_share_sentence(newest_share(evidence.days, zone), evidence.now_ns, words)]
    moved = trend(evidence, zone)
    if moved is not None:
        way, now, before = moved
        told.append(words.text(_TREND_WORDS[way], now=words.percent(now.value), before=words.percent(before.value)))
    seen = reporting(evidence, zone)
    if seen is not None and seen[0] < seen[1]:
        told.append(
            words.text(
                "Only %(seen)s of the %(expected)s releases expected of its kiosks have come for that day.",
                seen=seen[0],
                expected=seen[1],
            )
        )
    return told


def _share_sentence(share: Share | None, now_ns: int, words: Words) -> str:
    if share is None:
        return words.text("Too few tests have been released to give a positive share yet.")
    over = share.start_ns + DAY_S * NS <= now_ns
    sentence = (
        N_(
            "On %(day)s %(share)s of the tests were positive; with the noise that protects visitors the true share "
            "lies between %(lower)s and %(upper)s (95%%)."
        )
        if over
        else N_(
            "On %(day)s so far %(share)s of the tests were positive; with the noise that protects visitors the true "
            "share lies between %(lower)s and %(upper)s (95%%)."
        )
    )
    return words.text(
        sentence,
        day=words.day(share.start_ns),
        share=words.percent(share.value),
        lower=words.percent(share.lower),
        upper=words.percent(share.upper),
    )


def listed(alerts: Sequence[AlertRow], names: Names) -> list[AlertLine]:
    """Return alerts in the order in which they need somebody."""
    return [line(row, names) for row in sorted(alerts, key=urgency)]


def state_of(evidence: Evidence, zone: str, alerts: Sequence[AlertRow], words: Words) -> tuple[str, str]:
    """Return a zone's tone and the word beside it."""
    active = sorted((row for row in alerts if not row.cleared), key=urgency)
    if active:
        return active[0].severity, words.text(_STATE_WORDS[active[0].severity])
    newest = latest(evidence.days["status"].get(zone))
    if newest is None or evidence.now_ns - newest[0] > STALE_S * NS:
        return "", words.text("no data")
    if newest[1] != "shown":
        return "", words.text("too few tests to tell")
    return "good", words.text("calm")


_STATE_WORDS: Final = {"info": N_("look"), "warning": N_("attention"), "critical": N_("act")}


def zone_cards(evidence: Evidence, alerts: Sequence[AlertRow], names: Names) -> list[ZoneCard]:
    """Return every zone, in the order of the district file."""
    return [
        _zone_card(zone, evidence, [row for row in alerts if row.zone == zone], names) for zone in names.registry.zones
    ]


def _zone_card(zone: str, evidence: Evidence, alerts: Sequence[AlertRow], names: Names) -> ZoneCard:
    words = names.words
    tone, word = state_of(evidence, zone, alerts, words)
    share = newest_share(evidence.days, zone)
    seen = reporting(evidence, zone)
    return ZoneCard(
        id=zone,
        name=names.zone(zone),
        tone=tone,
        state_word=word,
        positivity=words.percent(share.value) if share is not None else "–",
        positivity_note=_positivity_note(share, words),
        spark=_spark(evidence, zone),
        spark_label=words.text("Positive share over the last half year"),
        releases=f"{seen[0]} / {seen[1]}" if seen is not None else "–",
        co2=highest_co2(evidence, zone, names),
        open_alerts=words.number(len(alerts)),
    )


def _positivity_note(share: Share | None, words: Words) -> str:
    if share is None:
        return words.text("too few tests")
    return words.text(
        "%(lower)s to %(upper)s, %(day)s",
        lower=words.percent(share.lower),
        upper=words.percent(share.upper),
        day=words.day(share.start_ns),
    )


def highest_co2(evidence: Evidence, zone: str, names: Names) -> str:
    """Return the highest fresh CO2 reading of a zone's rooms; nothing where there is none."""
    devices = names.registry.devices
    fresh = [value for device, (_, value) in evidence.co2.items() if device in devices and devices[device].zone == zone]
    return shown("co2_ppm", max(fresh), names.words) if fresh else ""


def _spark(evidence: Evidence, zone: str) -> Spark | None:
    now, low, high = (numbers(evidence.days[field].get(zone)) for field in ("positivity", "lower", "upper"))
    return spark(
        start_ns=evidence.span.start_ns,
        stop_ns=evidence.span.stop_ns,
        history=numbers(evidence.history.get(zone)),
        now=now,
        low=low,
        high=high,
    )


def day_rows(evidence: Evidence, zone: str, words: Words) -> list[Mapping[str, str]]:
    """Return the newest days as a table: what the curve shows, in numbers."""
    status = evidence.days["status"].get(zone, {})
    return [_day_row(evidence, zone, start, words) for start in sorted(status, reverse=True)[:DAYS_LISTED]]


def _day_row(evidence: Evidence, zone: str, start_ns: int, words: Words) -> Mapping[str, str]:
    def field(name: str) -> float | None:
        _, values = numbers(
            {start_ns: value} if (value := evidence.days[name].get(zone, {}).get(start_ns)) is not None else {}
        )
        return values[0] if values else None

    share, lower, upper = (field(name) for name in ("positivity", "lower", "upper"))
    valid, noise, seen, expected = (
        field(name) for name in ("valid", "noise_sd_valid", "kiosks_reporting", "kiosks_expected")
    )
    few = evidence.days["status"].get(zone, {}).get(start_ns) != "shown"
    return {
        "day": words.day(start_ns),
        "share": words.percent(share) if share is not None else words.text("too few"),
        "range": f"{words.percent(max(0.0, lower))} – {words.percent(min(1.0, upper))}"
        if lower is not None and upper is not None
        else "",
        "valid": words.text("too few") if few or valid is None else _with_noise(valid, noise, words),
        "releases": f"{int(seen)} / {int(expected)}" if seen is not None and expected is not None else "",
    }


def _with_noise(value: float, noise_sd: float | None, words: Words) -> str:
    return words.number(max(0.0, value)) + (f" ± {words.number(noise_sd)}" if noise_sd is not None else "")


def district_sentences(evidence: Evidence, words: Words) -> list[str]:
    """Return what the district's page says under its first line."""
    return sentences(evidence, DISTRICT, words)
