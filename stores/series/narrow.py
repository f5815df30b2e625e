"""Stores that show only some buckets, or keep one apart: what a process was not given, no error of it can read.

`restricted` is kept apart wherever others may ask the same server: InfluxDB 2 lets any token of its read a bucket by
its number with Flux (`from(bucketID: …)`, influxdata/influxdb issue 14838), whatever buckets the token was made for.
"""

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


class SplitSeries:
    """A TimeSeriesStore of which one bucket lies in another store."""

    def __init__(self, store: TimeSeriesStore, bucket: str, apart: TimeSeriesStore) -> None:
        self._store = store
        self._bucket = bucket
        self._apart = apart

    def write(self, bucket: str, lines: bytes) -> None:
        """As TimeSeriesStore."""
        self._of(bucket).write(bucket, lines)

    def query(self, query: SeriesQuery) -> list[Series]:
        """As TimeSeriesStore."""
        return self._of(query.bucket).query(query)

    def delete_before(self, bucket: str, ns: int) -> None:
        """As TimeSeriesStore."""
        self._of(bucket).delete_before(bucket, ns)

    def health(self) -> None:
        """As TimeSeriesStore."""
        self._store.health()
        self._apart.health()

    def close(self) -> None:
        """As TimeSeriesStore."""
        self._store.close()
        self._apart.close()

    def _of(self, bucket: str) -> TimeSeriesStore:
        return self._apart if bucket == self._bucket else self._store
