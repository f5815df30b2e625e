"""How devices come in, stay in and are shut out, on a real state and a real CA."""

import base64
from collections.abc import Callable

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.devices.authority import certificate_facts
from backend.devices.enrolment import RENEWAL_LABEL, TOKEN_LIFE_S, EnrolAnswer
from backend.devices.visitors import VisitTerms
from backend.errors import InputError, NotAllowedError, NotFoundError, TooManyError
from contracts.notice import LANGUAGES
from contracts.registry import Device
from edge.core.enrolment import VisitTerms as AgentTerms
from edge.core.enrolment import read_enrolment
from tests.support.notices import NOTICE, TEXTS
from tests.unit.backend.conftest import Parts
from tests.unit.backend.test_authority import signing_request

HERE = "192.0.2.1"


def raw(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def enrol(parts: Parts, key: Ed25519PrivateKey, device: str = "kiosk-1") -> EnrolAnswer:
    token = parts.enrolment.make_token(device, actor="tess")
    return parts.enrolment.enrol(token, signing_request(device, key), HERE)


def renew(parts: Parts, signer: Ed25519PrivateKey, key: Ed25519PrivateKey, device: str = "kiosk-1") -> EnrolAnswer:
    csr = signing_request(device, key)
    signature = base64.urlsafe_b64encode(signer.sign(RENEWAL_LABEL + csr.encode())).rstrip(b"=").decode()
    return parts.enrolment.renew(device, csr, signature, HERE)


def known(parts: Parts, device: str = "kiosk-1") -> Device:
    return parts.registry.get().devices[device]


def test_an_enrolled_device_has_a_certificate_and_all_it_needs_to_begin(parts: Parts) -> None:
    key = Ed25519PrivateKey.generate()
    answer = enrol(parts, key)
    facts = certificate_facts(answer.certificate)
    assert (facts.subject, answer.device, answer.district) == ("kiosk-1", "kiosk-1", "turtle-bay")
    assert certificate_facts(answer.ca).subject == "kioskwatch development CA"
    assert (answer.window_s, answer.utc_offset_s, answer.week_start) == (21_600, -18_000, 6)
    assert (answer.broker.host, answer.broker.port, answer.broker.tls) == ("broker.example", 8883, True)
    assert (answer.deployment_public_key, answer.simulated) == ("public-half", True)
    assert [(one.number, one.valid_from_ns, one.assays[0].code) for one in answer.layouts] == [(1, 0, "SARSCOV2")]
    assert (known(parts).enrolment, known(parts).public_key) == (1, raw(key))
    certificate = parts.enrolment.certificate("kiosk-1")
    assert certificate is not None
    assert certificate.fingerprint == facts.fingerprint


def test_a_kiosk_hears_what_it_may_promise_and_a_renewal_brings_what_changed(parts: Parts) -> None:
    key = Ed25519PrivateKey.generate()
    answer = enrol(parts, key)
    assert (answer.results_origin, answer.page_hash) == ("https://results.harbour.internal", "0123456789abcdef")
    assert (tuple(answer.languages), answer.notice) == (LANGUAGES, TEXTS)
    parts.enrolment.tell_visitors(VisitTerms("https://other.harbour.internal", "f" * 16, ("ar", "zh"), None))
    later = renew(parts, key, key)
    assert (later.results_origin, later.page_hash) == ("https://other.harbour.internal", "f" * 16)
    assert (later.languages, later.notice) == (["ar", "zh"], None)


def test_the_agent_reads_what_the_backend_answers(parts: Parts) -> None:
    answer = msgspec.structs.replace(enrol(parts, Ed25519PrivateKey.generate()), deployment_public_key="A" * 43)
    terms = read_enrolment(msgspec.json.encode(answer), "kiosk-1").visit_terms()
    assert isinstance(terms, AgentTerms), terms
    assert (terms.results_origin, terms.page_hash) == ("https://results.harbour.internal", "0123456789abcdef")
    assert (terms.languages, terms.notice) == (LANGUAGES, NOTICE)


def test_a_token_is_used_once_but_an_answer_that_was_lost_may_be_asked_for_again(parts: Parts) -> None:
    key = Ed25519PrivateKey.generate()
    token = parts.enrolment.make_token("kiosk-1", actor="tess")
    for _ in range(2):
        parts.enrolment.enrol(token, signing_request("kiosk-1", key), HERE)
    with pytest.raises(NotAllowedError, match="unknown, used or out of date"):
        parts.enrolment.enrol(token, signing_request("kiosk-1", Ed25519PrivateKey.generate()), HERE)


def test_a_token_ends_with_its_time_and_with_the_next_token(parts: Parts) -> None:
    key = Ed25519PrivateKey.generate()
    old = parts.enrolment.make_token("kiosk-1", actor="tess")
    new = parts.enrolment.make_token("kiosk-1", actor="tess")
    with pytest.raises(NotAllowedError):
        parts.enrolment.enrol(old, signing_request("kiosk-1", key), HERE)
    parts.later(seconds=TOKEN_LIFE_S)
    with pytest.raises(NotAllowedError):
        parts.enrolment.enrol(new, signing_request("kiosk-1", key), HERE)
    assert known(parts).enrolment == 0


def test_a_refused_request_leaves_the_token_unused(parts: Parts) -> None:
    key = Ed25519PrivateKey.generate()
    token = parts.enrolment.make_token("kiosk-1", actor="tess")
    with pytest.raises(InputError, match="common name"):
        parts.enrolment.enrol(token, signing_request("air-2", key), HERE)
    parts.enrolment.enrol(token, signing_request("kiosk-1", Ed25519PrivateKey.generate()), HERE)


def test_nobody_gets_a_token_for_a_device_that_the_district_file_does_not_name(parts: Parts) -> None:
    with pytest.raises(NotFoundError):
        parts.enrolment.make_token("kiosk-99", actor="tess")


def test_a_second_enrolment_counts_up_and_a_renewal_does_not(parts: Parts) -> None:
    first, second = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    enrol(parts, first)
    enrol(parts, second)
    renew(parts, second, second)
    assert (known(parts).enrolment, known(parts).public_key) == (2, raw(second))


def test_a_renewal_needs_the_key_in_force(parts: Parts) -> None:
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    with pytest.raises(NotAllowedError, match="not enrolled"):
        renew(parts, key, key)
    enrol(parts, key)
    with pytest.raises(NotAllowedError, match="not signed by the key"):
        renew(parts, other, other)
    parts.later(days=20)
    answer = renew(parts, key, key)
    assert (certificate_facts(answer.certificate).not_after - parts.real).days == 30


def test_a_device_that_was_shut_out_stays_out_until_somebody_makes_a_token(parts: Parts) -> None:
    key = Ed25519PrivateKey.generate()
    serial = x509.load_pem_x509_certificate(enrol(parts, key).certificate.encode()).serial_number
    assert parts.enrolment.revoke("kiosk-1", actor="tess") == 1
    listed = x509.load_pem_x509_crl((parts.folder / "ca" / "crl.pem").read_bytes())
    assert [one.serial_number for one in listed] == [serial]
    assert known(parts).status == "revoked"
    with pytest.raises(NotAllowedError):
        renew(parts, key, key)
    enrol(parts, Ed25519PrivateKey.generate())
    assert known(parts).status == "active"
    assert ("tess", "device_revoked", "device/kiosk-1") in parts.actions()


def test_a_start_repairs_a_revocation_list_that_was_not_written(parts: Parts) -> None:
    enrol(parts, Ed25519PrivateKey.generate())
    parts.enrolment.revoke("kiosk-1", actor="tess")
    (parts.folder / "ca" / "crl.pem").unlink()
    parts.enrolment.write_revocations()
    assert len(list(x509.load_pem_x509_crl((parts.folder / "ca" / "crl.pem").read_bytes()))) == 1


def test_guessing_tokens_is_slowed(parts: Parts) -> None:
    csr = signing_request("kiosk-1")
    for _ in range(20):
        with pytest.raises(NotAllowedError):
            parts.enrolment.enrol("guess", csr, HERE)
    with pytest.raises(TooManyError):
        parts.enrolment.enrol("guess", csr, HERE)


def test_no_token_and_no_private_key_stands_in_the_state(parts: Parts) -> None:
    token = parts.enrolment.make_token("kiosk-1", actor="tess")
    content = b"".join(path.read_bytes() for path in (parts.folder / "state").iterdir())
    assert token.encode() not in content


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=120))
def test_whatever_a_stranger_sends_is_refused_by_a_typed_error(parts: Parts, device: str, csr: str, sig: str) -> None:
    good = signing_request("kiosk-1")
    attempts: list[Callable[[], EnrolAnswer]] = [
        lambda: parts.enrolment.enrol(sig, csr, HERE),
        lambda: parts.enrolment.enrol(sig, good, HERE),
        lambda: parts.enrolment.renew(device, csr, sig, HERE),
        lambda: parts.enrolment.renew(device, good, sig, HERE),
    ]
    for attempt in attempts:
        with pytest.raises((InputError, NotAllowedError, NotFoundError, TooManyError)):
            attempt()
