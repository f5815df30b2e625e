"""Asks the running backend for enrolment tokens, over its own address, as `kioskwatch device token` does.

The peer must show exactly the certificate that we gave our own process: the administration token goes to nobody else,
whoever signed the operator's certificate.
"""

import http.client
import json
import secrets
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kioskwatch.supervisor import PrepareError

TIMEOUT_S: Final = 3.0
MAX_ANSWER_BYTES: Final = 64 * 1024
TOKEN_BYTES: Final = 32
HTTP_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Administration:
    """Where the backend listens. `certificate` is what it must show, None for plain HTTP on loopback."""

    host: str
    port: int
    token_file: Path
    certificate: Path | None

    def device_token(self, device: str) -> str:
        """Return a one-time enrolment token for a device; PrepareError when the backend does not give one."""
        try:
            answer = self._post("/admin/v1/device-token", {"device": device})
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise PrepareError(f"the backend gave no enrolment token for {device}: {exc}") from exc
        token = answer.get("token")
        if not isinstance(token, str) or not token:
            raise PrepareError(f"the backend gave no enrolment token for {device}")
        return token

    def _post(self, path: str, body: dict[str, str]) -> dict[str, object]:
        connection = self._connect()
        try:
            headers = {"Authorization": f"Bearer {self.token_file.read_text().strip()}"}
            connection.request("POST", path, json.dumps(body), {**headers, "Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read(MAX_ANSWER_BYTES)
        finally:
            connection.close()
        if response.status != HTTP_OK:
            raise PrepareError(f"the backend answered {response.status} {response.reason} to {path}")
        answer = json.loads(content)
        if not isinstance(answer, dict):
            raise PrepareError(f"the backend's answer to {path} is no object")
        return answer

    def _connect(self) -> http.client.HTTPConnection:
        if self.certificate is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
        # The chain is not asked for because one certificate alone will do: the one in our file, byte for byte.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=TIMEOUT_S, context=context)
        connection.connect()
        shown = connection.sock.getpeercert(binary_form=True)
        if shown != leaf_of(self.certificate):
            connection.close()
            raise PrepareError(f"{self.host}:{self.port} shows another certificate than {self.certificate}")
        return connection


def leaf_of(chain: Path) -> bytes:
    """Return the first certificate of a PEM file as DER."""
    text = chain.read_text()
    start, stop = text.index("-----BEGIN CERTIFICATE-----"), text.index("-----END CERTIFICATE-----")
    return ssl.PEM_cert_to_DER_cert(text[start:stop] + "-----END CERTIFICATE-----\n")


def ensure_token(path: Path) -> None:
    """Make the administration token of a state folder unless it is there."""
    if path.exists():
        return
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(f"{secrets.token_urlsafe(TOKEN_BYTES)}\n")
    fresh.replace(path)
