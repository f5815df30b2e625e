"""What a test needs from this machine: had, skipped loudly, or (with CI set) a failure."""

import os
from typing import NoReturn

import pytest


def unavailable(what: str, how: str) -> NoReturn:
    """Skip the test because a real service cannot be had here; with CI set, fail it."""
    sentence = f"{what} cannot be had here: {how}"
    if os.environ.get("CI"):
        pytest.fail(f"{sentence} (CI is set, so this is a failure)", pytrace=False)
    pytest.skip(f"NOT TESTED: {sentence}")
