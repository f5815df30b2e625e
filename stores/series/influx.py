"""TimeSeriesStore on InfluxDB 2: the one door to influxdb-client.

Writes are prebuilt bytes through the synchronous API only: its batching mode loses data (it buffers in memory, retries,
then drops). 204 is the only success. A 4xx body is bisected down to the lines that will never be taken; every other
answer keeps everything with the caller. Nothing here retries: the caller holds a journal and knows the back-off.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.rest import ApiException
from influxdb_client.service.write_service import WriteService
from urllib3.exceptions import HTTPError

from contracts.query import SeriesQuery
from contracts.windows import NS
from stores.errors import LinesRefusedError, StoreAuthError, StoreError, StoreUnavailableError
from stores.series.influxql import compile_query, read_answer
from stores.series.port import Series

TIMEOUT_MS: Final = (
    10_000  # a write that the server still makes after it is repeated: same series, same time, same point
)
CONNECTIONS: Final = 8

_NO_CONTENT: Final = 204
_REFUSED: Final = frozenset({400, 422})  # 400: nothing of the body is stored; 422: the rest of it is
_TOO_LARGE: Final = 413
_AUTH: Final = frozenset({401, 403, 404})  # 404: a bucket or organisation that the settings name is not there
_OLDEST: Final = datetime(1677, 9, 22, tzinfo=UTC)  # about the first instant that 64-bit nanoseconds can say


class InfluxSeries:
    """One server, one token a bucket; a bucket without a token is neither read nor written."""

    def __init__(self, url: str, org: str, tokens: Mapping[str, str]) -> None:
        self._org = org
        self._clients = {
            bucket: InfluxDBClient(
                url=url, token=token, org=org, timeout=TIMEOUT_MS, connection_pool_maxsize=CONNECTIONS, retries=False
            )
            for bucket, token in tokens.items()
        }
        # What the synchronous write_api calls; that one keeps the status of a success to itself.
        self._writers = {bucket: WriteService(client.api_client) for bucket, client in self._clients.items()}  # type: ignore[no-untyped-call]

    def write(self, bucket: str, lines: bytes) -> None:
        """As TimeSeriesStore."""
        waiting = [(0, lines)] if lines else []
        bad: list[tuple[int, str]] = []
        while waiting:
            first, body = waiting.pop()
            reason = self._write_body(bucket, body)
            if reason is None:
                continue
            part = body.split(b"\n")
            half = len(part) // 2
            if half:
                waiting += [(first + half, b"\n".join(part[half:])), (first, b"\n".join(part[:half]))]
            else:
                bad.append((first, reason))
        if bad:
            raise LinesRefusedError(bad)

    def _write_body(self, bucket: str, body: bytes) -> str | None:
        """Write lines in one request: None when all are stored, the reason when at least one never will be."""
        try:
            with _translated():
                _, status, _ = self._writer(bucket).post_write_with_http_info(  # type: ignore[no-untyped-call]
                    self._org,
                    bucket,
                    body,
                    precision="ns",
                    content_type="text/plain; charset=utf-8",
                    _return_http_data_only=False,
                )
        except _BodyRefusedError as exc:
            return str(exc)
        if status != _NO_CONTENT:
            raise StoreUnavailableError(f"{status} instead of 204: is it InfluxDB that answers at that address?")
        return None

    def query(self, query: SeriesQuery) -> list[Series]:
        """As TimeSeriesStore."""
        parameters = [("db", query.bucket), ("epoch", "ns"), ("q", compile_query(query))]
        try:
            with _translated():
                body = _get(self._client(query.bucket), "/query", parameters)
        except _BodyRefusedError as exc:
            raise StoreError("InfluxDB refused the query") from exc
        return read_answer(query, body)

    def delete_before(self, bucket: str, ns: int) -> None:
        """As TimeSeriesStore."""
        seconds, rest = divmod(ns - 1, NS)  # the API's last instant is deleted too
        last = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
        try:
            with _translated():
                self._client(bucket).delete_api().delete(_OLDEST, last, "", bucket, self._org)
        except _BodyRefusedError as exc:
            raise StoreError(f"bucket {bucket}: InfluxDB refused to forget old points") from exc

    def health(self) -> None:
        """As TimeSeriesStore."""
        for client in self._clients.values():
            with _translated():
                _get(client, "/ping", [])
            return
        raise StoreError("no token of any bucket was given")

    def close(self) -> None:
        """As TimeSeriesStore."""
        for client in self._clients.values():
            client.close()  # type: ignore[no-untyped-call]

    def _client(self, bucket: str) -> InfluxDBClient:
        client = self._clients.get(bucket)
        if client is None:
            raise StoreAuthError(f"no token for bucket {bucket}: put one into the folder series_token_dir")
        return client

    def _writer(self, bucket: str) -> WriteService:
        self._client(bucket)
        return self._writers[bucket]


def _get(client: InfluxDBClient, path: str, parameters: list[tuple[str, str]]) -> bytes:
    """Ask an address that the client library has no method for: InfluxQL, and whether anyone is there."""
    answer = client.api_client.call_api(  # type: ignore[no-untyped-call]
        path,
        "GET",
        query_params=parameters,
        header_params={"Accept": "application/json"},
        auth_settings=[],
        _preload_content=False,
        _return_http_data_only=True,
    )
    body: bytes = answer.data
    return body


class _BodyRefusedError(Exception):
    """The server understood the request and will never take this body as a whole."""


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the client's and urllib3's errors into ours; the server's text stays out: it may quote a line."""
    try:
        yield
    except ApiException as exc:
        raise _error_of(exc) from None  # its text would stand in every traceback
    except HTTPError as exc:
        raise StoreUnavailableError(f"InfluxDB does not answer: {type(exc).__name__}") from exc


def _error_of(exc: ApiException) -> Exception:
    status = exc.status
    if status in _REFUSED or status == _TOO_LARGE:
        return _BodyRefusedError(f"InfluxDB refused it with status {status}")
    if status in _AUTH:
        return StoreAuthError(f"InfluxDB answered {status}: check organisation, bucket and token")
    wait: str = exc.headers.get("Retry-After", "") if exc.headers else ""
    retry_after_s = float(wait) if wait.isascii() and wait.isdigit() else None
    return StoreUnavailableError(f"InfluxDB answered {status}", retry_after_s=retry_after_s)
