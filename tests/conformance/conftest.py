"""A state on SQLite and on a real PostgreSQL, empty for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stores.state.database import Database, open_for_writing


@pytest.fixture(params=["sqlite", "postgresql"])
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def ingest(spec: str) -> Iterator[Database]:
    with open_for_writing(spec, "ingest") as database:
        yield database


@pytest.fixture
def backend(spec: str) -> Iterator[Database]:
    with open_for_writing(spec, "backend") as database:
        yield database
