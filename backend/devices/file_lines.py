"""Where in district.toml a key stands, so that a complaint names its line. Pure."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, NoReturn

from backend.devices.visitors import Fault
from backend.errors import DistrictFileError
from contracts.errors import ContractError
from contracts.topics import check_name

MAX_TEXT: Final = 120
SINGLE_TABLES: Final = frozenset({"district", "results", "notice"})  # every other is an array of tables

_HEADER = re.compile(r"\s*(\[\[?)\s*([a-z_]+(?:\.[a-z_]+)?)\s*\]\]?")
_KEY = re.compile(r"\s*\"?([a-z_]+)\"?\s*[=.]")


class Lines:
    """Where in the text an entry and its keys stand; None where the file is written in another style of TOML."""

    def __init__(self, text: str) -> None:
        self._keys: dict[tuple[str, int, str], int] = {}
        self._headers: dict[tuple[str, int], int] = {}
        counts: dict[str, int] = {}
        table, index = "", 0
        for number, line in enumerate(text.splitlines(), start=1):
            header, key = _HEADER.match(line), _KEY.match(line)
            if header is not None:
                table = header[2]
                index = counts.get(table, 0) if header[1] == "[[" else 0
                counts[table] = index + 1
                self._headers[table, index] = number
            elif key is not None:
                self._keys.setdefault((table, index, key[1]), number)

    def line(self, table: str, index: int, key: str) -> int | None:
        """Return the line of a key, else of the table that holds it or would."""
        outer, _, inner = table.partition(".")  # [notice.contact], or contact = {…} below [notice]
        return (
            self._keys.get((table, index, key))
            or self._headers.get((table, index))
            or self._headers.get((f"{table}.{key}", 0))
            or self._keys.get((outer, 0, inner))
            or self._headers.get((outer, 0))
        )

    def line_of_path(self, path: str) -> int | None:
        """Return the line of one of msgspec's paths, such as `site[2].kind`."""
        found = re.match(r"([a-z_]+)(?:\[(\d+)\])?(?:\.([a-z_]+))?", path)
        return self.line(found[1], int(found[2] or 0), found[3] or "") if found else None

    def at(self, table: str, index: int = 0) -> "At":
        """Return one entry, to complain about."""
        return At(self, table, index)

    def refuse(self, fault: Fault) -> NoReturn:
        """Raise the fault as DistrictFileError with its line."""
        self.at(fault.table).refuse(fault.key, fault.sentence)


@dataclass(frozen=True, slots=True)
class At:
    """One entry of the file, as far as a complaint about it needs to know it."""

    lines: Lines
    table: str
    index: int

    def refuse(self, key: str, sentence: str, cause: Exception | None = None) -> NoReturn:
        """Raise DistrictFileError about a key of this entry."""
        single = self.table.partition(".")[0] in SINGLE_TABLES
        shown = f"{self.table}.{key}" if single else f"{self.table} number {self.index + 1}, {key}"
        raise DistrictFileError(sentence, key=shown, line=self.lines.line(self.table, self.index, key)) from cause

    def name(self, key: str, value: str) -> None:
        """Refuse what cannot be an id."""
        try:
            check_name(value)
        except ContractError as exc:
            self.refuse(key, str(exc), exc)

    def text(self, key: str, value: str, *, least: int = 1) -> None:
        """Refuse a text that no screen has room for."""
        if not least <= len(value) <= MAX_TEXT:
            self.refuse(key, f"{least} to {MAX_TEXT} characters")

    def one_of(self, key: str, value: str, known: Collection[str]) -> None:
        """Refuse a word that is not in the list."""
        if value not in known:
            self.refuse(key, f"one of {', '.join(sorted(known))}")

    def refers(self, key: str, value: str, known: Collection[str], table: str) -> None:
        """Refuse a reference to nothing."""
        if value not in known:
            self.refuse(key, f"there is no [[{table}]] with this id")
