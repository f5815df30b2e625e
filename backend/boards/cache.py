"""Encoded answers kept for a moment: twenty officers who look at the same chart ask the store once.

Real seconds. An answer is never older than `keep_s`; while one request makes it, the others wait for it.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

KEEP_S: Final = 1.0  # the console asks every two seconds
MAX_ANSWERS: Final = 512
MAX_BYTES: Final = 32 * 1024 * 1024


class AnswerCache:
    """For the event loop's thread only."""

    def __init__(self, real_s: Callable[[], float], *, keep_s: float = KEEP_S) -> None:
        self._real_s = real_s
        self._keep_s = keep_s
        self._answers: dict[Hashable, tuple[float, bytes]] = {}
        self._making: dict[Hashable, asyncio.Task[bytes]] = {}
        self._bytes = 0

    async def get(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return the kept answer, or make it; an error is not kept and goes to everyone who waited."""
        kept = self._answers.get(key)
        if kept is not None and self._real_s() - kept[0] < self._keep_s:
            return kept[1]
        task = self._making.get(key)
        if task is None:
            task = asyncio.create_task(self._make(key, make))
            self._making[key] = task
            task.add_done_callback(lambda done: self._made(key, done))
        return await asyncio.shield(task)

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        made = await make()
        self._keep(key, made)
        return made

    def _made(self, key: Hashable, task: asyncio.Task[bytes]) -> None:
        self._making.pop(key, None)
        if not task.cancelled():
            task.exception()  # taken here as well, in case everyone who waited has gone

    def _keep(self, key: Hashable, made: bytes) -> None:
        now_s = self._real_s()
        fresh = {one: kept for one, kept in self._answers.items() if now_s - kept[0] < self._keep_s and one != key}
        self._bytes = sum(len(kept[1]) for kept in fresh.values())
        if len(fresh) < MAX_ANSWERS and self._bytes + len(made) <= MAX_BYTES:
            fresh[key] = (now_s, made)
        self._answers = fresh


class Kept(Generic[T]):
    """One value kept for a moment, for threads: the first asks, the others wait and take the same."""

    def __init__(self, make: Callable[[], T], real_s: Callable[[], float], *, keep_s: float = KEEP_S) -> None:
        self._make = make
        self._real_s = real_s
        self._keep_s = keep_s
        self._lock = threading.Lock()
        self._value: tuple[float, T] | None = None

    def get(self) -> T:
        """Return the value, at most `keep_s` old."""
        with self._lock:
            if self._value is None or self._real_s() - self._value[0] >= self._keep_s:
                self._value = (self._real_s(), self._make())
            return self._value[1]
