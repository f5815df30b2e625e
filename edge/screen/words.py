"""The screen's sentences, one JSON file a language in words/, each with the same names. They are read once."""

import json
from functools import cache
from importlib.resources import files

from contracts.notice import LANGUAGES
from edge.errors import SettingsError


@cache
def words(language: str) -> dict[str, str]:
    """Return name -> sentence; SettingsError for a language that the screen has not."""
    if language not in LANGUAGES:
        raise SettingsError("the screen does not speak this language")
    table: dict[str, str] = json.loads(files("edge.screen").joinpath(f"words/{language}.json").read_bytes())
    return table
