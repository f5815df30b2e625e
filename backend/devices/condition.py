"""How each device is, put together: the registry, what ingest heard of it, its newest health record.

Read-only. A store that does not answer leaves its part unknown: the page of a device must open when most is broken.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from backend.devices.health import Condition, Problem, judge
from backend.devices.registry import LiveRegistry
from contracts.clock import Clock
from contracts.errors import ContractError
from contracts.messages import Birth, State, decode_document
from contracts.metrics import METRICS
from contracts.query import SeriesQuery
from contracts.registry import Device
from contracts.rows import DeviceReport
from contracts.windows import DAY_S, NS, to_datetime, to_ns
from stores.errors import StoreError
from stores.series.port import TimeSeriesStore

log = logging.getLogger(__name__)

HEALTH_SPAN_S: Final = 2 * DAY_S  # older health tells nothing about now
HEALTH_METRICS: Final = tuple(name for name, metric in METRICS.items() if metric.measurement == "health")


class Reports(Protocol):
    """What ingest heard; StoreError when it cannot be read now."""

    def load(self, device: str | None) -> Sequence[DeviceReport]:
        """Return the newest reports of all devices, or of one."""


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A device and how it is."""

    device: Device
    condition: Condition
    problems: tuple[Problem, ...]
    seen_ns: int | None
    birth: Birth | None


class Fleet:
    """Reads; one for the process."""

    def __init__(
        self,
        registry: LiveRegistry,
        reports: Reports,
        series: TimeSeriesStore,
        *,
        clock: Clock,
        now: Callable[[], datetime],
    ) -> None:
        self._registry = registry
        self._reports = reports
        self._series = series
        self._clock = clock
        self._now = now

    def now_ns(self) -> int:
        """Return district time."""
        return self._clock.now_ns()

    def all(self) -> list[DeviceState]:
        """Return every device, in the order of ids."""
        return self._states(None)

    def one(self, device: str) -> DeviceState | None:
        """Return one device; None when the registry does not know it."""
        found = self._states(device)
        return found[0] if found else None

    def _states(self, wanted: str | None) -> list[DeviceState]:
        snapshot = self._registry.get()
        devices = [device for device in snapshot.devices.values() if wanted is None or device.id == wanted]
        if not devices:
            return []
        reports = self._load_reports(wanted)
        readings = self._load_readings(snapshot.district.id, wanted)
        return [self._state(device, reports.get(device.id, {}), readings.get(device.id, {})) for device in devices]

    def _state(self, device: Device, reports: Mapping[str, DeviceReport], readings: Mapping[str, float]) -> DeviceState:
        seen_ns = max((report.received_ns for report in reports.values()), default=None)
        state = _document(reports.get("state"))
        birth = _document(reports.get("birth"))
        condition = Condition(
            enrolled=device.enrolment > 0,
            revoked=device.status == "revoked",
            online=state.online if isinstance(state, State) else None,
            silent_s=None if seen_ns is None else max(0.0, (self._clock.now_ns() - seen_ns) / NS),
            certificate_days=self._certificate_days(device),
            readings=readings,
        )
        return DeviceState(device, condition, judge(condition), seen_ns, birth if isinstance(birth, Birth) else None)

    def _certificate_days(self, device: Device) -> float | None:
        if device.cert_not_after_ns is None:
            return None
        return (device.cert_not_after_ns - to_ns(self._now())) / NS / DAY_S

    def _load_reports(self, wanted: str | None) -> dict[str, dict[str, DeviceReport]]:
        found: dict[str, dict[str, DeviceReport]] = {}
        try:
            for report in self._reports.load(wanted):
                found.setdefault(report.device, {})[report.kind] = report
        except StoreError as exc:
            log.debug("reports cannot be read now: %s", type(exc).__name__)
        return found

    def _load_readings(self, district: str, wanted: str | None) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = {}
        now_ns = self._clock.now_ns()
        tags = {"district": district, **({"device": wanted} if wanted is not None else {})}
        try:
            for metric in HEALTH_METRICS:
                for series in self._series.query(_newest(metric, tags, now_ns)):
                    value = series.values[-1]
                    if isinstance(value, int | float):
                        found.setdefault(series.tags["device"], {})[metric] = float(value)
        except StoreError as exc:
            log.debug("health cannot be read now: %s", type(exc).__name__)
        return found


def _newest(metric: str, tags: Mapping[str, str], now_ns: int) -> SeriesQuery:
    row = METRICS[metric]
    return SeriesQuery(
        bucket=row.bucket,
        measurement=row.measurement,
        field=metric,
        function="last",
        every_s=None,
        group_by=("device",),
        tags=tags,
        start=to_datetime(now_ns - HEALTH_SPAN_S * NS),
        stop=to_datetime(now_ns + NS),
    )


def _document(report: DeviceReport | None) -> object:
    if report is None:
        return None
    try:
        return decode_document(report.kind, report.body)
    except (ContractError, KeyError):
        return None  # of a newer version, or damaged: unknown, not a reason to fail
