"""`kioskwatch lookup`: opens a sealed result with the code of a slip, without the result page's own scripts.

The code is asked for, or read from standard input: one line with the code (or the slip's whole address), and a second
with the ready group. Never an argument, which other users of the machine could read. What is downloaded are whole
public files; no server learns the code. Exit codes say how the look-up ended and never what the result is:

    0  a result is shown
    2  the code, the ready group or an option is wrong
    3  not ready yet            4  expired             (--anyway looks all the same)
    5  not available: there is no record for this code, or none that opens
    6  not available: the result page cannot be reached, or its files are not whole
"""

import argparse
import getpass
import os
import sys
import time
from collections.abc import Sequence
from typing import Final

from backend.web.words import FALLBACK, LANGUAGES, N_, Languages, Words, choose
from contracts.claim import ClaimCode
from contracts.cohorts import PublicClock, expires_ns, newest_complete_cohort, readable_from_ns
from contracts.errors import ClaimCodeError
from contracts.sealed import PRACTICE_TARGET, RECORD_BYTES, ResultBody
from kioskwatch.errors import OPERATOR_MUST_ACT, OperatorError, OptionError, ResultPageError
from kioskwatch.lookup.files import PublicFiles
from kioskwatch.lookup.search import Slip, When, cohort_for, find, read_slip, when
from kioskwatch.options import DEFAULT_RESULTS_PORT

SHOWN: Final = 0
NOT_READY: Final = 3
EXPIRED: Final = 4
NOT_AVAILABLE: Final = 5
UNREACHABLE: Final = 6
LOCAL_ORIGIN: Final = f"http://localhost:{DEFAULT_RESULTS_PORT}"
MAX_LINE_CHARS: Final = 512
MIB: Final = 1024 * 1024
_YES: Final = frozenset({"y", "yes", "是", "好"})

_CALLS: Final = {
    "positive": N_("positive"),
    "negative": N_("negative"),
    "inconclusive": N_("inconclusive"),
    "invalid": N_("invalid"),
}
_ADVICE: Final = {
    "none": N_("The test found nothing."),
    "confirm": N_("Please have this result confirmed. The notice beside the kiosk says where."),
    "repeat": N_("This test gave no full result. Please test again."),
}


class _Parser(argparse.ArgumentParser):
    """Never repeats what stands on the command line: it may be a code."""

    def error(self, message: str) -> None:  # type: ignore[override]  # raising is never returning
        """Raise a sentence of our own."""
        del message
        raise OptionError(
            "an option is wrong; `kioskwatch lookup --help` lists them. A code never stands on the command line, where "
            "others can read it: start without it, and it is asked for"
        )


def main(argv: Sequence[str]) -> int:
    """Look one result up; return how that ended."""
    try:
        given = _parser().parse_args(argv)
        words = Languages(lambda: time.localtime().tm_gmtoff).words(given.language)
        slip = _ask_for_slip(words, echo=given.echo)
        with PublicFiles(given.origin, ca=given.ca) as files:
            return _look_or_explain(files, slip, words, given)
    except (ClaimCodeError, OperatorError) as exc:
        return _complain(str(exc), OPERATOR_MUST_ACT)
    except EOFError:
        return _complain("no code was given", OPERATOR_MUST_ACT)


def _look_or_explain(files: PublicFiles, slip: Slip, words: Words, given: argparse.Namespace) -> int:
    try:
        return _look(files, slip, words, given)
    except ResultPageError as exc:
        print(words.text("Not available now: the result page does not answer as it should. Try again later."))
        return _complain(str(exc), UNREACHABLE)


