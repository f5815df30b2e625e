"""Transactions on a cabinet's files."""

import contextlib
from pathlib import Path

import pytest

from edge.adapters.sqlite import open_database, transaction
from edge.errors import StoreError

SCHEMA = """
CREATE TABLE people (id INTEGER PRIMARY KEY) STRICT;
CREATE TABLE slips (person INTEGER REFERENCES people (id) DEFERRABLE INITIALLY DEFERRED) STRICT
"""


def test_a_commit_that_fails_leaves_nothing_and_no_open_transaction(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    with contextlib.closing(open_database(path, {"foreign_keys": "ON"}, SCHEMA, 1)) as connection:
        with pytest.raises(StoreError), transaction(connection, path):
            connection.execute("INSERT INTO slips VALUES (7)")  # judged at the commit, as a full disk is
        assert not connection.in_transaction
        with transaction(connection, path):
            connection.execute("INSERT INTO people VALUES (1)")
            connection.execute("INSERT INTO slips VALUES (1)")
        assert connection.execute("SELECT person FROM slips").fetchall() == [(1,)]
