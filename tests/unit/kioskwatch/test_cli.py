"""The table of subcommands: what it lists, what it refuses, and that help imports nothing heavy."""

import subprocess
import sys

import pytest

from kioskwatch.cli import COMMANDS, main, usage


def test_help_has_one_line_for_each_command_and_fits_a_terminal() -> None:
    lines = usage().splitlines()
    for command in COMMANDS:
        assert sum(line.startswith(f"  {command.name}  ") for line in lines) == 1
    assert max(len(line) for line in lines) <= 100


def test_no_words_and_help_both_print_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in ([], ["--help"], ["-h"], ["help"]):
        assert main(argv) == 0
        assert capsys.readouterr().out.startswith("usage: kioskwatch COMMAND")


def test_an_unknown_command_is_answered_with_one_sentence_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["upp"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "kioskwatch: there is no command 'upp'; `kioskwatch --help` lists them\n"


def test_the_version_is_the_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    name, number = capsys.readouterr().out.split()
    assert name == "kioskwatch"
    assert number[0].isdigit()


def test_asking_for_help_imports_no_part_of_the_system() -> None:
    code = "import sys; from kioskwatch.cli import main; main(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = done.stderr
    for heavy in ("fastapi", "sqlalchemy", "paho", "cryptography", "numpy", "msgspec", "kioskwatch.up"):
        assert f"'{heavy}'" not in imported
