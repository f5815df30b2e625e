"""What the analyser measures and writes; the first message is the capture of docs/protocols/genexpert.md by hand."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.instruments.genexpert.assays import ASSAYS, RUN_ERRORS
from firmware_sim.instruments.genexpert.messages import (
    Envelope,
    Identity,
    Order,
    Readings,
    Run,
    cancelled_query,
    query,
    refused_order,
    upload,
)
from firmware_sim.instruments.genexpert.physics import measure
from firmware_sim.outcome import Call, Control, Ending, Outcome

AT = datetime(2021, 12, 12, 9, 52, 21)  # noqa: DTZ001 - a wall clock's stamp, as on the wire
STARTED = datetime(2021, 12, 12, 9, 30, 6)  # noqa: DTZ001
ENVELOPE = Envelope(Identity("kiosk-10016-1", 806_149), 40417702914, AT)
HARDWARE = "Cepheid-7C31^806149^653624^386728066^03307^20221231"
POSITIVE = Outcome(calls={"sars-cov-2": Call.POSITIVE})


def run_of(outcome: Outcome, assay: str = "SARSCOV2", readings: Readings | None = None) -> Run:
    return Run(
        order=Order("7Q2M9KX4TBVW", assay),
        assay=ASSAYS[assay],
        outcome=outcome,
        readings=readings or Readings({}, {}),
        error=RUN_ERRORS[0] if outcome.ending is Ending.ERROR else None,
        started=STARTED,
        ended=AT,
        hardware=HARDWARE,
    )


def test_a_positive_result_is_the_message_of_the_protocol_page() -> None:
    readings = Readings({"E": 24.6, "N2": 26.9, "SPC": 28.1}, {"E": 408.0, "N2": 391.0, "SPC": 303.0})
    assert upload(ENVELOPE, run_of(POSITIVE, readings=readings)).decode("latin-1").split("\r") == [
        "H|@^\\|GXM-40417702914||kiosk-10016-1^GeneXpert^6.5|||||LIS||P|1394-97|20211212095221",
        "P|1||||^^^^",
        "O|1|7Q2M9KX4TBVW||^^^SARSCOV2|R|20211212093006|||||||||ORH||||||||||F",
        "R|1|^^^SARSCOV2^Xpert Xpress SARS-CoV-2^2^^|POSITIVE^|||||F||<None>|20211212093006|20211212095221|" + HARDWARE,
        "R|2|^^^SARSCOV2^^^E^|POS^|||",
        "R|3|^^^SARSCOV2^^^E^Ct|^24.6|||",
        "R|4|^^^SARSCOV2^^^E^EndPt|^408.0|||",
        "R|5|^^^SARSCOV2^^^N2^|POS^|||",
        "R|6|^^^SARSCOV2^^^N2^Ct|^26.9|||",
        "R|7|^^^SARSCOV2^^^N2^EndPt|^391.0|||",
        "R|8|^^^SARSCOV2^^^SPC^|PASS^|||",
        "R|9|^^^SARSCOV2^^^SPC^Ct|^28.1|||",
        "R|10|^^^SARSCOV2^^^SPC^EndPt|^303.0|||",
        "L|1|N",
        "",
    ]


def test_an_error_has_its_code_behind_the_main_result() -> None:
    records = upload(ENVELOPE, run_of(Outcome(ending=Ending.ERROR))).decode("latin-1").split("\r")
    assert records[3].split("|")[3] == "ERROR^"
    assert records[4].startswith("C|1|I|Error^5007^Post-run analysis error^Error 5007: ")
    assert records[4].endswith("^20211212095221|N")


def test_a_presumptive_positive_has_one_gene_of_two() -> None:
    records = upload(ENVELOPE, run_of(Outcome(calls={"sars-cov-2": Call.PRESUMPTIVE}))).decode("latin-1").split("\r")
    assert [records[i].split("|")[3] for i in (3, 4, 7)] == ["PRESUMPTIVE POS^", "POS^", "NEG^"]


def test_a_control_is_marked_in_the_twelfth_field_of_its_order() -> None:
    records = upload(ENVELOPE, run_of(Outcome(control=Control.POSITIVE))).decode("latin-1").split("\r")
    assert records[2].split("|")[11] == "Q"


def test_questions_and_refusals_have_their_fields_in_place() -> None:
    assert query(ENVELOPE).decode().split("\r")[1:] == ["Q|1|ALL||||||||||O@N", "L|1|N", ""]
    cancelled = cancelled_query(ENVELOPE).decode().split("\r")
    assert cancelled[1].split("|")[12] == "A"
    assert cancelled[2] == "C|1|I|timeout^last request has been cancelled|I"
    refused = refused_order(ENVELOPE, Order("a|b^c" + "x" * 40, "Z"), "V").decode().split("\r")[2].split("|")
    assert (refused[2], refused[15], refused[25]) == ("abc" + "x" * 22, "ORH", "V")


@given(
    st.builds(
        Outcome,
        calls=st.dictionaries(st.sampled_from(["sars-cov-2", "flu-a", "flu-b", "rsv"]), st.sampled_from(Call)),
        ending=st.sampled_from(Ending),
        late=st.booleans(),
    ),
    st.sampled_from(sorted(ASSAYS)),
    st.integers(),
)
def test_every_outcome_takes_its_time_and_can_be_written(outcome: Outcome, assay: str, key: int) -> None:
    measured = measure(outcome, ASSAYS[assay], (key,))
    assert measured == measure(outcome, ASSAYS[assay], (key,))
    minutes = measured.duration_s / 60
    if outcome.late:
        assert 60 <= minutes <= 90
    elif outcome.positive:
        assert 20 <= minutes <= 30
    elif outcome.ending in (Ending.ERROR, Ending.NO_RESULT):
        assert 2 <= minutes <= 28
    else:
        assert 30 <= minutes <= 35
    assert (measured.error is not None) == (outcome.ending is Ending.ERROR)
    text = upload(ENVELOPE, run_of(outcome, assay, measured.readings)).decode("latin-1")
    assert text.endswith("L|1|N\r")
    assert not set(text) & {chr(code) for code in range(32) if code != 13}


def test_the_earlier_the_curve_the_shorter_the_run() -> None:
    runs = [measure(POSITIVE, ASSAYS["SARSCOV2"], (i,)) for i in range(50)]
    by_cycle = sorted(runs, key=lambda run: run.readings.ct["E"])
    assert [run.duration_s for run in by_cycle] == sorted(run.duration_s for run in runs)


def test_drift_moves_every_curve_by_the_same_cycles() -> None:
    plain, shifted = (measure(POSITIVE, ASSAYS["SARSCOV2"], (1,), ct_shift=shift) for shift in (0.0, 2.0))
    for name in ("E", "N2", "SPC"):
        assert shifted.readings.ct[name] - plain.readings.ct[name] == pytest.approx(2.0)
