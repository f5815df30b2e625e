"""Who was shut out stays out: by token, by an older key, by a renewal under way, by a page that is still open."""

import asyncio

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from backend.errors import NotAllowedError
from backend.web.live import LiveHub
from stores.errors import ConflictError
from stores.state.devices import Certificate, Registry
from tests.unit.backend.conftest import NOW_NS, Parts
from tests.unit.backend.test_authority import signing_request
from tests.unit.backend.test_enrolment import HERE, enrol, known


def _listed(parts: Parts) -> set[int]:
    listed = x509.load_pem_x509_crl((parts.folder / "ca" / "crl.pem").read_bytes())
    return {one.serial_number for one in listed}


def _serial(pem: str) -> int:
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def test_a_device_that_was_shut_out_cannot_come_back_with_the_token_it_once_used(parts: Parts) -> None:
    key = Ed25519PrivateKey.generate()
    token = parts.enrolment.make_token("kiosk-1", actor="tess")
    parts.enrolment.enrol(token, signing_request("kiosk-1", key), HERE)
    parts.enrolment.revoke("kiosk-1", actor="tess")
    with pytest.raises(NotAllowedError):
        parts.enrolment.enrol(token, signing_request("kiosk-1", key), HERE)
    assert known(parts).status == "revoked"


def test_a_token_that_was_not_used_yet_ends_with_the_shutting_out(parts: Parts) -> None:
    token = parts.enrolment.make_token("kiosk-1", actor="tess")
    parts.enrolment.revoke("kiosk-1", actor="tess")
    with pytest.raises(NotAllowedError):
        parts.enrolment.enrol(token, signing_request("kiosk-1", Ed25519PrivateKey.generate()), HERE)


def test_a_new_key_ends_the_certificates_of_the_one_before(parts: Parts) -> None:
    first = enrol(parts, Ed25519PrivateKey.generate())
    second = enrol(parts, Ed25519PrivateKey.generate())
    assert _listed(parts) == {_serial(first.certificate)}
    assert _serial(second.certificate) not in _listed(parts)


def test_the_same_key_enrolled_again_keeps_its_certificates(parts: Parts) -> None:
    key = Ed25519PrivateKey.generate()
    enrol(parts, key)
    enrol(parts, key)
    assert _listed(parts) == set()


def test_a_renewal_that_was_under_way_during_the_shutting_out_gives_no_certificate(parts: Parts) -> None:
    enrol(parts, Ed25519PrivateKey.generate())
    registry = Registry(parts.database)
    parts.enrolment.revoke("kiosk-1", actor="tess")
    late = Certificate(serial="ab12", device="kiosk-1", not_after_ns=NOW_NS, fingerprint="00")
    with pytest.raises(ConflictError), parts.database.begin() as tx:
        registry.renew(tx, late, bytes(32))
    assert all(one.revoked for one in registry.certificates("kiosk-1"))


def test_a_stream_ends_with_the_session_also_when_events_come_faster_than_beats() -> None:
    async def scene() -> list[bytes]:
        hub = LiveHub(heartbeat_s=60)
        hub.start()
        signed_in = True
        stream = hub.stream("a", lambda: signed_in)
        heard = [await anext(stream)]
        hub.publish("tick")
        heard.append(await asyncio.wait_for(anext(stream), 2))
        signed_in = False
        hub.publish("tick")
        return heard + [chunk async for chunk in stream]

    assert asyncio.run(scene()) == [b"retry: 2000\n\n", b"event: tick\ndata: {}\n\n"]
