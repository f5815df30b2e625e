"""Sealed records against RFC 9180, against an implementation that is not ours, and against every kind of damage."""

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.claim import ClaimCode
from contracts.errors import SealError
from contracts.sealed import (
    CALLS,
    MAX_BODY_BYTES,
    RECORD_BYTES,
    ResultBody,
    check_targets,
    dummy,
    open_record,
    result_body,
    seal,
)
from tests.support import hpke

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "claim.json").read_text())
CODE = ClaimCode.parse(VECTORS["valid"][0]["code"])
KEYS = CODE.keys()
RECORD = bytes.fromhex(VECTORS["valid"][0]["record"])
INFO = b"kioskwatch/result/v1" + KEYS.slot


def plain_text(body: bytes, *, origin: bytes = KEYS.origin, length: int | None = None, filler: bytes = b"") -> bytes:
    """A plain text laid out by hand."""
    said = len(body) if length is None else length
    return (origin + said.to_bytes(2, "big") + body + filler).ljust(192, b"\0")


def sealed_by_the_witness(plain: bytes, *, slot: bytes = KEYS.slot) -> bytes:
    return slot + hpke.seal_message(KEYS.public_key, plain, b"kioskwatch/result/v1" + slot, secrets.token_bytes(32))


def test_the_witness_opens_the_message_of_the_standard() -> None:
    # RFC 9180, A.1.1.1, sequence number 0.
    opened = hpke.open_message(
        bytes.fromhex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8"),
        bytes.fromhex("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"),
        bytes.fromhex("f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a"),
        bytes.fromhex("4f6465206f6e2061204772656369616e2055726e"),
        bytes.fromhex("436f756e742d30"),
    )
    assert opened == b"Beauty is truth, truth beauty"


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda vector: vector["code"][:5])
def test_a_record_of_another_implementation_opens(vector: dict[str, str]) -> None:
    keys = ClaimCode.parse(vector["code"]).keys()
    body = open_record(keys, bytes.fromhex(vector["record"]))
    assert body.decode() == vector["body"]
    assert ResultBody.decode(body).encode() == body


@given(st.binary(max_size=MAX_BODY_BYTES))
def test_what_is_sealed_has_one_length_opens_again_and_opens_for_the_witness(body: bytes) -> None:
    record = seal(KEYS.slot, KEYS.public_key, KEYS.origin, body)
    assert len(record) == RECORD_BYTES
    assert record[:16] == KEYS.slot
    assert open_record(KEYS, record) == body
    assert hpke.open_message(KEYS.private_key, record[16:48], record[48:], INFO) == plain_text(body)
    assert open_record(KEYS, sealed_by_the_witness(plain_text(body))) == body


def test_a_body_that_is_too_long_is_refused() -> None:
    with pytest.raises(SealError, match="175"):
        seal(KEYS.slot, KEYS.public_key, KEYS.origin, bytes(MAX_BODY_BYTES + 1))


@pytest.mark.parametrize(
    ("slot", "public_key", "origin"),
    [
        (b"", KEYS.public_key, KEYS.origin),
        (KEYS.slot, KEYS.public_key[1:], KEYS.origin),
        (KEYS.slot, KEYS.public_key, KEYS.origin + b"\0"),
        (KEYS.slot, bytes(32), KEYS.origin),  # a point of low order: everybody would know the secret
    ],
)
def test_nothing_is_sealed_with_a_part_of_another_kind(slot: bytes, public_key: bytes, origin: bytes) -> None:
    with pytest.raises(SealError):
        seal(slot, public_key, origin, b"{}")


@pytest.mark.parametrize("byte", range(RECORD_BYTES))
def test_a_changed_byte_and_a_cut_record_do_not_open(byte: int) -> None:
    changed = bytearray(RECORD)
    changed[byte] ^= 0x80 if byte == 47 else 1  # the key's top bit is masked away: that change is the next test's
    if byte != 47:
        with pytest.raises(SealError):
            open_record(KEYS, bytes(changed))
    with pytest.raises(SealError):
        open_record(KEYS, RECORD[:byte])


def test_a_key_with_its_top_bit_set_does_not_open_either() -> None:
    changed = bytearray(RECORD)
    changed[47] |= 0x80
    with pytest.raises(SealError):  # the encapsulated key's bytes are part of the context
        open_record(KEYS, bytes(changed))


