"""The development CA against two independent readers: `openssl verify` and cryptography's own path validation."""

import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hypothesis import given
from hypothesis import strategies as st

from backend.devices.authority import (
    DEVICE_DAYS,
    Authority,
    Issued,
    certificate_facts,
    ensure_authority,
    ensure_deployment_key,
    issue_gateway,
    issue_server,
)
from backend.errors import AuthorityError, InputError

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def signing_request(name: str, key: Ed25519PrivateKey | None = None) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateSigningRequestBuilder(subject).sign(key or Ed25519PrivateKey.generate(), None)
    return made.public_bytes(Encoding.PEM).decode()


def issued(folder: Path, name: str = "kiosk-1") -> Issued:
    return ensure_authority(folder, NOW).issue_device(name, signing_request(name), NOW)


def openssl_verify(folder: Path, certificate: str, purpose: str, *extra: str) -> subprocess.CompletedProcess[str]:
    path = folder / "tried.pem"
    path.write_text(certificate)
    at = str(int(NOW.timestamp()))
    authority = str(folder / "ca.pem")
    command = ["openssl", "verify", "-x509_strict", "-attime", at, "-purpose", purpose, "-CAfile", authority]
    return subprocess.run([*command, *extra, str(path)], capture_output=True, text=True, check=False)


def test_openssl_accepts_a_devices_certificate_as_a_client_and_as_nothing_else(tmp_path: Path) -> None:
    pem = issued(tmp_path).pem
    assert openssl_verify(tmp_path, pem, "sslclient").returncode == 0
    assert openssl_verify(tmp_path, pem, "sslserver").returncode != 0


def test_cryptography_validates_the_path_of_the_servers_certificate_for_each_name(tmp_path: Path) -> None:
    issue_server(tmp_path, ["kiosk.example"], NOW)
    store = Store([x509.load_pem_x509_certificate((tmp_path / "ca.pem").read_bytes())])
    leaf = x509.load_pem_x509_certificate((tmp_path / "server.pem").read_bytes())
    for name in ("kiosk.example", "localhost"):
        PolicyBuilder().store(store).time(NOW).build_server_verifier(x509.DNSName(name)).verify(leaf, [])
    with pytest.raises(VerificationError):
        PolicyBuilder().store(store).time(NOW).build_server_verifier(x509.DNSName("other.example")).verify(leaf, [])


def test_openssl_accepts_the_servers_and_the_gateways_certificates_for_their_own_purpose_only(tmp_path: Path) -> None:
    issue_server(tmp_path, ["10.1.2.3"], NOW)
    issue_gateway(tmp_path, NOW)
    server, gateway = (tmp_path / "server.pem").read_text(), (tmp_path / "gateway.pem").read_text()
    assert openssl_verify(tmp_path, server, "sslserver", "-verify_ip", "10.1.2.3").returncode == 0
    assert openssl_verify(tmp_path, server, "sslclient").returncode != 0
    assert openssl_verify(tmp_path, gateway, "sslclient").returncode == 0
    assert openssl_verify(tmp_path, gateway, "sslserver").returncode != 0
    assert certificate_facts(gateway).subject == "_gw-main"


def test_a_device_certificate_lasts_thirty_days_and_names_only_the_device(tmp_path: Path) -> None:
    got = issued(tmp_path, "air-7")
    facts = certificate_facts(got.pem)
    assert (facts.subject, facts.not_after - NOW) == ("air-7", timedelta(days=DEVICE_DAYS))
    assert facts.fingerprint == got.fingerprint
    certificate = x509.load_pem_x509_certificate(got.pem.encode())
    assert f"{certificate.serial_number:x}" == got.serial
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_withdrawn_certificate_is_refused_by_openssl_and_its_neighbour_is_not(tmp_path: Path) -> None:
    gone, stays = issued(tmp_path, "kiosk-1"), issued(tmp_path, "kiosk-2")
    ensure_authority(tmp_path, NOW).write_revocations([gone.serial], NOW)
    crl = ("-crl_check", "-CRLfile", str(tmp_path / "crl.pem"))
    refused = openssl_verify(tmp_path, gone.pem, "sslclient", *crl)
    assert refused.returncode != 0
    assert "revoked" in refused.stderr
    assert openssl_verify(tmp_path, stays.pem, "sslclient", *crl).returncode == 0


