"""Passwords: Argon2id hashes in PHC form, the rule for a new one, and how a random one is made.

Parameters are RFC 9106's second recommendation (64 MiB, 3 passes, 4 lanes). At most two are computed at a time,
so that a storm of log-ins cannot take the machine's memory; the rest wait.
"""

import secrets
import threading
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from backend.errors import InputError

SALT_BYTES: Final = 16
HASH_BYTES: Final = 32
MIN_CHARS: Final = 12  # NIST SP 800-63B asks for 8 at least; staff accounts of a health service can bear 12
MAX_BYTES: Final = 256  # before any hashing: nobody makes us digest a book
AT_ONCE: Final = 2
# No I, O, l, 0, 1: the first password is read from a terminal and typed by hand.
_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_RANDOM_CHARS: Final = 20  # 116 bits


@dataclass(frozen=True, slots=True)
class Passwords:
    """Hashes and checks; the parameters are smaller in unit tests only."""

    memory_kib: int = 65_536
    passes: int = 3
    lanes: int = 4
    _seats: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(AT_ONCE))

    def hashed(self, password: str) -> str:
        """Return the PHC text of a password."""
        with self._seats:
            return self._kdf().derive_phc_encoded(_bytes(password))

    def fits(self, password: str, hashed: str | None) -> bool:
        """Tell whether the password is the one; without a hash (no such account) work as long and say no."""
        if len(_bytes(password)) > MAX_BYTES:
            return False
        if hashed is None:
            self.hashed(password)
            return False
        try:
            with self._seats:
                Argon2id.verify_phc_encoded(_bytes(password), hashed)
        except InvalidKey:
            return False
        return True

    def _kdf(self) -> Argon2id:
        return Argon2id(
            salt=secrets.token_bytes(SALT_BYTES),
            length=HASH_BYTES,
            iterations=self.passes,
            lanes=self.lanes,
            memory_cost=self.memory_kib,
        )


def random_password() -> str:
    """Return a password for a first sign-in, in groups that are easy to copy."""
    text = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARS))
    return "-".join(text[i : i + 5] for i in range(0, _RANDOM_CHARS, 5))


def check_new_password(password: str, *, account: str, old: str) -> None:
    """Raise InputError unless this may become the account's password."""
    if len(password) < MIN_CHARS:
        raise InputError("A password has at least %(characters)s characters.", characters=MIN_CHARS)
    if len(_bytes(password)) > MAX_BYTES:
        raise InputError("A password has at most %(bytes)s bytes.", bytes=MAX_BYTES)
    if password == old:
        raise InputError("The new password must differ from the old one.")
    if account.lower() in password.lower():
        raise InputError("A password must not contain the account's name.")
    if len(set(password)) < MIN_CHARS // 2:
        raise InputError("A password needs more different characters.")


def _bytes(password: str) -> bytes:
    return password.encode(errors="replace")  # a lone surrogate from a broken client is a wrong password, not a crash
