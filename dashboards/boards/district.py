"""District overview: what an officer with ten minutes looks at. Data only."""

from typing import Final

from dashboards.panels import Board, Line, Panel, Span, Style, Threshold

_CUSUM: Final = (
    "LR-CUSUM on released windows, from 0 again after an alarm. All streams raise one false alarm a fortnight."
)
_NOISE: Final = "Sums of the kiosks' releases, noise included; below the display limits nothing is drawn."


def _testing(
    label: str, field: str, *, zones: bool, span: Span = "day", style: Style = "line", zone_only: bool = False
) -> Line:
    return Line(
        label=label,
        bucket="released",
        measurement="testing",
        field=field,
        scope="zone" if zones else "district",
        span=span,
        group_by=("target",),
        style=style,
        zone_only=zone_only,
    )


def _detector(label: str, field: str, *, zones: bool, zone_only: bool = False) -> Line:
    return Line(
        label=label,
        bucket="released",
        measurement="detector",
        field=field,
        scope="zone" if zones else "district",
        span="window",
        group_by=("target",),
        zone_only=zone_only,
    )


OPEN_ALERTS: Final = Panel(
    id="district-open-alerts",
    title="Open alerts",
    unit="alerts",
    kind="stat",
    lines=(
        Line(
            label="Open",
            bucket="alerts",
            measurement="alert",
            field="open",
            group_by=("rule", "level"),
            function="last",
        ),
    ),
    thresholds=(Threshold(1, "warning", "Somebody has to look"),),
    note="1 where the newest alert of a rule in a zone is not resolved. People acknowledge alerts in the console.",
    width=24,
    height=4,
)

POSITIVITY: Final = Panel(
    id="district-positivity",
    title="Positive share in the district, by day",
    unit="share",
    lines=(
        _testing("Positive share", "positivity", zones=False),
        _testing("95 % range, lower end", "lower", zones=False, style="lower"),
        _testing("95 % range, upper end", "upper", zones=False, style="upper"),
    ),
    maximum=1.0,
    note=f"{_NOISE} The range holds chance and noise.",
)

ZONE_POSITIVITY: Final = Panel(
    id="zone-positivity",
    title="Positive share by zone and day",
    unit="share",
    lines=(
        _testing("Positive share", "positivity", zones=True),
        _testing("95 % range, lower end", "lower", zones=True, style="lower", zone_only=True),
        _testing("95 % range, upper end", "upper", zones=True, style="upper", zone_only=True),
    ),
    maximum=1.0,
    note=f"{_NOISE} The range holds chance and noise.",
)

HISTORY: Final = Panel(
    id="zone-history",
    title="Public statistics before the kiosks, by zone and week",
    unit="share",
    lines=(
        Line(
            label="Positive share, public statistics",
            bucket="history",
            measurement="weekly",
            field="positivity",
            group_by=("target",),
            style="points",
        ),
    ),
    maximum=1.0,
    note="Imported public counts, a series of their own with its source, never summed with releases.",
)

ZONE_TESTS: Final = Panel(
    id="zone-tests",
    title="Tests by zone and day",
    unit="tests",
    lines=(_testing("Valid tests", "valid_shown", zones=True, style="bars"),),
    note=f"{_NOISE} Noise of a zone's day with three kiosks and four windows: standard deviation 20.",
)

DETECTOR: Final = Panel(
    id="district-detector",
    title="Rise detector, district",
    unit="statistic",
    lines=(
        _detector("Evidence for doubled odds", "s", zones=False),
        _detector("Alarm above", "threshold", zones=False),
    ),
    note=_CUSUM,
)

ZONE_DETECTOR: Final = Panel(
    id="zone-detector",
    title="Rise detector, by zone",
    unit="statistic",
    lines=(
        _detector("Evidence for doubled odds", "s", zones=True),
        _detector("Alarm above", "threshold", zones=True, zone_only=True),
    ),
    note=_CUSUM,
)

CO2: Final = Panel(
    id="zone-co2",
    title="CO2 in open rooms, by zone",
    unit="ppm",
    lines=(
        Line(
            label="Highest",
            bucket="environment",
            measurement="air",
            field="co2_ppm",
            group_by=("site",),
            function="max",
        ),
    ),
    # GB/T 18883: 0.10 % as the mean of a day; GB 37488-2019: 0.15 % in public places other than for sleep and rest.
    thresholds=(
        Threshold(1000, "note", "0.10 %: daily mean of GB/T 18883"),
        Threshold(1500, "warning", "0.15 %: limit of GB 37488 in public places"),
    ),
    note="Highest reading of each step. A room's own limit stands in the district file and raises the alert.",
)

REPORTING: Final = Panel(
    id="zone-kiosks",
    title="Kiosks that released, by zone and window",
    unit="kiosks",
    lines=(
        _testing("Reporting", "kiosks_reporting", zones=True, span="window"),
        _testing("Expected", "kiosks_expected", zones=True, span="window", zone_only=True),
    ),
    note="Every kiosk releases every window, also when nobody came; a missing release is a fault or an outage.",
)

BOARD: Final = Board(
    id="kioskwatch-district",
    title="District overview",
    note="Tests, positive share, rise detector and air of all zones.",
    panels=(OPEN_ALERTS, POSITIVITY, ZONE_POSITIVITY, DETECTOR, ZONE_DETECTOR, ZONE_TESTS, REPORTING, CO2, HISTORY),
)
