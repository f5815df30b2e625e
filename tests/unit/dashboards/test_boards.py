"""Boards are data: every panel asks well-formed questions, and what is committed for Grafana is what they render."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from contracts.metrics import METRICS
from contracts.query import SeriesQuery
from dashboards.grafana import BOARDS, BUCKETS, dashboard, files, main, statement
from dashboards.panels import GRID_COLUMNS, Board, Line, Panel, step_s

COMMITTED = Path(__file__).parents[3] / "deploy" / "grafana"
STOP = datetime(2022, 1, 1, tzinfo=UTC)
START = STOP - timedelta(days=30)
PANELS = [pytest.param(panel, id=panel.id) for board in BOARDS for panel in board.panels]


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_asks_of_all_zones_or_of_one(panel: Panel) -> None:
    for zone in (None, "z10016"):
        for line, query in panel.queries(START, STOP, zone=zone):
            assert isinstance(query, SeriesQuery)
            assert query.bucket in BUCKETS
            assert (line.scope == "zone" and zone is not None) == (query.tags.get("zone") == zone is not None)
            assert ("zone" in query.group_by) == (line.scope == "zone" and zone is None)
            assert (query.start, query.stop) == (START, STOP)


@pytest.mark.parametrize("panel", PANELS)
def test_no_panel_reads_what_is_restricted_or_unknown(panel: Panel) -> None:
    for line in panel.lines:
        assert line.bucket != "restricted"
        if line.measurement in {"air", "health"}:
            metric = METRICS[line.field]
            assert (metric.bucket, metric.measurement) == (line.bucket, line.measurement)


def test_ids_are_unique_over_all_boards() -> None:
    ids = [panel.id for board in BOARDS for panel in board.panels]
    assert len(set(ids)) == len(ids)
    assert len({board.id for board in BOARDS}) == len(BOARDS)


def test_a_step_keeps_a_line_within_its_points() -> None:
    assert step_s(STOP - timedelta(hours=6), STOP, 300) == 600
    assert step_s(START, STOP, 300) == 3 * 3600
    assert step_s(STOP - timedelta(days=3000), STOP, 300) == 24 * 3600


def test_bands_are_drawn_for_one_zone_only() -> None:
    (panel,) = (panel for board in BOARDS for panel in board.panels if panel.id == "zone-positivity")
    assert [line.style for line, _ in panel.queries(START, STOP)] == ["line"]
    assert [line.style for line, _ in panel.queries(START, STOP, zone="z10016")] == ["line", "lower", "upper"]


def test_impossible_panels_and_boards_cannot_be_made() -> None:
    line = Line(label="a", bucket="released", measurement="testing", field="valid")
    with pytest.raises(ValueError, match="wide"):
        Panel(id="p", title="t", unit="tests", lines=(), note="n")
    with pytest.raises(ValueError, match="wide"):
        Panel(id="p", title="t", unit="tests", lines=(line,), note="n", width=GRID_COLUMNS + 1)
    panel = Panel(id="p", title="t", unit="tests", lines=(line,), note="n")
    with pytest.raises(ValueError, match="twice"):
        Board(id="b", title="t", note="n", panels=(panel, panel))


def targets(content: dict[str, object]) -> Iterator[dict[str, object]]:
    for panel in content["panels"]:  # type: ignore[attr-defined]
        yield from panel["targets"]


@pytest.mark.parametrize("board", [pytest.param(board, id=board.id) for board in BOARDS])
def test_every_query_of_grafana_is_bounded_in_time_and_reads_its_own_bucket(board: Board) -> None:
    uids = {f"kioskwatch-{bucket}" for bucket in BUCKETS}
    for target in targets(dashboard(board)):
        query = str(target["query"])
        assert "WHERE $timeFilter" in query
        assert "time(1s)" not in query
        assert target["datasource"]["uid"] in uids  # type: ignore[index]


@pytest.mark.parametrize("board", [pytest.param(board, id=board.id) for board in BOARDS])
def test_grafana_knows_every_word_of_a_dashboard(board: Board) -> None:
    """grafana-foundation-sdk's model of Grafana 11 drops words that it does not know: none of ours may get lost."""
    register_default_plugins()
    ours = dashboard(board)
    read = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(ours)))
    assert lost(ours, read) == []


@pytest.mark.parametrize("place", ["gridPos", "options", "fieldConfig", "custom", "legend"])
def test_the_model_would_find_a_misspelt_word(place: str) -> None:
    register_default_plugins()
    ours = dashboard(BOARDS[0])
    panel = ours["panels"][1]
    spots = {
        "custom": panel["fieldConfig"]["defaults"]["custom"],
        "legend": panel["options"]["legend"],
    }
    spots.get(place, panel.get(place))["mispelt"] = 1
    read = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(ours)))
    assert len(lost(ours, read)) == 1


def lost(ours: object, read: object, path: str = "") -> list[str]:
    if isinstance(ours, dict):
        if not isinstance(read, dict):
            return [path]
        return [
            gone
            for key, value in ours.items()
            for gone in (lost(value, read[key], f"{path}.{key}") if key in read else [f"{path}.{key}"])
        ]
    if isinstance(ours, list):
        if not isinstance(read, list) or len(read) != len(ours):
            return [path]
        return [gone for at, value in enumerate(ours) for gone in lost(value, read[at], f"{path}[{at}]")]
    return [] if ours == read else [f"{path}: {ours!r} became {read!r}"]


@pytest.mark.parametrize("board", [pytest.param(board, id=board.id) for board in BOARDS])
def test_panels_lie_side_by_side_without_overlap(board: Board) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard(board)["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < GRID_COLUMNS
        taken |= cells


def test_the_committed_files_are_what_the_boards_render(tmp_path: Path) -> None:
    assert main(["render", "--out", str(tmp_path)]) == 0
    rendered = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    committed = {path.relative_to(COMMITTED): path.read_bytes() for path in COMMITTED.rglob("*") if path.is_file()}
    assert rendered == committed, "run: kioskwatch dashboards render --out deploy/grafana"


def test_a_simulated_district_is_marked_on_every_board() -> None:
    for name, content in files(simulated=600, start="2021-10-01T05:00:00.000Z", stop="now").items():
        if name.endswith(".json"):
            assert json.loads(content)["title"].startswith("SIMULATED ×600 · ")
            assert json.loads(content)["time"]["from"] == "2021-10-01T05:00:00.000Z"


def test_provisioning_pins_uids_deletes_nothing_and_holds_no_secret() -> None:
    text = files()["provisioning/datasources/kioskwatch.yaml"]
    for bucket in BUCKETS:
        assert f"uid: kioskwatch-{bucket}\n" in text
        assert f"dbName: {bucket}\n" in text
    assert "restricted" not in text
    assert "deleteDatasources" not in text
    assert text.count("Password: $__file{") == len(BUCKETS)


def test_a_folder_that_cannot_be_written_is_one_sentence_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert main(["render", "--out", str(blocked)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_statement_lets_grafana_choose_its_interval() -> None:
    (co2,) = (panel for board in BOARDS for panel in board.panels if panel.id == "zone-co2")
    assert statement(co2, co2.lines[0]) == (
        'SELECT max("co2_ppm") FROM "air" WHERE $timeFilter'
        ' GROUP BY time($__interval), "zone", "site" fill(none) LIMIT 10000'
    )