def test_a_record_moved_to_another_slot_or_sealed_by_a_stranger_does_not_open() -> None:
    other = ClaimCode.generate().keys()
    with pytest.raises(SealError, match="another slot"):
        open_record(other, RECORD)
    with pytest.raises(SealError):
        open_record(KEYS, KEYS.slot + sealed_by_the_witness(plain_text(b"{}"), slot=other.slot)[16:])
    with pytest.raises(SealError, match="no kiosk"):
        open_record(KEYS, sealed_by_the_witness(plain_text(b"{}", origin=other.origin)))


@pytest.mark.parametrize(
    "plain",
    [
        plain_text(b"{}", length=175),
        plain_text(b"{}", length=65535),
        plain_text(b"{}", filler=b"\0\1"),
        plain_text(b"{}") + b"\0",
    ],
    ids=["longer than fits", "far longer", "padding that is not zeros", "a longer text"],
)
def test_a_plain_text_laid_out_otherwise_is_refused(plain: bytes) -> None:
    with pytest.raises(SealError):
        open_record(KEYS, sealed_by_the_witness(plain))


@given(st.binary(max_size=RECORD_BYTES + 1))
def test_garbage_does_not_open(garbage: bytes) -> None:
    for record in (garbage, KEYS.slot + garbage.ljust(RECORD_BYTES - 16, b"\x5a")[: RECORD_BYTES - 16]):
        with pytest.raises(SealError):
            open_record(KEYS, record)


def test_a_dummy_looks_like_a_record_and_no_two_are_alike() -> None:
    dummies = [dummy() for _ in range(200)]
    assert {len(one) for one in dummies} == {RECORD_BYTES}
    assert len({one[:16] for one in dummies}) == len({one[48:] for one in dummies}) == 200
    assert all(one[47] < 0x80 for one in dummies)  # an X25519 key's top bit is clear: random bytes would stand out


@pytest.mark.parametrize(
    ("calls", "advice"),
    [
        ({"a": "negative"}, "none"),
        ({"a": "negative", "b": "positive"}, "confirm"),
        ({"a": "invalid", "b": "positive"}, "confirm"),
        ({"a": "negative", "b": "inconclusive"}, "repeat"),
        ({"a": "invalid"}, "repeat"),
        ({}, "repeat"),
    ],
)
def test_the_advice_follows_from_the_calls(calls: dict[str, Any], advice: str) -> None:
    body = result_body("2026-11-22", calls)
    assert body.advice == advice
    assert ResultBody.decode(body.encode()) == body


@pytest.mark.parametrize(
    ("day", "calls"),
    [
        ("2026-11-22", {"a": "maybe"}),
        ("2026-11-22", {"": "negative"}),
        ("2026-11-22", {"a b": "negative"}),
        ("2026-11-22", {f"t{number}": "negative" for number in range(5)}),
        ("20261122", {}),
        ("2026-02-30", {}),
        ("2026-11-22T10:00", {}),
        ("", {}),
    ],
)
def test_an_impossible_result_cannot_be_made(day: str, calls: dict[str, Any]) -> None:
    with pytest.raises(SealError):
        result_body(day, calls)


def test_an_assay_whose_longest_result_does_not_fit_is_refused_before_the_first_visitor() -> None:
    check_targets(("sars-cov-2", "fluav", "flubv", "rsv"))
    with pytest.raises(SealError, match="shorten"):
        check_targets(tuple(f"respiratory-{number}" for number in range(4)))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"v":2,"day":"2026-11-22","advice":"none","calls":[]}',
        b'{"v":1,"day":"2026-11-22","advice":"none"}',
        b'{"v":1,"day":"2026-11-22","advice":"none","calls":[["a"]]}',
        b'{"v":1,"day":"2026-11-22","advice":"none","calls":[],"cq":31.5}',
        b'{"v":1,"day":"2026-11-22","advice":"go home","calls":[]}',
        b'{"v":1,"day":"2026-11-22","advice":"none","calls":[["a","negative"],["a","positive"]]}',
        b'{"v":1,"day":"\xff","advice":"none","calls":[]}',
        b" " * (MAX_BODY_BYTES + 1),
    ],
)
def test_a_body_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(SealError):
        ResultBody.decode(body)


@given(st.binary(max_size=MAX_BODY_BYTES + 10))
def test_garbage_is_a_body_or_a_seal_error(garbage: bytes) -> None:
    try:
        body = ResultBody.decode(garbage)
    except SealError:
        return
    assert all(call in CALLS for _, call in body.calls)
