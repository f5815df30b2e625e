"""An ingest without a broker, on a SQLite state of the test's own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stores.state.database import open_for_writing
from tests.support.ingest import Bench, ingest_bench
from tests.support.registry import write_registry
from tests.support.speaker import Speaker


@pytest.fixture(scope="session")
def air() -> Speaker:
    return Speaker("air-1", ob=11)


@pytest.fixture(scope="session")
def other() -> Speaker:
    return Speaker("air-2", ob=12)


@pytest.fixture(scope="session")
def kiosk() -> Speaker:
    return Speaker("kiosk-1", ob=13)


@pytest.fixture(scope="session")
def room() -> Speaker:
    return Speaker("room-1", ob=14)


@pytest.fixture(scope="session")
def empty_state(
    tmp_path_factory: pytest.TempPathFactory, air: Speaker, other: Speaker, kiosk: Speaker, room: Speaker
) -> Path:
    """A registry and an empty journal, made once: each test works on a copy."""
    folder = tmp_path_factory.mktemp("empty state")
    write_registry(f"sqlite:{folder}", [air, other, kiosk, room])
    open_for_writing(f"sqlite:{folder}", "ingest").close()
    open_for_writing(f"sqlite:{folder}", "cohorts").close()
    return folder


@pytest.fixture
def bench(tmp_path: Path, empty_state: Path) -> Iterator[Bench]:
    folder = tmp_path / "state"
    shutil.copytree(empty_state, folder)
    with ingest_bench(f"sqlite:{folder}") as made:
        yield made
