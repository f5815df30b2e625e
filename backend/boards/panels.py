"""The boards of `dashboards`, drawn by the console: the same panels and questions as in Grafana.

Nothing is divided or summed here; what a line shows is a stored field.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from backend.boards.charts import SHARE, Chart, Column, Role, numbers_of
from backend.boards.figures import Figures
from backend.boards.reader import Span
from backend.web.names import Names
from backend.web.words import N_, Words
from contracts.query import SeriesQuery
from contracts.windows import to_datetime
from dashboards.panels import Board, Line, Panel, Threshold
from stores.series.port import Series

_ROLES: Final[Mapping[str, Role]] = {"lower": "low", "upper": "high"}
UNITS: Final[Mapping[str, str]] = {
    "share": SHARE,
    "tests": N_("tests"),
    "kiosks": N_("kiosks"),
    "ppm": "ppm",
    "percent": N_("per cent"),
    "days": N_("days"),
    "records": N_("records"),
    "rows": N_("rows"),
    "statistic": "",
    "yes_no": "",
    "alerts": "",
    "packages": N_("packages"),
    "openings": N_("openings"),
}
_DIGITS: Final[Mapping[str, int]] = {"share": 1, "statistic": 2, "percent": 0}


@dataclass(frozen=True, slots=True)
class Stat:
    """One number of a stat panel."""

    label: str
    value: str
    tone: str


@dataclass(frozen=True, slots=True)
class PanelDrawing:
    """Draws panels for one reader."""

    figures: Figures

    @property
    def _words(self) -> Words:
        return self.figures.words

    @property
    def _names(self) -> Names:
        return self.figures.names

    def chart(self, panel: Panel, span: Span) -> Chart:
        """Return a panel's chart."""
        columns = [
            self._column(panel, line, query, series)
            for line, query in self._questions(panel, span)
            for series in self.figures.reader.store.query(query)
        ]
        limits = [self._limit(panel, threshold, span) for threshold in panel.thresholds if columns]
        return Chart(
            title=self._words.text(panel.title),
            unit=self._unit(panel),
            start_ns=span.start_ns,
            stop_ns=span.stop_ns,
            columns=(*columns, *limits),
            from_zero=panel.minimum == 0,
        )

    def stats(self, panel: Panel, span: Span) -> list[Stat]:
        """Return a stat panel's numbers, the gravest first."""
        found = [
            (float(series.values[-1]), self._label(panel, line, series))
            for line, query in self._questions(panel, span)
            for series in self.figures.reader.store.query(query)
            if isinstance(series.values[-1], int | float)
        ]
        told = sorted((one for one in found if one[0] or panel.unit != "alerts"), key=lambda one: (-one[0], one[1]))
        return [self._stat(panel, value, label) for value, label in told]

    def _questions(self, panel: Panel, span: Span) -> Sequence[tuple[Line, SeriesQuery]]:
        return panel.queries(to_datetime(span.start_ns), to_datetime(span.stop_ns))

    def _stat(self, panel: Panel, value: float, label: str) -> Stat:
        passed = [threshold for threshold in panel.thresholds if value >= threshold.value]
        tone = passed[-1].severity if passed else ""
        return Stat(label, self._words.number(value, _DIGITS.get(panel.unit, 0)), "info" if tone == "note" else tone)

    def _column(self, panel: Panel, line: Line, query: SeriesQuery, series: Series) -> Column:
        times, values = numbers_of(series)
        where = "/".join(value for value in series.tags.values() if value)
        return Column(
            key=f"{line.field}:{where}" if where else line.field,
            label=self._label(panel, line, series),
            role=_ROLES.get(line.style, "value"),
            unit=self._unit(panel),
            source=f"{query.bucket}/{query.measurement}/{query.field}",
            times_ns=times,
            values=values,
            digits=_DIGITS.get(panel.unit, 0),
        )

    def _label(self, panel: Panel, line: Line, series: Series) -> str:
        """Say what tells this line from the others of its panel: the panel's title says the rest."""
        layouts = (one.layout for one in self._names.registry.layouts.values())
        targets = len({target for layout in layouts for assay in layout.assays for target in assay.targets})
        tags = {name: value for name, value in series.tags.items() if value and (name != "target" or targets > 1)}
        alike = len({one.label for one in panel.lines}) == 1 and tags
        told = [self._tag(name, value) for name, value in tags.items()]
        return " · ".join(told if alike else [self._words.text(line.label), *told])

    def _tag(self, name: str, value: str) -> str:
        tellers = {"zone": self._names.zone, "site": self._names.site, "kind": self._names.kind}
        return tellers[name](value) if name in tellers else self._words.text(value)

    def _limit(self, panel: Panel, threshold: Threshold, span: Span) -> Column:
        return Column(
            key=f"threshold:{threshold.value:g}",
            label=self._words.text(threshold.label),
            role="limit",
            unit=self._unit(panel),
            source=self._words.text("threshold of the board"),
            times_ns=(span.start_ns, span.stop_ns),
            values=(threshold.value, threshold.value),
            digits=_DIGITS.get(panel.unit, 0),
        )

    def _unit(self, panel: Panel) -> str:
        return self._words.text(UNITS[panel.unit]) if UNITS[panel.unit] else ""


def find_panel(board: Board, panel: str) -> Panel | None:
    """Return a panel by its id."""
    return next((one for one in board.panels if one.id == panel), None)
