"""Unit tests open no socket: what they need of the world is a value or a fake that behaves."""

from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(autouse=True)
def no_socket() -> Iterator[None]:
    """Refuse every socket but the pair that an event loop wakes itself with."""
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
