"""Words to calls to records: what a code's holder reads, and what the counters are told."""

import pytest

from contracts.claim import ClaimCode
from contracts.sealed import ResultBody, open_record
from edge.children.sealing import ours, seal_no_result, seal_upload, seen
from edge.core.outcome import AssayTable, Level, RunReport
from edge.core.visit import PublicPart
from edge.ports import ControlSeen, RunSeen, SealOrder

SAMPLE = "6JDT06FXXF61J697SS0Y"
OTHER = "S5TJJC58FGSAK2HKY8MB"
KEYS = ClaimCode.generate().keys()
PUBLIC = PublicPart(KEYS.slot, KEYS.public_key, KEYS.origin)
ONE = AssayTable("SARSCOV2", {"SARSCOV2": "sars-cov-2"})
PANEL = AssayTable("PLUS", {"SARSCOV2": "sars-cov-2", "FLUA": "flu-a"})
ORDER = SealOrder(SAMPLE, PUBLIC, "2021-12-12", ONE)


def _report(
    words: dict[str, str], sample: str | None = SAMPLE, *, control: Level | None = None, final: bool = True
) -> RunReport:
    return RunReport(sample, "SARSCOV2", words, control, final)


def _read(record: bytes) -> ResultBody:
    return ResultBody.decode(open_record(KEYS, record))


@pytest.mark.parametrize(
    ("word", "call", "advice", "valid"),
    [
        ("POSITIVE", "positive", "confirm", True),
        ("NOT DETECTED", "negative", "none", True),
        ("PRESUMPTIVE POS", "inconclusive", "repeat", False),
        ("ERROR", "invalid", "repeat", False),
        ("SOMETHING NEW", "invalid", "repeat", False),
    ],
)
def test_the_holder_reads_the_call_and_the_counters_hear_whether_it_was_one(
    word: str, call: str, advice: str, valid: bool
) -> None:
    (run,) = seal_upload([_report({"SARSCOV2": word})], [ORDER], ONE).runs
    assert _read(run.record) == ResultBody("2021-12-12", advice, (("sars-cov-2", call),))  # type: ignore[arg-type]
    assert (run.sample, run.valid) == (SAMPLE, valid)
    assert run.positives == ({"sars-cov-2"} if word == "POSITIVE" else set())


def test_a_panel_with_one_call_missing_is_invalid_for_the_counters_and_read_as_it_was() -> None:
    order = SealOrder(SAMPLE, PUBLIC, "2021-12-12", PANEL)
    report = RunReport(SAMPLE, "PLUS", {"SARSCOV2": "POSITIVE"}, None, final=True)
    (run,) = seal_upload([report], [order], PANEL).runs
    assert (run.valid, run.positives) == (False, frozenset())
    assert _read(run.record).calls == (("sars-cov-2", "positive"), ("flu-a", "invalid"))


def test_only_the_first_final_report_of_an_ordered_run_is_sealed() -> None:
    reports = [
        _report({"SARSCOV2": "NEGATIVE"}, final=False),
        _report({"SARSCOV2": "POSITIVE"}),
        _report({"SARSCOV2": "NEGATIVE"}),
        _report({"SARSCOV2": "POSITIVE"}, OTHER),
        _report({"SARSCOV2": "POSITIVE"}, None),
    ]
    (run,) = seal_upload(reports, [ORDER, ORDER], ONE).runs
    assert run.positives == {"sars-cov-2"}


def test_controls_are_judged_by_the_table_and_only_when_final() -> None:
    reports = [
        _report({"SARSCOV2": "POSITIVE"}, None, control="positive"),
        _report({"SARSCOV2": "POSITIVE"}, None, control="negative"),
        _report({"SARSCOV2": "POSITIVE"}, None, control="negative", final=False),
    ]
    sealed = seal_upload(reports, [ORDER], ONE)
    assert sealed.controls == (ControlSeen("positive", holds=True), ControlSeen("negative", holds=False))
    assert sealed.runs == ()


def test_no_result_says_so_for_every_target() -> None:
    (run,) = seal_no_result([SealOrder(SAMPLE, PUBLIC, "2021-12-12", PANEL)]).runs
    assert (run.valid, run.positives) == (False, frozenset())
    assert _read(run.record) == ResultBody("2021-12-12", "repeat", (("sars-cov-2", "invalid"), ("flu-a", "invalid")))


def test_a_record_has_the_same_size_whatever_it_says() -> None:
    words: tuple[dict[str, str], ...] = ({"SARSCOV2": "POSITIVE"}, {"SARSCOV2": "NEGATIVE"}, {"SARSCOV2": "ERROR"}, {})
    assert {len(seal_upload([_report(one)], [ORDER], ONE).runs[0].record) for one in words} == {256}


def test_of_runs_that_are_not_ours_nothing_is_said_and_of_ours_none_is_left_out() -> None:
    reports = (_report({}, None), *(_report({}, OTHER),) * 80, _report({}), _report({}, None, control="negative"))
    told = ours(reports)
    assert len(told) == 82
    assert seen(told)[-2:] == (RunSeen(SAMPLE, None, final=True), RunSeen(None, "negative", final=True))


def test_the_newest_control_of_each_level_counts_however_many_an_upload_has() -> None:
    failed, passed = {"SARSCOV2": "NEGATIVE"}, {"SARSCOV2": "POSITIVE"}
    reports = [
        _report(passed, None, control="negative"),
        *[_report(failed, None, control="positive")] * 300,
        _report(passed, None, control="positive"),
    ]
    assert seal_upload(reports, [], ONE).controls == (
        ControlSeen("negative", holds=False),
        ControlSeen("positive", holds=True),
    )