def test_a_list_of_withdrawn_certificates_is_there_from_the_start(tmp_path: Path) -> None:
    pem = issued(tmp_path).pem
    assert (
        openssl_verify(tmp_path, pem, "sslclient", "-crl_check", "-CRLfile", str(tmp_path / "crl.pem")).returncode == 0
    )


def test_requests_are_refused_for_another_name_another_kind_of_key_and_a_foreign_signature(tmp_path: Path) -> None:
    authority = ensure_authority(tmp_path, NOW)
    with pytest.raises(InputError, match="common name"):
        authority.issue_device("kiosk-1", signing_request("kiosk-2"), NOW)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kiosk-1")])
    weak = x509.CertificateSigningRequestBuilder(subject).sign(generate_ec(SECP256R1()), hashes.SHA256())
    with pytest.raises(InputError, match="Ed25519"):
        authority.issue_device("kiosk-1", weak.public_bytes(Encoding.PEM).decode(), NOW)
    # Exchange the public key inside a signed request for another one: the signature no longer fits.
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    der = x509.load_pem_x509_csr(signing_request("kiosk-1", key).encode()).public_bytes(Encoding.DER)
    own, foreign = (k.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) for k in (key, other))
    forged = x509.load_der_x509_csr(der.replace(own, foreign)).public_bytes(Encoding.PEM).decode()
    with pytest.raises(InputError, match="signed"):
        authority.issue_device("kiosk-1", forged, NOW)


@given(st.text(max_size=300) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
def test_any_text_that_is_no_request_gives_the_typed_error(text: str) -> None:
    key = generate_ec(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
    certificate = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + timedelta(days=1)).sign(
        key, hashes.SHA256()
    )
    with pytest.raises(InputError):
        Authority(Path("/nonexistent"), key, certificate).issue_device("kiosk-1", text, NOW)


def test_private_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    issue_server(tmp_path, ["localhost"], NOW)
    issue_gateway(tmp_path, NOW)
    ensure_deployment_key(tmp_path)
    for key in tmp_path.glob("*.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600, key.name
    assert not list(tmp_path.glob(".*"))


def test_a_second_start_changes_nothing_and_a_late_one_renews_the_server(tmp_path: Path) -> None:
    def everything(now: datetime) -> dict[str, bytes]:
        issue_server(tmp_path, ["localhost"], now)
        issue_gateway(tmp_path, now)
        ensure_deployment_key(tmp_path)
        return {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    first, second = everything(NOW), everything(NOW + timedelta(hours=1))
    assert first == second
    late = everything(NOW + timedelta(days=380))
    assert {name for name in late if late[name] != first[name]} == {
        "server.key",
        "server.pem",
        "gateway.key",
        "gateway.pem",
    }


def test_a_new_name_renews_the_servers_certificate(tmp_path: Path) -> None:
    issue_server(tmp_path, ["localhost"], NOW)
    before = certificate_facts((tmp_path / "server.pem").read_bytes())
    issue_server(tmp_path, ["console.example"], NOW)
    assert certificate_facts((tmp_path / "server.pem").read_bytes()).fingerprint != before.fingerprint


def test_a_start_that_died_between_key_and_certificate_goes_on_with_the_same_key(tmp_path: Path) -> None:
    ensure_authority(tmp_path, NOW)
    key = (tmp_path / "ca.key").read_bytes()
    (tmp_path / "ca.pem").unlink()
    ensure_authority(tmp_path, NOW)
    assert (tmp_path / "ca.key").read_bytes() == key


@pytest.mark.parametrize("damaged", ["ca.key", "ca.pem"])
def test_a_damaged_ca_is_an_error_with_the_files_name(tmp_path: Path, damaged: str) -> None:
    ensure_authority(tmp_path, NOW)
    (tmp_path / damaged).write_text("-----BEGIN NOTHING-----\n")
    with pytest.raises(AuthorityError, match=damaged):
        ensure_authority(tmp_path, NOW)


def test_a_lost_ca_key_and_a_foreign_one_stop_the_start(tmp_path: Path) -> None:
    ensure_authority(tmp_path / "a", NOW)
    ensure_authority(tmp_path / "b", NOW)
    (tmp_path / "a" / "ca.key").write_bytes((tmp_path / "b" / "ca.key").read_bytes())
    with pytest.raises(AuthorityError, match="do not belong together"):
        ensure_authority(tmp_path / "a", NOW)
    (tmp_path / "b" / "ca.key").unlink()
    with pytest.raises(AuthorityError, match="restore it from the backup"):
        ensure_authority(tmp_path / "b", NOW)
