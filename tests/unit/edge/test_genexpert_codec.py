"""GeneXpert records against messages laid out by hand after captured ones, with invented persons in them."""

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.outcome import RunReport
from edge.errors import RecordError
from edge.instruments.genexpert.codec import (
    OrderQuery,
    OrderReturned,
    QueryWithdrawn,
    decode,
    encode_no_order,
    encode_order,
)

SAMPLE = "7Q2M9KX4TBVW01234567"
HEAD = "H|@^\\|GXM-40417702914||kiosk-10016-1^GeneXpert^6.5|||||LIS||P|1394-97|20211212095221"
POSITIVE = [
    HEAD,
    "P|1||||^^^^",
    f"O|1|{SAMPLE}||^^^SARSCOV2|R|20211212093006|||||||||ORH||||||||||F",
    "R|1|^^^SARSCOV2^Xpert Xpress SARS-CoV-2^2^^|POSITIVE^|||||F||<None>|20211212093006|20211212095215|"
    "Cepheid-7C31^806149^653624^386728066^03307^20221231",
    "R|2|^^^SARSCOV2^^^E^|POS^|||",
    "R|3|^^^SARSCOV2^^^E^Ct|^24.6|||",
    "R|4|^^^SARSCOV2^^^SPC^|PASS^|||",
    "L|1|N",
]
# Invented; every word of it is searched for below.
PERSON = ["Ottoline", "Quackenbush", "19440229", "PASSPORT-X99", "ward nine", "Dr Umlaut"]


def _text(records: list[str]) -> bytes:
    return "".join(f"{record}\r" for record in records).encode("latin-1")


def _one(records: list[str]) -> object:
    (item,) = decode(_text(records))
    return item


def test_a_result_is_read_with_its_main_word_and_nothing_of_its_curves() -> None:
    assert _one(POSITIVE) == RunReport(SAMPLE, "SARSCOV2", {"SARSCOV2": "POSITIVE"}, None, final=True)


def test_a_panel_is_read_with_one_word_a_target() -> None:
    records = [
        HEAD,
        "P|1",
        f"O|1|{SAMPLE}||^^^COV2FLURSV|R|20211212093006|||||||||ORH||||||||||F",
        "R|1|^COV2FLURSV^^COV2^Xpert Xpress^1^SARS-CoV-2^|NEGATIVE^|||||F",
        "R|2|^COV2FLURSV^^FLUA^Xpert Xpress^1^Flu A^|POSITIVE^|||||F",
        "R|3|^COV2FLURSV^^FLUA^^^Flu A 1^|POS^|||",
        "L|1|N",
    ]
    item = _one(records)
    assert isinstance(item, RunReport)
    assert item.words == {"COV2": "NEGATIVE", "FLUA": "POSITIVE"}


def test_other_delimiters_are_read_as_the_header_declares_them() -> None:
    records = [record.replace("^", "~").replace("\\", "&").replace("|", "!") for record in POSITIVE]
    assert _one(records) == _one(POSITIVE)


def test_an_error_is_read_as_its_word_and_its_comment_is_not_kept() -> None:
    error = [r.replace("POSITIVE^", "ERROR^") for r in POSITIVE[:4]]
    error += ["C|1|I|Error^5007^Probe check^ward nine^20211212095215|N", "L|1|N"]
    assert _one(error) == RunReport(SAMPLE, "SARSCOV2", {"SARSCOV2": "ERROR"}, None, final=True)


def test_the_questions_of_an_analyser_are_told_apart() -> None:
    assert _one([HEAD, "Q|1|ALL||||||||||O@N", "L|1|N"]) == OrderQuery("kiosk-10016-1^GeneXpert^6.5")
    assert _one([HEAD, "Q|1|||||||||||A", "C|1|I|timeout^cancelled|I", "L|1|N"]) == QueryWithdrawn()


@pytest.mark.parametrize("code", ["Y", "V"])
def test_an_order_that_the_analyser_hands_back_is_told_from_a_result(code: str) -> None:
    returned = f"O|1|{SAMPLE}||^^^SARSCOV2|R||||||||||ORH||||||||||{code}"
    assert _one([HEAD, "P|1", returned, "L|1|N"]) == OrderReturned(SAMPLE)


