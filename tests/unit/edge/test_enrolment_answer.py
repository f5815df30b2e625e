"""What a device is told at enrolment, checked before it is kept."""

import json
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from contracts.notice import LANGUAGES
from edge.core.enrolment import Enrolment, VisitTerms, read_enrolment, write_enrolment
from edge.errors import EnrolmentError
from tests.support.enrolled import START_NS, enrolment_answer, raw_public
from tests.support.notices import NOTICE, TEXTS

KEY, DEPLOYMENT = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
ANSWER = enrolment_answer("air-10016", KEY.public_key(), broker_port=8883, deployment=DEPLOYMENT)


def _read(**changes: object) -> Enrolment:
    return read_enrolment(json.dumps(ANSWER | changes).encode(), "air-10016")


def test_an_answer_is_read_with_calendar_layouts_and_key() -> None:
    enrolment = _read()
    assert enrolment.broker.port == 8883
    assert enrolment.calendar().window_start_ns(START_NS + 5) == START_NS
    assert enrolment.layout_book().at(START_NS).assay("SARSCOV2").targets == ("sars-cov-2",)
    raw = enrolment.deployment_key().public_bytes_raw()
    assert raw == DEPLOYMENT.public_key().public_bytes_raw()


def test_a_week_may_start_by_name_or_by_number_and_a_newer_backend_may_say_more() -> None:
    assert _read(week_start="Sunday").calendar().week_start == 6
    assert _read(week_start=6, something_new=[1]).calendar().week_start == 6


@pytest.mark.parametrize(
    "changes",
    [
        {"device": "air-10017"},
        {"window_s": 7},
        {"utc_offset_s": 90_000},
        {"week_start": "someday"},
        {"deployment_public_key": "short"},
        {"deployment_public_key": "*" * 43},
        {"layouts": [{"number": 0, "valid_from_ns": 0, "assays": []}]},
        {"broker": {"host": "h"}},
        {"certificate": None},
        {"results_origin": "results.harbour.internal"},
        {"results_origin": "https://results.harbour.internal/page"},
        {"results_origin": "https://" + "a" * 100},
        {"page_hash": "0123"},
        {"page_hash": "0123456789ABCDEF"},
        {"languages": ["en", "de"]},
        {"languages": ["en", "en"]},
        {"notice": {**TEXTS, "contact": {"en": "one language"}}},
        {"notice": {**TEXTS, "contact": {**TEXTS["contact"], "ar": ""}}},
        {"notice": {**TEXTS, "contact": {**TEXTS["contact"], "ar": "x" * 401}}},
        {"notice": {name: TEXTS[name] for name in ("controller", "contact")}},
    ],
)
def test_an_answer_that_cannot_be_used_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(EnrolmentError):
        _read(**changes)


def test_a_kiosk_reads_what_it_may_promise_a_visitor() -> None:
    assert _read().visit_terms() == VisitTerms("http://localhost:8801", "0123456789abcdef", LANGUAGES, NOTICE)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"results_origin": ""}, r"\[results\] origin is not whole"),
        ({"notice": None}, r"\[notice\] is not whole"),
        ({"page_hash": ""}, "no result page"),
        ({"languages": []}, "no result page"),
    ],
)
def test_without_one_of_them_the_answer_is_good_and_says_why_no_visit_starts(
    changes: dict[str, Any], words: str
) -> None:
    terms = _read(**changes).visit_terms()
    assert isinstance(terms, str)
    assert re.search(words, terms)
    assert "no visits start" in terms


def test_an_answer_from_before_the_result_page_is_good_and_starts_no_visit() -> None:
    told = ("results_origin", "page_hash", "languages", "notice")
    old = {name: value for name, value in ANSWER.items() if name not in told}
    enrolment = read_enrolment(json.dumps(old).encode(), "air-10016")
    assert isinstance(enrolment.visit_terms(), str)
    assert enrolment.broker.port == 8883


def test_what_is_kept_is_read_as_what_was_answered() -> None:
    enrolment = _read()
    assert read_enrolment(write_enrolment(enrolment), "air-10016") == enrolment
    assert json.loads(write_enrolment(enrolment))["notice"] == TEXTS


@given(st.binary(max_size=300))
def test_garbage_is_an_enrolment_error(content: bytes) -> None:
    with pytest.raises(EnrolmentError):
        read_enrolment(content, "air-10016")


def test_a_huge_answer_is_refused_unread() -> None:
    with pytest.raises(EnrolmentError, match="bytes"):
        read_enrolment(b" " * 300_000, "air-10016")


def test_the_key_helper_of_tests_says_what_enrolment_says() -> None:
    assert ANSWER["deployment_public_key"] == raw_public(DEPLOYMENT)
