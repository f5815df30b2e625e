"""What every time-series store can do; implemented by `sqlite` and `influx`, held to one conformance suite."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from contracts.query import SeriesQuery
from stores.series.lines import Value


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer, oldest first; `times_ns` and `values` are of one length, which is not 0.

    `tags` holds the query's `group_by`, with "" for a tag that the points do not have. A time is a bucket's start
    (aligned to the epoch, so it may lie before the query's start), the query's start for a whole span, or its own.
    """

    tags: Mapping[str, str]
    times_ns: list[int]
    values: list[Value]

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", MappingProxyType(dict(self.tags)))


class TimeSeriesStore(Protocol):
    """A store of buckets of points; one instance serves many threads.

    Every method may raise StoreUnavailableError (keep and retry) and StoreAuthError (keep, retry, tell the operator).
    """

    def write(self, bucket: str, lines: bytes) -> None:
        """Store points given as line protocol (`stores.series.lines`), joined by line feeds; return when durable.

        A point of the same series and time is overwritten field by field, so writing again changes nothing.
        LinesRefusedError names the lines that never can be stored; all others are. StoreFullError: nothing is.
        """

    def query(self, query: SeriesQuery) -> list[Series]:
        """Answer a question, sorted by the values of `group_by`; QueryError when the field's type does not allow it.

        Of points at the same instant in one answer series, all are given (raw, in no promised order), and `first` and
        `last` take the greatest. A bucket that nobody has written to yet is empty.
        """

    def delete_before(self, bucket: str, ns: int) -> None:
        """Forget every point older than `ns`."""

    def health(self) -> None:
        """Return when the store can serve."""

    def close(self) -> None:
        """Let go of every connection and lock."""
