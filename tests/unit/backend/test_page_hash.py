"""The printed hash of the result page: the same everywhere, another for every other set of files."""

import hashlib
from pathlib import Path

from backend.results.page_hash import page_hash


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def test_it_is_what_the_definition_says_computed_by_hand(tmp_path: Path) -> None:
    folder = write(tmp_path, {"b/c.js": b"xy", "a.html": b"<p>"})
    assert page_hash(folder) == hashlib.sha256(b"6 a.html 3\n<p>" + b"6 b/c.js 2\nxy").hexdigest()[:16]


def test_names_contents_and_their_borders_all_count(tmp_path: Path) -> None:
    sets = [
        {"a": b"xy"},
        {"a": b"x", "b": b"y"},
        {"a": b"", "b": b"xy"},
        {"b": b"xy"},
        {"a": b"yx"},
        {"a/b": b"xy"},
        {},
    ]
    hashes = {page_hash(write(tmp_path / str(number), files)) for number, files in enumerate(sets)}
    assert len(hashes) == len(sets)
