"""docs/CONTRACT.md and the tests name the same rules: none without a proof, no proof of a rule that is not there."""

import ast
import re

from tests.support.repository import ROOT, python_files, text_of

_ROW = re.compile(r"^\|\s*(C\d+)\s*\|", re.MULTILINE)


def _marked_rules(source: str) -> set[str]:
    """The ids in `pytest.mark.rule("C1", …)` of one file, also as a module's pytestmark."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.rule":
            found |= {arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)}
    return found


def _documented_rules() -> list[str]:
    return _ROW.findall((ROOT / "docs/CONTRACT.md").read_text())


def _proved_rules() -> set[str]:
    tests = [path for path in python_files() if path.parts[0] == "tests"]
    return set().union(*(_marked_rules(text_of(path)) for path in tests))


def test_a_rule_has_one_row() -> None:
    rows = _documented_rules()
    assert rows, "docs/CONTRACT.md has no row that starts with `| C1 |`"
    assert sorted(rows) == sorted(set(rows))


def test_every_rule_has_a_test_that_is_marked_with_it() -> None:
    assert set(_documented_rules()) - _proved_rules() == set()


def test_no_test_is_marked_with_a_rule_that_is_not_in_the_contract() -> None:
    assert _proved_rules() - set(_documented_rules()) == set()


def test_code_cites_only_rules_of_the_contract() -> None:
    cited = {
        (str(path), rule)
        for path in python_files()
        if path.parts[0] != "tests"
        for rule in re.findall(r"#.*?\b(C\d{1,2})\b(?!=)", text_of(path))
    }
    documented = set(_documented_rules())
    unknown = {(path, rule) for path, rule in cited if rule not in documented}
    assert unknown == set()
