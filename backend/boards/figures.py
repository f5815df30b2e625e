"""Which lines stand in which chart: the positive share with history and noise band, the air, a device's readings.

History is a series of its own with its source named; it is never summed with releases (DESIGN §7, §13).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from backend.boards.charts import SHARE, Chart, Column, Role
from backend.boards.reader import IMPORTS, Points, Reader, Span, Tags, number, numbers
from backend.web.names import Names
from backend.web.reasons import DIGITS, METRIC_NAMES
from backend.web.words import N_, Words
from contracts.metrics import METRICS
from contracts.windows import DAY_S, NS

Length = Literal["window", "day", "week"]
LENGTHS: Final[Mapping[str, str]] = {"window": N_("Windows"), "day": N_("Days"), "week": N_("Weeks")}
SPANS: Final[Mapping[str, tuple[int, str]]] = {
    "2d": (2, N_("2 days")),
    "2w": (14, N_("2 weeks")),
    "12w": (84, N_("12 weeks")),
    "1y": (365, N_("1 year")),
}
AIR_SPAN: Final = "2d"
MAX_POINTS: Final = 300  # of one line: more than a screen is wide apart
MIN_STEP_S: Final = 600  # the sampling period of a simulated air monitor

RELEASED: Final = N_("releases of this district's kiosks, noise included")
MEASURED: Final = N_("measured by the device")
RULE: Final = N_("rule of the district file")
DETECTOR: Final = N_("detector")


@dataclass(frozen=True, slots=True)
class Figures:
    """Builds charts for one reader."""

    reader: Reader
    names: Names
    now_ns: int

    @property
    def words(self) -> Words:
        """The reader's language."""
        return self.names.words

    def span(self, key: str) -> Span:
        """Return a span that ends now."""
        return Span(self.now_ns - SPANS[key][0] * DAY_S * NS, self.now_ns + 1)

    def positivity(self, zone: str | None, target: str, length: Length, span: Span) -> Chart:
        """Return the positive share of a zone, or of the district."""
        level = f"zone_{length}" if zone is not None else f"district_{length}"
        tags = {"zone": zone} if zone is not None else {}
        key = zone or ""
        field = {
            name: self.reader.released(name, level, target, span, tags).get(key, {})
            for name in ("positivity", "lower", "upper", "noise_sd")
        }
        columns = [*self._history(zone, target, span)]
        columns += [
            self._share("positivity", N_("Positive share"), "value", field["positivity"], field["noise_sd"]),
            self._share("lower", N_("95% range, lower end"), "low", field["lower"], field["noise_sd"]),
            self._share("upper", N_("95% range, upper end"), "high", field["upper"], field["noise_sd"]),
        ]
        # The detector works on windows, whatever the curve is drawn by.
        expected = self.reader.expected(f"{level.partition('_')[0]}_window", target, span, tags).get(key, {})
        if expected:
            columns.append(self._share("expected", N_("Expected share"), "expected", expected, {}, DETECTOR))
        return self._chart(N_("Share of positive tests"), SHARE, span, columns)

    def _share(self, key: str, label: str, role: Role, table: Points, noise: Points, source: str = RELEASED) -> Column:
        times, values = numbers(table)
        sds = tuple(number(noise.get(time)) for time in times)
        return Column(
            key=key,
            label=self.words.text(label),
            role=role,
            unit=SHARE,
            source=self.words.text(source),
            times_ns=times,
            values=values,
            noise_sd=sds if noise else (),
        )

    def _history(self, zone: str | None, target: str, span: Span) -> list[Column]:
        shares = self._zone_history(zone, target, span) if zone is not None else self._district_history(target, span)
        times, values = numbers(shares)
        if not times:
            return []
        return [
            Column(
                key="history",
                label=self.words.text("Public statistics, weekly"),
                role="history",
                unit=SHARE,
                source=self.history_source(),
                times_ns=times,
                values=values,
            )
        ]

    def _zone_history(self, zone: str, target: str, span: Span) -> Points:
        return self.reader.history("positivity", target, span).get(zone, {})

    def _district_history(self, target: str, span: Span) -> Points:
        """Add the zones' public weeks up: positives over tests, for weeks that every zone has."""
        tests, positives = (self.reader.history(field, target, span) for field in ("tests", "positives"))
        weeks = [
            week for week in _times(tests) if all(week in table for table in (*tests.values(), *positives.values()))
        ]
        sums = {week: (_sum(positives, week), _sum(tests, week)) for week in weeks}
        return {week: part / whole for week, (part, whole) in sums.items() if whole > 0}

    def history_source(self) -> str:
        """Return where the imported history comes from, as declared at its import."""
        found = self.reader.ask(IMPORTS, "source", Span(0, self.now_ns + 1))
        declared = [str(series.values[-1]) for series in found]
        return declared[-1] if declared else self.words.text("imported")

    def air(self, zone: str, metric: str, span: Span) -> Chart:
        """Return a metric of a zone's open rooms, a line a device, with the limits that hold there."""
        devices = [device for device in self.names.registry.devices.values() if device.zone == zone]
        tables = self._environment(metric, span, {"zone": zone})
        columns = [
            self._reading(device.id, self.names.site(device.site), metric, tables[device.id])
            for device in devices
            if device.id in tables
        ]
        return self._chart(
            METRIC_NAMES[metric], METRICS[metric].unit, span, [*columns, *self._limits(metric, zone, span)]
        )

    def device(self, device: str, metric: str, span: Span) -> Chart:
        """Return a metric of one device."""
        tables = self._environment(metric, span, {"device": device})
        zone = self.names.registry.devices[device].zone
        columns = [self._reading(device, device, metric, tables.get(device, {})), *self._limits(metric, zone, span)]
        return self._chart(METRIC_NAMES[metric], METRICS[metric].unit, span, columns)

    def _environment(self, metric: str, span: Span, tags: Tags) -> Mapping[str, Points]:
        row = METRICS[metric]
        step_s = max(MIN_STEP_S, -(-span.length_s // MAX_POINTS // MIN_STEP_S) * MIN_STEP_S)
        found = self.reader.ask(
            (row.bucket, row.measurement), metric, span, mean_every_s=step_s, group_by=("device",), tags=tags
        )
        return {series.tags["device"]: dict(zip(series.times_ns, series.values, strict=True)) for series in found}

    def _reading(self, key: str, label: str, metric: str, table: Points) -> Column:
        times, values = numbers(table)
        return Column(
            key=key,
            label=label,
            role="value",
            unit=METRICS[metric].unit,
            source=self.words.text(MEASURED),
            times_ns=times,
            values=values,
            digits=DIGITS.get(metric, 0),
        )

    def _limits(self, metric: str, zone: str, span: Span) -> list[Column]:
        kinds = {site.kind for site in self.names.registry.sites.values() if site.zone == zone}
        return [
            Column(
                key=f"limit:{rule.name}",
                label=self.words.text("Limit"),
                role="limit",
                unit=METRICS[metric].unit,
                source=self.words.text(RULE),
                times_ns=(span.start_ns, span.stop_ns),
                values=(rule.limit, rule.limit),
                digits=0,
            )
            for rule in self.names.registry.limits_on(metric, kinds)
        ]

    def _chart(self, title: str, unit: str, span: Span, columns: Sequence[Column]) -> Chart:
        said = self.words.text(title)
        return Chart(
            title=said[:1].upper() + said[1:],
            unit=unit,
            start_ns=span.start_ns,
            stop_ns=span.stop_ns,
            columns=tuple(columns),
            from_zero=unit != METRICS["temperature_c"].unit,
        )


def _times(tables: Mapping[str, Points]) -> list[int]:
    return sorted({time for table in tables.values() for time in table})


def _sum(tables: Mapping[str, Points], time: int) -> float:
    return sum(number(table[time]) or 0.0 for table in tables.values())
