"""The one table of what a device may measure and say (C14, C28): an allow-list, checked at ingest. No I/O.

A name that is not here is refused, whoever signed it. What must never be here, and why: run starts and ends, Cq
values, heater duty, exact stock, print counts, a fault because a run ended in error; each would tell one
visitor's result or presence from outside the release (DESIGN §7). Each row says why it may be said all the same;
`tests/privacy/test_allow_list.py` walks everything else that leaves a process.
"""

from dataclasses import dataclass
from typing import Final

from contracts.errors import MetricError


@dataclass(frozen=True, slots=True)
class Metric:
    """One measurable quantity: where it is stored, what it may be, and why nobody learns of a visitor by it.

    `step` is what every value is a whole multiple of (0 = any); `daily` = at most once in a district day.
    """

    name: str
    unit: str
    low: float
    high: float
    bucket: str
    measurement: str
    stream: str
    kinds: frozenset[str]
    reason: str
    step: float = 0.0
    daily: bool = False

    def check(self, value: float) -> None:
        """Raise MetricError for a value outside the range, NaN and infinities included, or between the steps."""
        if not self.low <= value <= self.high:
            raise MetricError(f"{self.name}: outside {self.low} to {self.high} {self.unit}")
        if self.step and value % self.step:
            raise MetricError(f"{self.name}: not in steps of {self.step:g} {self.unit}")


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


COARSE_STEP_PCT: Final = 10.0
WHOLE: Final = 1.0

# Why a row may be said (DESIGN §7), for the groups that share a reason.
_ROOM: Final = "the air of a room, not of a visitor; of rooms where people live it goes to the bucket `restricted`"
_COARSE: Final = "in steps of ten, at fixed times: the fill of a disk or a queue must not count visitors"
_CABINET: Final = "the cabinet's own condition, at fixed times, the same whoever came"
_STOCK: Final = "2 ok, 1 low, 0 out, once a window and after its end: three words count no visitor"


def _air(name: str, unit: str, low: float, high: float) -> Metric:
    return Metric(name, unit, low, high, "environment", "air", "bulk", _AIR, _ROOM)


def _health(  # noqa: PLR0913 -- the columns of the table
    name: str,
    unit: str,
    high: float,
    reason: str,
    *,
    low: float = 0.0,
    kinds: frozenset[str] = _ALL,
    step: float = WHOLE,
    daily: bool = False,
) -> Metric:
    return Metric(name, unit, low, high, "fleet", "health", "health", kinds, reason, step, daily)


_KIOSK: Final = frozenset({"kiosk"})
METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for metric in (
        # Ranges: SCD30 interface description (0-40 000 ppm, -40..70 C, 0-100 %).
        _air("co2_ppm", "ppm", 0.0, 40_000.0),
        _air("temperature_c", "°C", -40.0, 70.0),
        _air("humidity_pct", "%", 0.0, 100.0),
        _health("outbox_pct", "%", 100.0, _COARSE, step=COARSE_STEP_PCT),
        _health("disk_pct", "%", 100.0, _COARSE, step=COARSE_STEP_PCT),
        _health("clock_quality", "", 3.0, _CABINET),  # 0 unknown, 1 free-running, 2 disciplined, 3 jumped
        _health("thinned_records", "records", 1e12, "telemetry given up by the outbox; never releases or results"),
        _health("instrument_ok", "", 1.0, "answers at all; never because a run ended in error"),
        _health("certificate_days", "d", 400.0, _CABINET, low=-400.0),
        _health(
            "day_min_temperature_c",
            "°C",
            70.0,
            "a day's lowest says that the cabinet froze, and nothing of when it worked",
            low=-40.0,
            kinds=_KIOSK,
            step=0.0,
            daily=True,
        ),
        _health(
            "control_ok",
            "",
            1.0,
            "1 passed, 0 failed: the day's control, never a visitor's run",
            kinds=_KIOSK,
            daily=True,
        ),
        _health("lots_level", "", 2.0, _STOCK, kinds=_KIOSK),
        _health("paper_level", "", 2.0, _STOCK, kinds=_KIOSK),
    )
}

# Events a device may report: a code and its two words, nothing else. None is caused by a visitor's run.
EVENTS: Final[dict[str, frozenset[str]]] = {
    "service_door": frozenset({"opened", "closed"}),
    "power": frozenset({"restored"}),
    "instrument": frozenset({"lost", "found"}),
    "clock": frozenset({"jumped", "good"}),
    "outbox": frozenset({"thinned", "full", "drained", "quarantined"}),
    "control": frozenset({"failed", "passed"}),
    "down_refused": frozenset({"signature", "version", "ack"}),
}
# Why each may be said (DESIGN §7).
EVENT_REASONS: Final[dict[str, str]] = {
    "service_door": "the technician's door, not the visitor's",
    "power": _CABINET,
    "instrument": "answers at all, asked at times of its own; never because a run ended in error",
    "clock": _CABINET,
    "outbox": "the line to the gateway: sealed ticks and releases are as many whoever comes",
    "control": "the day's control, never a visitor's run",
    "down_refused": "a message to the device, sent by people of the district",
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
