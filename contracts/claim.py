"""Claim codes: what a visitor holds, and all that follows from it (DESIGN §6). No I/O, but for the CSPRNG.

A code is 23 data symbols of five bits and two Reed-Solomon check symbols over GF(32), in Crockford's base 32. The
field is GF(2)[x]/(x^5+x^2+1); the code's polynomial has its first symbol at the highest power and vanishes at
alpha^0 and alpha^1, so every error in one or two symbols is found. Errors are found only, never mended.

The keys come from the data symbols by HKDF-SHA256 (RFC 5869), one label each. A ready group is the ready tick
(22 bits) and that tick mod 7 (3 bits), five symbols, most significant first.

No error of this module repeats what it was given: that may be most of somebody's code.
"""

import secrets
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from contracts.errors import ClaimCodeError

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U
SYMBOL_BITS: Final = 5
DATA_SYMBOLS: Final = 23  # 115 bits
CHECK_SYMBOLS: Final = 2
CODE_SYMBOLS: Final = DATA_SYMBOLS + CHECK_SYMBOLS
GROUP_SYMBOLS: Final = 5
FRAGMENT_VERSION: Final = "1"
MAX_TEXT_CHARS: Final = 200  # a code typed with any separators has fewer; longer text is refused unread

SALT: Final = b"kioskwatch/claim/v1"
SLOT_BYTES: Final = 16
KEY_BYTES: Final = 32
ORIGIN_BYTES: Final = 16
DELETE_TOKEN_BYTES: Final = 32

_TICK_BITS = 22  # until the year 2049
MAX_TICK: Final = (1 << _TICK_BITS) - 1
_GROUP_CHECK_BITS = 3
_GROUP_MODULUS = 7

_FIELD_POLYNOMIAL = 0b100101  # x^5 + x^2 + 1


def _folding() -> dict[int, str | None]:
    """What typing may change: case, O for 0, I and L for 1, an East Asian keyboard's full width, separators."""
    folds: dict[int, str | None] = {}
    for symbol in ALPHABET:
        folds[ord(symbol)] = folds[ord(symbol.lower())] = symbol
    for typed, meant in (("O", "0"), ("I", "1"), ("L", "1")):
        folds[ord(typed)] = folds[ord(typed.lower())] = meant
    full_width = 0xFEE0  # U+FF01..U+FF5E stand for U+0021..U+007E
    folds |= {code + full_width: meant for code, meant in folds.items()}
    separators = " \t\r\n\u00a0\u202f\u3000-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d"
    return folds | dict.fromkeys(map(ord, separators))


_FOLDING = _folding()  # a table, since str.upper() turns characters of other scripts into ours
_VALUES = {symbol: value for value, symbol in enumerate(ALPHABET)}


def _fold(text: str, count: int, name: str) -> str:
    if len(text) > MAX_TEXT_CHARS:
        raise ClaimCodeError(f"{name} has {count} symbols: this text is far longer")
    return text.translate(_FOLDING)


def _symbols(text: str, count: int, name: str) -> str:
    symbols = _fold(text, count, name)
    if len(symbols) != count:
        raise ClaimCodeError(f"{name} has {count} symbols, not {len(symbols)}")
    if not _VALUES.keys() >= set(symbols):
        raise ClaimCodeError(f"{name} has digits and letters only, and never the letter U")
    return symbols


def _times_alpha(value: int) -> int:
    value <<= 1
    return value ^ _FIELD_POLYNOMIAL if value >> SYMBOL_BITS else value


# _AT_ALPHA[symbol][value]: the contribution of that value, there, to the polynomial's value at alpha.
_AT_ALPHA = [list(range(1 << SYMBOL_BITS))]
for _ in range(CODE_SYMBOLS - 1):
    _AT_ALPHA.append([_times_alpha(value) for value in _AT_ALPHA[-1]])
_AT_ALPHA.reverse()


def _syndromes(values: list[int]) -> tuple[int, int]:
    """Return the polynomial's values at alpha^0 and alpha^1; both are 0 for a code word."""
    at_one = at_alpha = 0
    for value, row in zip(values, _AT_ALPHA, strict=True):
        at_one ^= value
        at_alpha ^= row[value]
    return at_one, at_alpha


def _with_checks(data: list[int]) -> str:
    """Append the two check symbols: the remainder of data(x) x^2 divided by (x + 1)(x + alpha)."""
    high = low = 0
    for value in data:
        carry = value ^ high
        doubled = _times_alpha(carry)
        # (x + 1)(x + alpha) = x^2 + (alpha + 1) x + alpha
        high, low = low ^ doubled ^ carry, doubled
    return "".join(ALPHABET[value] for value in (*data, high, low))


