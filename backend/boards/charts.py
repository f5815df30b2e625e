"""A chart: named columns with their source and noise; the browser draws it, the CSV holds the same numbers. Pure.

What is drawn and what is downloaded come from one value, so they cannot differ. Shares are fractions here and per
cent on the screen. A noisy share may be stored below 0 or above 1: it is clamped for the screen, and the CSV has both
(DESIGN §7: stored as drawn, clamped on screens only). A column with a hole (a day with too few tests, an hour without
readings) is drawn as two pieces.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import msgspec

from contracts.windows import NS, to_datetime
from stores.series.port import Series

Role = Literal["value", "history", "low", "high", "limit", "expected"]
SHARE: Final = "share"  # a fraction; the screen says per cent
HOLE: Final = 1.75  # times the usual step: from there on a line is broken


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One line of a chart."""

    key: str
    label: str
    role: Role
    unit: str
    source: str
    times_ns: Sequence[int]
    values: Sequence[float]
    noise_sd: Sequence[float | None] = ()  # of the counts behind each value; () = measured without noise
    digits: int = 1

    def __post_init__(self) -> None:
        if len(self.times_ns) != len(self.values) or len(self.noise_sd) not in (0, len(self.values)):
            raise ValueError("a column has as many values as times, and noise for all or none")

    def drawn(self) -> list[float]:
        """Return the values as the screen shows them."""
        return [min(1.0, max(0.0, value)) for value in self.values] if self.unit == SHARE else list(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What a figure shows."""

    title: str
    unit: str
    start_ns: int
    stop_ns: int
    columns: tuple[Column, ...]
    from_zero: bool = True


class SeriesAnswer(msgspec.Struct, frozen=True):
    """One line: seconds UTC and a value for each, null where the line is broken; and how it is drawn."""

    key: str
    label: str
    role: Role
    unit: str
    source: str
    digits: int
    points: bool
    times_s: list[float]
    values: list[float | None]


class ChartAnswer(msgspec.Struct, frozen=True):
    """A chart as the browser gets it."""

    title: str
    unit: str
    from_s: float
    to_s: float
    from_zero: bool
    utc_offset_s: int
    time_label: str
    series: list[SeriesAnswer]


FEW_POINTS: Final = 60  # up to here each point is marked, so that a gap and a single point are seen
CSV_HEAD: Final = ("time_utc", "time_district", "series", "value", "stored", "unit", "source", "noise_sd")


def answer(chart: Chart, *, utc_offset_s: int, time_label: str) -> ChartAnswer:
    """Return what the browser draws."""
    return ChartAnswer(
        title=chart.title,
        unit=chart.unit,
        from_s=chart.start_ns / NS,
        to_s=chart.stop_ns / NS,
        from_zero=chart.from_zero,
        utc_offset_s=utc_offset_s,
        time_label=time_label,
        series=[_series(column) for column in chart.columns],
    )


def as_csv(chart: Chart, *, utc_offset_s: int) -> str:
    """Return a row for each point drawn."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(CSV_HEAD)
    for column in chart.columns:
        noise = column.noise_sd or [None] * len(column.values)
        for time, drawn, stored, sd in zip(column.times_ns, column.drawn(), column.values, noise, strict=True):
            writer.writerow(
                (*_times(time, utc_offset_s), column.key, drawn, stored, column.unit, column.source, _cell(sd))
            )
    return out.getvalue()


def numbers_of(series: Series) -> tuple[list[int], list[float]]:
    """Return a series' times and values, without what is no number."""
    pairs = [
        (time, float(value))
        for time, value in zip(series.times_ns, series.values, strict=True)
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return [time for time, _ in pairs], [value for _, value in pairs]


def _series(column: Column) -> SeriesAnswer:
    times, values = _in_pieces(column)
    return SeriesAnswer(
        key=column.key,
        label=column.label,
        role=column.role,
        unit=column.unit,
        source=column.source,
        digits=column.digits,
        points=len(column.values) <= FEW_POINTS,
        times_s=times,
        values=values,
    )


def _in_pieces(column: Column) -> tuple[list[float], list[float | None]]:
    """Put a null into the middle of each hole: other columns' instants must not break this one, its own holes must."""
    steps = sorted(after - before for before, after in pairwise(column.times_ns))
    hole_ns = HOLE * steps[len(steps) // 2] if steps else 0.0
    times: list[float] = []
    values: list[float | None] = []
    for time, value in zip(column.times_ns, column.drawn(), strict=True):
        if times and time - times[-1] * NS > hole_ns:
            times.append((times[-1] + time / NS) / 2)
            values.append(None)
        times.append(time / NS)
        values.append(value)
    return times, values


def _times(ns: int, utc_offset_s: int) -> tuple[str, str]:
    local = to_datetime(ns + utc_offset_s * NS).replace(tzinfo=None)
    return to_datetime(ns).isoformat().replace("+00:00", "Z"), local.isoformat()


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
