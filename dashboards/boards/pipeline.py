"""Pipeline and privacy: is everything that was measured and released here, and with how much noise. Data only."""

from typing import Final

from contracts.query import Function
from dashboards.panels import Board, Line, Panel, Span, Threshold, Unit


def _released(label: str, field: str, span: Span) -> Line:
    return Line(
        label=label,
        bucket="released",
        measurement="testing",
        field=field,
        span=span,
        group_by=("target",),
        style="bars",
    )


def _gateway(label: str, field: str) -> Line:
    return Line(
        label=label,
        bucket="fleet",
        measurement="pipeline",
        field=field,
        scope="district",
        function="max",
    )


def _health(
    panel: str, title: str, field: str, function: Function, unit: Unit, note: str, *thresholds: Threshold
) -> Panel:
    line = Line(label=title, bucket="fleet", measurement="health", field=field, group_by=("kind",), function=function)
    return Panel(id=panel, title=title, unit=unit, lines=(line,), thresholds=thresholds, note=note, width=8)


RECORDS: Final = Panel(
    id="pipeline-records",
    title="Records journalled since the gateway's start",
    unit="records",
    lines=(_gateway("Records", "records"),),
    note="Records whose journal commit is done: from then on they survive any crash.",
)

REFUSED: Final = Panel(
    id="pipeline-refused",
    title="Duplicates, dead letters and refusals since the gateway's start",
    unit="records",
    lines=(
        _gateway("Duplicates", "duplicates"),
        _gateway("Dead letters", "dead_letters"),
        _gateway("Refused", "refused"),
    ),
    note="Duplicates are the price of never losing a record. Dead letters keep their reason and can be tried again.",
)

WAITING: Final = Panel(
    id="pipeline-waiting",
    title="Journalled, not yet in the charts",
    unit="records",
    lines=(_gateway("Waiting", "waiting"),),
    note="Journal entries that the series store has not taken yet. Its outage delays charts and loses nothing.",
    thresholds=(Threshold(1000, "warning", "The series store is slow or down"),),
)

LATE: Final = Panel(
    id="pipeline-late",
    title="Late releases, by zone and day",
    unit="records",
    lines=(_released("Late", "late", "day"),),
    note="Releases that came after their window was over for long. They are added when they come.",
)

WINDOWS: Final = Panel(
    id="pipeline-windows",
    title="Windows of all kiosks, expected and received, by day",
    unit="kiosks",
    lines=(
        Line(
            label="Expected",
            bucket="released",
            measurement="testing",
            field="kiosks_expected",
            scope="district",
            span="day",
            group_by=("target",),
        ),
        Line(
            label="Received",
            bucket="released",
            measurement="testing",
            field="kiosks_reporting",
            scope="district",
            span="day",
            group_by=("target",),
            style="bars",
        ),
    ),
    note="A kiosk releases once a window, also when nobody came. What is missing is the gap between the two.",
)

OPENINGS: Final = Panel(
    id="privacy-openings",
    title="Restricted readings opened",
    unit="openings",
    lines=(
        Line(
            label="Opened",
            bucket="alerts",
            measurement="openings",
            field="opened",
            scope="district",
            function="sum",
            style="bars",
        ),
    ),
    note="By two officers together, for a stated time. Who and why stands in the audit log alone.",
)

NOISE: Final = Panel(
    id="privacy-noise",
    title="Noise in a zone's positives, by day",
    unit="tests",
    lines=(_released("Standard deviation", "noise_sd", "day"),),
    note="Every counter starts at a random draw, so no exact count exists anywhere. This much of a number is noise.",
)

OUTBOX: Final = _health(
    "pipeline-outbox",
    "Outbox in use, fullest device",
    "outbox_pct",
    "max",
    "percent",
    "What a cabinet still holds because the gateway has not acknowledged it. Releases are never thinned.",
    Threshold(50, "warning", "The link is slow or down"),
    Threshold(90, "critical", "Telemetry is being thinned"),
)
DISK: Final = _health(
    "fleet-disk",
    "Disk in use, fullest device",
    "disk_pct",
    "max",
    "percent",
    "In steps of ten, so that a disk counts no visitors.",
    Threshold(80, "warning", "Clean up"),
    Threshold(90, "critical", "Full soon"),
)
THINNED: Final = _health(
    "pipeline-thinned",
    "Telemetry given up by outboxes",
    "thinned_records",
    "max",
    "records",
    "Counted and reported as a range; never a release.",
    Threshold(1, "warning", "An outage outlasted an outbox"),
)
INSTRUMENTS: Final = _health(
    "fleet-instruments",
    "Instruments that answer, worst device",
    "instrument_ok",
    "min",
    "yes_no",
    "1 where every instrument of a kind answers. A run that ends in error never shows here.",
)
CERTIFICATES: Final = _health(
    "fleet-certificates",
    "Days until a certificate ends, shortest",
    "certificate_days",
    "min",
    "days",
    "Renewed by the device at two thirds of thirty days.",
)
CLOCKS: Final = _health(
    "fleet-clocks",
    "Clock quality, worst device",
    "clock_quality",
    "max",
    "statistic",
    "0 unknown, 1 free-running, 2 disciplined, 3 jumped. Without a good clock no test starts.",
    Threshold(3, "warning", "A clock jumped"),
)

EXPORTS: Final = Panel(
    id="privacy-exports",
    title="Packages given to authorities, by agreement",
    unit="packages",
    lines=(
        Line(
            label="Packages",
            bucket="alerts",
            measurement="sharing",
            field="packages",
            scope="district",
            group_by=("rule",),
            function="sum",
            style="bars",
        ),
    ),
    note="Each is signed, covered by an agreement of the district file, and in the register that auditors read.",
)

BOARD: Final = Board(
    id="kioskwatch-pipeline",
    title="Pipeline and privacy",
    note="What came, what was refused, what is late, how healthy cabinets are, how much noise protects visitors.",
    panels=(
        WINDOWS,
        LATE,
        NOISE,
        EXPORTS,
        OPENINGS,
        RECORDS,
        REFUSED,
        WAITING,
        OUTBOX,
        THINNED,
        DISK,
        INSTRUMENTS,
        CERTIFICATES,
        CLOCKS,
    ),
)
