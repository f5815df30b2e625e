"""The writer's lease on a file: an flock beside it, so that two processes never write the same file.

The kernel gives it back when the process dies, however it dies. A forked child drops its copy at once: else a
verification worker that outlives its parent would keep the next writer out.
"""

import fcntl
import os
from pathlib import Path
from typing import Final

from stores.errors import StoreUnavailableError, WriterLockedError

SUFFIX: Final = ".lock"
_held: set[int] = set()


def file_identity(file: Path) -> tuple[int, int] | None:
    """Tell one file from another of the same path; None while there is none.

    A file that was restored or remade is another one, and who still holds the old one open would read it for ever.
    """
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _forget_in_child() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)


class FileLease:
    """Held from creation to `release`; WriterLockedError when another holder lives, in this process too."""

    def __init__(self, file: Path) -> None:
        path = file.with_name(file.name + SUFFIX)
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise StoreUnavailableError(f"cannot make the lock {path}: {exc.strerror}") from exc
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(self._descriptor)
            raise WriterLockedError(f"another process writes {file}: stop it first") from exc
        _held.add(self._descriptor)

    def release(self) -> None:
        """Let the next writer in; safe to call twice."""
        if self._descriptor in _held:
            _held.remove(self._descriptor)
            os.close(self._descriptor)
