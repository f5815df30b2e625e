"""Claim codes against an implementation that is not ours (tests/vectors/claim.json), and every small mistake in one."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.claim import (
    ALPHABET,
    CODE_SYMBOLS,
    MAX_TEXT_CHARS,
    MAX_TICK,
    PRACTICE_CODE,
    PRACTICE_TICK,
    ClaimCode,
    fragment,
    parse_fragment,
    parse_ready_group,
    ready_group,
)
from contracts.errors import ClaimCodeError
from tests.support.hpke import expand, extract
from tests.support.seeds import seeded

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "claim.json").read_text())
VISIT: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "visit.json").read_text())
FIRST = VECTORS["valid"][0]["code"]


def times(a: int, b: int) -> int:
    """A product in GF(2)[x]/(x^5+x^2+1), by long multiplication."""
    product = 0
    for bit in range(5):
        product ^= (a << bit) * (b >> bit & 1)
    for bit in range(9, 4, -1):
        product ^= (0b100101 << bit - 5) * (product >> bit & 1)
    return product


def value_at(symbols: str, point: int) -> int:
    """The code's polynomial there, its first symbol at the highest power (Horner)."""
    value = 0
    for symbol in symbols:
        value = times(value, point) ^ ALPHABET.index(symbol)
    return value


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda vector: vector["code"][:5])
def test_a_code_has_the_keys_that_another_implementation_derives(vector: dict[str, str]) -> None:
    code = ClaimCode.parse(vector["code"])
    keys = code.keys()
    assert str(code) == vector["code"]
    for name in ("slot", "private_key", "public_key", "origin", "delete_token"):
        assert getattr(keys, name).hex() == vector[name]


