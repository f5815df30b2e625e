"""Check 4: signatures, inline for a few messages, on another core for many.

Ed25519 verification costs tens of microseconds and releases the GIL, but beside a busy thread it gets it back only
every switch interval; one message per thread call would verify 190 a second. So a batch goes in slices to processes
that do nothing else, while the batch before it is judged and committed. libsodium verifies in half the time of the
OpenSSL that signs at the edge; a test holds the two to the same verdicts.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from typing import Final

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from contracts.envelope import decode_signature, signed_bytes
from contracts.errors import SignatureError

INLINE_BELOW: Final = 40  # below it handing over costs more than it saves
_KEYS: Final = 10_000

Signed = tuple[bytes, str, bytes, str | None]  # key, topic, wire, signature


class Checking:
    """Signatures that are being checked."""

    def __init__(self, batch: Sequence[Signed], slices: Sequence[Future[list[bool]]]) -> None:
        self._batch = batch
        self._slices = slices
        self._held: list[bool] | None = None

    def result(self) -> list[bool]:
        """Tell for each message whether its signature holds; waits for it, the first time."""
        if self._held is None:
            self._held = self._collect()
        return self._held

    def _collect(self) -> list[bool]:
        if not self._slices:
            return verify_slice(self._batch)
        try:
            return [held for part in self._slices for held in part.result()]
        except BrokenProcessPool:  # a worker was killed: nothing is lost, the batch is still here
            return verify_slice(self._batch)


class Verifier:
    """Verifies batches; `workers` 0 does everything inline."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: Executor | None = None

    def start(self) -> None:
        """Start the workers and return once they answer, so that the first batch need not wait for them."""
        if self._workers == 0:
            return
        pool = self._started()
        try:
            for ready in [pool.submit(verify_slice, ()) for _ in range(self._workers)]:
                ready.result()
        except BrokenProcessPool:
            self.close()  # `begin` starts them

    def begin(self, batch: Sequence[Signed]) -> Checking:
        """Begin with a batch; a small one is checked when its result is asked for."""
        if self._workers == 0 or len(batch) < INLINE_BELOW:
            return Checking(batch, ())
        size = -(-len(batch) // self._workers)
        parts = [batch[start : start + size] for start in range(0, len(batch), size)]
        try:
            return Checking(batch, [self._started().submit(verify_slice, part) for part in parts])
        except BrokenProcessPool:
            self.close()  # the next batch starts a new one
            return Checking(batch, ())

    def close(self) -> None:
        """End the workers."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _started(self) -> Executor:
        if self._pool is None:  # spawn: a forked worker would inherit the broker's socket and the stores' files
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._workers, mp_context=context, initializer=_prepare_worker)
        return self._pool


def verify_slice(batch: Sequence[Signed]) -> list[bool]:
    """Verify one after the other."""
    return [_holds(*signed) for signed in batch]


def _holds(key: bytes, topic: str, wire: bytes, sig: str | None) -> bool:
    try:
        _loaded(key).verify(signed_bytes(topic, wire), decode_signature(sig))
    except (SignatureError, BadSignatureError, ValueError):  # ValueError: an enrolled key that is none
        return False
    return True


@lru_cache(maxsize=_KEYS)
def _loaded(key: bytes) -> VerifyKey:
    return VerifyKey(key)


def _prepare_worker() -> None:
    """A worker ends with its parent, however that ends, and never by the terminal's Ctrl-C before it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="end with parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)
