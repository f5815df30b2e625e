"""The one table of what a device may measure and say (C14): an allow-list, checked at ingest. No I/O.

A name that is not here is refused, whoever signed it. What must never be here, and why: run starts and ends, Cq
values, heater duty, exact stock, print counts, a fault because a run ended in error; each would tell one
visitor's result or presence from outside the release (DESIGN §7).
"""

from dataclasses import dataclass
from typing import Final

from contracts.errors import MetricError


@dataclass(frozen=True, slots=True)
class Metric:
    """One measurable quantity: where it is stored and what it may be."""

    name: str
    unit: str
    low: float
    high: float
    bucket: str
    measurement: str
    stream: str
    kinds: frozenset[str]

    def check(self, value: float) -> None:
        """Raise MetricError for a value outside the range, NaN and infinities included."""
        if not self.low <= value <= self.high:
            raise MetricError(f"{self.name}: outside {self.low} to {self.high} {self.unit}")


_AIR = frozenset({"air_monitor"})
_ALL = frozenset(
    {
        "kiosk",
        "wastewater_sampler",
        "air_sampler",
        "surface_kit",
        "air_monitor",
        "pressure_monitor",
        "people_counter",
        "egress_monitor",
        "cold_chain",
    }
)
DEVICE_KINDS: Final = _ALL
SITE_KINDS: Final = frozenset(
    {"kiosk", "checkpoint", "lane", "hotel", "residence", "public_area", "venue", "isolation"}
)
# Readings of these sites go to the bucket `restricted` and nowhere else (DESIGN §7).
RESTRICTED_SITE_KINDS: Final = frozenset({"hotel", "residence", "isolation"})


def _air(name: str, unit: str, low: float, high: float) -> Metric:
    return Metric(name, unit, low, high, "environment", "air", "bulk", _AIR)


def _health(name: str, unit: str, high: float, *, low: float = 0.0, kinds: frozenset[str] = _ALL) -> Metric:
    return Metric(name, unit, low, high, "fleet", "health", "health", kinds)


METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for metric in (
        # Ranges: SCD30 interface description (0-40 000 ppm, -40..70 C, 0-100 %).
        _air("co2_ppm", "ppm", 0.0, 40_000.0),
        _air("temperature_c", "°C", -40.0, 70.0),
        _air("humidity_pct", "%", 0.0, 100.0),
        # Coarse steps of ten only: the fill of a disk or a queue must not count visitors.
        _health("outbox_pct", "%", 100.0),
        _health("disk_pct", "%", 100.0),
        _health("clock_quality", "", 3.0),  # 0 unknown, 1 free-running, 2 disciplined, 3 jumped
        _health("thinned_records", "records", 1e12),  # telemetry given up by the outbox; never releases
        _health("instrument_ok", "", 1.0),  # answers at all; never because a run ended in error
        _health("certificate_days", "d", 400.0, low=-400.0),
        _health("day_min_temperature_c", "°C", 70.0, low=-40.0, kinds=frozenset({"kiosk"})),
        # A daily control result: 1 passed, 0 failed. Never a visitor's run.
        _health("control_ok", "", 1.0, kinds=frozenset({"kiosk"})),
        _health("lots_level", "", 2.0, kinds=frozenset({"kiosk"})),  # 2 ok, 1 low, 0 out, at window end
        _health("paper_level", "", 2.0, kinds=frozenset({"kiosk"})),
    )
}

COARSE_STEP_PCT: Final = 10

# Events a device may report: a code and its two words, nothing else.
EVENTS: Final[dict[str, frozenset[str]]] = {
    "service_door": frozenset({"opened", "closed"}),
    "power": frozenset({"restored"}),
    "instrument": frozenset({"lost", "found"}),
    "clock": frozenset({"jumped", "good"}),
    "outbox": frozenset({"thinned", "full", "drained", "quarantined"}),
    "control": frozenset({"failed", "passed"}),
    "down_refused": frozenset({"signature", "version", "ack"}),
}
EVENT_KINDS: Final = _ALL


def metric(name: str, stream: str, device_kind: str) -> Metric:
    """Return the row of a metric that this device may send on this stream; MetricError otherwise."""
    row = METRICS.get(name)
    if row is None or row.stream != stream or device_kind not in row.kinds:
        raise MetricError(f"{device_kind} may not send {_shown(name)} on {stream}")
    return row


def check_event(code: str, state: str) -> None:
    """Raise MetricError unless a device may report this event."""
    if state not in EVENTS.get(code, frozenset()):
        raise MetricError(f"not an event: {_shown(code)} {_shown(state)}")


def _shown(name: str) -> str:
    """A peer's text, cut and made harmless for an error or a log."""
    return "".join(c if c.isascii() and (c.isalnum() or c == "_") else "?" for c in name[:32])
