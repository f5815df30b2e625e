"""A store that shows only some of its buckets: what a process was not given, no programming error of it can read."""

from collections.abc import Set as AbstractSet

from contracts.query import SeriesQuery
from stores.errors import StoreAuthError
from stores.series.port import Series, TimeSeriesStore


class NarrowSeries:
    """A TimeSeriesStore of the buckets named; StoreAuthError for a question to any other."""

    def __init__(self, store: TimeSeriesStore, readable: AbstractSet[str]) -> None:
        self._store = store
        self._readable = frozenset(readable)

    def write(self, bucket: str, lines: bytes) -> None:
        """As TimeSeriesStore: who may write is the store's own to know."""
        self._store.write(bucket, lines)

    def query(self, query: SeriesQuery) -> list[Series]:
        """As TimeSeriesStore."""
        if query.bucket not in self._readable:
            raise StoreAuthError(f"this process was not given bucket {query.bucket} to read")
        return self._store.query(query)

    def delete_before(self, bucket: str, ns: int) -> None:
        """As TimeSeriesStore."""
        self._store.delete_before(bucket, ns)

    def health(self) -> None:
        """As TimeSeriesStore."""
        self._store.health()

    def close(self) -> None:
        """As TimeSeriesStore."""
        self._store.close()
