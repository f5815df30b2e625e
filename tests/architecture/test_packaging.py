"""What the wheel holds, and that nobody else's distribution ships a package of our names."""

import importlib.metadata
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.repository import PACKAGES, ROOT, tracked_files

_DATA_SUFFIXES = {".css", ".csv", ".html", ".ini", ".js", ".json", ".mako", ".mo", ".svg", ".toml"}


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """The paths in a wheel that is built from the tracked files alone."""
    source = tmp_path_factory.mktemp("source")
    for path in tracked_files():
        target = source / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / path).read_bytes())
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(out)]
    subprocess.run([*command, str(source)], check=True, capture_output=True)
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return frozenset(archive.namelist())


@pytest.mark.timeout(120)
def test_the_wheels_top_level_is_exactly_our_packages(wheel_names: frozenset[str]) -> None:
    top = {name.split("/")[0] for name in wheel_names}
    assert {name for name in top if not name.endswith(".dist-info")} == PACKAGES


@pytest.mark.timeout(120)
def test_the_wheel_carries_every_page_style_script_and_data_file(wheel_names: frozenset[str]) -> None:
    wanted = {str(path) for path in tracked_files() if path.parts[0] in PACKAGES and path.suffix in _DATA_SUFFIXES}
    assert wanted - wheel_names == set()


def test_no_locked_distribution_ships_one_of_our_names() -> None:
    taken = {
        (distribution.name, file.parts[0])
        for distribution in importlib.metadata.distributions()
        if distribution.name != "kioskwatch"
        for file in distribution.files or ()
        if file.parts[0].removesuffix(".py") in PACKAGES | {"tests", "bench"}
    }
    assert taken == set()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-run.lock"])
def test_a_lock_pins_with_hashes_and_names_no_place(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE), "no option lines: where packages come from is the machine's affair"
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert re.match(r"^[\w.\[\],-]+==\S+", block), block.splitlines()[0]
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_make_up_installs_the_very_versions_that_the_tests_ran_with() -> None:
    def pins(lock: str) -> set[str]:
        return set(re.findall(r"^([\w.\[\],-]+==[^\s;]+)", (ROOT / lock).read_text(), re.MULTILINE))

    assert pins("requirements-run.lock") - pins("requirements.lock") == set()


def test_the_project_refuses_to_be_uploaded() -> None:
    assert "Private :: Do Not Upload" in Path(ROOT / "pyproject.toml").read_text()
