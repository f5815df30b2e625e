"""A device's own key and certificate, in its own folder (DESIGN section 12).

    device.key       Ed25519, made here, 0600, never copied: TLS client key and signer of envelopes
    device.pem ca.pem enrolment.json      what the backend answered; enrolment.json last, so it proves the others

Certificates live in real time; `now` is handed in. Renewal keeps the key and proves it by a signature.
"""

import base64
import json
import os
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from edge.adapters.http import Answer, BackendClient
from edge.core.enrolment import REENROL_LABEL, Enrolment, read_enrolment, write_enrolment
from edge.errors import EnrolmentError, EnrolmentRefusedError, SettingsError

RENEW_AT: Final = 2 / 3  # of a certificate's life
ASK_AGAIN_FOR_TERMS: Final = timedelta(days=1)  # each asking is a certificate
DAY_S: Final = 86_400
MAX_SENTENCE_CHARS: Final = 200
_LATER: Final = frozenset({408, 425, 429})  # 4xx that mean "not now" and not "no"
_OK: Final = 200
_CLIENT_ERRORS: Final = range(400, 500)


class Enroller:
    """Keys, certificate and enrolment of one device."""

    def __init__(
        self,
        folder: Path,
        device: str,
        client: BackendClient,
        now: Callable[[], datetime],
        *,
        wants_terms: bool = False,
    ) -> None:
        self._folder = folder
        self._device = device
        self._client = client
        self._now = now
        self._wants_terms = wants_terms  # a kiosk: without them it serves nobody
        self._asked = False
        self._key = self._load_or_make_key()

    @property
    def key(self) -> Ed25519PrivateKey:
        """The device's key."""
        return self._key

    @property
    def key_path(self) -> Path:
        """The device's key, for TLS."""
        return self._folder / "device.key"

    @property
    def certificate_path(self) -> Path:
        """The device's certificate, for TLS."""
        return self._folder / "device.pem"

    @property
    def ca_path(self) -> Path:
        """The district's CA."""
        return self._folder / "ca.pem"

    def current(self) -> Enrolment | None:
        """Return the enrolment that is kept here; None when there is none, or its certificate has run out."""
        try:
            enrolment = read_enrolment((self._folder / "enrolment.json").read_bytes(), self._device)
            self._check_certificate(enrolment)
        except (OSError, EnrolmentError):
            return None
        return enrolment if self.certificate_days() > 0 else None

    def enrol(self, token: str) -> Enrolment:
        """Ask for a certificate with a one-time token; EnrolmentRefusedError when an operator must act."""
        request = {"token": token, "csr": self._csr().decode()}
        return self._keep(self._client.post("/api/v1/enrol", json.dumps(request).encode()))

    def renew(self) -> Enrolment:
        """Ask for the next certificate, by the present key."""
        csr = self._csr()
        sig = base64.urlsafe_b64encode(self._key.sign(REENROL_LABEL + csr)).rstrip(b"=").decode()
        request = {"device": self._device, "csr": csr.decode(), "sig": sig}
        return self._keep(self._client.post("/api/v1/reenrol", json.dumps(request).encode()))

    def renewal_due(self) -> bool:
        """Tell whether two thirds of the certificate's life are over.

        A kiosk asks earlier, for what visitors are told: once after a start, daily while it has nothing to tell them.
        """
        certificate = self._certificate()
        if certificate is None:
            return True
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if self._now() >= begin + RENEW_AT * (end - begin):
            return True
        if not self._wants_terms or self._now() < begin + ASK_AGAIN_FOR_TERMS:
            return False
        return not self._asked or self._lacks_terms()

    def certificate_days(self) -> int:
        """Return how many whole days the certificate is good for; 0 or less when it is not."""
        certificate = self._certificate()
        if certificate is None:
            return 0
        return int((certificate.not_valid_after_utc - self._now()).total_seconds() // DAY_S) + 1

    def _lacks_terms(self) -> bool:
        kept = self.current()
        return kept is not None and isinstance(kept.visit_terms(), str)

    # --- files ------------------------------------------------------------------------------------------

    def _load_or_make_key(self) -> Ed25519PrivateKey:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self.key_path.exists():
                made = Ed25519PrivateKey.generate()
                self._write("device.key", made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            key = load_pem_private_key(self.key_path.read_bytes(), None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as exc:
            raise SettingsError(f"{self.key_path} cannot be used: {exc}") from exc
        if not isinstance(key, Ed25519PrivateKey):
            raise SettingsError(f"{self.key_path} is no Ed25519 key")
        return key

    def _write(self, name: str, content: bytes) -> None:
        """Replace a file, durably and for its owner alone."""
        temporary = self._folder / f".{name}.{secrets.token_hex(4)}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._folder / name)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _certificate(self) -> x509.Certificate | None:
        try:
            return x509.load_pem_x509_certificate(self.certificate_path.read_bytes())
        except (OSError, ValueError):
            return None

    # --- the exchange -----------------------------------------------------------------------------------

    def _csr(self) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._device)])
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(self._key, None)
        return request.public_bytes(Encoding.PEM)

    def _keep(self, answer: Answer) -> Enrolment:
        if answer.status != _OK:
            raise _refusal(answer)
        enrolment = read_enrolment(answer.body, self._device)
        self._check_certificate(enrolment)
        try:
            self._write("ca.pem", enrolment.ca.encode())
            self._write("device.pem", enrolment.certificate.encode())
            self._write("enrolment.json", write_enrolment(enrolment))
        except OSError as exc:
            raise EnrolmentError(f"the certificate cannot be kept: {exc.strerror}") from exc
        self._asked = True
        return enrolment

    def _check_certificate(self, enrolment: Enrolment) -> None:
        """Refuse a certificate that is not for this device's key and name: the broker would refuse it later."""
        try:
            certificate = x509.load_pem_x509_certificate(enrolment.certificate.encode())
            x509.load_pem_x509_certificate(enrolment.ca.encode())
            held = certificate.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        except (ValueError, UnsupportedAlgorithm) as exc:
            raise EnrolmentError("the answer's certificate cannot be read") from exc
        names = [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        own = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        if held != own or names != [self._device]:
            raise EnrolmentError("the answer's certificate is for another key or device")


def _refusal(answer: Answer) -> EnrolmentError:
    """Return what an answer other than 200 means."""
    try:
        sentence = str(json.loads(answer.body)["error"])
    except (ValueError, KeyError, TypeError):
        sentence = f"status {answer.status}"
    shown = "".join(c if c.isprintable() else "?" for c in sentence[:MAX_SENTENCE_CHARS])
    if answer.status in _CLIENT_ERRORS and answer.status not in _LATER:
        return EnrolmentRefusedError(f"the backend refuses: {shown}")
    return EnrolmentError(f"the backend says: {shown}")
