"""What a device is told when it enrols, checked before a byte of it is kept. Pure."""

import base64
import binascii
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from contracts.errors import ContractError
from contracts.layout import Assay, AssayLayout
from contracts.windows import WEEKDAYS, Calendar
from edge.core.layouts import LayoutBook, layout_book
from edge.errors import EnrolmentError

MAX_ANSWER_BYTES: Final = 256 * 1024  # a hundred layouts of the largest size are below it
REENROL_LABEL: Final = b"kioskwatch/reenrol/v1\x00"


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


def read_enrolment(content: bytes, device: str) -> Enrolment:
    """Read an answer, or the file it was kept in; EnrolmentError when it is not one for this device."""
    if len(content) > MAX_ANSWER_BYTES:
        raise EnrolmentError(f"the answer has more than {MAX_ANSWER_BYTES} bytes")
    try:
        enrolment = msgspec.json.decode(content, type=Enrolment)
        enrolment.calendar()
        enrolment.layout_book()
        enrolment.deployment_key()
    except (msgspec.MsgspecError, UnicodeDecodeError, ContractError, binascii.Error, ValueError) as exc:
        raise EnrolmentError(f"the answer cannot be used: {exc}") from exc
    if enrolment.device != device:
        raise EnrolmentError("the answer is for another device")
    return enrolment
