"""What a device is told when it enrols, checked before a byte of it is kept. Pure."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from contracts.errors import ContractError
from contracts.layout import Assay, AssayLayout
from contracts.notice import LANGUAGES, Notice
from contracts.windows import WEEKDAYS, Calendar
from edge.core.layouts import LayoutBook, layout_book
from edge.errors import EnrolmentError

MAX_ANSWER_BYTES: Final = 256 * 1024  # a hundred layouts of the largest size are below it
REENROL_LABEL: Final = b"kioskwatch/reenrol/v1\x00"
MAX_ORIGIN_CHARS: Final = 100  # as district.toml allows: a slip's QR holds it beside the code

_ORIGIN: Final = re.compile(r"https?://[a-z0-9.:\[\]-]+")
_PAGE_HASH: Final = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class VisitTerms:
    """What a kiosk has to tell a visitor before anything is tested; all of it, or no visit starts."""

    results_origin: str  # printed on the slip, in front of the fragment
    page_hash: str  # of the result page's files
    languages: tuple[str, ...]  # as the screen offers them, the district's own first
    notice: Notice


class BrokerAddress(msgspec.Struct, frozen=True):
    """Where the broker is."""

    host: str
    port: int
    tls: bool


class _AssayEntry(msgspec.Struct, frozen=True):
    code: str
    targets: list[str]


class _LayoutEntry(msgspec.Struct, frozen=True):
    number: int
    valid_from_ns: int
    assays: list[_AssayEntry]


class Enrolment(msgspec.Struct, frozen=True):
    """The backend's answer; a newer backend may say more than this agent reads."""

    device: str
    certificate: str
    ca: str
    deployment_public_key: str
    broker: BrokerAddress
    window_s: int
    utc_offset_s: int
    week_start: int | str
    district: str
    layouts: list[_LayoutEntry]
    simulated: bool | None = None
    # For kiosks; a backend from before the result page says none of them, and other devices need none.
    results_origin: str = ""
    page_hash: str = ""
    languages: tuple[str, ...] = ()
    notice: Notice | None = None

    def visit_terms(self) -> VisitTerms | str:
        """Return what visitors are told, or the sentence why no visit may start."""
        if not self.results_origin or self.notice is None:
            missing = "[results] origin" if not self.results_origin else "[notice]"
            return (
                f"no visits start: the district's {missing} is not whole; complete district.toml and start the backend "
                "again: this kiosk asks within a day"
            )
        if not self.page_hash or not self.languages:
            return "no visits start: the backend told no result page; update it, then let this device enrol again"
        return VisitTerms(self.results_origin, self.page_hash, self.languages, self.notice)

    def calendar(self) -> Calendar:
        """Return the district's windows."""
        start = self.week_start if isinstance(self.week_start, int) else WEEKDAYS.index(self.week_start.lower())
        return Calendar(window_s=self.window_s, utc_offset_s=self.utc_offset_s, week_start=start)

    def layout_book(self) -> LayoutBook:
        """Return the layouts."""
        return layout_book(
            [
                (one.valid_from_ns, AssayLayout(one.number, tuple(Assay(a.code, tuple(a.targets)) for a in one.assays)))
                for one in self.layouts
            ]
        )

    def deployment_key(self) -> Ed25519PublicKey:
        """Return the key that signs what a device is told."""
        padded = self.deployment_public_key + "=" * (-len(self.deployment_public_key) % 4)
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(padded, altchars=b"-_", validate=True))


def write_enrolment(enrolment: Enrolment) -> bytes:
    """Return the answer as `read_enrolment` reads it, to be kept."""
    return msgspec.json.encode(enrolment, enc_hook=_plain)


def read_enrolment(content: bytes, device: str) -> Enrolment:
    """Read an answer, or the file it was kept in; EnrolmentError when it is not one for this device."""
    if len(content) > MAX_ANSWER_BYTES:
        raise EnrolmentError(f"the answer has more than {MAX_ANSWER_BYTES} bytes")
    try:
        enrolment = msgspec.json.decode(content, type=Enrolment)
        enrolment.calendar()
        enrolment.layout_book()
        enrolment.deployment_key()
        _check_visitors(enrolment)
    except (msgspec.MsgspecError, UnicodeDecodeError, ContractError, binascii.Error, ValueError) as exc:
        raise EnrolmentError(f"the answer cannot be used: {exc}") from exc
    if enrolment.device != device:
        raise EnrolmentError("the answer is for another device")
    return enrolment


def _check_visitors(enrolment: Enrolment) -> None:
    """ValueError for what slip and screen could not carry; nothing at all is fine."""
    origin, languages = enrolment.results_origin, enrolment.languages
    if origin and (len(origin) > MAX_ORIGIN_CHARS or _ORIGIN.fullmatch(origin) is None):
        raise ValueError("results_origin is no origin")
    if enrolment.page_hash and _PAGE_HASH.fullmatch(enrolment.page_hash) is None:
        raise ValueError("page_hash is not 16 hex digits")
    if not set(languages) <= set(LANGUAGES) or len(set(languages)) != len(languages):
        raise ValueError(f"languages are some of {', '.join(LANGUAGES)}, each once")


def _plain(value: Any) -> dict[str, str]:  # noqa: ANN401 - msgspec hands over what it does not know
    return dict(value)  # a notice's texts, which nobody may change