def test_a_result_that_may_still_change_is_not_final() -> None:
    pending = [record.replace("|F", "|I") if record.startswith("O") else record for record in POSITIVE]
    item = _one(pending)
    assert isinstance(item, RunReport)
    assert not item.final


@pytest.mark.parametrize(("sample", "level"), [("QC-POS-7", "positive"), ("QC-NEG-12", "negative")])
def test_a_control_is_known_by_its_action_code_and_its_sample_id_together(sample: str, level: str) -> None:
    control = POSITIVE.copy()
    control[2] = f"O|1|{sample}||^^^SARSCOV2|R|20211212093006|||||Q||||ORH||||||||||F"
    item = _one(control)
    assert isinstance(item, RunReport)
    assert (item.sample, item.control) == (None, level)
    control[2] = control[2].replace("|||||Q|", "||||||")
    item = _one(control)
    assert isinstance(item, RunReport)
    assert (item.sample, item.control) == (None, None)


def test_two_words_for_one_target_are_no_result() -> None:
    item = _one([*POSITIVE[:4], POSITIVE[3].replace("POSITIVE", "NEGATIVE"), "L|1|N"])
    assert isinstance(item, RunReport)
    assert item.words == {"SARSCOV2": ""}


def _everything(value: object) -> str:
    if is_dataclass(value) and not isinstance(value, type):
        return " ".join(_everything(getattr(value, part.name)) for part in fields(value))
    return repr(value)


def test_nothing_that_somebody_typed_about_a_person_is_in_what_is_read() -> None:
    personal = POSITIVE.copy()
    personal[1] = f"P|1|{PERSON[3]}||{PERSON[3]}|{PERSON[1]}^{PERSON[0]}^^^{PERSON[5]}||{PERSON[2]}|F||^^^{PERSON[4]}"
    personal.insert(4, f"C|1|I|Notes^^{PERSON[4]} {PERSON[0]}|I")
    personal[3] = personal[3].replace("<None>", PERSON[5])
    for sample in (SAMPLE, PERSON[1], f"{PERSON[0]} {PERSON[1]}"):
        personal[2] = f"O|1|{sample}|{PERSON[3]}|^^^SARSCOV2|R|20211212093006||||{PERSON[5]}|||||ORH||||||||||F"
        read = " ".join(_everything(item) for item in decode(_text(personal)))
        assert not [word for word in PERSON if word.lower() in read.lower()]


def test_a_query_for_a_person_is_only_a_query() -> None:
    item = _one([HEAD, f"Q|1|{PERSON[1]}^{PERSON[0]}||||||||||O@N", "L|1|N"])
    assert item == OrderQuery("kiosk-10016-1^GeneXpert^6.5")


def test_our_answers_are_those_of_the_protocol_page() -> None:
    now = datetime(2021, 12, 12, 9, 30, 5, tzinfo=UTC)
    system = "kiosk-10016-1^GeneXpert^6.5"
    order = encode_order(SAMPLE, "SARSCOV2", system=system, message_id="kw1", now=now)
    head = "H|@^\\|kw1||LIS|||||kiosk-10016-1^GeneXpert^6.5||P|1394-97|20211212093005"
    line = f"O|1|{SAMPLE}||^^^SARSCOV2|R|20211212093005|||||A||||ORH||||||||||Q"
    assert order == _text([head, "P|1", line, "L|1|F"])
    assert encode_no_order(system=system, message_id="kw1", now=now) == _text([head, "L|1|I"])


@pytest.mark.parametrize(
    "records", [[], ["L|1|N"], ["H|"], ["H||||"], ["H|@@\\|x"], [HEAD, POSITIVE[3], "L|1|N"], [HEAD] * 1001]
)
def test_what_is_no_message_is_a_record_error(records: list[str]) -> None:
    with pytest.raises(RecordError):
        decode(_text(records))


@given(st.binary(max_size=400))
def test_garbage_gives_items_or_the_typed_error(text: bytes) -> None:
    try:
        decode(text)
    except RecordError:
        return


@given(st.lists(st.sampled_from(["H", "P", "O", "R", "Q", "C", "L", "|", "@", "^", "\\", "\r", "QC-POS-1", "F"])))
def test_garbage_made_of_the_protocols_own_letters_gives_items_or_the_typed_error(parts: list[str]) -> None:
    try:
        decode(HEAD.encode() + b"\r" + "".join(parts).encode())
    except RecordError:
        return
