"""The development CA: makes the district's keys, issues certificates, withdraws them. Files in, files out.

    ca.key ca.pem            P-256, signs everything below; the key is read by the backend alone
    crl.pem                  what is withdrawn; always there, so that a broker may demand it
    server.key server.pem    P-256, broker and console (serverAuth)
    gateway.key gateway.pem  P-256, ingest at the broker: CN=_gw-main (clientAuth)
    deployment.key .pub      Ed25519, signs what devices are told; the private half is read by ingest alone
    sharing.key .pub         Ed25519, signs packages for authorities; made at the first use

Devices make their own keys and send a signing request; no private key of a device is ever here (DESIGN §12).
Certificates live in real time, so callers hand in the real `now`. Each `ensure`/`issue` may be called at every start.
"""

import base64
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from backend.errors import AuthorityError, InputError
from backend.web.words import N_
from contracts.sharing import public_text

GATEWAY_NAME: Final = "_gw-main"
DEVICE_DAYS: Final = 30  # DESIGN §12; the device renews at two thirds
SERVER_DAYS: Final = 397  # the longest that browsers accept
AUTHORITY_DAYS: Final = 3650
RENEW_BEFORE_DAYS: Final = 30
BACKDATE: Final = timedelta(minutes=5)  # a device whose clock is a little behind must not refuse its certificate
MAX_CSR_BYTES: Final = 8192  # a request for an Ed25519 key is below 500

# X.509 key usage of the two ends; named once so that no certificate can sign another.
_LEAF_USAGE: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
_AUTHORITY_USAGE: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a person wants to know of a certificate."""

    subject: str
    not_before: datetime
    not_after: datetime
    fingerprint: str  # SHA-256 over DER, hex


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate for a device, as the registry keeps it."""

    pem: str
    serial: str
    public_key: bytes  # 32 bytes, Ed25519
    not_after: datetime
    fingerprint: str


