"""One backend with a district's data, and a person of each role, shared by the tests of a module."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.console import Console, running_console

PEOPLE = {"officer": "olga", "technician": "tess", "auditor": "aude", "admin": "admin"}


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with running_console(tmp_path_factory.mktemp("console")) as running:
        for role, name in PEOPLE.items():
            if role != "admin":
                running.account(name, role)
        yield running


@pytest.fixture(scope="module")
def people(console: Console) -> Iterator[dict[str, httpx.Client]]:
    """A signed-in program for each role."""
    clients = {role: console.client(name) for role, name in PEOPLE.items()}
    yield clients
    for client in clients.values():
        client.close()
