"""`releases.csv` of a shared package: the links of the chain of releases, or the releases themselves. No I/O.

Links (`number, window_start_ns, received_ns, hash`) say that a release was received, for which window and when, and
bind it by its hash; whoever sees the release itself later can prove that it is that one. Releases have all that the
hash is made of, so the receiver computes the chain again.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts.errors import SharingError
from contracts.release_chain import chain_hash, content
from contracts.rows import AssayCounts, ReleaseRow
from contracts.sharing import ChainEntry

FILE: Final = "releases.csv"
LINK_COLUMNS: Final = ("number", "window_start_ns", "received_ns", "hash")
RELEASE_COLUMNS: Final = (
    *("number", "device", "zone", "window_start_ns", "window_s", "layout", "counters", "ob", "seq"),
    *("received_ns", "late", "hash"),
)


@dataclass(frozen=True, slots=True)
class Link:
    """One release in the chain, whatever it says."""

    number: int
    window_start_ns: int
    received_ns: int
    hash: str


@dataclass(frozen=True, slots=True)
class SharedChain:
    """The part of the chain in a package; `releases` is empty where only links were shared."""

    links: tuple[Link, ...]
    releases: tuple[ReleaseRow, ...]


def encode_links(releases: Iterable[ReleaseRow]) -> bytes:
    """Return releases as links."""
    return _csv(LINK_COLUMNS, ([row.id, row.window_start_ns, row.received_ns, row.hash.hex()] for row in releases))


def encode_releases(releases: Iterable[ReleaseRow]) -> bytes:
    """Return releases whole."""
    rows = ({**content(row), "number": row.id, "hash": row.hash.hex(), "late": int(row.late)} for row in releases)
    return _csv(RELEASE_COLUMNS, ([row[name] for name in RELEASE_COLUMNS] for row in rows))


def check_chain(data: bytes, chain: ChainEntry) -> SharedChain:
    """Return the links, and the releases if they are there; SharingError when they are not this chain.

    1 as many as the manifest says, numbered upwards, ending at `last` and not beyond the head · 2 whole releases: each
    hash follows from the one before it and from the release.
    """
    rows = _rows(data)
    links = tuple(_link(row) for row in rows)
    _check_ends(links, chain)  # 1
    if not rows or "counters" not in rows[0]:
        return SharedChain(links, ())
    releases = tuple(_release(row) for row in rows)
    previous = _bytes(chain.before)
    for release, link in zip(releases, links, strict=True):  # 2
        previous = chain_hash(previous, release)
        if previous.hex() != link.hash:
            raise SharingError(f"release {link.number} does not follow from the one before it")
    return SharedChain(links, releases)


def check_continues(older: Sequence[Link], newer: Sequence[Link]) -> int:
    """Return how many releases are in both packages; SharingError when one of them is not the same in both."""
    known = {link.number: link for link in older}
    both = [link for link in newer if link.number in known]
    for link in both:
        if known[link.number] != link:
            raise SharingError(f"release {link.number} is another one than in the earlier package")
    return len(both)


def _check_ends(links: Sequence[Link], chain: ChainEntry) -> None:
    numbers = [link.number for link in links]
    if len(links) != chain.links or numbers != sorted(set(numbers)):
        raise SharingError(f"{FILE} does not hold the links that the manifest says")
    if links and (links[-1].hash != chain.last or numbers[-1] > chain.head_number):
        raise SharingError(f"{FILE} does not end where the manifest says")
    if links and numbers[-1] == chain.head_number and links[-1].hash != chain.head:
        raise SharingError(f"{FILE} does not end at the head that the manifest says")


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue().encode()


def _rows(data: bytes) -> list[dict[str, str]]:
    try:
        reader = csv.DictReader(io.StringIO(data.decode()), strict=True)
        rows = [dict(row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as exc:
        raise SharingError(f"{FILE} is no table") from exc
    if tuple(reader.fieldnames or ()) not in (LINK_COLUMNS, RELEASE_COLUMNS):
        raise SharingError(f"{FILE} has other columns than this program knows: update kioskwatch")
    if any(None in row or None in row.values() for row in rows):
        raise SharingError(f"{FILE} has a row of another length")
    return rows


def _link(row: dict[str, str]) -> Link:
    hash_ = row["hash"]
    _bytes(hash_)
    return Link(_int(row["number"]), _int(row["window_start_ns"]), _int(row["received_ns"]), hash_)


def _release(row: dict[str, str]) -> ReleaseRow:
    try:
        told: dict[str, Any] = json.loads(row["counters"])
        counters = {code: AssayCounts(**counts) for code, counts in told.items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as exc:
        raise SharingError(f"{FILE} has counters that are none") from exc
    return ReleaseRow(
        device=row["device"],
        zone=row["zone"],
        window_start_ns=_int(row["window_start_ns"]),
        window_s=_int(row["window_s"]),
        layout=_int(row["layout"]),
        counters=counters,
        ob=_int(row["ob"]),
        seq=_int(row["seq"]),
        received_ns=_int(row["received_ns"]),
        late=row["late"] == "1",
    )


def _int(text: str) -> int:
    try:
        return int(text)
    except ValueError as exc:
        raise SharingError(f"{FILE} has a number that is none") from exc


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as exc:
        raise SharingError(f"{FILE} has a hash that is none") from exc