class Authority:
    """The CA, opened: issues to devices and withdraws."""

    def __init__(self, folder: Path, key: EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._folder = folder
        self._key = key
        self._certificate = certificate

    @property
    def pem(self) -> str:
        """The CA's own certificate."""
        return self._certificate.public_bytes(Encoding.PEM).decode()

    def issue_device(self, device: str, csr_pem: str, now: datetime) -> Issued:
        """Sign a device's request; InputError says what is wrong with it.

        1 size · 2 readable · 3 an Ed25519 key · 4 signed by that key · 5 CN is the device the token was made for.
        Nothing else of the request is taken over: a device cannot ask for another purpose or a longer life.
        """
        request, public = _checked_request(csr_pem)  # 1-4
        names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if [name.value for name in names] != [device]:  # 5
            raise InputError(N_("The common name in the signing request must be the device's id."))
        builder = _leaf(_name(device), now, timedelta(days=DEVICE_DAYS), (ExtendedKeyUsageOID.CLIENT_AUTH,))
        certificate = self._sign(builder.public_key(public))
        return Issued(
            pem=certificate.public_bytes(Encoding.PEM).decode(),
            serial=f"{certificate.serial_number:x}",
            public_key=public.public_bytes(Encoding.Raw, PublicFormat.Raw),
            not_after=certificate.not_valid_after_utc,
            fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        )

    def issue_own(self, name: str, names: Sequence[str], purpose: x509.ObjectIdentifier, now: datetime) -> None:
        """Write `name`.key and `name`.pem unless a good pair with these names is there."""
        paths = self._folder / f"{name}.key", self._folder / f"{name}.pem"
        if _still_good(*paths, self._certificate, names, now):
            return
        key = generate_private_key(SECP256R1())
        subject = names[0] if names else name
        builder = _leaf(_name(subject), now, timedelta(days=SERVER_DAYS), (purpose,)).public_key(key.public_key())
        if purpose == ExtendedKeyUsageOID.SERVER_AUTH:
            builder = builder.add_extension(x509.SubjectAlternativeName(_alternatives(names)), critical=False)
        _write_secret(paths[0], key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        _write(paths[1], self._sign(builder).public_bytes(Encoding.PEM))

    def write_revocations(self, serials: Iterable[str], now: datetime) -> None:
        """Replace crl.pem. It never expires in practice: a stale list would shut every device out."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now - BACKDATE)
            .next_update(now + timedelta(days=AUTHORITY_DAYS))
        )
        for serial in serials:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(int(serial, 16)).revocation_date(now - BACKDATE).build()
            )
        _write(self._folder / "crl.pem", builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def _sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        own = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return (
            builder.issuer_name(self._certificate.subject)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def ensure_authority(folder: Path, now: datetime) -> Authority:
    """Open the CA in `folder`, making it at the first start; AuthorityError when its files are damaged."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key_path, certificate_path = folder / "ca.key", folder / "ca.pem"
    if not certificate_path.exists():
        _make_authority(key_path, certificate_path, now)
    key, certificate = _read_key(key_path), _read_certificate(certificate_path)
    if key.public_key() != certificate.public_key():
        raise AuthorityError("ca.key and ca.pem in %(folder)s do not belong together.", folder=folder)
    authority = Authority(folder, key, certificate)
    if not (folder / "crl.pem").exists():
        authority.write_revocations((), now)
    return authority


def issue_server(folder: Path, names: Sequence[str], now: datetime) -> None:
    """Make or renew server.key and server.pem for these host names and addresses."""
    wanted = list(dict.fromkeys([*names, "localhost", "127.0.0.1"]))
    ensure_authority(folder, now).issue_own("server", wanted, ExtendedKeyUsageOID.SERVER_AUTH, now)


def issue_gateway(folder: Path, now: datetime) -> None:
    """Make or renew gateway.key and gateway.pem, with which ingest signs in to the broker."""
    ensure_authority(folder, now).issue_own("gateway", [GATEWAY_NAME], ExtendedKeyUsageOID.CLIENT_AUTH, now)


def ensure_deployment_key(folder: Path) -> None:
    """Make deployment.key and deployment.pub unless they are there; the public half is given out at enrolment."""
    if (folder / "deployment.key").exists() and (folder / "deployment.pub").exists():
        return
    raw = _ensure_signing_key(folder, "deployment").public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    _write(folder / "deployment.pub", base64.urlsafe_b64encode(raw).rstrip(b"=") + b"\n")


def ensure_sharing_key(folder: Path) -> Ed25519PrivateKey:
    """Return the key that signs packages for authorities, made at its first use; AuthorityError when it is damaged."""
    key = _ensure_signing_key(folder, "sharing")
    _write(folder / "sharing.pub", public_text(key.public_key()).encode() + b"\n")
    return key


def _ensure_signing_key(folder: Path, name: str) -> Ed25519PrivateKey:
    key_path = folder / f"{name}.key"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not key_path.exists():
        fresh = Ed25519PrivateKey.generate()
        _write_secret(key_path, fresh.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key = _load_key(key_path)
    if not isinstance(key, Ed25519PrivateKey):
        raise AuthorityError("%(path)s is not an Ed25519 key.", path=key_path)
    return key


def certificate_facts(pem: bytes | str) -> CertificateFacts:
    """Read a certificate for people; AuthorityError when it is none."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode() if isinstance(pem, str) else pem)
    except ValueError as exc:
        raise AuthorityError("This is no certificate in PEM form.") from exc
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return CertificateFacts(
        subject=str(names[0].value) if names else "",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def _make_authority(key_path: Path, certificate_path: Path, now: datetime) -> None:
    # The key first: a start that died between the two files goes on with the same key, never with a second CA.
    if not key_path.exists():
        fresh = generate_private_key(SECP256R1())
        _write_secret(key_path, fresh.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key = _read_key(key_path)
    subject = _name("kioskwatch development CA")
    certificate = (
        x509.CertificateBuilder(issuer_name=subject, subject_name=subject, serial_number=x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_AUTHORITY_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(certificate_path, certificate.public_bytes(Encoding.PEM))


def _leaf(
    subject: x509.Name, now: datetime, life: timedelta, purposes: Sequence[x509.ObjectIdentifier]
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder(subject_name=subject, serial_number=x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_LEAF_USAGE, critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternatives(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def requested_key(csr_pem: str) -> bytes:
    """Return the 32 bytes of the Ed25519 key in a signing request; InputError as `issue_device`, steps 1 to 4."""
    return _checked_request(csr_pem)[1].public_bytes(Encoding.Raw, PublicFormat.Raw)


def _checked_request(csr_pem: str) -> tuple[x509.CertificateSigningRequest, Ed25519PublicKey]:
    request = _read_request(csr_pem)
    public = request.public_key()
    if not isinstance(public, Ed25519PublicKey):  # 3
        raise InputError(N_("The signing request must hold an Ed25519 key."))
    if not _is_self_signed(request):  # 4
        raise InputError(N_("The signing request is not signed by its own key."))
    return request, public


def _read_request(csr_pem: str) -> x509.CertificateSigningRequest:
    if len(csr_pem) > MAX_CSR_BYTES:  # 1
        raise InputError(N_("The signing request is too long."))
    try:
        return x509.load_pem_x509_csr(csr_pem.encode())  # 2
    except (ValueError, UnicodeEncodeError) as exc:
        raise InputError(N_("The signing request cannot be read: it must be PKCS#10 in PEM form.")) from exc


def _is_self_signed(request: x509.CertificateSigningRequest) -> bool:
    try:
        return request.is_signature_valid
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False


def _still_good(
    key_path: Path, certificate_path: Path, authority: x509.Certificate, names: Sequence[str], now: datetime
) -> bool:
    if not key_path.exists() or not certificate_path.exists():
        return False
    key, certificate = _read_key(key_path), _read_certificate(certificate_path)
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    lasts = certificate.not_valid_after_utc - now > timedelta(days=RENEW_BEFORE_DAYS)
    return lasts and key.public_key() == certificate.public_key() and _names_of(certificate) >= set(names)


def _names_of(certificate: x509.Certificate) -> set[str]:
    names = {str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return names
    return names | {str(name.value) for name in alternatives}


def _load_key(path: Path) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise AuthorityError("%(path)s cannot be read: restore it from the backup.", path=path) from exc


def _read_key(path: Path) -> EllipticCurvePrivateKey:
    key = _load_key(path)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise AuthorityError("%(path)s is not a P-256 key.", path=path)
    return key


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as exc:
        raise AuthorityError("%(path)s cannot be read: restore it from the backup.", path=path) from exc


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)


def _write_secret(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_bytes(content)
    fresh.replace(path)
