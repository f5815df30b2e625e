"""The hash of the result page's files, printed on slip, kiosk and poster: anybody can compare what is served."""

import hashlib
from pathlib import Path
from typing import Final

STATIC: Final = Path(__file__).parent / "static"
SHOWN_DIGITS: Final = 16  # 64 bits: another page with the same printed hash costs 2^64 trials


def page_hash(folder: Path = STATIC) -> str:
    """Return 16 hex digits of SHA-256 over the files below `folder`, sorted by their path.

    Each file goes in as path, 0x00, length as eight bytes, content, so that no two sets of files run together.
    """
    digest = hashlib.sha256()
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    for name in sorted(files):
        content = files[name].read_bytes()
        digest.update(name.encode() + b"\x00" + len(content).to_bytes(8) + content)
    return digest.hexdigest()[:SHOWN_DIGITS]
