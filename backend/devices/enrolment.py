"""How a device comes in, stays in and is shut out: one-time token and signing request, renewal, withdrawal.

Enrolment (EST-style, DESIGN §12): 1 not too many attempts · 2 a readable request, signed by its own Ed25519 key ·
3 a token that is known, in time, and unused (or used for this very key: an answer may be lost on its way) · 4 the
device is in the registry · 5 the request names the device of the token. Renewal: 1 · 2 · 4 · a signature by the key
in force over the request instead of 3 · not withdrawn · 5. Nothing is written unless all of them hold.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from backend.accounts.audit import AuditLog
from backend.devices.authority import Authority, Issued, requested_key
from backend.devices.registry import LiveRegistry
from backend.devices.visitors import VisitTerms
from backend.errors import InputError, NotAllowedError, NotFoundError
from backend.web.security import ENROL, ENROL_REFUSED, RateLimits
from backend.web.words import N_
from contracts.registry import Device, RegistrySnapshot
from contracts.windows import to_ns
from stores.state.database import Database
from stores.state.devices import Certificate, Registry

TOKEN_LIFE_S: Final = 24 * 3600
TOKEN_BYTES: Final = 32
MAX_TOKEN_CHARS: Final = 128
RENEWAL_LABEL: Final = b"kioskwatch/reenrol/v1\x00"

_REFUSED: Final = N_("The token is unknown, used or out of date: make a new one on the device's page.")


class AssayAnswer(msgspec.Struct, frozen=True):
    """An assay of a layout."""

    code: str
    targets: list[str]


class LayoutAnswer(msgspec.Struct, frozen=True):
    """An assay layout and when it comes into force."""

    number: int
    valid_from_ns: int
    assays: list[AssayAnswer]


class BrokerAnswer(msgspec.Struct, frozen=True):
    """Where the device publishes."""

    host: str
    port: int
    tls: bool


class EnrolAnswer(msgspec.Struct, frozen=True):
    """All that a device needs to begin."""

    device: str
    certificate: str
    ca: str
    deployment_public_key: str
    broker: BrokerAnswer
    window_s: int
    utc_offset_s: int
    week_start: int
    district: str
    simulated: bool
    layouts: list[LayoutAnswer]
    # For kiosks alone, as the district file has it now; renewal brings changes.
    results_origin: str
    page_hash: str  # of the result page, printed on slip and screen
    languages: list[str]
    notice: dict[str, dict[str, str]] | None  # contracts.notice; None while it is not whole: no visits then


class EnrolmentService:
    """All that happens to devices' keys."""

    def __init__(  # noqa: PLR0913 - the ports of one use case, each named
        self,
        database: Database,
        *,
        authority: Authority,
        registry: LiveRegistry,
        audit: AuditLog,
        limits: RateLimits,
        now: Callable[[], datetime],
        deployment_key: str,
        broker: BrokerAnswer,
        simulated: bool,
    ) -> None:
        self._database = database
        self._authority = authority
        self._live = registry
        self._registry = Registry(database)
        self._audit = audit
        self._limits = limits
        self._now = now
        self._deployment_key = deployment_key
        self._broker = broker
        self._simulated = simulated
        self._visitors = VisitTerms(results_origin="", page_hash="", languages=(), notice=None)

    @property
    def ca(self) -> str:
        """The CA's certificate; public."""
        return self._authority.pem

    def tell_visitors(self, terms: VisitTerms) -> None:
        """Take what kiosks are told from now on."""
        self._visitors = terms

    def make_token(self, device: str, *, actor: str) -> str:
        """Return a one-time token for a device of the registry; earlier ones of that device end."""
        self._known(device)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._database.begin() as tx:
            self._registry.add_token(tx, _hash(token), device, self._now_s() + TOKEN_LIFE_S)
            self._audit.note(tx, actor, "token_made", f"device/{device}")
        return token

    def enrol(self, token: str, csr: str, address: str) -> EnrolAnswer:
        """Take a device in; InputError or NotAllowedError says which step refused it."""
        self._limits.hit(ENROL, address)  # 1
        self._limits.check(ENROL_REFUSED, address)
        try:
            return self._enrol(token, csr)
        except (InputError, NotAllowedError, NotFoundError):
            self._limits.count(ENROL_REFUSED, address)
            raise

    def _enrol(self, token: str, csr: str) -> EnrolAnswer:
        key = requested_key(csr)  # 2
        if not 0 < len(token) <= MAX_TOKEN_CHARS:
            raise NotAllowedError(_REFUSED)
        with self._database.begin() as tx:
            device = self._registry.use_token(tx, _hash(token), key, self._now_s())  # 3
            if device is None:
                raise NotAllowedError(_REFUSED)
            self._known(device)  # 4
            issued = self._authority.issue_device(device, csr, self._now())  # 5
            number = self._registry.enrol(tx, _row(device, issued), issued.public_key)
            self._audit.note(tx, f"device/{device}", "enrolled", f"device/{device}", fingerprint=issued.fingerprint)
        self._live.forget()
        if number > 1:  # the certificates of another key have ended
            self.write_revocations()
        return self._answer(device, issued)

    def renew(self, device: str, csr: str, signature: str, address: str) -> EnrolAnswer:
        """Give a device that still holds its key a new certificate."""
        self._limits.hit(ENROL, address)  # 1
        self._limits.check(ENROL_REFUSED, address)
        try:
            return self._renew(device, csr, signature)
        except (InputError, NotAllowedError, NotFoundError):
            self._limits.count(ENROL_REFUSED, address)
            raise

    def _renew(self, device: str, csr: str, signature: str) -> EnrolAnswer:
        requested_key(csr)  # 2
        known = self._known(device)  # 4
        if known.public_key is None or known.status != "active":
            raise NotAllowedError(N_("This device is not enrolled, or it was shut out: enrol it with a token."))
        if not _is_signed(known.public_key, RENEWAL_LABEL + csr.encode(), signature):
            raise NotAllowedError(N_("The request is not signed by the key with which the device enrolled."))
        issued = self._authority.issue_device(device, csr, self._now())  # 5
        with self._database.begin() as tx:
            self._registry.renew(tx, _row(device, issued), issued.public_key)
            self._audit.note(tx, f"device/{device}", "renewed", f"device/{device}", fingerprint=issued.fingerprint)
        self._live.forget()
        return self._answer(device, issued)

    def revoke(self, device: str, *, actor: str) -> int:
        """Shut a device out; return how many certificates that ends. Ingest and broker follow within a minute."""
        self._known(device)
        with self._database.begin() as tx:
            ended = self._registry.revoke(tx, device)
            self._audit.note(tx, actor, "device_revoked", f"device/{device}", certificates=str(ended))
        self._live.forget()
        self.write_revocations()
        return ended

    def write_revocations(self) -> None:
        """Bring crl.pem up to date; also at each start, in case the last one died before it."""
        self._authority.write_revocations(self._registry.revoked_serials(), self._now())

    def certificate(self, device: str) -> Certificate | None:
        """Return the certificate of a device that lasts longest."""
        found = self._registry.certificates(device)
        return found[0] if found else None

    def _known(self, device: str) -> Device:
        known = self._live.get().devices.get(device)
        if known is None:
            raise NotFoundError(N_("There is no such device in the district file."))
        return known

    def _now_s(self) -> int:
        return int(self._now().timestamp())

    def _answer(self, device: str, issued: Issued) -> EnrolAnswer:
        snapshot = self._live.get()
        district, visitors = snapshot.district, self._visitors
        return EnrolAnswer(
            device=device,
            certificate=issued.pem,
            ca=self._authority.pem,
            deployment_public_key=self._deployment_key,
            broker=self._broker,
            window_s=district.window_s,
            utc_offset_s=district.utc_offset_s,
            week_start=district.week_start,
            district=district.id,
            simulated=self._simulated,
            layouts=_layouts(snapshot),
            results_origin=visitors.results_origin,
            page_hash=visitors.page_hash,
            languages=list(visitors.languages),
            notice=None if visitors.notice is None else visitors.notice.texts(),
        )


def _layouts(snapshot: RegistrySnapshot) -> list[LayoutAnswer]:
    return [
        LayoutAnswer(
            number,
            snapshot.layouts[number].valid_from_ns,
            [AssayAnswer(assay.code, list(assay.targets)) for assay in snapshot.layouts[number].layout.assays],
        )
        for number in sorted(snapshot.layouts)
    ]


def _row(device: str, issued: Issued) -> Certificate:
    return Certificate(
        serial=issued.serial,
        device=device,
        not_after_ns=to_ns(issued.not_after),
        fingerprint=issued.fingerprint,
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()


def _is_signed(public_key: bytes, content: bytes, signature: str) -> bool:
    try:
        raw = base64.b64decode(signature + "=" * (-len(signature) % 4), altchars=b"-_", validate=True)
        Ed25519PublicKey.from_public_bytes(public_key).verify(raw, content)
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return True
