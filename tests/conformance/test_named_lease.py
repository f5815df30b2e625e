"""One holder of a name at a time, on SQLite and on PostgreSQL, until it lets go or dies."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.synchronize import Event

import pytest

from stores.errors import WriterLockedError
from stores.state.database import open_for_writing
from stores.state.named_lease import named_lease


def _hold(spec: str, held: Event) -> None:
    with named_lease(spec, "history"):
        held.set()
        signal.pause()


def _started(work: Callable[[str, Event], None], spec: str) -> multiprocessing.process.BaseProcess:
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=work, args=(spec, held), daemon=True)
    process.start()
    assert held.wait(20)
    return process


def test_a_second_holder_is_refused_and_let_in_when_the_first_has_ended(spec: str) -> None:
    with named_lease(spec, "history"), pytest.raises(WriterLockedError), named_lease(spec, "history"):
        raise AssertionError("two at once")
    with named_lease(spec, "history"):
        pass


def test_an_error_inside_lets_go(spec: str) -> None:
    with pytest.raises(ValueError, match="inside"), named_lease(spec, "history"):
        raise ValueError("inside")
    with named_lease(spec, "history"):
        pass


def test_a_killed_holder_lets_go(spec: str) -> None:
    process = _started(_hold, spec)
    with pytest.raises(WriterLockedError), named_lease(spec, "history"):
        raise AssertionError("two at once")
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join(10)
    for _ in range(100):
        try:
            with named_lease(spec, "history"):
                return
        except WriterLockedError:
            multiprocessing.get_context("spawn").Event().wait(0.05)  # a server sees the end a moment later
    raise AssertionError("the lease of a killed process is held for ever")


def test_it_is_in_nobodys_way(spec: str) -> None:
    with named_lease(spec, "history"), open_for_writing(spec, "ingest"), open_for_writing(spec, "backend"):
        pass
