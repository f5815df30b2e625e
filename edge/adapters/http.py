"""The few HTTP requests of an agent, to its backend: bounded in size and time, through no proxy, never redirected."""

import hashlib
import http.client
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from edge.core.enrolment import MAX_ANSWER_BYTES
from edge.errors import EnrolmentError, SettingsError

TIMEOUT_S: Final = 10.0
CA_PATH: Final = "/api/v1/ca.pem"

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body."""

    status: int
    body: bytes


class BackendClient:
    """Talks to one backend. Trust: the system's CAs, and the CA that the cabinet's fingerprint names."""

    def __init__(self, url: str, *, ca_file: Path, ca_fingerprint: str | None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.hostname is None or parts.username or parts.query:
            raise SettingsError("enrol.url is https://HOST[:PORT]")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise SettingsError(
                "enrol.url: http is for this machine only, for a token must not cross a network in the clear"
            )
        self._tls = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._ca_file = ca_file
        self._fingerprint = None if ca_fingerprint is None else ca_fingerprint.replace(":", "").lower()

    def post(self, path: str, body: bytes) -> Answer:
        """POST JSON; EnrolmentError when there is no answer."""
        return self._request("POST", path, body, self._context())

    def _context(self) -> ssl.SSLContext | None:
        """Return how to check the server; fetches and pins the CA first when only its fingerprint is known."""
        if not self._tls:
            return None
        try:
            if self._fingerprint is not None and self._kept_fingerprint() != self._fingerprint:
                self._pin()
            context = ssl.create_default_context()
            if self._ca_file.exists():
                context.load_verify_locations(cafile=str(self._ca_file))
        except (OSError, ssl.SSLError) as exc:
            raise EnrolmentError(f"{self._ca_file.name} cannot be used: {exc}") from exc
        return context

    def _kept_fingerprint(self) -> str | None:
        """Return the fingerprint of the CA that is kept here; None when there is none that can be read."""
        try:
            return _fingerprint(self._ca_file.read_text("ascii"))
        except (OSError, ValueError):
            return None

    def _pin(self) -> None:
        """Fetch the CA over a connection that proves nothing, and keep it only if it is the one that was named."""
        open_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        open_context.check_hostname = False
        open_context.verify_mode = ssl.CERT_NONE  # nothing is sent on it, and the fingerprint decides
        answer = self._request("GET", CA_PATH, None, open_context)
        try:
            pem = answer.body.decode("ascii")
            found = _fingerprint(pem)
        except ValueError as exc:
            raise EnrolmentError("the backend gave no CA certificate") from exc
        if found != self._fingerprint:
            raise EnrolmentError(
                "the backend's CA is not the one of enrol.ca_fingerprint: wrong backend, or somebody in between"
            )
        self._ca_file.write_text(pem)

    def _request(self, method: str, path: str, body: bytes | None, context: ssl.SSLContext | None) -> Answer:
        connection: http.client.HTTPConnection
        if context is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        else:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT_S, context=context)
        try:
            connection.request(method, self._prefix + path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read(MAX_ANSWER_BYTES + 1)
        except (OSError, http.client.HTTPException) as exc:
            raise EnrolmentError(f"no answer from the backend at {self._host}: {exc}") from exc
        finally:
            connection.close()
        if len(content) > MAX_ANSWER_BYTES:
            raise EnrolmentError(f"the answer has more than {MAX_ANSWER_BYTES} bytes")
        return Answer(response.status, content)


def _fingerprint(pem: str) -> str:
    """Return the SHA-256 of a certificate's DER, in hex; ValueError when it is none."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
