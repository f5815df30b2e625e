"""Check 4: signatures, inline for a few messages, in slices on another core for many.

Ed25519 verification costs 105 µs and releases the GIL, but beside a busy thread it gets it back only every switch
interval; one message per thread call would verify 190 a second. So slices go to a process that does nothing else.
"""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from contracts.envelope import verify
from contracts.errors import SignatureError

INLINE_BELOW: Final = 40  # below it handing over costs more than it saves
OWN_SHARE: Final = 0.3  # of a large batch; the parent also reads, decodes and journals
_KEYS: Final = 10_000

Signed = tuple[bytes, str, bytes, str | None]  # key, topic, wire, signature


class Verifier:
    """Verifies batches; `workers` 0 does everything inline."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: Executor | None = None

    def verify(self, batch: Sequence[Signed]) -> list[bool]:
        """Tell for each message whether its signature holds."""
        if self._workers == 0 or len(batch) < INLINE_BELOW:
            return verify_slice(batch)
        own = int(len(batch) * OWN_SHARE)
        try:
            rest = [self._started().submit(verify_slice, part) for part in _parts(batch[own:], self._workers)]
            return verify_slice(batch[:own]) + [held for part in rest for held in part.result()]
        except BrokenProcessPool:  # a worker was killed: nothing is lost, the batch is still here
            self.close()
            return verify_slice(batch)

    def close(self) -> None:
        """End the workers."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _started(self) -> Executor:
        if self._pool is None:  # spawn: a forked worker would inherit the broker's socket and the stores' files
            self._pool = ProcessPoolExecutor(self._workers, mp_context=multiprocessing.get_context("spawn"))
        return self._pool


def verify_slice(batch: Sequence[Signed]) -> list[bool]:
    """Verify one after the other."""
    return [_holds(*signed) for signed in batch]


def _holds(key: bytes, topic: str, wire: bytes, sig: str | None) -> bool:
    try:
        verify(_loaded(key), topic, wire, sig)
    except (SignatureError, ValueError):  # ValueError: an enrolled key that is none
        return False
    return True


@lru_cache(maxsize=_KEYS)
def _loaded(key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(key)


def _parts(batch: Sequence[Signed], parts: int) -> list[Sequence[Signed]]:
    size = -(-len(batch) // parts)
    return [batch[start : start + size] for start in range(0, len(batch), size)]
