"""What must hold before a district starts: its folder, the lock, ports, disk and certificates. One sentence each.

Nothing here mends anything but the folder's own existence and rights; `kioskwatch doctor` asks the same questions.
"""

import errno
import fcntl
import os
import shutil
import socket
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from kioskwatch.errors import (
    AlreadyRunningError,
    CertificateError,
    DiskFullError,
    OperatorError,
    OptionError,
    PortTakenError,
    StateFolderError,
)

MIB: Final = 1024 * 1024
# Ingest's journal may take gigabytes; below this even a first start cannot finish its migrations and snapshots.
MIN_FREE_BYTES: Final = 256 * MIB
FOLDER_MODE: Final = 0o700  # keys, journals and accounts are nobody else's


@dataclass(frozen=True, slots=True)
class PortNeed:
    """A port that the district listens on, and the option that changes it."""

    host: str
    port: int
    option: str


def prepare_folder(root: Path) -> None:
    """Make the state folder if it is missing, for its owner alone; StateFolderError when nothing can be written."""
    probe = root / ".writable"
    try:
        root.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        root.chmod(FOLDER_MODE)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as exc:
        raise folder_error(root, exc) from exc


def folder_error(root: Path, exc: OSError) -> OperatorError:
    """Return the sentence for a failure to write below the state folder."""
    if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFullError(f"the disk of {root} is full: free some space, or choose another folder with --state")
    reason = os.strerror(exc.errno) if exc.errno else str(exc)
    return StateFolderError(
        f"{root} cannot be written ({reason.lower()}): mend its rights or choose another folder with --state"
    )


def take_lock(path: Path) -> int:
    """Take the one lock of a state folder; return its descriptor, which holds it while this process lives."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise folder_error(path.parent, exc) from exc
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise AlreadyRunningError(
            f"another copy (process {holder}) runs the district in {path.parent}: stop it, "
            "or choose another folder with --state"
        ) from exc
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def is_locked(path: Path) -> bool:
    """Tell whether somebody holds the lock of a state folder."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def check_port(need: PortNeed) -> None:
    """Raise PortTakenError when a port cannot be listened on, naming the option that changes it."""
    family = socket.AF_INET6 if ":" in need.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((need.host, need.port))
            listener.listen(1)
        except OSError as exc:
            raise _port_error(need, exc) from exc


def check_disk(root: Path, *, free_bytes: int | None = None) -> int:
    """Return the free bytes of the state folder's disk; DiskFullError when they are too few to start."""
    free = shutil.disk_usage(root).free if free_bytes is None else free_bytes
    if free < MIN_FREE_BYTES:
        raise DiskFullError(
            f"the disk of {root} has {free // MIB} MiB free and {MIN_FREE_BYTES // MIB} are needed: free some space, "
            "or choose another folder with --state"
        )
    return free


def check_certificate(certificate: Path, key: Path, *, now: datetime) -> None:
    """Raise CertificateError unless the operator's certificate and key belong together and are valid now."""
    from backend.devices.authority import certificate_facts
    from backend.errors import AuthorityError

    try:
        facts = certificate_facts(certificate.read_bytes())
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ssl.SSLError, ValueError, AuthorityError) as exc:
        raise CertificateError(
            f"{certificate} and {key} cannot be used: {_reason(exc)}; give a PEM certificate chain with --tls-cert "
            "and its unencrypted key with --tls-key"
        ) from exc
    if not facts.not_before <= now < facts.not_after:
        raise CertificateError(
            f"{certificate} is valid from {facts.not_before:%Y-%m-%d} to {facts.not_after:%Y-%m-%d}: renew it"
        )


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _reason(exc: Exception) -> str:
    if isinstance(exc, ssl.SSLError) and exc.reason:
        return exc.reason.replace("_", " ").lower()
    return str(exc)


def _port_error(need: PortNeed, exc: OSError) -> OperatorError:
    place = f"port {need.port} on {need.host}"
    if exc.errno == errno.EADDRINUSE:
        return PortTakenError(
            f"{place} is taken by another program: stop that program or choose another port with {need.option}"
        )
    if exc.errno == errno.EACCES:
        return PortTakenError(f"{place} needs root's rights: choose one above 1023 with {need.option}")
    if exc.errno == errno.EADDRNOTAVAIL:
        return OptionError(f"{need.host} is not an address of this machine: choose another with --listen")
    return PortTakenError(f"{place} cannot be opened ({exc}): choose another with {need.option}")
