"""What the figures were measured on: the machine's name, and how fast it was at the time of the run."""

import os
import platform
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_VERIFIES = 2_000
_MESSAGE_BYTES = 1_500  # of a message of 20 readings
_FSYNCS = 50


@dataclass(frozen=True, slots=True)
class Machine:
    """A description and two calibration figures of the same run."""

    name: str
    verifies_per_s: float  # Ed25519 on one core, through this Python: moves with the clock rate and with neighbours
    fsync_ms: float  # median, 4 KiB appended


def this_machine() -> Machine:
    """Describe and calibrate; takes about a second."""
    cpu = next(
        (line.split(":", 1)[1].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")),
        platform.machine(),
    )
    memory_kib = next(
        (int(line.split()[1]) for line in _lines(Path("/proc/meminfo")) if line.startswith("MemTotal")), 0
    )
    name = (
        f"{os.cpu_count()} × {cpu}, {memory_kib / 1024**2:.0f} GiB, "
        f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}"
    )
    return Machine(name, _verifies_per_s(), _fsync_ms())


def rss_mib(*pids: int) -> float:
    """Resident memory of these processes together, in MiB; one that has ended counts as nothing."""
    pages = 0
    for pid in pids:
        words = " ".join(_lines(Path(f"/proc/{pid}/statm"))).split()
        pages += int(words[1]) if words else 0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


def family(pid: int) -> tuple[int, ...]:
    """A process and all that descend from it."""
    children = [int(word) for line in _lines(Path(f"/proc/{pid}/task/{pid}/children")) for word in line.split()]
    return (pid, *(member for child in children for member in family(child)))


def cpu_s(*pids: int) -> float:
    """Processor seconds, user and system, that these processes have used together."""
    ticks = 0
    for pid in pids:
        text = "".join(_lines(Path(f"/proc/{pid}/stat")))
        words = text.rpartition(")")[2].split()
        ticks += int(words[11]) + int(words[12]) if words else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def _verifies_per_s() -> float:
    key = Ed25519PrivateKey.generate()
    message = os.urandom(_MESSAGE_BYTES)
    signature, public = key.sign(message), key.public_key()
    started = time.perf_counter()
    for _ in range(_VERIFIES):
        public.verify(signature, message)
    return _VERIFIES / (time.perf_counter() - started)


def _fsync_ms() -> float:
    durations = []
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(_FSYNCS):
            file.write(bytes(4096))
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            durations.append(time.perf_counter() - started)
    return 1000 * statistics.median(durations)


def _lines(path: Path) -> list[str]:
    """The lines of a file of /proc, none when its process has ended."""
    try:
        return path.read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return []
