"""The chain of releases as received: each hashes the one before it, so that its head speaks for all of them. No I/O.

Who holds a head can check later that no release was changed, removed or slipped in. Ingest keeps the chain
(`stores.state.releases`); a receiver of a shared package computes it again.
"""

import hashlib
import json
from typing import Any, Final

from contracts.rows import ReleaseRow

GENESIS: Final = bytes(32)


def chain_hash(previous: bytes, release: ReleaseRow) -> bytes:
    """Return the hash of a release behind the one whose hash is `previous`."""
    return hashlib.sha256(previous + json.dumps(content(release), sort_keys=True).encode()).digest()


def content(release: ReleaseRow) -> dict[str, Any]:
    """Return what is hashed of a release, by name: everything but its number and the hashes."""
    return {
        "device": release.device,
        "zone": release.zone,
        "window_start_ns": release.window_start_ns,
        "window_s": release.window_s,
        "layout": release.layout,
        "counters": counters_text(release),
        "ob": release.ob,
        "seq": release.seq,
        "received_ns": release.received_ns,
        "late": release.late,
    }


def counters_text(release: ReleaseRow) -> str:
    """Return the counters as they are stored and hashed."""
    counters = {
        code: {"valid": counts.valid, "invalid": counts.invalid, "positives": dict(counts.positives)}
        for code, counts in release.counters.items()
    }
    return json.dumps(counters, sort_keys=True)
