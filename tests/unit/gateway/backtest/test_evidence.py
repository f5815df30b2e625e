"""Pictures, bars and pages from results made by hand."""

import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gateway.backtest import figures, findings, report
from gateway.backtest.command import labels, main, put
from gateway.backtest.run import CALIBRATED, TEXTBOOK, DelayRow, FalseRow, Results
from gateway.backtest.scoring import Delay, Rate
from gateway.errors import BacktestError

SVG = "{http://www.w3.org/2000/svg}"


def false_row(method: str, mean: float, *, kind: str = "weekday", alarm_days: float = 1.0) -> FalseRow:
    rate = Rate(mean, mean - 0.2, mean + 0.2)
    return FalseRow(kind, 60, True, method, TEXTBOOK, 3.0, rate, alarm_days)


def delay_row(method: str, factor: int, median: float) -> DelayRow:
    found = 0.3 if math.isinf(median) else 0.9
    return DelayRow("weekday", 60, True, factor, 7, method, CALIBRATED, Delay(found, median, median, median))


def results() -> Results:
    made = Results(200)
    made.false.extend([false_row("ours", 1.1, alarm_days=1.0), false_row("ours", 0.7, kind="closed", alarm_days=3.0)])
    made.false.extend([false_row("c3", 4.4, alarm_days=8.0), false_row("c3", 4.0, kind="closed", alarm_days=10.0)])
    made.delays.extend([delay_row("ours", 2, math.inf), delay_row("c1", 2, math.inf), delay_row("c2-floor", 2, 9.0)])
    made.delays.extend([delay_row("ours", 3, 4.0), delay_row("c1", 3, 4.0), delay_row("essence", 3, 5.0)])
    made.delays.extend([delay_row("ours", 4, 3.0), delay_row("c1", 4, 2.0)])
    return made


def test_the_budget_is_held_when_the_interval_of_all_worlds_holds_one() -> None:
    told = findings.budget(results(), noise=True)
    assert told.mean == pytest.approx(0.9)
    assert told.high - told.low == pytest.approx(2 * 0.2 / 2**0.5)  # two worlds, independent
    assert told.met
    assert (told.worlds_within, told.worlds) == (1, 2)


def test_equal_and_missed_by_both_holds_and_earlier_is_named() -> None:
    plain = findings.compare(results(), findings.RIVALS, noise=True)
    assert (plain.scenarios, plain.held, plain.unseen) == (3, 2, 1)
    assert not plain.met  # two thirds
    assert [(one.scenario, one.rival) for one in plain.earlier] == [(("weekday", 60, 4, 7), "c1")]
    told = findings.compare(results(), (*findings.RIVALS, *findings.TOLD), noise=True)
    assert (told.held, told.unseen) == (1, 0)


def test_false_alarms_are_set_against_c3_world_by_world() -> None:
    ratios = findings.ratio_to_c3(results(), lambda row: row.alarm_days, noise=True)
    assert ratios == {("weekday", 60): pytest.approx(1 / 8), ("closed", 60): pytest.approx(0.3)}


def test_the_section_says_what_was_missed() -> None:
    made = results()
    made.false.extend([replace(row, noise=False) for row in made.false])
    made.delays.extend([replace(row, noise=False) for row in made.delays])
    text = report.section(made, labels(), "kioskwatch backtest --seeds 200 --jobs 1")
    assert text.startswith(report.BEGIN)
    assert text.endswith(report.END + "\n")
    assert "| 2 of 3 scenarios (1 of them missed by all) | three quarters | **missed** |" in text
    assert "| 0.30 | ≤ 0.25 in every world | **missed** |" in text
    assert "| weekday 60, ×4 for 7 d | 3 | EARS C1 2 |" in text
    assert "`kioskwatch backtest --seeds 200 --jobs 1`: 200 seeds" in text


def test_the_section_takes_its_own_place_and_leaves_the_others(tmp_path: Path) -> None:
    page = tmp_path / "EVIDENCE.md"
    put(page, f"{report.BEGIN}\nfirst\n{report.END}\n")
    assert page.read_text().startswith("# Evidence\n")
    page.write_text(page.read_text() + "\n<!-- oracle:begin -->\nR\n<!-- oracle:end -->\n")
    put(page, f"{report.BEGIN}\nsecond\n{report.END}\n")
    text = page.read_text()
    assert "first" not in text
    assert text.index("second") < text.index("<!-- oracle:begin -->\nR\n<!-- oracle:end -->\n")
    page.write_text(f"# Evidence\n\n{report.BEGIN}\nhalf\n")
    with pytest.raises(BacktestError, match="no <!-- backtest:end -->"):
        put(page, "section")


def pictures() -> list[str]:
    return [
        figures.bars("A & B", "signals", [figures.Bar("C<1", 2.0, 1.0, 3.0)], reference=(1.0, "budget")),
        figures.lines(
            "t", "%", ["a", "b", "c"], [figures.Line("x", [1, math.nan, 3]), figures.Line("y", [2, 2, 2])], most=4
        ),
        figures.marked("t", "%", [(0, "2020")], figures.Line("s", [1.0, 2.0, 1.0]), [figures.Mark("m", [1, 2])]),
    ]


@pytest.mark.parametrize("picture", pictures(), ids=["bars", "lines", "marked"])
def test_a_picture_is_svg_with_a_title_a_unit_and_nothing_outside_its_frame(picture: str) -> None:
    root = ElementTree.fromstring(picture)
    assert root.tag == f"{SVG}svg"
    assert root.find(f"{SVG}title") is not None
    width, height = (float(value) for value in root.attrib["viewBox"].split()[2:])
    words = root.findall(f"{SVG}text")
    assert {word.text for word in words} & {"signals", "%"}
    for word in words:
        assert 0 <= float(word.attrib["x"]) <= width
        assert 0 <= float(word.attrib["y"]) <= height


def test_lines_differ_in_more_than_their_colour() -> None:
    styles = list(zip(figures.COLOURS, figures.DASHES, strict=True))
    assert len(set(figures.COLOURS)) == len(set(figures.DASHES)) == len(styles)


def test_a_folder_without_the_series_is_refused_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--seeds", "2", "--data", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "un_district_weekly_tests.csv is missing: --data names the folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert main(["--seeds", "1"]) == 2
