"""As much of HTTP/1.1 as a simulated person's fingers need, and the slot that a real person uses. No I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from firmware_sim.errors import RecordError

MAX_BYTES = 256 * 1024
HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    location: str | None
    body: str


@dataclass(frozen=True, slots=True)
class Request:
    """What a browser asked."""

    method: str
    path: str
    headers: Mapping[str, str]


def get(host: str, path: str) -> bytes:
    """A request for a page."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("ascii")


def post(host: str, path: str, form: Mapping[str, str]) -> bytes:
    """A form that is sent, as a browser sends it from a page of the same host."""
    body = urlencode(form)
    lines = (
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        f"Origin: http://{host}",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("ascii")


def parse_answer(data: bytes) -> Answer:
    """Read a whole answer.

    Raises:
        RecordError: it is none.
    """
    first, headers, body = _parts(data)
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdecimal():  # noqa: PLR2004 - version, status
        raise RecordError("no HTTP answer")
    return Answer(int(words[1]), headers.get("location"), body.decode("utf-8", errors="replace"))


def parse_request(head: bytes) -> Request:
    """Read a request up to its empty line.

    Raises:
        RecordError: it is none.
    """
    first, headers, _ = _parts(head + HEAD_END)
    words = first.split(" ")
    if len(words) != 3 or not words[1].startswith("/"):  # noqa: PLR2004 - method, path, version
        raise RecordError("no HTTP request")
    return Request(words[0], words[1], headers)


def parse_form(body: bytes) -> dict[str, str]:
    """The fields of a form; nothing of what is none."""
    try:
        return dict(parse_qsl(body.decode("ascii"), max_num_fields=4))
    except (UnicodeDecodeError, ValueError):
        return {}


def page(status: str, body: str, headers: Mapping[str, str]) -> bytes:
    """An answer with a page."""
    return _answer(status, "text/html; charset=utf-8", body.encode(), headers)


def picture(status: str, content: bytes, headers: Mapping[str, str]) -> bytes:
    """An answer with a PNG."""
    return _answer(status, "image/png", content, headers)


def _answer(status: str, kind: str, content: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Connection: close", f"Content-Type: {kind}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(content)}")
    return ("\r\n".join(lines)).encode("ascii") + HEAD_END + content


def _parts(data: bytes) -> tuple[str, dict[str, str], bytes]:
    head, found, body = data.partition(HEAD_END)
    if not found:
        raise RecordError("an HTTP message without an end of its head")
    try:
        first, *lines = head.decode("ascii").split("\r\n")
    except UnicodeDecodeError:
        raise RecordError("an HTTP head that is not ASCII") from None
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return first, headers, body