@pytest.mark.parametrize(
    ("salt", "material", "info", "length", "out"),
    [
        (
            "000102030405060708090a0b0c",
            "0b" * 22,
            "f0f1f2f3f4f5f6f7f8f9",
            42,
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            "",
            "0b" * 22,
            "",
            42,
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ],
    ids=["RFC 5869 A.1", "RFC 5869 A.3"],
)
def test_the_witness_derives_what_the_standard_derives(
    salt: str, material: str, info: str, length: int, out: str
) -> None:
    key = extract(bytes.fromhex(salt), bytes.fromhex(material))
    assert expand(key, bytes.fromhex(info), length).hex() == out


def test_the_keys_of_any_code_are_those_of_the_witness() -> None:
    for _ in range(50):
        code = ClaimCode.generate()
        key = extract(b"kioskwatch/claim/v1", code.symbols[:23].encode())
        keys = code.keys()
        assert keys.slot == expand(key, b"slot", 16)
        assert keys.private_key == expand(key, b"hpke-x25519", 32)
        assert keys.origin == expand(key, b"origin", 16)
        assert keys.delete_token == expand(key, b"delete", 32)


@pytest.mark.parametrize("text", VECTORS["read_as_the_first"])
def test_what_typing_changes_is_read_as_the_code(text: str) -> None:
    assert ClaimCode.parse(text) == ClaimCode.parse(FIRST)


@pytest.mark.parametrize(
    "text",
    [
        FIRST.lower(),
        FIRST.replace("-", ""),
        FIRST.replace("-", " "),
        f"  {FIRST}\r\n",
        FIRST.replace("0", "O").replace("1", "I"),
        FIRST.replace("0", "o").replace("1", "l"),
        "".join(chr(ord(char) + 0xFEE0) for char in FIRST),  # an East Asian keyboard's full width
        "".join(chr(ord(char) + 0xFEE0) for char in FIRST.lower()).replace("１", "ｌ"),
        FIRST.replace("-", "\N{EN DASH}"),
        FIRST.replace("-", "\N{MINUS SIGN}"),
        FIRST.replace("-", "\N{IDEOGRAPHIC SPACE}"),
        "-".join(FIRST),
    ],
)
def test_case_look_alikes_separators_and_full_width_do_not_matter(text: str) -> None:
    assert str(ClaimCode.parse(text)) == FIRST


@pytest.mark.parametrize("refused", VECTORS["refused"], ids=lambda refused: refused["why"])
def test_what_must_be_refused_is_refused(refused: dict[str, str]) -> None:
    with pytest.raises(ClaimCodeError):
        ClaimCode.parse(refused["code"])


@pytest.mark.simulation
def test_every_error_in_one_or_two_symbols_is_found() -> None:
    # All 775 + 288 300 of them, each through the door that people's codes come through.
    right = FIRST.replace("-", "")
    passed = tried = 0
    for places in itertools.chain(
        itertools.combinations(range(CODE_SYMBOLS), 1), itertools.combinations(range(CODE_SYMBOLS), 2)
    ):
        others = [[symbol for symbol in ALPHABET if symbol != right[place]] for place in places]
        for wrong in itertools.product(*others):
            typed = list(right)
            for place, symbol in zip(places, wrong, strict=True):
                typed[place] = symbol
            tried += 1
            try:
                ClaimCode("".join(typed))
            except ClaimCodeError:
                continue
            passed += 1
    assert (tried, passed) == (289_075, 0)


def test_a_new_code_vanishes_where_the_code_must_and_never_comes_twice() -> None:
    codes = {ClaimCode.generate().symbols for _ in range(500)}
    assert len(codes) == 500
    assert all(value_at(symbols, 1) == 0 and value_at(symbols, 2) == 0 for symbols in codes)
    assert {symbol for symbols in codes for symbol in symbols} == set(ALPHABET)


def test_ten_thousand_texts_that_are_no_code_are_refused_and_nothing_else_happens() -> None:
    random = seeded("texts that are no code")
    characters = ALPHABET + ALPHABET.lower() + "OILU oilu-_.#\x00\n\tßıſ\u212aÅ１Ａ中\U0001f600\u200b\ud800"
    accepted = repeated = 0
    for _ in range(10_000):
        text = "".join(random.choices(characters, k=random.choice((0, 1, 5, 24, 25, 25, 25, 26, 29, 300))))
        for parse in (ClaimCode.parse, parse_fragment):
            try:
                parse(text)
            except ClaimCodeError as exc:
                repeated += len(text) >= 24 and text in str(exc)
            else:
                accepted += 1
    assert repeated == 0
    assert accepted <= 3  # one text in 1024 of 25 symbols is a code, and hardly any has 25 symbols


@given(st.text(max_size=MAX_TEXT_CHARS + 5))
def test_any_text_is_a_code_or_a_claim_code_error(text: str) -> None:
    for parse in (ClaimCode.parse, parse_ready_group, parse_fragment):
        try:
            parse(text)
        except ClaimCodeError:
            continue


def test_neither_a_code_nor_its_keys_show_in_a_representation() -> None:
    code = ClaimCode.generate()
    keys = code.keys()
    assert code.symbols not in repr(code)
    for secret in (keys.private_key, keys.public_key, keys.origin, keys.delete_token):
        assert repr(secret)[2:-1] not in repr(keys)


@pytest.mark.parametrize("vector", VISIT["ready_groups"], ids=lambda vector: str(vector["tick"]))
def test_a_ready_group_is_as_worked_out_by_hand(vector: dict[str, Any]) -> None:
    assert ready_group(vector["tick"]) == vector["group"]
    assert parse_ready_group(vector["group"].lower()) == vector["tick"]


@pytest.mark.parametrize("group", VISIT["refused_groups"])
def test_a_ready_group_whose_check_bits_differ_is_refused(group: str) -> None:
    with pytest.raises(ClaimCodeError):
        parse_ready_group(group)


@given(st.integers(0, MAX_TICK))
def test_every_ready_tick_comes_back(tick: int) -> None:
    assert parse_ready_group(ready_group(tick)) == tick


@pytest.mark.parametrize("tick", [-1, MAX_TICK + 1])
def test_a_tick_beyond_twenty_two_bits_has_no_group(tick: int) -> None:
    with pytest.raises(ClaimCodeError):
        ready_group(tick)


def test_a_fragment_is_as_worked_out_by_hand_and_reads_with_and_without_its_group() -> None:
    vector = VISIT["fragment"]
    code = ClaimCode.parse(vector["code"])
    assert fragment(code, vector["tick"]) == vector["fragment"]
    assert parse_fragment(vector["fragment"]) == (code, vector["tick"])
    assert parse_fragment(vector["fragment"][1:]) == (code, vector["tick"])
    assert parse_fragment(vector["fragment"].rpartition(".")[0]) == (code, None)


@pytest.mark.parametrize("damage", ["", "#", "#1", "#1.", "#2.{code}", "#1.{code}.", "#1.{code}.00000.1", "#1..00000"])
def test_a_damaged_fragment_is_refused(damage: str) -> None:
    with pytest.raises(ClaimCodeError):
        parse_fragment(damage.format(code=FIRST.replace("-", "")))


def test_the_practice_code_is_a_code_and_its_group_is_all_noughts() -> None:
    assert str(PRACTICE_CODE) == VISIT["practice_code"]
    assert value_at(PRACTICE_CODE.symbols, 1) == value_at(PRACTICE_CODE.symbols, 2) == 0
    assert ready_group(PRACTICE_TICK) == "00000"
