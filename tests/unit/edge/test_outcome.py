"""Words of an analyser to calls, and what its controls do to the kiosk."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.outcome import AssayTable, Controls, Dialect, Level, RunReport, assay_table, calls_of, control_holds

COVID = assay_table("SARSCOV2", ("sars-cov-2",), {})
PANEL = assay_table("COV2FLURSV", ("sars-cov-2", "flu-a"), {"COV2": "sars-cov-2"})


def _report(words: dict[str, str], assay: str = "SARSCOV2", control: Level | None = None) -> RunReport:
    return RunReport(None, assay, words, control, final=True)


def test_a_single_assay_answers_under_its_own_code_and_a_panel_under_each_targets() -> None:
    assert COVID.targets == {"SARSCOV2": "sars-cov-2"}
    assert PANEL.targets == {"COV2": "sars-cov-2", "FLUA": "flu-a"}


@pytest.mark.parametrize(
    ("word", "call"),
    [
        ("POSITIVE", "positive"),
        ("DETECTED", "positive"),
        ("NEGATIVE", "negative"),
        ("NOT DETECTED", "negative"),
        ("PRESUMPTIVE POS", "inconclusive"),
        ("INDETERMINATE", "inconclusive"),
        ("INVALID", "invalid"),
        ("ERROR", "invalid"),
        ("NO RESULT", "invalid"),
        ("", "invalid"),
        ("negative", "invalid"),
        ("NEGATIVES", "invalid"),
    ],
)
def test_every_word_has_one_call_and_an_unknown_word_is_never_negative(word: str, call: str) -> None:
    assert calls_of(_report({"SARSCOV2": word}), COVID) == {"sars-cov-2": call}


def test_what_a_report_does_not_mention_is_invalid() -> None:
    assert calls_of(_report({"COV2": "NEGATIVE"}, "COV2FLURSV"), PANEL) == {
        "sars-cov-2": "negative",
        "flu-a": "invalid",
    }


def test_a_report_of_another_assay_is_invalid_whatever_its_words() -> None:
    assert calls_of(_report({"SARSCOV2": "NEGATIVE"}, "OTHER"), COVID) == {"sars-cov-2": "invalid"}


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=5), st.text(max_size=20))
def test_any_report_gives_calls_for_exactly_the_targets(words: dict[str, str], assay: str) -> None:
    assert set(calls_of(_report(words, assay), PANEL)) == {"sars-cov-2", "flu-a"}


def _after(*controls: tuple[Level, str], table: AssayTable = COVID) -> Controls:
    state = Controls()
    for level, word in controls:
        state = state.after(level, holds=control_holds(_report({"SARSCOV2": word}, control=level), table))
    return state


def test_a_kiosk_without_controls_yet_is_not_locked() -> None:
    assert not Controls().failed


@pytest.mark.parametrize(
    "control", [("positive", "NEGATIVE"), ("negative", "POSITIVE"), ("positive", "ERROR"), ("negative", "INVALID")]
)
def test_a_control_that_does_not_read_as_made_locks_the_kiosk(control: tuple[Level, str]) -> None:
    assert _after(control).failed


def test_the_other_level_does_not_unlock_and_the_same_level_does() -> None:
    failed: tuple[Level, str] = ("positive", "NEGATIVE")
    assert _after(failed, ("negative", "NEGATIVE")).failed
    assert not _after(failed, ("positive", "POSITIVE")).failed


def test_a_report_cannot_be_changed_by_whoever_made_it() -> None:
    words = {"SARSCOV2": "NEGATIVE"}
    report = _report(words)
    words["SARSCOV2"] = "POSITIVE"
    assert report.words == {"SARSCOV2": "NEGATIVE"}


def test_a_dialect_gives_the_table_for_whatever_targets_a_layout_counts() -> None:
    dialect = Dialect("FLUPANEL", {"FA": "flu-a"})
    assert dialect.table(("flu-a",)).targets == {"FA": "flu-a"}
    assert dialect.table(("flu-a", "sars-cov-2")).targets == {"FA": "flu-a", "SARSCOV2": "sars-cov-2"}
