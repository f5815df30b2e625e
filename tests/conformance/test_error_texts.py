"""A store's error may end up in a log with all that led to it: no value of a row stands in it, on either database."""

import traceback

import pytest
from sqlalchemy import insert, text

from stores.errors import StoreError
from stores.state.database import Database
from stores.state.tables import DEAD_LETTERS, MARKS

SECRET = "kept-between-us"


def _is_told(exc: BaseException) -> bool:
    told = "".join(traceback.format_exception(exc))
    return SECRET in told or SECRET.encode().hex() in told


def test_a_row_that_is_there_twice_stands_in_no_error(ingest: Database) -> None:
    row = {"device": SECRET, "ob": 1, "stream": SECRET, "hi": 1, "also": SECRET.encode()}
    with pytest.raises(StoreError) as raised, ingest.begin() as tx:
        tx.execute(insert(MARKS), [row, row])
    assert not _is_told(raised.value)


def test_a_row_that_lacks_something_stands_in_no_error(ingest: Database) -> None:
    with pytest.raises(StoreError) as raised, ingest.begin() as tx:
        tx.execute(insert(DEAD_LETTERS), [{"topic": SECRET, "reason": None, "received_ns": 1, "size_bytes": 1}])
    assert not _is_told(raised.value)


def test_what_a_refused_question_held_stands_in_no_error(ingest: Database) -> None:
    with pytest.raises(StoreError) as raised, ingest.read() as connection:
        connection.execute(text("SELECT * FROM journal WHERE nothing = :value"), {"value": SECRET})
    assert not _is_told(raised.value)
