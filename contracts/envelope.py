"""Signatures of messages (C7): Ed25519 over topic, a zero byte and the bytes on the wire. No I/O.

The same rule holds up (the device's key, enrolled with its certificate) and down (the deployment's key,
given at enrolment). The topic is inside, so a message cannot be moved to another device or kind.
"""

import base64
import binascii
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from contracts.errors import SignatureError

SIGNATURE_PROPERTY: Final = "sig"  # MQTT 5 user property
SIGNATURE_CHARS: Final = 86  # 64 bytes in base64url without padding


def signed_bytes(topic: str, wire: bytes) -> bytes:
    """Return what is signed."""
    return topic.encode() + b"\x00" + wire


def sign(key: Ed25519PrivateKey, topic: str, wire: bytes) -> str:
    """Return the value of the user property."""
    return base64.urlsafe_b64encode(key.sign(signed_bytes(topic, wire))).rstrip(b"=").decode()


def decode_signature(text: str | None) -> bytes:
    """Return the 64 bytes of a signature; SignatureError when it is missing or misspelt."""
    if text is None or len(text) != SIGNATURE_CHARS:
        raise SignatureError("no signature of 86 characters")
    try:
        raw = base64.b64decode(text + "==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise SignatureError("signature is not base64url") from exc
    return raw


def verify(key: Ed25519PublicKey, topic: str, wire: bytes, signature: str | None) -> None:
    """Return if `key` signed these bytes for this topic; SignatureError otherwise."""
    try:
        key.verify(decode_signature(signature), signed_bytes(topic, wire))
    except InvalidSignature as exc:
        raise SignatureError("signature does not fit topic and bytes") from exc
