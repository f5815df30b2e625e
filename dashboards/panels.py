"""What a board and a panel are: data. A panel is a title, a unit, thresholds and a question a line. Pure.

Titles, labels and notes are English sentences; they are the keys by which a screen finds its translation. Grafana
(`dashboards.grafana`) and the console draw the same panels, so they cannot disagree. Readers never divide or sum:
what a line shows is a stored field.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from contracts.query import Function, SeriesQuery

Unit = Literal[
    "share",
    "tests",
    "kiosks",
    "ppm",
    "percent",
    "days",
    "records",
    "statistic",
    "yes_no",
    "alerts",
    "packages",
    "openings",
]
Style = Literal["line", "points", "bars", "lower", "upper"]
Kind = Literal["timeseries", "stat"]
Scope = Literal["zone", "district"]
Span = Literal["window", "day", "week"]
Severity = Literal["note", "warning", "critical"]

GRID_COLUMNS: Final = 24  # Grafana's, and a measure of width for the console
# Steps a chart's buckets may have: all divide a day, so buckets of the epoch are also the day's.
STEPS_S: Final = (600, 1800, 3600, 3 * 3600, 6 * 3600, 24 * 3600)
POINTS: Final = 300  # a line on a screen shows no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a panel, or one for each value of `group_by`."""

    label: str
    bucket: str
    measurement: str
    field: str
    scope: Scope = "zone"  # one line a zone, or only the zone asked for; "district" has one line for all
    span: Span | None = None  # of a released number: its `level` is scope and span
    group_by: tuple[str, ...] = ()  # beside the zone
    tags: tuple[tuple[str, str], ...] = ()
    function: Function | None = None  # None: points as they are stored
    style: Style = "line"
    zone_only: bool = False  # drawn when one zone is asked for; six bands over each other tell nothing

    def query(self, start: datetime, stop: datetime, *, zone: str | None, every_s: int | None) -> SeriesQuery:
        """The question that this line asks for a span, both bounds UTC."""
        tags = dict(self.tags)
        if self.span is not None:
            tags["level"] = f"{self.scope}_{self.span}"
        groups = self.group_by
        if self.scope == "zone" and zone is not None:
            tags["zone"] = zone
        elif self.scope == "zone":
            groups = ("zone", *groups)
        return SeriesQuery(
            bucket=self.bucket,
            measurement=self.measurement,
            field=self.field,
            function=self.function,
            every_s=every_s if self.function is not None else None,
            group_by=groups,
            tags=tags,
            start=start,
            stop=stop,
        )


@dataclass(frozen=True, slots=True)
class Threshold:
    """A value from which on a number means something else."""

    value: float
    severity: Severity
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One chart or one number of a board; `id` is stable, for links and tests."""

    id: str
    title: str
    unit: Unit
    lines: tuple[Line, ...]
    note: str  # what is drawn, from which source, and how sure it is
    kind: Kind = "timeseries"
    thresholds: tuple[Threshold, ...] = ()
    minimum: float | None = 0.0  # stored as drawn, clamped on screens
    maximum: float | None = None
    width: int = 12
    height: int = 8

    def __post_init__(self) -> None:
        if not self.lines or not 0 < self.width <= GRID_COLUMNS:
            raise ValueError(f"panel {self.id}: no line, or wider than the grid")

    def queries(
        self, start: datetime, stop: datetime, *, zone: str | None = None, points: int = POINTS
    ) -> list[tuple[Line, SeriesQuery]]:
        """The questions of the lines that are drawn for a span, of all zones or of one."""
        every_s = step_s(start, stop, points) if self.kind == "timeseries" else None
        return [(line, line.query(start, stop, zone=zone, every_s=every_s)) for line in self.drawn(zone)]

    def drawn(self, zone: str | None) -> Iterator[Line]:
        """The lines that are drawn for all zones, or for one."""
        return (line for line in self.lines if zone is not None or not line.zone_only)


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A page of panels, in reading order; they flow into rows of 24 columns."""

    id: str
    title: str
    note: str
    panels: tuple[Panel, ...]

    def __post_init__(self) -> None:
        if len({panel.id for panel in self.panels}) < len(self.panels):
            raise ValueError(f"board {self.id}: a panel's id stands twice")


def step_s(start: datetime, stop: datetime, points: int) -> int:
    """The shortest step that gives a line at most `points` buckets."""
    span_s = (stop - start).total_seconds()
    return next((step for step in STEPS_S if span_s / step <= points), STEPS_S[-1])
