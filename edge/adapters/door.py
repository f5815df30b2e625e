"""The cabinet's service door: a file that reads 0 (closed) or 1 (open), as Linux shows an input pin."""

from pathlib import Path


class DoorFile:
    """One door; None: this cabinet has no contact, and its door counts as closed."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def is_open(self) -> bool:
        """Tell whether it is open; a contact that cannot be read counts as open, for nobody can say it is closed."""
        if self._path is None:
            return False
        try:
            return self._path.read_text(encoding="ascii").strip() != "0"
        except (OSError, UnicodeDecodeError):
            return True
