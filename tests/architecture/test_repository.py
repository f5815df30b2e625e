"""What no linter sees: rules about the tracked files themselves."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kioskwatch.cli import COMMANDS
from tests.support.repository import AWAITED_TESTS, PACKAGES, ROOT, python_files, text_of, tracked_files

MAX_LINES = 400
# A file may be longer with a reason that a reader accepts.
LONGER_FILES: dict[str, str] = {}

# In parts, or this file would break its own rule.
_REGISTRIES = (
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "npmjs" + ".org",
    "proxy.golang" + ".org",
    "index.crates" + ".io",
)
_HOME = re.compile(r"(?<![\w.])/(?:home|Users)/\w+/|(?<![\w.$}])/root/\w")
_DOC_PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|toml|sh|csv|json|html|js|css|sql|yml|yaml|conf))`")
_DOC_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


def _documents() -> list[Path]:
    return [path for path in tracked_files() if path.suffix == ".md" and path.parts[0] != "tests"]


def _code_of(text: str) -> str:
    """What a document shows as code: spans in backticks and fenced or indented blocks."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    spans = [f"`{span}" for span in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)]
    return "\n".join([*fenced, *spans])


def _indexes_of_this_machine() -> set[str]:
    """Hosts that pip and Go are told to fetch from here, whatever they are: they belong to the machine, not to us."""
    settings = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    words = re.findall(r"https?://[^'\s,]+", settings + " " + os.environ.get("GOPROXY", ""))
    hosts = {urlsplit(word).hostname or "" for word in words}
    return {host for host in hosts if "." in host and not host.startswith("127.")}


def test_no_tracked_file_names_a_registry_host() -> None:
    hosts = {*_REGISTRIES, *_indexes_of_this_machine()}
    named = {(str(path), host) for path in tracked_files() for host in hosts if host in text_of(path)}
    assert named == set()


def test_no_tracked_file_holds_a_path_of_the_machine_it_was_made_on() -> None:
    found = {
        (str(path), match.group(0))
        for path in tracked_files()
        for match in re.finditer(rf"{_HOME.pattern}|{re.escape(str(ROOT))}\b", text_of(path))
    }
    assert found == set()


def test_every_init_file_is_empty() -> None:
    assert [str(path) for path in python_files() if path.name == "__init__.py" and text_of(path)] == []


def test_every_folder_of_ours_with_python_in_it_is_a_package() -> None:
    folders = {path.parent for path in python_files() if path.parts[0] in PACKAGES}
    assert [str(folder) for folder in folders if not (ROOT / folder / "__init__.py").is_file()] == []


def test_no_test_replaces_our_code_by_a_mock() -> None:
    words = re.compile(r"unittest\.mock|from unittest import mock|\bMagicMock\b|\bmocker\.|monkeypatch\.setattr\(")
    here = Path(__file__).relative_to(ROOT)
    assert [str(path) for path in python_files() if path != here and words.search(text_of(path))] == []


def test_files_stay_short_enough_to_read() -> None:
    code = [
        path
        for path in tracked_files()
        if path.suffix in {".py", ".js", ".sh", ".html", ".css"} and "vendor" not in path.parts
    ]
    long = {str(path) for path in code if len(text_of(path).splitlines()) > MAX_LINES}
    assert long - LONGER_FILES.keys() == set()
    assert LONGER_FILES.keys() - long == set(), "no longer needed in the list"


def test_nothing_unfinished_is_tracked() -> None:
    words = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b|NotImplemented" + "Error")
    code = [path for path in tracked_files() if path.suffix in {".py", ".js", ".sh"} and "vendor" not in path.parts]
    assert [str(path) for path in code if words.search(text_of(path))] == []


def test_only_a_missing_service_skips_a_test() -> None:
    words = re.compile(r"pytest\.(?:mark\.)?(?:skip|skipif|xfail|importorskip)\b")
    allowed = {Path("tests/support/required.py"), Path(__file__).relative_to(ROOT)}
    found = {path for path in python_files() if path.parts[0] == "tests" and words.search(text_of(path))}
    assert found - allowed == set()


@pytest.mark.parametrize("document", _documents(), ids=str)
def test_a_document_names_only_files_that_exist(document: Path) -> None:
    text = text_of(document)
    ends = {f"/{path}" for path in tracked_files()}
    # A path may begin at the room that its row is about; what a running district makes lies below var/.
    # A data set's page names the files of its source.
    paths = {name for name in _DOC_PATH.findall(text) if not name.startswith("var/") and "data" not in document.parts}
    links = {name for name in _DOC_LINK.findall(text) if not (ROOT / document.parent / name).exists()}
    gone = {name for name in paths - AWAITED_TESTS if not any(end.endswith(f"/{name}") for end in ends)}
    assert gone | links == set()


@pytest.mark.parametrize("document", _documents(), ids=str)
def test_every_make_command_in_a_document_exists(document: Path) -> None:
    named = set(re.findall(r"(?:`|^\s{4,}|\$ )make ([a-z]+(?:-[a-z]+)*)", text_of(document), re.MULTILINE))
    targets = set(re.findall(r"^([a-z]+(?:-[a-z]+)*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named - targets == set()


@pytest.mark.parametrize("document", _documents(), ids=str)
def test_every_kioskwatch_command_in_a_document_exists(document: Path) -> None:
    named = set(re.findall(r"(?:`|/|\| |^)kioskwatch ([a-z]+)", _code_of(text_of(document)), re.MULTILINE))
    assert named - {command.name for command in COMMANDS} == set()


def test_ci_runs_what_the_readme_promises() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert "make check" in script
    assert "make test" in script
