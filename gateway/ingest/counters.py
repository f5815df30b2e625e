"""What ingest counts: for Prometheus (no label names a device), and for the measurement `pipeline`, line by line."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

import prometheus_client
from prometheus_client import CollectorRegistry

from contracts.clock import Clock
from gateway.errors import SettingsError
from stores.errors import StoreError
from stores.series.lines import Point, encode
from stores.series.port import TimeSeriesStore

_LOG = logging.getLogger(__name__)

EVERY_DISTRICT_S: Final = 60
EVERY_REAL_S: Final = 2.0  # in a simulated district a minute is a tenth of a second

# Field of measurement `pipeline` <- reasons counted by the judging.
FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "records": ("records",),
    "duplicates": ("duplicates",),
    "thinned": ("thinned",),
    "refused": ("oversize", "topic", "unknown_device", "signature", "foreign_outbox"),
    "dead_letters": (
        "version",
        "malformed",
        "range",
        "step",
        "too_often",
        "allow_list",
        "layout",
        "second_release",
        "second_tick",
        "projection",
        "defect",
    ),
}


class Counters:
    """Totals since the start."""

    def __init__(self, *, series: TimeSeriesStore, district: Callable[[], str], clock: Clock) -> None:
        self._series = series
        self._district = district
        self._clock = clock
        self._totals: Counter[str] = Counter()
        self._told: Counter[str] = Counter()  # as far as a written line says
        self._written_ns = 0
        self._written_s = float("-inf")
        self._registry = CollectorRegistry()
        self._judged = prometheus_client.Counter(
            "kioskwatch_ingest", "Records, messages and refusals by outcome", ["outcome"], registry=self._registry
        )
        self._waiting = prometheus_client.Gauge(
            "kioskwatch_ingest_waiting_records", "Journal entries not yet in the series store", registry=self._registry
        )

    def add(self, counts: Mapping[str, int]) -> None:
        """Count a committed batch."""
        self._totals.update(counts)
        for outcome, number in counts.items():
            self._judged.labels(outcome).inc(number)

    def tell(self, waiting: Callable[[], int]) -> None:
        """Write the line `pipeline` when it is due; a series store that is away costs a line and nothing else."""
        now_ns, now_s = self._clock.now_ns(), self._clock.real_s()
        due = now_ns - self._written_ns >= EVERY_DISTRICT_S * 1_000_000_000 and now_s - self._written_s >= EVERY_REAL_S
        if not due:
            return
        self._written_ns, self._written_s = now_ns, now_s
        totals = self._totals.copy()
        fields: dict[str, int] = {
            field: sum(totals[reason] - self._told[reason] for reason in reasons) for field, reasons in FIELDS.items()
        }
        fields["waiting"] = waiting()
        self._waiting.set(fields["waiting"])
        point = Point("pipeline", {"district": self._district()}, fields, now_ns)
        try:
            self._series.write("fleet", encode(point))
        except StoreError as exc:
            _LOG.debug("pipeline line not written: %s", exc)  # the next one says it all
            return
        self._told = totals

    def serve(self, listen: str) -> None:
        """Answer Prometheus at HOST:PORT; SettingsError when that cannot be."""
        host, _, port = listen.rpartition(":")
        try:
            prometheus_client.start_http_server(int(port), addr=host, registry=self._registry)
        except (OSError, ValueError, OverflowError) as exc:
            raise SettingsError(f"metrics_listen {listen}: {exc}") from exc
