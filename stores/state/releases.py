"""Releases as received: kept for ever, one a (device, window), each hashing the one before it.

The chain lets anyone who holds its head check later that no release was changed, removed or slipped in.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select

from contracts.release_chain import GENESIS, chain_hash, content
from contracts.rows import AssayCounts, ReleaseRow
from stores.state.database import Database
from stores.state.tables import RELEASES

MAX_ROWS: Final = 10_000


def append_releases(connection: Connection, releases: Sequence[ReleaseRow]) -> None:
    """Chain and insert releases, in order; ConflictError when a (device, window) is there already."""
    if not releases:
        return
    last = connection.execute(select(RELEASES.c.hash).order_by(RELEASES.c.id.desc()).limit(1)).scalar()
    previous = GENESIS if last is None else bytes(last)
    rows = []
    for release in releases:
        linked = replace(release, prev_hash=previous, hash=chain_hash(previous, release))
        previous = linked.hash
        rows.append(_row(linked))
    connection.execute(insert(RELEASES), rows)


def has_release(database: Database, device: str, window_start_ns: int) -> bool:
    """Tell whether the release of a (device, window) is stored."""
    key = (RELEASES.c.device == device) & (RELEASES.c.window_start_ns == window_start_ns)
    with database.read() as connection:
        return connection.execute(select(RELEASES.c.id).where(key)).first() is not None


def releases_after(database: Database, after_id: int, limit: int = MAX_ROWS) -> list[ReleaseRow]:
    """Return releases newer than a number, oldest first."""
    wanted = select(RELEASES).where(RELEASES.c.id > after_id).order_by(RELEASES.c.id).limit(limit)
    with database.read() as connection:
        return [release_of(row) for row in connection.execute(wanted)]


def releases_between(database: Database, start_ns: int, stop_ns: int) -> list[ReleaseRow]:
    """Return the releases of the windows that start in [start, stop), by window, then as received."""
    inside = (RELEASES.c.window_start_ns >= start_ns) & (RELEASES.c.window_start_ns < stop_ns)
    wanted = select(RELEASES).where(inside).order_by(RELEASES.c.window_start_ns, RELEASES.c.id)
    with database.read() as connection:
        return [release_of(row) for row in connection.execute(wanted)]


def first_window_of_zone(database: Database, zone: str) -> int | None:
    """Return the start of a zone's first released window; None before there is one."""
    wanted = select(RELEASES.c.window_start_ns).where(RELEASES.c.zone == zone)
    with database.read() as connection:
        first = connection.execute(wanted.order_by(RELEASES.c.window_start_ns).limit(1)).scalar()
        return None if first is None else int(first)


def first_broken_link(database: Database) -> int | None:
    """Return the number of the first release that does not fit the chain; None when all do."""
    previous, after_id = GENESIS, 0
    while rows := releases_after(database, after_id):
        for release in rows:
            if release.prev_hash != previous or release.hash != chain_hash(previous, release):
                return release.id
            previous, after_id = release.hash, release.id
    return None


def release_of(row: Row[Any]) -> ReleaseRow:
    """Return a row of the table as a release."""
    counters = {code: AssayCounts(**counts) for code, counts in json.loads(row.counters).items()}
    values = row._asdict() | {"counters": counters, "prev_hash": bytes(row.prev_hash), "hash": bytes(row.hash)}
    return ReleaseRow(**values)


def _row(release: ReleaseRow) -> dict[str, Any]:
    return {**content(release), "prev_hash": release.prev_hash, "hash": release.hash}
