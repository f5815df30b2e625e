"""Static files, read once into memory: a fixed table, so no path of a request ever reaches the file system.

Every address carries a hash of the content and may be kept for ever; a new version has a new address.
"""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from backend.errors import NotFoundError
from backend.web.words import N_

FOLDER: Final = Path(__file__).with_name("static")
KINDS: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
KEEP: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, ready to send."""

    kind: str
    plain: bytes
    packed: bytes
    version: str


class Assets:
    """All of them."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._assets = {
            path.relative_to(folder).as_posix(): _load(path)
            for path in sorted(folder.rglob("*"))
            if path.suffix in KINDS and path.is_file()
        }

    def address(self, name: str) -> str:
        """Return where a page finds it; KeyError for a file that is not there, so that no page ships a dead link."""
        return f"/static/{name}?v={self._assets[name].version}"

    def answer(self, request: Request) -> Response:
        """Serve `/static/{name:path}`."""
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            raise NotFoundError(N_("There is no such page."))
        headers = {"cache-control": KEEP, "vary": "accept-encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(asset.packed, media_type=asset.kind, headers={**headers, "content-encoding": "gzip"})
        return Response(asset.plain, media_type=asset.kind, headers=headers)


def _load(path: Path) -> Asset:
    plain = path.read_bytes()
    return Asset(KINDS[path.suffix], plain, gzip.compress(plain, mtime=0), hashlib.sha256(plain).hexdigest()[:16])
