"""HKDF and HPKE base mode written out from RFC 5869 and RFC 9180, over plain primitives: an independent witness.

Suite 0x0020/0x0001/0x0001: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM. One message a context.
"""

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEM = b"KEM\x00\x20"
_HPKE = b"HPKE\x00\x20\x00\x01\x00\x01"
KEY_BYTES, NONCE_BYTES, HASH_BYTES = 16, 12, 32


def extract(salt: bytes, material: bytes) -> bytes:
    """RFC 5869 §2.2."""
    return hmac.digest(salt or bytes(HASH_BYTES), material, hashlib.sha256)


def expand(key: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 §2.3."""
    out = block = b""
    for number in range(1, 256):
        if len(out) >= length:
            break
        block = hmac.digest(key, block + info + bytes([number]), hashlib.sha256)
        out += block
    return out[:length]


def _labelled_extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    return extract(salt, b"HPKE-v1" + suite + label + material)


def _labelled_expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return expand(key, length.to_bytes(2) + b"HPKE-v1" + suite + label + info, length)


def schedule(shared: bytes, enc: bytes, recipient: bytes, info: bytes) -> tuple[bytes, bytes]:
    """The key and the first nonce: RFC 9180 §4.1 and §5.1, mode 0."""
    eae = _labelled_extract(_KEM, b"", b"eae_prk", shared)
    secret = _labelled_expand(_KEM, eae, b"shared_secret", enc + recipient, HASH_BYTES)
    context = (
        b"\x00" + _labelled_extract(_HPKE, b"", b"psk_id_hash", b"") + _labelled_extract(_HPKE, b"", b"info_hash", info)
    )
    prk = _labelled_extract(_HPKE, secret, b"secret", b"")
    key = _labelled_expand(_HPKE, prk, b"key", context, KEY_BYTES)
    return key, _labelled_expand(_HPKE, prk, b"base_nonce", context, NONCE_BYTES)


def open_message(private: bytes, enc: bytes, cipher: bytes, info: bytes, aad: bytes = b"") -> bytes:
    """RFC 9180 §6.1, OpenBase."""
    mine = X25519PrivateKey.from_private_bytes(private)
    shared = mine.exchange(X25519PublicKey.from_public_bytes(enc))
    key, nonce = schedule(shared, enc, mine.public_key().public_bytes_raw(), info)
    return AESGCM(key).decrypt(nonce, cipher, aad)


def seal_message(public: bytes, plain: bytes, info: bytes, ephemeral: bytes) -> bytes:
    """RFC 9180 §6.1, SealBase, with a given ephemeral key: encapsulated key and cipher text."""
    mine = X25519PrivateKey.from_private_bytes(ephemeral)
    enc = mine.public_key().public_bytes_raw()
    key, nonce = schedule(mine.exchange(X25519PublicKey.from_public_bytes(public)), enc, public, info)
    return enc + AESGCM(key).encrypt(nonce, plain, b"")
