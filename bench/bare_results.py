"""The result page as `kioskwatch backend results` runs it, with one address more: `/bench/bare` answers prepared bytes.

Usage: python -m bench.bare_results RESULTS_TOML ANSWER_BYTES
"""

import sys
from pathlib import Path

from backend.results_main import run
from backend.settings import read_results_settings
from bench.bare_backend import WithBareAnswer


def main(settings_file: str, size: str) -> int:
    """Serve until a signal."""
    return run(read_results_settings(Path(settings_file)), wrap=lambda app: WithBareAnswer(app, int(size)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
