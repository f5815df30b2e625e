"""An ingest without a broker, on a SQLite state of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ingest import Bench, ingest_bench
from tests.support.speaker import Speaker


@pytest.fixture
def air() -> Speaker:
    return Speaker("air-1", ob=11)


@pytest.fixture
def other() -> Speaker:
    return Speaker("air-2", ob=12)


@pytest.fixture
def kiosk() -> Speaker:
    return Speaker("kiosk-1", ob=13)


@pytest.fixture
def room() -> Speaker:
    return Speaker("room-1", ob=14)


@pytest.fixture
def bench(tmp_path: Path, air: Speaker, other: Speaker, kiosk: Speaker, room: Speaker) -> Iterator[Bench]:
    with ingest_bench(tmp_path, [air, other, kiosk, room]) as made:
        yield made
