"""The short hash of the result page, on the kiosk's screen and on every slip: a changed page has another one."""

import hashlib
from pathlib import Path
from typing import Final

STATIC: Final = Path(__file__).with_name("static")
HASH_DIGITS: Final = 16


def page_files(root: Path = STATIC) -> dict[str, bytes]:
    """Return the page's files by their path below the folder, in the order of their names."""
    paths = sorted(path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def page_hash(root: Path = STATIC) -> str:
    """Return the first 16 hex digits of the SHA-256 over the files' names and contents.

    A line `length name length` and a line break stand before each content, so that no two pages read the same.
    """
    digest = hashlib.sha256()
    for name, content in sorted(page_files(root).items()):
        digest.update(f"{len(name.encode())} {name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:HASH_DIGITS]
