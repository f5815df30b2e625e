"""Live events and loops: slow readers cost nothing, endless streams end, a failing turn stops no loop."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from backend.boards.cache import AnswerCache, Kept
from backend.errors import TooManyError
from backend.web.live import MAX_CLIENTS_PER_ACCOUNT, LiveHub
from backend.web.loops import Loop
from stores.errors import StoreUnavailableError


async def _next(stream: AsyncIterator[bytes]) -> bytes:
    return await asyncio.wait_for(anext(stream), 2)


def test_an_event_from_another_thread_reaches_every_browser() -> None:
    async def scene() -> list[bytes]:
        hub = LiveHub()
        hub.start()
        streams = [hub.stream(name, lambda: True) for name in ("a", "b")]
        for stream in streams:
            assert (await _next(stream)).startswith(b"retry:")
        thread = threading.Thread(target=hub.publish, args=("alerts", b'{"id":7}'))
        thread.start()
        thread.join()
        return [await _next(stream) for stream in streams]

    assert asyncio.run(scene()) == [b'event: alerts\ndata: {"id":7}\n\n'] * 2


def test_a_slow_browser_gets_the_newest_of_each_kind_and_holds_no_more_than_that() -> None:
    async def scene() -> list[bytes]:
        hub = LiveHub()
        hub.start()
        stream = hub.stream("a", lambda: True)
        await _next(stream)
        for number in range(1000):
            hub.publish("alerts", b'{"id":%d}' % number)
            hub.publish("tick")
        await asyncio.sleep(0)
        return [await _next(stream), await _next(stream)]

    assert asyncio.run(scene()) == [b'event: alerts\ndata: {"id":999}\n\n', b"event: tick\ndata: {}\n\n"]


def test_a_stream_beats_while_signed_in_and_ends_with_the_session() -> None:
    async def scene() -> list[bytes]:
        signed_in = iter([True, False])
        hub = LiveHub(heartbeat_s=0.01)
        hub.start()
        return [chunk async for chunk in hub.stream("a", lambda: next(signed_in))]

    assert asyncio.run(scene()) == [b"retry: 2000\n\n", b": beat\n\n"]


def test_closing_ends_every_stream_so_that_the_server_can_stop() -> None:
    async def scene() -> int:
        hub = LiveHub()
        hub.start()
        stream = hub.stream("a", lambda: True)
        await _next(stream)
        assert hub.clients == 1
        hub.close()
        assert [chunk async for chunk in stream] == []
        return hub.clients

    assert asyncio.run(scene()) == 0


def test_one_account_cannot_take_every_place() -> None:
    async def scene() -> None:
        hub = LiveHub()
        hub.start()
        streams = [hub.stream("a", lambda: True) for _ in range(MAX_CLIENTS_PER_ACCOUNT)]
        for stream in streams:
            await _next(stream)
        with pytest.raises(TooManyError):
            hub.stream("a", lambda: True)
        await _next(hub.stream("b", lambda: True))

    asyncio.run(scene())


def test_before_the_start_and_after_the_end_of_the_loop_publishing_is_harmless() -> None:
    hub = LiveHub()
    hub.publish("tick")

    async def scene() -> None:
        hub.start()

    asyncio.run(scene())
    hub.publish("tick")


def _loop(step: Callable[[], int], failures: list[int]) -> Loop:
    clock = iter(range(10**6))
    return Loop("test", step, every_s=0.001, real_s=lambda: float(next(clock)), failed=lambda: failures.append(1))


def test_a_loop_outlives_a_store_that_is_down_and_a_bug_and_counts_the_bug() -> None:
    turns: list[str] = []
    done = threading.Event()
    failures: list[int] = []

    def step() -> int:
        turns.append("turn")
        if len(turns) == 1:
            raise StoreUnavailableError("down")
        if len(turns) == 2:
            raise ZeroDivisionError
        if len(turns) == 5:
            done.set()
        return 0

    loop = _loop(step, failures)
    loop.start()
    assert done.wait(5)
    loop.stop()
    assert failures == [1]
    loop.check(most_s=10**6)
    with pytest.raises(TimeoutError):
        loop.check(most_s=-1)


def test_many_who_ask_at_once_get_one_answer_and_an_error_is_not_kept() -> None:
    async def scene() -> list[int]:
        now = [0.0]
        made: list[int] = []
        cache = AnswerCache(lambda: now[0], keep_s=1.0)

        async def make() -> bytes:
            made.append(len(made))
            await asyncio.sleep(0.01)
            if len(made) == 3:
                raise StoreUnavailableError("down")
            return b"%d" % len(made)

        together = await asyncio.gather(*(cache.get("k", make) for _ in range(5)))
        assert set(together) == {b"1"}
        now[0] = 0.9
        assert await cache.get("k", make) == b"1"
        now[0] = 1.1
        assert await cache.get("k", make) == b"2"
        now[0] = 3.0
        for _ in range(2):
            with pytest.raises(StoreUnavailableError):
                await cache.get("k", make)
            made.pop()
        return made

    assert len(asyncio.run(scene())) == 2


def test_a_kept_value_is_made_again_when_it_is_old() -> None:
    now, made = [0.0], iter(range(1, 10))
    kept = Kept(lambda: next(made), lambda: now[0], keep_s=1.0)
    assert [kept.get(), kept.get()] == [1, 1]
    now[0] = 1.0
    assert kept.get() == 2
