"""As much of HTTP/1.1 (RFC 9110, RFC 9112) as one screen on loopback needs. Pure.

One request a connection, GET and POST, a form of a few bytes. What is not that is refused with a status.
"""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import parse_qsl

MAX_HEAD_BYTES: Final = 8 * 1024  # what a browser sends to its own machine is a tenth of it
MAX_BODY_BYTES: Final = 1024
MAX_HEADERS: Final = 64
_FORM: Final = "application/x-www-form-urlencoded"

REASONS: Final = MappingProxyType(
    {
        200: "OK",
        303: "See Other",
        400: "Bad Request",
        403: "Forbidden",
        404: "Not Found",
        405: "Method Not Allowed",
        413: "Content Too Large",
        421: "Misdirected Request",
        503: "Service Unavailable",
    }
)


class RequestError(Exception):
    """This is no request that a screen answers: send the status, close."""

    def __init__(self, status: int) -> None:
        super().__init__(REASONS[status])
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Header names are in lower case; a name that came twice is refused before."""

    method: Literal["GET", "POST"]
    path: str
    headers: dict[str, str]
    form: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def encode(self) -> bytes:
        """Return the bytes, the end of the connection announced."""
        lines = [f"HTTP/1.1 {self.status} {REASONS[self.status]}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + self.body


def body_bytes_wanted(head: bytes) -> tuple[Request, int]:
    """Read a head (up to and without the empty line) and say how long its body is; RequestError when it is none."""
    lines = _text(head).split("\r\n")
    method, _, rest = lines[0].partition(" ")
    target, _, version = rest.partition(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0") or not target.startswith("/") or "#" in target:
        raise RequestError(400)
    if method not in ("GET", "POST"):
        raise RequestError(405)
    headers = _headers(lines[1:])
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not length.isascii() or not length.isdigit():
        raise RequestError(400)
    if len(length) > len(str(MAX_BODY_BYTES)) or int(length) > MAX_BODY_BYTES:
        raise RequestError(413)
    if method == "POST" and headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise RequestError(400)
    path = target.partition("?")[0]
    return Request("GET" if method == "GET" else "POST", path, headers), int(length)


def form_of(body: bytes) -> dict[str, str]:
    """Read a form; RequestError when it is none or a name comes twice."""
    try:
        pairs = parse_qsl(body.decode("ascii"), strict_parsing=bool(body), max_num_fields=8)
    except (UnicodeDecodeError, ValueError):
        raise RequestError(400) from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise RequestError(400)
    return form


def _text(head: bytes) -> str:
    try:
        text = head.decode("ascii")
    except UnicodeDecodeError:
        raise RequestError(400) from None
    if "\0" in text:
        raise RequestError(400)
    return text


def _headers(lines: list[str]) -> dict[str, str]:
    if len(lines) > MAX_HEADERS:
        raise RequestError(400)
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        key = name.lower()
        if not colon or not name or not name.replace("-", "").replace("_", "").isalnum() or key in headers:
            raise RequestError(400)
        headers[key] = value.strip(" \t")
    return headers
