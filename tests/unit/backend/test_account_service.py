"""Accounts on a real state: signing in and out, what ends a session, the last administrator, the audit chain."""

import pytest

from backend.accounts.service import SESSION_IDLE_S, SESSION_LIFE_S, SignedIn
from backend.errors import ConflictError, InputError, NotFoundError, NotSignedInError, TooManyError
from tests.unit.backend.conftest import Parts

HERE = "192.0.2.1"
OWN = "correct horse battery staple"


def sign_in(parts: Parts, name: str = "admin", *, own: str = OWN) -> SignedIn:
    """First sign-in of an account and its change of password, then another sign-in."""
    service = parts.accounts
    first = service.first_start() if name == "admin" else service.add(name, "officer", actor="admin")
    assert first is not None
    opened = service.sign_in(name, first, HERE)
    assert opened.viewer.must_change
    service.change_password(opened.viewer, old=first, new=own, address=HERE)
    return service.sign_in(name, own, HERE)


def test_the_first_start_makes_one_administrator_and_a_second_start_none(parts: Parts) -> None:
    assert parts.accounts.first_start() is not None
    assert parts.accounts.first_start() is None
    assert [(one.name, one.role, one.must_change) for one in parts.accounts.accounts()] == [("admin", "admin", True)]


def test_a_session_is_found_by_its_token_and_by_nothing_that_is_stored(parts: Parts) -> None:
    opened = sign_in(parts)
    viewer = parts.accounts.viewer(opened.token)
    assert viewer is not None
    assert (viewer.name, viewer.must_change) == ("admin", False)
    assert parts.accounts.viewer(viewer.session.hex()) is None
    assert opened.token.encode() not in (parts.folder / "state" / "backend.db").read_bytes()


def test_a_session_outlives_a_restart_of_the_backend(parts: Parts) -> None:
    opened = sign_in(parts)
    parts.accounts._kept.clear()
    assert parts.accounts.kept(opened.token) is None
    assert parts.accounts.viewer(opened.token) is not None
    assert parts.accounts.kept(opened.token) is not None


def test_a_session_ends_when_idle_and_after_a_shift_however_busy(parts: Parts) -> None:
    idle = sign_in(parts)
    parts.later(seconds=SESSION_IDLE_S)
    assert parts.accounts.viewer(idle.token) is None
    parts.clock.monotonic_s += 3600
    busy = parts.accounts.sign_in("admin", OWN, HERE)
    for _ in range(SESSION_LIFE_S // 3600 - 1):
        parts.later(hours=1)
        assert parts.accounts.viewer(busy.token) is not None
    parts.later(hours=1)
    assert parts.accounts.kept(busy.token) is None
    assert parts.accounts.viewer(busy.token) is None


def test_signing_out_a_reset_a_new_role_and_closing_end_the_session(parts: Parts) -> None:
    opened = sign_in(parts)
    parts.accounts.sign_out(opened.viewer)
    assert parts.accounts.viewer(opened.token) is None
    service = parts.accounts
    service.add("olga", "officer", actor="admin")
    first = ""
    for act in (
        lambda: service.reset("olga", actor="admin"),
        lambda: service.set_role("olga", "auditor", actor="admin"),
        lambda: service.set_disabled("olga", True, actor="admin"),
    ):
        first = (
            service.add("olga", "officer", actor="admin")
            if len(service.accounts()) == 1
            else service.reset("olga", actor="admin")
        )
        officer = service.sign_in("olga", first, HERE)
        assert service.signed_in(officer.viewer)
        act()
        assert service.viewer(officer.token) is None
        assert not service.signed_in(officer.viewer)
    with pytest.raises(NotSignedInError):
        service.sign_in("olga", first, HERE)


def test_changing_a_password_keeps_this_session_and_ends_the_others(parts: Parts) -> None:
    here, there = sign_in(parts), parts.accounts.sign_in("admin", OWN, HERE)
    parts.accounts.change_password(here.viewer, old=OWN, new="a quite different sentence", address=HERE)
    assert parts.accounts.viewer(here.token) is not None
    assert parts.accounts.viewer(there.token) is None


def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(parts: Parts) -> None:
    sign_in(parts)
    for name, password in (("admin", "wrong"), ("nobody", OWN), ("'; drop table", OWN), ("", "")):
        with pytest.raises(NotSignedInError, match=r"Name or password is wrong\."):
            parts.accounts.sign_in(name, password, HERE)


def test_guessing_is_slowed_for_the_address_and_for_the_account(parts: Parts) -> None:
    sign_in(parts)
    for number in range(10):
        with pytest.raises(NotSignedInError):
            parts.accounts.sign_in("admin", "wrong", f"198.51.100.{number}")
    with pytest.raises(TooManyError):
        parts.accounts.sign_in("admin", OWN, "198.51.100.99")
    for number in range(10):
        with pytest.raises(NotSignedInError):
            parts.accounts.sign_in(f"guess-{number}", "wrong", "203.0.113.9")
    with pytest.raises(TooManyError):
        parts.accounts.sign_in("olga", OWN, "203.0.113.9")


def test_the_last_administrator_can_neither_be_closed_nor_lose_the_role(parts: Parts) -> None:
    sign_in(parts)
    parts.accounts.add("olga", "officer", actor="admin")
    with pytest.raises(ConflictError, match="last administrator"):
        parts.accounts.set_disabled("admin", True, actor="olga")
    with pytest.raises(ConflictError, match="last administrator"):
        parts.accounts.set_role("admin", "officer", actor="olga")
    parts.accounts.set_role("olga", "admin", actor="admin")
    parts.accounts.set_disabled("admin", True, actor="olga")


def test_what_cannot_be_an_account_is_refused(parts: Parts) -> None:
    with pytest.raises(InputError):
        parts.accounts.add("Olga Petrowna", "officer", actor="admin")
    with pytest.raises(InputError):
        parts.accounts.add("olga", "king", actor="admin")
    parts.accounts.add("olga", "officer", actor="admin")
    with pytest.raises(ConflictError):
        parts.accounts.add("olga", "officer", actor="admin")
    with pytest.raises(NotFoundError):
        parts.accounts.reset("nobody", actor="admin")


def test_the_audit_chain_tells_who_did_what_and_breaks_when_a_row_is_changed(parts: Parts) -> None:
    opened = sign_in(parts)
    with pytest.raises(NotSignedInError):
        parts.accounts.sign_in("admin", "my secret typed into the name", HERE)
    parts.accounts.sign_out(opened.viewer)
    told = [entry for entry in parts.actions() if entry[1] != "registry_changed"]
    assert told == [
        ("system", "account_added", "admin"),
        ("admin", "sign_in", "admin"),
        ("admin", "password_changed", "admin"),
        ("admin", "sign_in", "admin"),
        ("system", "sign_in_refused", "admin"),
        ("admin", "sign_out", "admin"),
    ]
    assert parts.audit.broken_at() is None
    with parts.database.begin() as tx:
        tx.exec_driver_sql("UPDATE audit SET actor = 'somebody else' WHERE id = 3")
    assert parts.audit.broken_at() == 3


def test_no_password_and_no_token_stands_in_the_state(parts: Parts) -> None:
    opened = sign_in(parts)
    content = b"".join(path.read_bytes() for path in (parts.folder / "state").iterdir())
    for secret in (OWN, opened.token):
        assert secret.encode() not in content
