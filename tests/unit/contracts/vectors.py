"""The hand-made messages of tests/vectors."""

import json
from pathlib import Path
from typing import Any

MESSAGES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "messages.json").read_text(encoding="utf-8")
)


def plain(kind: str) -> bytes:
    """The JSON of a message."""
    return str(MESSAGES[kind]["plain"]).encode()
