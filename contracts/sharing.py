"""A package for an authority: files, a manifest of their hashes, and the district's signature over it. No I/O.

    manifest.json   what was shared with whom, for which period, with each file's SHA-256 and size, and the chain of
                    releases that it rests on
    manifest.sig    Ed25519 over `kioskwatch/share/v1`, 0x00 and the bytes of manifest.json; base64url without padding
                    and a line feed
    the files       each named in the manifest, and no other

A package is a folder, or the same files in one ZIP file that any program unpacks (PKWARE APPNOTE 6.3.10: stored, UTF-8
names, one fixed date). There is exactly one ZIP file for given files, so that a changed byte shows wherever it is.
"""

import base64
import binascii
import hashlib
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts.errors import SharingError

LABEL: Final = b"kioskwatch/share/v1\x00"
VERSION: Final = 1
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
MAX_FILES: Final = 64
MAX_MANIFEST_BYTES: Final = 256 * 1024  # 64 files with their hashes are 10 KiB
MAX_PACKAGE_BYTES: Final = 1024 * 1024 * 1024  # a year of hourly means of a district of 500 devices is a tenth of it
KEY_CHARS: Final = 64  # 32 bytes in hexadecimal: read aloud without capitals, and never taken for an option
SIGNATURE_CHARS: Final = 86  # 64 bytes in base64url without padding

_KEY: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}\.(?:csv|json|sig)")


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a package."""

    name: str
    sha256: str
    size: int


class ChainEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which part of the chain of releases is in the package; hashes in hexadecimal.

    `before` is the hash that the first of them follows, `last` that of the last; `head` and `head_number` are the end
    of the whole chain when the package was made.
    """

    before: str
    last: str
    links: int
    head: str
    head_number: int


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a package is; the period is whole district days, first and last included, as ISO 8601 writes dates."""

    v: int
    district: str
    agreement: str
    recipient: str
    first_day: str
    last_day: str
    created: str
    program: str
    simulated: bool
    key: str  # the sharing key's public half: which key to compare with, never a reason to believe
    chain: ChainEntry
    files: tuple[FileEntry, ...]


@dataclass(frozen=True, slots=True)
class Package:
    """A package whose checks held."""

    manifest: Manifest
    files: Mapping[str, bytes]  # without manifest and signature


# --- keys -------------------------------------------------------------------------------------------------


def public_text(key: Ed25519PublicKey) -> str:
    """Return a public key as people pass it on: 64 characters of 0-9 and a-f."""
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def read_public_key(text: str) -> Ed25519PublicKey:
    """Read a public key; SharingError when it is none."""
    if _KEY.fullmatch(text.strip()) is None:
        raise SharingError(f"the public key is not {KEY_CHARS} characters of 0-9 and a-f")
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text.strip()))


# --- making -----------------------------------------------------------------------------------------------


def entries(files: Mapping[str, bytes]) -> tuple[FileEntry, ...]:
    """Return the manifest's rows for files, by name."""
    return tuple(FileEntry(name, hashlib.sha256(files[name]).hexdigest(), len(files[name])) for name in sorted(files))


