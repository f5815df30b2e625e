"""Sealed records: one result for one holder of a code, 256 bytes whatever it says (DESIGN §6). No I/O.

Plain text of 192 bytes: `origin(16) ‖ length(2, big-endian) ‖ body ‖ zeros`. HPKE base mode (RFC 9180), X25519,
HKDF-SHA256, AES-128-GCM, with `info = "kioskwatch/result/v1" ‖ slot`, so that a record moved to another slot does
not open. A record is `slot(16) ‖ encapsulated key(32) ‖ cipher text(208)`. The public key is never published: a
record that opens and carries the right origin was sealed by the kiosk, or by who holds the code.
"""

import datetime
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, Self, get_args

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from contracts.claim import KEY_BYTES, ORIGIN_BYTES, SLOT_BYTES, ClaimKeys
from contracts.errors import SealError
from contracts.topics import MAX_NAME_CHARS

INFO: Final = b"kioskwatch/result/v1"
RECORD_BYTES: Final = 256
PLAIN_BYTES: Final = 192
_LENGTH_BYTES = 2
_BODY_AT = ORIGIN_BYTES + _LENGTH_BYTES
MAX_BODY_BYTES: Final = PLAIN_BYTES - _BODY_AT  # 174
MAX_CALLS: Final = 4
BODY_VERSION: Final = 1
PRACTICE_TARGET: Final = "practice"  # the one target of the practice record: nobody mistakes it for a result

Advice = Literal["none", "confirm", "repeat"]
Call = Literal["positive", "negative", "inconclusive", "invalid"]
CALLS: Final[tuple[Call, ...]] = get_args(Call)

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_128_GCM)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TARGET = re.compile(rf"[A-Za-z0-9][A-Za-z0-9.-]{{0,{MAX_NAME_CHARS - 1}}}")
_DUMMY_DAY = "2000-01-01"


def seal(slot: bytes, public_key: bytes, origin: bytes, body: bytes) -> bytes:
    """Return the record of 256 bytes; SealError for a body above 174 bytes or a part of another length."""
    if (len(slot), len(public_key), len(origin)) != (SLOT_BYTES, KEY_BYTES, ORIGIN_BYTES):
        raise SealError("a slot has 16 bytes, a public key 32 and an origin 16")
    if len(body) > MAX_BODY_BYTES:
        raise SealError(f"a body has at most {MAX_BODY_BYTES} bytes, not {len(body)}")
    plain = origin + len(body).to_bytes(_LENGTH_BYTES) + body
    try:
        key = X25519PublicKey.from_public_bytes(public_key)
        return slot + _SUITE.encrypt(plain.ljust(PLAIN_BYTES, b"\0"), key, info=INFO + slot)
    except ValueError as exc:  # a point of low order
        raise SealError("not a public key that anything can be sealed to") from exc


def open_record(keys: ClaimKeys, record: bytes) -> bytes:
    """Return the body of a record that was sealed for these keys; SealError on anything else."""
    if len(record) != RECORD_BYTES:
        raise SealError(f"a record has {RECORD_BYTES} bytes")
    if not hmac.compare_digest(record[:SLOT_BYTES], keys.slot):
        raise SealError("the record of another slot")
    try:
        key = X25519PrivateKey.from_private_bytes(keys.private_key)
        plain = _SUITE.decrypt(record[SLOT_BYTES:], key, info=INFO + keys.slot)
    except (InvalidTag, ValueError) as exc:
        raise SealError("a record that does not open") from exc
    length = int.from_bytes(plain[ORIGIN_BYTES:_BODY_AT])
    if not hmac.compare_digest(plain[:ORIGIN_BYTES], keys.origin) or length > MAX_BODY_BYTES:
        raise SealError("a record that no kiosk of ours sealed")
    body, padding = plain[_BODY_AT : _BODY_AT + length], plain[_BODY_AT + length :]
    if any(padding):
        raise SealError("a record that no kiosk of ours sealed")
    return body


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    v: Literal[1]
    day: str
    advice: Advice
    calls: list[tuple[str, Call]]


@dataclass(frozen=True, slots=True)
class ResultBody:
    """What a sealed result says: the district's day, advice, and a call for each target. No time, no place, no Cq."""

    day: str
    advice: Advice
    calls: tuple[tuple[str, Call], ...]

    def __post_init__(self) -> None:
        try:
            datetime.date.fromisoformat(self.day if _DAY.fullmatch(self.day) else "")
        except ValueError as exc:
            raise SealError("a day is written YYYY-MM-DD") from exc
        targets = [target for target, _ in self.calls]
        if len(targets) > MAX_CALLS or len(set(targets)) != len(targets):
            raise SealError(f"a result has at most {MAX_CALLS} different targets")
        if not all(map(_TARGET.fullmatch, targets)):
            raise SealError("a target is a code of letters, digits, '.' and '-'")
        if self.advice not in get_args(Advice) or any(call not in CALLS for _, call in self.calls):
            raise SealError("not a call or an advice of ours")

    def encode(self) -> bytes:
        """Return the JSON; SealError when it does not fit a record."""
        body = msgspec.json.encode(_Body(BODY_VERSION, self.day, self.advice, list(self.calls)))
        if len(body) > MAX_BODY_BYTES:
            raise SealError(f"these targets need {len(body)} bytes, and a record holds {MAX_BODY_BYTES}: shorten them")
        return body

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read an opened body; SealError on anything else."""
        if len(body) > MAX_BODY_BYTES:
            raise SealError(f"a body has at most {MAX_BODY_BYTES} bytes")
        try:
            read = msgspec.json.decode(body, type=_Body)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:  # ValidationError is a DecodeError
            raise SealError("not the body of a result") from exc
        return cls(read.day, read.advice, tuple(read.calls))


def result_body(day: str, calls: Mapping[str, Call]) -> ResultBody:
    """Return a result with its advice: confirm a positive; repeat what gave no answer; SealError on an unknown word."""
    words = set(calls.values())
    advice: Advice = "none"
    if "positive" in words:
        advice = "confirm"
    elif not words or words & {"inconclusive", "invalid"}:
        advice = "repeat"
    return ResultBody(day, advice, tuple(calls.items()))


def check_targets(targets: tuple[str, ...]) -> None:
    """Refuse, with SealError, an assay whose longest result would not fit a record: ask before the first visitor."""
    result_body(_DUMMY_DAY, dict.fromkeys(targets, "inconclusive")).encode()


def dummy() -> bytes:
    """Return a record that nobody can open: a real seal, by the same code, to a key that is thrown away."""
    key = X25519PrivateKey.generate().public_key().public_bytes_raw()
    body = result_body(_DUMMY_DAY, {PRACTICE_TARGET: "negative"}).encode()
    return seal(secrets.token_bytes(SLOT_BYTES), key, secrets.token_bytes(ORIGIN_BYTES), body)
