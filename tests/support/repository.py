"""What belongs to the repository: its tracked files and our packages."""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = frozenset(
    {"backend", "contracts", "dashboards", "edge", "firmware_sim", "gateway", "kioskwatch", "mqttlink", "stores"}
)
# Tests that documents name and that are still being written: the list may only shrink (tests/architecture).
AWAITED_TESTS: frozenset[str] = frozenset()


@cache
def tracked_files() -> tuple[Path, ...]:
    """Relative paths of every file that git tracks and that exists."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(path for path in map(Path, filter(None, listed.split("\0"))) if (ROOT / path).is_file())


def text_of(path: Path) -> str:
    """A tracked file as text; what is not UTF-8 (an image) reads as replacement characters."""
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


def python_files() -> tuple[Path, ...]:
    """Every tracked Python file."""
    return tuple(path for path in tracked_files() if path.suffix == ".py")