@dataclass(frozen=True, slots=True)
class ClaimKeys:
    """What follows from a code. Only `slot`, `public_key` and `origin` may outlive the making of a slip."""

    slot: bytes
    private_key: bytes = field(repr=False)
    public_key: bytes = field(repr=False)
    origin: bytes = field(repr=False)
    delete_token: bytes = field(repr=False)  # stays derived and unused: expiry is the deletion


@dataclass(frozen=True, slots=True)
class ClaimCode:
    """A code that is right: 23 data and two check symbols, upper case, without dashes."""

    symbols: str = field(repr=False)

    def __post_init__(self) -> None:
        try:
            values = [_VALUES[symbol] for symbol in self.symbols]
        except KeyError:  # its text would be a part of the code
            raise ClaimCodeError("a code has digits and letters only, and never the letter U") from None
        if len(values) != CODE_SYMBOLS:
            raise ClaimCodeError(f"a code has {CODE_SYMBOLS} symbols, not {len(values)}")
        if _syndromes(values) != (0, 0):
            raise ClaimCodeError("a symbol of this code is wrong: compare it with the slip")

    @classmethod
    def generate(cls) -> Self:
        """Draw a new code from the CSPRNG."""
        return cls(_with_checks([secrets.randbelow(len(ALPHABET)) for _ in range(DATA_SYMBOLS)]))

    @classmethod
    def from_data(cls, data: str) -> Self:
        """Return the code of 23 data symbols; ClaimCodeError."""
        return cls(_with_checks([_VALUES[symbol] for symbol in _symbols(data, DATA_SYMBOLS, "the data of a code")]))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a code as a person types it; ClaimCodeError, which says what is wrong and repeats nothing."""
        return cls(_fold(text, CODE_SYMBOLS, "a code"))

    def __str__(self) -> str:
        return "-".join(self.symbols[at : at + GROUP_SYMBOLS] for at in range(0, CODE_SYMBOLS, GROUP_SYMBOLS))

    def keys(self) -> ClaimKeys:
        """Derive the keys."""
        material = self.symbols[:DATA_SYMBOLS].encode()
        private_key = _derive(material, b"hpke-x25519", KEY_BYTES)
        return ClaimKeys(
            slot=_derive(material, b"slot", SLOT_BYTES),
            private_key=private_key,
            public_key=X25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw(),
            origin=_derive(material, b"origin", ORIGIN_BYTES),
            delete_token=_derive(material, b"delete", DELETE_TOKEN_BYTES),
        )


def _derive(material: bytes, label: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=SALT, info=label).derive(material)


def ready_group(tick: int) -> str:
    """Return the five symbols for a ready tick; ClaimCodeError beyond 22 bits."""
    if not 0 <= tick <= MAX_TICK:
        raise ClaimCodeError(f"a ready tick has {_TICK_BITS} bits")
    bits = tick << _GROUP_CHECK_BITS | tick % _GROUP_MODULUS
    return "".join(
        ALPHABET[bits >> shift & 0x1F] for shift in range(SYMBOL_BITS * (GROUP_SYMBOLS - 1), -1, -SYMBOL_BITS)
    )


def parse_ready_group(text: str) -> int:
    """Return the ready tick of a group as a person types it; ClaimCodeError."""
    bits = 0
    for symbol in _symbols(text, GROUP_SYMBOLS, "a ready group"):
        bits = bits << SYMBOL_BITS | _VALUES[symbol]
    tick, check = bits >> _GROUP_CHECK_BITS, bits & (1 << _GROUP_CHECK_BITS) - 1
    if tick % _GROUP_MODULUS != check:
        raise ClaimCodeError("a symbol of this ready group is wrong: compare it with the slip, or leave the group out")
    return tick


def fragment(code: ClaimCode, ready_tick: int) -> str:
    """Return what follows the result page's address on a slip, beginning with '#'."""
    return f"#{FRAGMENT_VERSION}.{code.symbols}.{ready_group(ready_tick)}"


def parse_fragment(text: str) -> tuple[ClaimCode, int | None]:
    """Read a fragment with or without its '#' and its ready group; ClaimCodeError."""
    version, *parts = text.removeprefix("#").split(".", maxsplit=3)
    if version != FRAGMENT_VERSION or len(parts) not in (1, 2):
        raise ClaimCodeError("not the end of a slip's address, which is #1.<code>.<ready group>")
    return ClaimCode.parse(parts[0]), parse_ready_group(parts[1]) if len(parts) > 1 else None


PRACTICE_TICK: Final = 0  # ready group 00000: whatever cohort is the newest complete one
PRACTICE_CODE: Final = ClaimCode.from_data("PRACT1CEPRACT1CEPRACT1C")  # published: everybody may open its record
