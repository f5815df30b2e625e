"""What a process that holds other people's secrets must not do: dump its memory, be read, outlive its parent. Linux."""

import ctypes
import os
import resource
import signal
from typing import Final

from edge.errors import ChildError

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_PR_SET_DUMPABLE: Final = 4


def keep_memory_private() -> None:
    """No core file, and /proc/PID/mem is root's alone (prctl(2), PR_SET_DUMPABLE); ChildError if it cannot be had."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_DUMPABLE, 0)


def die_with_parent(parent: int) -> None:
    """Be killed when the thread that made this process ends; end at once when it has ended already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise ChildError(f"prctl {option}: {os.strerror(ctypes.get_errno())}")
