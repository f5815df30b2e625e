"""One agent a folder: a lock that the kernel lets go when the process ends, however it ends."""

import fcntl
import os
from pathlib import Path

from edge.errors import StoreError, StoreLockedError


class FolderLock:
    """Held from construction to `close`."""

    def __init__(self, folder: Path) -> None:
        try:
            self._descriptor = os.open(folder / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise StoreError(f"{folder}: {exc.strerror}") from exc
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(self._descriptor)
            raise StoreLockedError(f"another agent works in {folder}: stop it first") from exc

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._descriptor)
