"""Boards to Grafana 11: dashboards as JSON and file provisioning as YAML. `kioskwatch dashboards render` writes both.

Each bucket is a data source with a pinned uid, read by InfluxQL through InfluxDB 2's /query; the token stays in a file
that Grafana itself reads. The committed files under deploy/grafana are what this module renders; a test compares them.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from dashboards.boards import district, pipeline
from dashboards.panels import GRID_COLUMNS, Board, Line, Panel, Severity, Style, Unit
from stores.series.influxql import compile_between

BOARDS: Final = (district.BOARD, pipeline.BOARD)
BUCKETS: Final = ("released", "environment", "fleet", "alerts", "history")  # what Grafana may read (DESIGN §8)
SCHEMA_VERSION: Final = 39  # of Grafana 11.0; newer ones migrate it when they load it
DASHBOARDS_AT: Final = "/etc/grafana/dashboards"  # where the container sees the JSON files
PASSWORD_AT: Final = "/run/secrets/grafana-influx-password"  # noqa: S105 - a path
# A name of InfluxDB's version 1, good for InfluxQL and no Flux (kioskwatch.deployment says why).
INFLUX_USER: Final = "kioskwatch-grafana"
INFLUX_URL: Final = "http://influxdb:8086"

Json = dict[str, Any]

_UNITS: Final[Mapping[Unit, str]] = {
    "share": "percentunit",
    "tests": "none",
    "kiosks": "none",
    "ppm": "ppm",
    "percent": "percent",
    "days": "d",
    "records": "none",
    "statistic": "none",
    "yes_no": "none",
    "alerts": "none",
    "packages": "none",
    "openings": "none",
}
_COLOURS: Final[Mapping[Severity, str]] = {"note": "yellow", "warning": "orange", "critical": "red"}
_DASHED: Final = {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [6, 4]}}
_STYLES: Final[Mapping[Style, list[Json]]] = {
    "line": [],
    "points": [{"id": "custom.drawStyle", "value": "points"}, {"id": "custom.pointSize", "value": 6}],
    "bars": [{"id": "custom.drawStyle", "value": "bars"}, {"id": "custom.fillOpacity", "value": 40}],
    "lower": [_DASHED],
    "upper": [_DASHED],
}
_ANY_SPAN: Final = (datetime(2021, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC) + timedelta(days=1))


def dashboard(board: Board, *, start: str = "now-30d", stop: str = "now", simulated: int | None = None) -> Json:
    """The JSON of a board; `start` and `stop` as Grafana spells times; the title names a `simulated` speed."""
    title = board.title if simulated is None else f"SIMULATED ×{simulated} · {board.title}"
    return {
        "uid": board.id,
        "title": title,
        "description": board.note,
        "tags": ["kioskwatch"],
        "timezone": "browser",
        "editable": False,
        "graphTooltip": 1,
        "time": {"from": start, "to": stop},
        "timepicker": {},
        "refresh": "30s",
        "schemaVersion": SCHEMA_VERSION,
        "templating": {"list": []},
        "annotations": {"list": []},
        "links": [_link()],
        "panels": [_panel(panel, number, place) for number, (panel, place) in enumerate(_flow(board), start=1)],
    }


def statement(panel: Panel, line: Line) -> str:
    """A line's InfluxQL with Grafana's own time filter and, where it has buckets, interval."""
    every_s = 1 if panel.kind == "timeseries" else None
    query = line.query(*_ANY_SPAN, zone=None, every_s=every_s)
    return compile_between(query, "$timeFilter").replace("time(1s)", "time($__interval)")


def datasources() -> str:
    """Provisioning of one data source a bucket; never deletes one, for panels hold their uids."""
    blocks = [
        f"""  - name: kioskwatch {bucket}
    uid: {_uid(bucket)}
    type: influxdb
    access: proxy
    url: {INFLUX_URL}
    editable: false
    basicAuth: true
    basicAuthUser: {INFLUX_USER}
    jsonData:
      version: InfluxQL
      dbName: {bucket}
      httpMode: GET
    secureJsonData:
      basicAuthPassword: $__file{{{PASSWORD_AT}}}
"""
        for bucket in BUCKETS
    ]
    return "apiVersion: 1\ndatasources:\n" + "".join(blocks)


def providers() -> str:
    """Provisioning of the folder that holds the dashboards."""
    return f"""apiVersion: 1
providers:
  - name: kioskwatch
    type: file
    allowUiUpdates: false
    disableDeletion: true
    updateIntervalSeconds: 30
    options:
      path: {DASHBOARDS_AT}
