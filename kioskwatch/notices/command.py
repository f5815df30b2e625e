"""`kioskwatch notice render DIR`: the notice for the wall, one HTML file a language, filled from district.toml."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from backend.devices.district_file import DistrictFile, lacking, parse_district
from backend.devices.visitors import notice_of
from backend.errors import DistrictFileError
from backend.results.page_hash import page_hash
from contracts.notice import LANGUAGES
from kioskwatch.errors import OPERATOR_MUST_ACT, OperatorError, OptionError, StateFolderError
from kioskwatch.folder import DEFAULT_FOLDER, StateFolder
from kioskwatch.notices.sheet import Sheet, render
from kioskwatch.options import DEFAULT_RESULTS_PORT, Parser
from kioskwatch.plan import DEMO_DISTRICT

LOCAL_ORIGIN: Final = f"http://localhost:{DEFAULT_RESULTS_PORT}"


def main(argv: Sequence[str]) -> int:
    """Write the sheets and say where they are; 2 when the district file has to be mended first."""
    try:
        given = _parser().parse_args(argv)
        path = given.district or _own_or_demonstration(StateFolder(given.state.absolute()))
        sheet = sheet_of(path)
        for file in write_sheets(sheet, given.folder):
            print(file)
    except OperatorError as exc:
        print(f"kioskwatch notice: {exc}", file=sys.stderr)
        return OPERATOR_MUST_ACT
    if sheet.demonstration:
        print(f"kioskwatch notice: {path} is not complete: the sheets say that they are not valid", file=sys.stderr)
    return 0


def sheet_of(path: Path) -> Sheet:
    """Return what a district file says to visitors; OptionError names what is missing."""
    try:
        file = parse_district(path.read_text(encoding="utf-8"))
    except DistrictFileError as exc:
        raise OptionError(f"{path}: {exc}") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise OptionError(f"{path} cannot be read: {exc}") from exc
    notice = notice_of(file.notice)
    if notice is None:
        raise OptionError(f"{path}: {_first_gap(file)}")
    return Sheet(
        notice=notice,
        origin=file.results.origin or LOCAL_ORIGIN,
        page_hash=page_hash(),
        demonstration=any(lacking(file)),
    )


def write_sheets(sheet: Sheet, folder: Path) -> list[Path]:
    """Write notice-<language>.html for each language; StateFolderError when the folder takes none."""
    files = [folder / f"notice-{language}.html" for language in LANGUAGES]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for language, file in zip(LANGUAGES, files, strict=True):
            file.write_text(render(sheet, language), encoding="utf-8")
    except OSError as exc:
        raise StateFolderError(f"{folder} cannot be written ({exc.strerror}): name another folder") from exc
    return files


def _first_gap(file: DistrictFile) -> str:
    gap = next((fault for fault in lacking(file) if fault.table.startswith("notice")), None)
    return "[notice] is not complete" if gap is None else f"{gap.table}.{gap.key}: {gap.sentence}"


def _own_or_demonstration(folder: StateFolder) -> Path:
    return folder.district if folder.district.exists() else DEMO_DISTRICT


def _parser() -> Parser:
    parser = Parser(prog="kioskwatch notice", description="The notice that visitors read beside a kiosk.")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    action = actions.add_parser("render", help="write one HTML page a language, to print")
    action.add_argument("folder", type=Path, metavar="DIR", help="where to write them")
    action.add_argument("--district", type=Path, metavar="FILE", help="district.toml (the one in --state)")
    action.add_argument("--state", type=Path, default=DEFAULT_FOLDER, metavar="DIR", help="the district (./var)")
    return parser
