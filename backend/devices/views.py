"""Devices in words, for the list and for a device's page. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from backend.devices.condition import DeviceState
from backend.web.names import Names
from backend.web.reasons import METRIC_NAMES, shown
from backend.web.words import N_, Words
from contracts.signals import SEVERITIES
from contracts.windows import to_datetime
from stores.state.devices import Certificate

_STATE_WORDS: Final = {"critical": N_("broken"), "warning": N_("attention"), "info": N_("look"), "good": N_("well")}
_FILTERS: Final = (("all", N_("All")), ("problems", N_("With problems")))
_CLOCK_WORDS: Final = (N_("unknown"), N_("free-running"), N_("kept by a time server"), N_("jumped"))
_LEVEL_WORDS: Final = (N_("out"), N_("low"), N_("ok"))
_YES_WORDS: Final = (N_("no"), N_("yes"))
_COUNTED: Final[Mapping[str, Sequence[str]]] = {
    "clock_quality": _CLOCK_WORDS,
    "lots_level": _LEVEL_WORDS,
    "paper_level": _LEVEL_WORDS,
    "instrument_ok": _YES_WORDS,
    "control_ok": _YES_WORDS,
}
HEALTH_NAMES: Final[Mapping[str, str]] = {
    **METRIC_NAMES,
    "instrument_ok": N_("instrument answers"),
    "control_ok": N_("control of the day passed"),
    "certificate_days": N_("certificate, by its own clock"),
    "outbox_pct": N_("outbox filled"),
    "disk_pct": N_("disk filled"),
}


def tone_of(state: DeviceState) -> str:
    """Return the worst problem's severity, or good."""
    return state.problems[0].severity if state.problems else "good"


def list_view(states: Sequence[DeviceState], show: str, names: Names, now_ns: int) -> Mapping[str, object]:
    """Return the list's page: the worst first."""
    words = names.words
    chosen = show if show in dict(_FILTERS) else "all"
    shown_states = [state for state in states if chosen == "all" or state.problems]
    ordered = sorted(shown_states, key=lambda state: (_rank(state), state.device.id))
    return {
        "sentence": _sentence(states, words),
        "filters": [{"key": key, "name": words.text(name), "chosen": key == chosen} for key, name in _FILTERS],
        "devices": [_row(state, names, now_ns) for state in ordered],
    }


def _rank(state: DeviceState) -> int:
    tone = tone_of(state)
    return -SEVERITIES.index(tone) if tone in SEVERITIES else 1


def _sentence(states: Sequence[DeviceState], words: Words) -> str:
    bad = sum(tone_of(state) in ("critical", "warning") for state in states)
    if not states:
        return words.text("The district file names no device.")
    if not bad:
        return words.plural("The one device is well.", "All %(n)s devices are well.", len(states))
    return words.plural(
        "One device of %(all)s needs a technician.",
        "%(n)s devices of %(all)s need a technician.",
        bad,
        all=words.number(len(states)),
    )


def _row(state: DeviceState, names: Names, now_ns: int) -> Mapping[str, object]:
    words, tone = names.words, tone_of(state)
    return {
        "id": state.device.id,
        "kind": names.kind(state.device.kind),
        "tone": tone,
        "state_word": words.text(_STATE_WORDS[tone]),
        "first_problem": words.text(state.problems[0].sentence) if state.problems else "",
        "place": names.place_of(state.device.id),
        "seen": words.ago(state.seen_ns, now_ns) if state.seen_ns is not None else words.text("never"),
        "certificate": _certificate_days(state, words),
    }


def _certificate_days(state: DeviceState, words: Words) -> str:
    days = state.condition.certificate_days
    if days is None:
        return words.text("none")
    if days <= 0:
        return words.text("run out")
    return words.plural("%(n)s day left", "%(n)s days left", int(days))


def device_view(state: DeviceState, certificate: Certificate | None, names: Names, now_ns: int) -> Mapping[str, object]:
    """Return a device's page."""
    words, device, tone = names.words, state.device, tone_of(state)
    what = [names.kind(device.kind), names.place_of(device.id), *([device.label] if device.label else [])]
    return {
        "id": device.id,
        "tone": tone,
        "state_word": words.text(_STATE_WORDS[tone]),
        "what": " · ".join(what),
        "problems": state.problems,
        "facts": _facts(state, certificate, words, now_ns),
        "readings": [_reading(name, value, words) for name, value in state.condition.readings.items()],
        "instruments": _instruments(state),
        "revoked": state.condition.revoked,
    }


def _facts(state: DeviceState, certificate: Certificate | None, words: Words, now_ns: int) -> list[tuple[str, str]]:
    online = state.condition.online
    told = words.text("unknown") if online is None else words.text("online") if online else words.text("offline")
    seen = "–"
    if state.seen_ns is not None:
        seen = f"{words.ago(state.seen_ns, now_ns)} ({words.instant(state.seen_ns)})"
    facts = [
        (words.text("Says itself"), told),
        (words.text("Last heard of"), seen),
        (words.text("Certificate"), _certificate_days(state, words)),
    ]
    if certificate is not None:
        # Certificates live in real time, unlike everything else on this page (DESIGN §14).
        until = to_datetime(certificate.not_after_ns).strftime("%Y-%m-%d %H:%M UTC")
        facts.append((words.text("Good until, in real time"), until))
        facts.append((words.text("Fingerprint"), certificate.fingerprint[:16]))
    facts.append((words.text("Enrolments"), words.number(state.device.enrolment)))
    if state.birth is not None:
        facts.append((words.text("Agent"), state.birth.fw))
    return facts


def _reading(name: str, value: float, words: Words) -> tuple[str, str]:
    label = words.text(HEALTH_NAMES.get(name, name))
    counted = _COUNTED.get(name)
    if counted is not None and 0 <= int(value) < len(counted):
        return label[:1].upper() + label[1:], words.text(counted[int(value)])
    return label[:1].upper() + label[1:], shown(name, value, words)


def _instruments(state: DeviceState) -> list[str]:
    born = state.birth.instruments if state.birth is not None else []
    return [" · ".join(part for part in (one.kind, one.model, one.fw) if part) for one in born]
