"""What documents claim: every test they name exists, and every figure they give comes out of the formula or script."""

import ast
import math
import re
from functools import cache
from pathlib import Path

import pytest

from scripts import anonymity_set
from tests.support.repository import AWAITED_TESTS, ROOT, text_of, tracked_files

_NAMED = re.compile(r"\btests/[\w./-]+\.(?:py|js)(?:::\w+)*")
PROMISES = ("PRIVACY", "DPIA", "RETENTION", "INSTALLATION", "THREAT_MODEL")  # each claims, so each has to show
EPSILONS = (1.0, 1.25, 1.5)
SUSPICION = 0.01


def _documents() -> list[Path]:
    return [path for path in tracked_files() if path.suffix == ".md"]


@cache
def _functions(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def missing(text: str) -> set[str]:
    """Names of tests in a text that nothing stands behind."""
    gone = set()
    for name in set(_NAMED.findall(text)):
        path, *functions = name.split("::")
        if path in AWAITED_TESTS and not (ROOT / path).exists():
            continue
        if not (ROOT / path).is_file() or not set(functions) <= _functions(path):
            gone.add(name)
    return gone


@pytest.mark.parametrize("document", _documents(), ids=str)
def test_every_test_that_a_document_names_exists(document: Path) -> None:
    assert missing(text_of(document)) == set()


def test_a_name_without_a_test_is_found() -> None:
    here = Path(__file__).relative_to(ROOT).as_posix()
    good = f"{here}::test_a_name_without_a_test_is_found"
    bad = {f"{here}::test_that_nobody_wrote", "tests/unit/test_" + "nowhere.py"}
    assert missing(f"(`{good}`, `{'`, `'.join(bad)}`)") == bad


def test_an_awaited_test_is_awaited_no_longer_once_it_is_there() -> None:
    assert {path for path in AWAITED_TESTS if (ROOT / path).exists()} == set(), "take them out of AWAITED_TESTS"


@pytest.mark.parametrize("name", PROMISES)
def test_a_document_of_promises_names_the_tests_that_show_them(name: str) -> None:
    assert len(set(_NAMED.findall(text_of(Path(f"docs/{name}.md"))))) >= 5


def test_the_odds_of_repeated_tests_are_what_the_epsilons_say() -> None:
    rows = re.findall(r"^\| (\d+) \| ([\d .]+) \| ([\d .]+) \| ([\d .]+) \| ([\d.]+) % \|$", _privacy(), re.MULTILINE)
    assert [int(row[0]) for row in rows] == [1, 2, 5, 7, 10]
    for tests, *told, share in rows:
        factors = [math.exp(epsilon * int(tests)) for epsilon in EPSILONS]
        assert told == [_spaced(factor) for factor in factors]
        odds = factors[-1] * SUSPICION / (1 - SUSPICION)
        assert share == f"{100 * odds / (1 + odds):.1f}"


def test_the_table_of_look_ups_is_what_the_script_prints() -> None:
    assert anonymity_set.table() in _privacy()


def _privacy() -> str:
    return text_of(Path("docs/PRIVACY.md"))


def _spaced(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{round(value):,}".replace(",", " ")