def sealed(key: Ed25519PrivateKey, manifest: Manifest, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the whole package: the files, their manifest and its signature."""
    text = msgspec.json.format(msgspec.json.encode(manifest)) + b"\n"
    signature = _text(key.sign(LABEL + text)).encode() + b"\n"
    return {**files, MANIFEST: text, SIGNATURE: signature}


# --- checking ---------------------------------------------------------------------------------------------


def opened(files: Mapping[str, bytes], key: Ed25519PublicKey) -> Package:
    """Check a package; SharingError names what does not hold.

    1 manifest and signature are there · 2 the signature is of this key · 3 the manifest is of this version · 4 the
    files are those of the manifest, none missing, none besides · 5 each has its size and SHA-256.
    Not checked here: that the key is the district's. Compare it by another way than the package came.
    """
    text, signature = (_whole(files, name) for name in (MANIFEST, SIGNATURE))  # 1
    _check_signature(text, signature, key)  # 2
    manifest = _manifest(text)  # 3
    content = {name: data for name, data in files.items() if name not in (MANIFEST, SIGNATURE)}
    named = {entry.name for entry in manifest.files}
    for name in sorted(named ^ content.keys()):  # 4
        raise SharingError(f"{name} is missing" if name in named else f"{shown(name)} does not belong to the package")
    for entry in manifest.files:  # 5
        _check_file(entry, content[entry.name])
    return Package(manifest, content)


def _whole(files: Mapping[str, bytes], name: str) -> bytes:
    data = files.get(name)
    if data is None:
        raise SharingError(f"{name} is missing")
    if len(data) > MAX_MANIFEST_BYTES:
        raise SharingError(f"{name} is longer than {MAX_MANIFEST_BYTES} bytes")
    return data


def _check_signature(text: bytes, signature: bytes, key: Ed25519PublicKey) -> None:
    if not signature.endswith(b"\n"):
        raise SharingError(f"{SIGNATURE} is cut off or altered")
    raw = _raw(signature[:-1].decode("ascii", "replace"))
    try:
        key.verify(raw, LABEL + text)
    except InvalidSignature as exc:
        raise SharingError(f"{MANIFEST} was altered, or another key signed it") from exc


def _manifest(text: bytes) -> Manifest:
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.DecodeError as exc:
        raise SharingError(f"{MANIFEST} is of a newer program: update kioskwatch") from exc
    names = [entry.name for entry in manifest.files]
    if manifest.v != VERSION or len(set(names)) != len(names) or not all(_NAME.fullmatch(name) for name in names):
        raise SharingError(f"{MANIFEST} is of a newer program: update kioskwatch")
    return manifest


def _check_file(entry: FileEntry, data: bytes) -> None:
    if len(data) != entry.size:
        raise SharingError(f"{entry.name} has {len(data)} bytes and not {entry.size}: it was cut off or altered")
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise SharingError(f"{entry.name} was altered")


def shown(name: str) -> str:
    """A stranger's file name, cut and made harmless for a sentence."""
    return "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "?" for char in name[:48])


# --- one file ---------------------------------------------------------------------------------------------

_LOCAL: Final = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL: Final = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END: Final = struct.Struct("<4sHHHHIIH")
_VERSION_NEEDED, _UTF8, _STORED, _TIME, _DATE = 20, 0x0800, 0, 0, 0x0021  # 1980-01-01 00:00, the format's first


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return the one ZIP file of these files; SharingError when they are too many or too large."""
    if len(files) > MAX_FILES or sum(map(len, files.values())) > MAX_PACKAGE_BYTES:
        raise SharingError(f"a package has at most {MAX_FILES} files and {MAX_PACKAGE_BYTES} bytes: share fewer days")
    parts: list[bytes] = []
    central: list[bytes] = []
    at = 0
    for name in sorted(files):
        data, label = files[name], name.encode()
        head = (_VERSION_NEEDED, _UTF8, _STORED, _TIME, _DATE, zlib.crc32(data), len(data), len(data), len(label), 0)
        local = _LOCAL.pack(b"PK\x03\x04", *head) + label
        central.append(_CENTRAL.pack(b"PK\x01\x02", _VERSION_NEEDED, *head, 0, 0, 0, 0, at) + label)
        parts += (local, data)
        at += len(local) + len(data)
    table = b"".join(central)
    end = _END.pack(b"PK\x05\x06", 0, 0, len(central), len(central), len(table), at, 0)
    return b"".join((*parts, table, end))


def unpack(data: bytes) -> dict[str, bytes]:
    """Return the files of a ZIP file that `pack` made; SharingError for every other."""
    if len(data) > MAX_PACKAGE_BYTES + MAX_MANIFEST_BYTES:
        raise SharingError(f"the package is longer than {MAX_PACKAGE_BYTES} bytes")
    files = dict(_members(data))
    if not files or pack(files) != data:
        raise SharingError("the package is cut off or altered, or was packed by another program")
    return files


def _members(data: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    for _ in range(MAX_FILES):
        if len(data) < at + _LOCAL.size or data[at : at + 4] != b"PK\x03\x04":
            return
        *_, size, _again, label, extra = _LOCAL.unpack_from(data, at)
        start = at + _LOCAL.size + label + extra
        yield data[at + _LOCAL.size : at + _LOCAL.size + label].decode("utf-8", "replace"), data[start : start + size]
        at = start + size


# --- text -------------------------------------------------------------------------------------------------


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _raw(text: str) -> bytes:
    """Read a signature that is spelt in the one way there is: unused bits of the last character are 0."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise SharingError(f"{SIGNATURE} was altered: it is not base64url") from exc
    if len(text) != SIGNATURE_CHARS or _text(raw) != text:
        raise SharingError(f"{SIGNATURE} was cut off or altered")
    return raw