def _look(files: PublicFiles, slip: Slip, words: Words, given: argparse.Namespace) -> int:
    clock = files.clock()
    if slip.ready_tick is None:
        return _look_everywhere(files, slip.code, clock, words, given)
    now = when(slip.ready_tick, clock)
    if now is When.NOT_READY and not given.anyway:
        at = _instant(words, readable_from_ns(slip.ready_tick))
        return _say(words.text("Not ready until %(time)s. Look again then.", time=at), NOT_READY)
    if now is When.EXPIRED and not given.anyway:
        at = _instant(words, expires_ns(slip.ready_tick))
        return _say(words.text("Expired on %(time)s: the result has been deleted.", time=at), EXPIRED)
    found = find(files.cohort(cohort_for(slip.ready_tick, clock)), slip.code.keys())
    return _show(found, words)


def _look_everywhere(
    files: PublicFiles, code: ClaimCode, clock: PublicClock, words: Words, given: argparse.Namespace
) -> int:
    """Load every live cohort, newest first, and all of them: stopping at the right one would tell which it was."""
    newest_first = list(reversed(clock.cohorts))
    typical = len(files.cohort(max(newest_complete_cohort(clock.tick), clock.oldest_cohort))) * RECORD_BYTES
    size = words.number(typical * len(newest_first) / MIB, 1)
    question = words.text(
        "Without the ready group every file has to be searched: %(count)s files, about %(size)s MiB.",
        count=words.number(len(newest_first)),
        size=size,
    )
    if not given.all and not _agrees(question, words):
        return _say(words.text("Nothing was downloaded. Start again with --all to download them."), NOT_AVAILABLE)
    keys, found = code.keys(), None
    for cohort in newest_first:
        here = find(files.cohort(cohort), keys)
        found = found or here
    return _show(found, words)


def _show(found: ResultBody | None, words: Words) -> int:
    if found is None:
        return _say(
            words.text("Not available: there is no result for this code there. Compare the code with the slip."),
            NOT_AVAILABLE,
        )
    if [target for target, _ in found.calls] == [PRACTICE_TARGET]:
        return _say(words.text("This is the practice record: the look-up works. Nobody was tested."), SHOWN)
    lines = [words.text("Test of %(day)s", day=found.day)]
    lines += [f"  {target}: {words.text(_CALLS[call])}" for target, call in found.calls]
    lines.append(words.text(_ADVICE[found.advice]))
    return _say("\n".join(lines), SHOWN)


def _ask_for_slip(words: Words, *, echo: bool) -> Slip:
    if not sys.stdin.isatty():
        code, group = (sys.stdin.readline(MAX_LINE_CHARS) for _ in range(2))
        return read_slip(code, group)
    ask = input if echo else getpass.getpass
    code = ask(words.text("Code (25 symbols, not shown while you type): "))
    group = "" if "#" in code else ask(words.text("Ready group (the sixth; empty if you do not have it): "))
    return read_slip(code, group)


def _agrees(question: str, words: Words) -> bool:
    print(question, file=sys.stderr)
    if not sys.stdin.isatty():
        return False
    return input(words.text("Download them? [y/N] ")).strip().lower() in _YES


def _instant(words: Words, ns: int) -> str:
    return f"{words.instant(ns)} {words.zone}"


def _say(text: str, code: int) -> int:
    print(text)
    return code


def _complain(sentence: str, code: int) -> int:
    print(f"kioskwatch lookup: {sentence}", file=sys.stderr)
    return code


def _parser() -> _Parser:
    parser = _Parser(
        prog="kioskwatch lookup",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--origin", default=LOCAL_ORIGIN, metavar="URL", help=f"the address on the slip ({LOCAL_ORIGIN})")
    add("--anyway", action="store_true", help="look although it is too early or too late")
    add("--all", action="store_true", help="without a ready group: download every live file without asking")
    add("--echo", action="store_true", help="show the code while it is typed")
    add("--ca", metavar="FILE", help="an authority to trust for --origin (PEM)")
    add("--language", choices=sorted(LANGUAGES), default=_language(), help="of the answer")
    return parser


def _language() -> str:
    wanted = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or FALLBACK
    return choose(None, None, wanted.partition("_")[0])
