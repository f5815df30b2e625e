"""Releases as received, for those who only read them: a kiosk's own, and the part of the chain that is shared."""

from dataclasses import dataclass

from sqlalchemy import func, select

from contracts.release_chain import GENESIS
from contracts.rows import ReleaseRow
from stores.state.database import Database
from stores.state.releases import release_of
from stores.state.tables import RELEASES


@dataclass(frozen=True, slots=True)
class ChainPart:
    """The releases from the first to the last that a period has, and where they are in the chain."""

    releases: tuple[ReleaseRow, ...]
    before: bytes  # the hash that the first of them follows
    head: bytes
    head_number: int  # 0: there is no release at all


def releases_of(database: Database, device: str, limit: int) -> list[ReleaseRow]:
    """Return a kiosk's newest releases, the newest window first."""
    wanted = select(RELEASES).where(RELEASES.c.device == device).order_by(RELEASES.c.window_start_ns.desc())
    with database.read() as connection:
        return [release_of(row) for row in connection.execute(wanted.limit(limit))]


def chain_part(database: Database, start_ns: int, stop_ns: int) -> ChainPart:
    """Return the shortest unbroken part of the chain with every release of the windows that start in [start, stop)."""
    number, window = RELEASES.c.id, RELEASES.c.window_start_ns
    inside = (window >= start_ns) & (window < stop_ns)
    with database.read() as connection:
        first, last = connection.execute(select(func.min(number), func.max(number)).where(inside)).one()
        rows = (
            []
            if first is None
            else connection.execute(select(RELEASES).where((number >= first) & (number <= last)).order_by(number)).all()
        )
        # Read last: a release that comes meanwhile must not lie beyond the head.
        newest = connection.execute(select(number, RELEASES.c.hash).order_by(number.desc()).limit(1)).first()
    releases = tuple(release_of(row) for row in rows)
    head, head_number = (bytes(newest.hash), int(newest.id)) if newest is not None else (GENESIS, 0)
    return ChainPart(releases, releases[0].prev_hash if releases else head, head, head_number)
