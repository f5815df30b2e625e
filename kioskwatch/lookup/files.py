"""The result page's public files over HTTP: the clock and whole cohorts, nothing else is ever asked for.

No code, slot or anything derived from them is in a request; a file is checked before anybody looks into it.
"""

import http.client
import ipaddress
import ssl
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from contracts.cohorts import CLOCK_BYTES, CLOCK_NAME, MAX_COHORT_RECORDS, PublicClock, file_path, parse_clock
from contracts.cohorts import split_records as split
from contracts.errors import CohortError
from contracts.sealed import RECORD_BYTES
from kioskwatch.errors import OptionError, ResultPageError

TIMEOUT_S: Final = 30.0
MAX_FILE_BYTES: Final = MAX_COHORT_RECORDS * RECORD_BYTES


class PublicFiles:
    """One connection to a result page; its errors are ResultPageError, whatever the other side does."""

    def __init__(self, origin: str, *, ca: str | None = None) -> None:
        """OptionError for an origin that is none, or that would be asked in the clear over a network."""
        scheme, host, port = _parts(origin)
        try:
            context = ssl.create_default_context(cafile=ca) if scheme == "https" else None
        except OSError as exc:
            raise OptionError(f"--ca {ca} cannot be used: {exc.strerror or type(exc).__name__}") from exc
        if context is None:
            self._connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        else:
            self._connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._connection.close()

    def clock(self) -> PublicClock:
        """Return what the page's clock says."""
        try:
            return parse_clock(self._get(f"/{CLOCK_NAME}", CLOCK_BYTES))
        except CohortError as exc:
            raise ResultPageError(f"no result page answers there ({exc})") from exc

    def cohort(self, number: int) -> tuple[bytes, ...]:
        """Return the records of a cohort."""
        try:
            return split(self._get(file_path(number), MAX_FILE_BYTES))
        except CohortError as exc:
            raise ResultPageError(f"a file of the result page is not whole ({exc})") from exc

    def _get(self, path: str, most: int) -> bytes:
        try:
            self._connection.request("GET", path, headers={"Accept": "*/*"})
            response = self._connection.getresponse()
            content = response.read(most + 1)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            self._connection.close()
            raise ResultPageError(f"the result page cannot be reached ({type(exc).__name__})") from exc
        if response.status != http.client.OK or len(content) > most:
            self._connection.close()
            raise ResultPageError(f"the result page answers {response.status}")
        return content


def _parts(origin: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError as exc:
        raise OptionError("--origin is an address such as https://results.example.org") from exc
    host = parts.hostname or ""
    if (
        parts.scheme not in {"http", "https"}
        or not host
        or parts.username
        or parts.path not in {"", "/"}
        or parts.query
    ):
        raise OptionError("--origin is an address such as https://results.example.org, without anything behind it")
    if parts.scheme == "http" and not _is_this_machine(host):
        raise OptionError("--origin must be https: over http anybody on the way could change what comes back")
    return parts.scheme, host, port or (443 if parts.scheme == "https" else 80)


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
