import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.codec import (
    CONTENT_BINARY,
    CONTENT_JSON,
    CONTENT_JSON_GZIP,
    GZIP_ABOVE_BYTES,
    MAX_PLAIN_BYTES,
    MAX_WIRE_BYTES,
    pack_json,
    unpack_json,
)
from contracts.errors import ContractError, EnvelopeError, OversizeError


@pytest.mark.rule("C6")
def test_gzip_begins_above_one_kibibyte_and_the_type_says_so() -> None:
    assert pack_json(b"x" * GZIP_ABOVE_BYTES) == (b"x" * GZIP_ABOVE_BYTES, CONTENT_JSON)
    wire, content_type = pack_json(b"x" * (GZIP_ABOVE_BYTES + 1))
    assert content_type == CONTENT_JSON_GZIP
    assert gzip.decompress(wire) == b"x" * (GZIP_ABOVE_BYTES + 1)


@pytest.mark.rule("C6")
def test_gzip_of_another_implementation_is_read() -> None:
    assert unpack_json(gzip.compress(b"{}" * 999, mtime=0), CONTENT_JSON_GZIP) == b"{}" * 999


@pytest.mark.rule("C5")
def test_a_zip_bomb_is_refused_without_being_unpacked() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < MAX_WIRE_BYTES
    with pytest.raises(OversizeError):
        unpack_json(bomb, CONTENT_JSON_GZIP)


@pytest.mark.rule("C5")
def test_two_megabytes_are_refused_on_the_wire() -> None:
    for content_type in (CONTENT_JSON, CONTENT_JSON_GZIP):
        with pytest.raises(OversizeError):
            unpack_json(bytes(2_000_000), content_type)
    with pytest.raises(OversizeError):
        pack_json(bytes(MAX_PLAIN_BYTES + 1))


@pytest.mark.parametrize(
    "damage",
    [b"", b"not gzip", gzip.compress(b"a", mtime=0)[:-3], gzip.compress(b"a", mtime=0) + b"tail", zlib.compress(b"a")],
)
def test_damaged_gzip_is_refused(damage: bytes) -> None:
    with pytest.raises(EnvelopeError):
        unpack_json(damage, CONTENT_JSON_GZIP)


@pytest.mark.parametrize("content_type", [None, "", "application/json", CONTENT_BINARY])
def test_another_content_type_is_refused(content_type: str | None) -> None:
    with pytest.raises(EnvelopeError):
        unpack_json(b"{}", content_type)


@given(st.binary(max_size=3000))
def test_what_is_packed_comes_back(plain: bytes) -> None:
    assert unpack_json(*pack_json(plain)) == plain


@given(st.binary(max_size=200))
def test_garbage_gives_a_contract_error_or_bytes(garbage: bytes) -> None:
    try:
        unpack_json(garbage, CONTENT_JSON_GZIP)
    except ContractError:
        return
