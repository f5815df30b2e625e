"""Fakes that implement the ports ingest stands on, and behave: a series store and a broker session in memory."""

from collections.abc import Sequence

from contracts.query import SeriesQuery
from mqttlink.types import AckToken
from stores.errors import LinesRefusedError, StoreError, StoreUnavailableError
from stores.series.lines import Point, parse
from stores.series.port import Series

PointKey = tuple[str, str, str, int]
"""bucket, measurement, device, time stamp"""


class MemorySeries:
    """Implements TimeSeriesStore: keeps points by identity. May be away, slow to know, or refuse a field."""

    def __init__(self) -> None:
        self.points: dict[PointKey, Point] = {}
        self.writes = 0
        self.failing: list[StoreError] = []  # raised one after the other, then it works again
        self.refuses: frozenset[str] = frozenset()  # device ids whose lines it never takes
        self.stored_but_said_no = False  # it stores, and the answer gets lost

    def write(self, bucket: str, lines: bytes) -> None:
        """As the port says: all lines, or all but the named."""
        if self.failing and not self.stored_but_said_no:
            raise self.failing.pop(0)
        self.writes += 1
        bad: list[tuple[int, str]] = []
        for index, line in enumerate(lines.split(b"\n")):
            point = parse(line)
            device = point.tags.get("device", "")
            if device in self.refuses:
                bad.append((index, "refused"))
            else:
                self.points[bucket, point.measurement, device, point.ts_ns] = point
        if self.failing:
            raise self.failing.pop(0)
        if bad:
            raise LinesRefusedError(bad)

    def query(self, query: SeriesQuery) -> list[Series]:
        """Nobody asks this one."""
        raise StoreUnavailableError(f"no questions about {query.bucket}")

    def delete_before(self, bucket: str, ns: int) -> None:
        """Forget old points."""
        self.points = {key: point for key, point in self.points.items() if key[0] != bucket or key[3] >= ns}

    def health(self) -> None:
        """It serves when it does not fail."""
        if self.failing:
            raise self.failing[0]

    def close(self) -> None:
        """Nothing to let go of."""

    @property
    def seqs(self) -> list[tuple[str, int]]:
        """(device, seq mod 1000) of every point with a device, sorted."""
        return sorted((device, ts_ns % 1000) for _, _, device, ts_ns in self.points if device)


class MemoryLink:
    """Implements what the inbox needs of a session: takes so many publishes, remembers the rest of what it was told."""

    def __init__(self, window: int = 100) -> None:
        self.window = window
        self.published: list[tuple[str, bytes, str | None]] = []  # topic, payload, sig
        self.retained: dict[str, bytes] = {}
        self.expiries: list[int | None] = []
        self.acked: list[AckToken] = []
        self.reading = True
        self.tokens: list[int] = []

    def publish(
        self,
        token: int,
        topic: str,
        payload: bytes,
        *,
        sig: str | None,
        content_type: str | None = None,  # noqa: ARG002 -- the port's
        retain: bool = False,
        expiry_s: int | None = None,
    ) -> bool:
        """Take it while there is room."""
        if len(self.published) >= self.window:
            return False
        self.published.append((topic, payload, sig))
        self.tokens.append(token)
        self.expiries.append(expiry_s)
        if retain:
            self.retained[topic] = payload
        return True

    def ack_all(self, tokens: Sequence[AckToken]) -> None:
        """Remember, in order."""
        self.acked += tokens

    def pause_reading(self) -> None:
        """Nothing more comes."""
        self.reading = False

    def resume_reading(self) -> None:
        """More may come."""
        self.reading = True

    def topics(self) -> list[str]:
        """What was published where, in order."""
        return [topic for topic, _, _ in self.published]
