"""The slip's fixed sentences, one JSON file a language in words/. They are read once."""

import json
from functools import cache
from importlib.resources import files

from contracts.notice import LANGUAGES
from edge.errors import SlipError


@cache
def words(language: str) -> dict[str, str]:
    """Return name -> sentence; SlipError for a language that no slip has."""
    if language not in LANGUAGES:
        raise SlipError("no slip in this language")
    table: dict[str, str] = json.loads(files("edge.slip").joinpath(f"words/{language}.json").read_bytes())
    return table
