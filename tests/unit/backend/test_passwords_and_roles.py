"""Passwords by Argon2id, and the table of what each role may do."""

import re

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import given
from hypothesis import strategies as st

from backend.accounts.passwords import MAX_BYTES, Passwords, check_new_password, random_password
from backend.accounts.roles import GRANTS, ROLES, Permission, may
from backend.errors import InputError

QUICK = Passwords(memory_kib=64, passes=1, lanes=1)

# DESIGN §1, §11, §15, by hand: what each role may do
BY_HAND = {
    "officer": {"read", "handle_any_alert", "handle_device_alert", "read_releases", "open_restricted"},
    "technician": {"read", "handle_device_alert", "manage_devices", "read_releases"},
    "admin": {
        "read",
        "handle_any_alert",
        "handle_device_alert",
        "manage_devices",
        "manage_accounts",
        "read_audit",
        "read_releases",
    },
    "auditor": {"read", "read_audit"},
}


def test_the_table_of_roles_is_the_one_written_by_hand() -> None:
    assert {role: {str(permission) for permission in granted} for role, granted in GRANTS.items()} == BY_HAND
    assert set(ROLES) == set(BY_HAND)


def test_a_technician_and_an_auditor_answer_no_alert_about_peoples_health() -> None:
    assert [role for role in ROLES if may(role, Permission.HANDLE_ANY_ALERT)] == ["officer", "admin"]


def test_an_auditor_changes_nothing() -> None:
    assert GRANTS["auditor"] == {Permission.READ, Permission.READ_AUDIT}


def test_production_parameters_are_those_of_rfc_9106() -> None:
    assert re.match(r"\$argon2id\$v=19\$m=65536,t=3,p=4\$", Passwords().hashed("x"))


def test_a_hash_fits_its_password_alone_and_is_salted() -> None:
    first, second = QUICK.hashed("correct horse"), QUICK.hashed("correct horse")
    assert first != second
    assert QUICK.fits("correct horse", first)
    assert not QUICK.fits("correct horsf", first)


def test_an_independent_call_of_the_library_agrees() -> None:
    Argon2id.verify_phc_encoded(b"correct horse", QUICK.hashed("correct horse"))


def test_without_an_account_the_work_is_done_all_the_same_and_the_answer_is_no() -> None:
    assert QUICK.fits("anything", None) is False


@given(st.text(max_size=400))
def test_any_text_is_hashed_or_refused_and_never_an_error(text: str) -> None:
    assert QUICK.fits(text, QUICK.hashed("correct horse")) is (text == "correct horse")


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("short", "at least 12"),
        ("x" * (MAX_BYTES + 1), "at most 256"),
        ("the old one again", "differ"),
        ("my name is Alice ok", "name"),
        ("aaaaaaaaaaaaaa", "different characters"),
    ],
)
def test_a_new_password_must_keep_the_rule(new: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_new_password(new, account="alice", old="the old one again")


def test_random_passwords_keep_the_rule_and_never_repeat() -> None:
    made = {random_password() for _ in range(200)}
    assert len(made) == 200
    for password in made:
        check_new_password(password, account="admin", old="")