"""


def files(*, start: str = "now-30d", stop: str = "now", simulated: int | None = None) -> dict[str, str]:
    """Every file by its path below the output folder."""
    found = {
        "provisioning/datasources/kioskwatch.yaml": datasources(),
        "provisioning/dashboards/kioskwatch.yaml": providers(),
    }
    for board in BOARDS:
        content = dashboard(board, start=start, stop=stop, simulated=simulated)
        found[f"dashboards/{board.id}.json"] = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """`render --out DIR`: write Grafana's files; 2 with one sentence when the folder cannot be written."""
    parser = argparse.ArgumentParser(prog="kioskwatch dashboards", description="The boards for Grafana 11 and newer.")
    render = parser.add_subparsers(dest="what", required=True).add_parser("render", help="write JSON and provisioning")
    render.add_argument("--out", type=Path, required=True, help="folder; deploy/grafana in the source tree")
    render.add_argument("--from", dest="start", default="now-30d", help="start of the time range, as Grafana spells it")
    render.add_argument("--to", dest="stop", default="now", help="end of the time range")
    render.add_argument("--simulated", type=int, metavar="SPEED", help="mark every board as a simulated district's")
    told = parser.parse_args(argv)
    try:
        for name, content in files(start=told.start, stop=told.stop, simulated=told.simulated).items():
            path = told.out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
    except OSError as exc:
        sys.stderr.write(f"cannot write to {told.out}: {exc.strerror}\n")
        return 2
    return 0


def _uid(bucket: str) -> str:
    return f"kioskwatch-{bucket}"


def _source(bucket: str) -> Json:
    return {"type": "influxdb", "uid": _uid(bucket)}


def _link() -> Json:
    return {
        "type": "dashboards",
        "title": "kioskwatch",
        "tags": ["kioskwatch"],
        "asDropdown": False,
        "keepTime": True,
        "includeVars": False,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    }


def _flow(board: Board) -> Iterator[tuple[Panel, Json]]:
    """Panels with their places: from left to right, a new row when the next one does not fit."""
    x = y = row_height = 0
    for panel in board.panels:
        if x + panel.width > GRID_COLUMNS:
            x, y, row_height = 0, y + row_height, 0
        yield panel, {"x": x, "y": y, "w": panel.width, "h": panel.height}
        x, row_height = x + panel.width, max(row_height, panel.height)


def _panel(panel: Panel, number: int, place: Json) -> Json:
    drawn = [(chr(ord("A") + index), line) for index, line in enumerate(panel.drawn(None))]
    sources = {line.bucket for _, line in drawn}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.note,
        "gridPos": place,
        "datasource": _source(sources.pop()) if len(sources) == 1 else {"type": "datasource", "uid": "-- Mixed --"},
        "interval": "10m",
        "targets": [_target(panel, ref, line) for ref, line in drawn],
        "fieldConfig": {
            "defaults": _defaults(panel),
            "overrides": [
                {"matcher": {"id": "byFrameRefID", "options": ref}, "properties": _STYLES[line.style]}
                for ref, line in drawn
                if _STYLES[line.style]
            ],
        },
        "options": _options(panel),
    }


def _target(panel: Panel, ref: str, line: Line) -> Json:
    groups = [*(["zone"] if line.scope == "zone" else []), *line.group_by]
    return {
        "refId": ref,
        "datasource": _source(line.bucket),
        "rawQuery": True,
        "query": statement(panel, line),
        "resultFormat": "time_series",
        "alias": " · ".join([line.label, *(f"$tag_{group}" for group in groups)]),
    }


def _defaults(panel: Panel) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    steps += [{"color": _COLOURS[one.severity], "value": one.value} for one in panel.thresholds]
    found: Json = {"unit": _UNITS[panel.unit], "thresholds": {"mode": "absolute", "steps": steps}}
    found |= {name: limit for name, limit in (("min", panel.minimum), ("max", panel.maximum)) if limit is not None}
    if panel.kind == "timeseries":
        found["custom"] = {
            "drawStyle": "line",
            "lineWidth": 2,
            "fillOpacity": 0,
            "showPoints": "auto",
            "spanNulls": False,
            "thresholdsStyle": {"mode": "dashed" if panel.thresholds else "off"},
        }
    return found


def _options(panel: Panel) -> Json:
    if panel.kind == "stat":
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "background",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": "value_and_name",
        }
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
