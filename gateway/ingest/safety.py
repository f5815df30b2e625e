"""Safety rules, evaluated on the readings of each message as it comes in, by the reading's own time. Pure.

A limit raises once its value was beyond the limit for the rule's hold time without a reading on the right side of it,
and clears at the first reading past `clear` (hysteresis: in between nothing changes). A sensor is stuck after so many
equal readings in a row. Readings that are not later than the last one (resent, backlog) change nothing. A device's
clock may run ahead, but no reading counts as later than now: else one of them would blind the rule until then. Of a
restricted site only the state of the alarm gets out, never a value (DESIGN §7).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from contracts.messages import TQ_JUMPED, Reading
from contracts.registry import Device, LimitRule, Rule, StuckRule
from contracts.signals import Signal
from contracts.windows import NS
from gateway.ingest.world import World


@dataclass(frozen=True, slots=True)
class Watch:
    """What a rule remembers of one device."""

    last_ns: int = -1
    since_ns: int | None = None  # when the present stretch beyond the limit, or of equal values, began
    raised: bool = False
    value: float | None = None
    repeats: int = 0


UNWATCHED = Watch()

WatchKey = tuple[str, str]  # rule, device
Facts = dict[str, float | int | str]


def evaluate(
    watches: Mapping[WatchKey, Watch], readings: Sequence[Reading], device: Device, world: World, now_ns: int
) -> tuple[dict[WatchKey, Watch], list[Signal]]:
    """Return the watches that a device's readings change, in the order given, and the signals they give."""
    changed: dict[WatchKey, Watch] = {}
    signals: list[Signal] = []
    # The time of a jumped clock says nothing about how long something lasted.
    timely = [(min(reading.ts_ns, now_ns), reading.values) for reading in readings if reading.tq != TQ_JUMPED]
    for rule in world.rules(device):
        key = (rule.name, device.id)
        watch = first = watches.get(key, UNWATCHED)
        for ts_ns, values in timely:
            value = values.get(rule.metric)
            if value is None or ts_ns <= watch.last_ns:
                continue
            after = _step(rule, watch, ts_ns, value)
            if after.raised != watch.raised:
                facts = {} if world.restricted(device) else _facts(rule, after)
                signals.append(_signal(rule, watch, after, device, now_ns, facts))
            watch = after
        if watch is not first:
            changed[key] = watch
    return changed, signals


def resume(
    signals: Iterable[Signal], readings: Iterable[tuple[Device, Reading]], world: World, now_ns: int
) -> dict[WatchKey, Watch]:
    """Return what the rules remembered when ingest stopped, from the newest readings and each rule's newest signal.

    Only signals say what is raised: where the readings say otherwise (the rules have changed, or they do not go back
    far enough) the next reading tells.
    """
    watches: dict[WatchKey, Watch] = {}
    for device, reading in readings:
        watches.update(evaluate(watches, [reading], device, world, now_ns)[0])
    raised = {(signal.rule, signal.subject): signal for signal in signals if signal.phase == "raised"}
    for key in watches.keys() - raised.keys():
        watches[key] = replace(watches[key], raised=False)
    for key, signal in raised.items():
        watches[key] = replace(watches.get(key, Watch()), raised=True, since_ns=signal.onset_ns)
    return watches


def _step(rule: Rule, watch: Watch, ts_ns: int, value: float) -> Watch:
    return _stuck(rule, watch, ts_ns, value) if isinstance(rule, StuckRule) else _limit(rule, watch, ts_ns, value)


def _limit(rule: LimitRule, watch: Watch, ts_ns: int, value: float) -> Watch:
    sign = 1.0 if rule.above is not None else -1.0
    beyond = sign * value > sign * rule.limit
    past_clear = sign * value < sign * rule.clear
    if watch.raised:
        return Watch(ts_ns, value=value) if past_clear else replace(watch, last_ns=ts_ns, value=value)
    since_ns = (watch.since_ns if watch.since_ns is not None else ts_ns) if beyond else None
    held = since_ns is not None and ts_ns - since_ns >= rule.hold_s * NS
    return Watch(ts_ns, since_ns, held, value)


def _stuck(rule: StuckRule, watch: Watch, ts_ns: int, value: float) -> Watch:
    if watch.raised and watch.value is None:  # resumed: whether it moved the next reading tells
        return replace(watch, last_ns=ts_ns, value=value, repeats=rule.readings)
    if value != watch.value:
        return Watch(ts_ns, ts_ns, value=value, repeats=1)
    repeats = watch.repeats + 1
    return replace(watch, last_ns=ts_ns, repeats=repeats, raised=watch.raised or repeats >= rule.readings)


def _facts(rule: Rule, watch: Watch) -> Facts:
    value = {} if watch.value is None else {"value": watch.value}
    if isinstance(rule, StuckRule):
        return {**value, "readings": watch.repeats}
    return {**value, "limit": rule.limit, "clear": rule.clear, "hold_s": rule.hold_s}


def _signal(rule: Rule, before: Watch, after: Watch, device: Device, now_ns: int, facts: Facts) -> Signal:
    onset_ns = (after if after.raised else before).since_ns
    onset_ns = after.last_ns if onset_ns is None else onset_ns
    told: Facts = {"metric": rule.metric, "device": device.id, "site": device.site}
    return Signal(
        rule=rule.name,
        subject=device.id,
        zone=device.zone,
        target=None,
        severity=rule.severity,
        phase="raised" if after.raised else "cleared",
        onset_ns=onset_ns,
        found_ns=now_ns,
        facts={**told, "held_s": (after.last_ns - onset_ns) // NS, **facts},
    )
