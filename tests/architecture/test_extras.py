"""An image or a device installs the wheel with one extra: each process finds everything it imports in its own."""

import importlib.metadata
import json
import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_PROCESSES = {
    "edge.__main__": "edge",
    "firmware_sim.__main__": "edge",
    "gateway.ingest.bootstrap": "gateway",
    "gateway.analyse.bootstrap": "gateway",
    "gateway.backtest.command": "gateway",
    "backend.bootstrap": "backend",
    "kioskwatch.up": "all",
}


def _installed_with(extra: str) -> set[str]:
    """The distributions that `pip install kioskwatch[extra]` brings."""
    todo = [("kioskwatch", extra)]
    done: set[tuple[str, str]] = set()
    while todo:
        name, wanted = todo.pop()
        done.add((name, wanted))
        for line in importlib.metadata.requires(name) or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": wanted}):
                brought = {(str(canonicalize_name(requirement.name)), extra) for extra in ("", *requirement.extras)}
                todo += [one for one in brought if one not in done]
    return {str(name) for name, _ in done}


_BLIND = """
import importlib.abc, json, sys
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
missing = frozenset(json.loads(sys.argv[1]))
sys.meta_path.insert(0, Missing())
import MODULE
"""


def _modules_missing_with(extra: str) -> list[str]:
    """Top-level modules of this environment that would not be there."""
    there = _installed_with(extra)
    return sorted(
        module
        for module, distributions in importlib.metadata.packages_distributions().items()
        if not {str(canonicalize_name(name)) for name in distributions} & there
    )


@pytest.mark.parametrize(("module", "extra"), _PROCESSES.items())
def test_a_process_starts_on_a_machine_that_has_its_extra_alone(module: str, extra: str) -> None:
    program = _BLIND.replace("MODULE", module)
    command = [sys.executable, "-c", program, json.dumps(_modules_missing_with(extra))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_cabinet_stays_small() -> None:
    # `cryptography` brings cffi and its parser; the rest are the extra's own and msgspec.
    assert _installed_with("edge") == {
        "cffi",
        "cryptography",
        "kioskwatch",
        "msgspec",
        "paho-mqtt",
        "pillow",
        "pycparser",
        "pyserial",
        "segno",
    }
