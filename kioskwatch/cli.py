"""The command: a table of subcommands, each imported only when it is used, so that `--help` costs nothing.

A subcommand's `main(argv) -> int` gets what follows its name (and its prefix). Exit codes: 0 done, 2 the operator
must do something (one sentence on stderr), 1 a crash, 130 interrupted.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from kioskwatch.errors import OPERATOR_MUST_ACT

INTERRUPTED: Final = 130  # 128 + SIGINT, as shells report it
READER_LEFT: Final = 141  # 128 + SIGPIPE

_OWN_PACKAGES: Final = ("kioskwatch", "edge", "gateway", "backend", "firmware_sim", "dashboards")


@dataclass(frozen=True, slots=True)
class Command:
    """One subcommand: where its main is and which words go in front of the caller's."""

    name: str
    module: str
    summary: str
    prefix: tuple[str, ...] = ()
    extra: str = "all"  # the optional dependencies that it needs

    @property
    def words(self) -> list[str]:
        """The words that choose it."""
        return self.name.split()


COMMANDS: Final = (
    Command("up", "kioskwatch.up", "start a district and supervise it: simulated, or --no-simulators for real devices"),
    Command("doctor", "kioskwatch.doctor", "say what is missing or wrong on this machine, and how to mend it"),
    Command("edge", "edge.__main__", "the agent of one cabinet (or several): drives its instruments", (), "edge"),
    Command("browser", "edge.screen.browser", "the browser of a kiosk's screen, begun anew after a code", (), "edge"),
    Command("gateway", "gateway.__main__", "ingest | analyse | rebuild | redrive | verify", (), "gateway"),
    Command("backend results", "backend.results_main", "the result page, on an origin of its own", (), "backend"),
    Command("backend", "backend.__main__", "serve: the console and the API", (), "backend"),
    Command("device", "backend.__main__", "enrolment tokens, revocation, release-log", ("device",), "backend"),
    Command("user", "backend.__main__", "accounts of officers and technicians", ("user",), "backend"),
    Command("lookup", "kioskwatch.lookup.command", "open a sealed result with the code of a slip", (), "backend"),
    Command("share verify", "kioskwatch.share_verify", "for receivers: is a package whole and from whom it says"),
    Command("share", "backend.share_main", "export | key | register: give an authority what is agreed", (), "backend"),
    Command("history", "gateway.analyse.bootstrap", "import FILE.csv: public history before the kiosks", (), "gateway"),
    Command("backtest", "gateway.backtest.command", "measure the detectors; writes docs/EVIDENCE.md", (), "gateway"),
    Command("notice", "kioskwatch.notices.command", "render DIR: what visitors read beside a kiosk, in six languages"),
    Command("dashboards", "dashboards.grafana", "render: the boards as Grafana's JSON", (), "gateway"),
    Command("simulate", "firmware_sim.__main__", "a simulated instrument, such as scd30, on its real wire", (), "edge"),
    Command("backup", "kioskwatch.backup", "copy every store of a district, consistently, into a folder", ("backup",)),
    Command("restore", "kioskwatch.backup", "put a backup back into a stopped district", ("restore",)),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in {"-h", "--help", "help"}:
        print(usage())
        return 0
    if words[0] == "--version":
        print(f"kioskwatch {version('kioskwatch')}")
        return 0
    command = next((row for row in COMMANDS if row.words == words[: len(row.words)]), None)
    if command is None:
        return _refuse(f"there is no command {words[0]!r}; `kioskwatch --help` lists them")
    return _run(command, words[len(command.words) :])


def usage() -> str:
    """Return the help: one line a subcommand."""
    width = max(len(command.name) for command in COMMANDS)
    lines = [f"  {command.name:<{width}}  {command.summary}" for command in COMMANDS]
    ending = "`kioskwatch COMMAND --help` says more. `kioskwatch up` is the place to begin."
    return "\n".join(["usage: kioskwatch COMMAND [OPTIONS]", "", *lines, "", ending])


def _run(command: Command, argv: list[str]) -> int:
    try:
        run = importlib.import_module(command.module).main
    except ModuleNotFoundError as exc:
        missing = (exc.name or "").partition(".")[0]
        if missing in _OWN_PACKAGES:
            raise
        return _refuse(
            f"`kioskwatch {command.name}` needs the package {missing}: pip install 'kioskwatch[{command.extra}]'"
        )
    try:
        code: int = run([*command.prefix, *argv])
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `kioskwatch doctor | head`: nobody reads on, and the flush at exit shall not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_LEFT
    return code


def _refuse(sentence: str) -> int:
    print(f"kioskwatch: {sentence}", file=sys.stderr)
    return OPERATOR_MUST_ACT
