"""What a thief reads of a stolen kiosk: its files as they lie on the disk, and the memory of its processes."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from contracts.claim import ClaimCode
from tests.support.required import unavailable

CHUNK_BYTES = 1024 * 1024
OVERLAP_BYTES = 512  # longer than any needle

_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \S+\s*(.*)")

Needles = Mapping[str, bytes]


def code_needles(code: ClaimCode) -> dict[str, bytes]:
    """Every form in which a code, or what opens its record, would be found."""
    groups, keys = str(code).split("-"), code.keys()
    texts = {
        "symbols": code.symbols[:23],  # also of the fragment; what the keys are derived from
        "dashes": str(code),
        "first line of a slip": " ".join(groups[:3]),
        "second line of a slip": " ".join(groups[3:]),
        "lower case": code.symbols.lower(),
    }
    found = {name: text.encode() for name, text in texts.items()}
    found |= {f"{name}, UTF-16": text.encode("utf-16-le") for name, text in texts.items()}  # also Python's UCS-2
    found |= {f"{name}, UTF-32": text.encode("utf-32-le") for name, text in texts.items()}
    return found | {
        "private key": keys.private_key,
        "private key, hexadecimal": keys.private_key.hex().encode(),
        "delete token": keys.delete_token,
    }


class Search:
    """Looks for many needles in one pass: by tables of two bytes each, and then one by one."""

    _AT = (0, 3, 6)  # of a needle; the shortest has eight bytes

    def __init__(self, needles: Needles) -> None:
        assert min(map(len, needles.values())) >= self._AT[-1] + 2
        self._needles = needles
        self._tables = []
        for at in self._AT:
            table = np.zeros(1 << 16, dtype=bool)
            table[[int.from_bytes(needle[at : at + 2], "little") for needle in needles.values()]] = True
            self._tables.append(table)
        self._by_start: dict[bytes, list[tuple[str, bytes]]] = {}
        for name, needle in needles.items():
            self._by_start.setdefault(needle[:4], []).append((name, needle))

    def found(self, piece: bytes) -> set[str]:
        """Return the names of the needles that are in it."""
        return {
            name
            for at in self._candidates(np.frombuffer(piece, dtype=np.uint8))
            for name, needle in self._by_start.get(piece[at : at + 4], ())
            if piece.startswith(needle, at)
        }

    def _candidates(self, data: npt.NDArray[np.uint8]) -> list[int]:
        reach = len(data) - self._AT[-1] - 1
        if reach <= 0:
            return []
        pairs = data[:-1].astype(np.uint16) | data[1:].astype(np.uint16) << 8
        at = np.flatnonzero(self._tables[0][pairs[:reach]])
        for offset, table in zip(self._AT[1:], self._tables[1:], strict=True):
            at = at[table[pairs[at + offset]]]
        return [int(one) for one in at]


def find(needles: Needles, where: Mapping[str, Iterable[bytes]]) -> set[str]:
    """Return `needle in place` for each that is found."""
    search = Search(needles)
    return {f"{name} in {place}" for place, pieces in where.items() for piece in pieces for name in search.found(piece)}


def disk(folder: Path) -> Iterable[bytes]:
    """The bytes of every file below a folder, journals and all."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.read_bytes()


def memory(pid: int) -> Iterable[bytes]:
    """The bytes of every writable mapping of a process, in pieces that overlap."""
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:  # noqa: PTH123 -- read at places, unbuffered
            for start, end in _writable(pid):
                for at in range(start, end, CHUNK_BYTES):
                    piece = _read(mem.fileno(), at, min(end - at, CHUNK_BYTES + OVERLAP_BYTES))
                    if piece.strip(b"\0"):  # most of a stack was never touched
                        yield piece
    except PermissionError:
        unavailable("another process's memory", "run the tests as root: what keeps secrets is not dumpable")


def _writable(pid: int) -> list[tuple[int, int]]:
    found = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        match = _MAPPING.fullmatch(line)
        assert match is not None, line
        if "w" in match[3] and match[4] not in ("[vvar]", "[vsyscall]"):
            found.append((int(match[1], 16), int(match[2], 16)))
    return found


def _read(descriptor: int, at: int, size: int) -> bytes:
    try:
        return os.pread(descriptor, size, at)
    except OSError:  # a mapping that went meanwhile, or one that has no memory behind it
        return b""
