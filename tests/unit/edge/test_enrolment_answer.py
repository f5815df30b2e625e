"""What a device is told at enrolment, checked before it is kept."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edge.core.enrolment import Enrolment, read_enrolment
from edge.errors import EnrolmentError
from tests.support.enrolled import START_NS, enrolment_answer, raw_public

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
    ],
)
def test_an_answer_that_cannot_be_used_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(EnrolmentError):
        _read(**changes)


@given(st.binary(max_size=300))
def test_garbage_is_an_enrolment_error(content: bytes) -> None:
    with pytest.raises(EnrolmentError):
        read_enrolment(content, "air-10016")


def test_a_huge_answer_is_refused_unread() -> None:
    with pytest.raises(EnrolmentError, match="bytes"):
        read_enrolment(b" " * 300_000, "air-10016")


def test_the_key_helper_of_tests_says_what_enrolment_says() -> None:
    assert ANSWER["deployment_public_key"] == raw_public(DEPLOYMENT)
