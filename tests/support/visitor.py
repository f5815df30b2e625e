"""A person at a kiosk's screen who has nothing but a browser: whole visits over HTTP, with the code off the glass."""

import html
import http.client
import io
import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from PIL import Image

from tests.support.qr import read_slip

_SCREEN = re.compile(r'<body data-screen="(\w+)"')
_FRAME = re.compile(r'<iframe class="(\w+)" src="([^"]+)"')
_STRONG = re.compile(r"<strong>([^<]+)</strong>")


@dataclass
class Visitor:
    """Goes to one kiosk's screen at `url`."""

    url: str
    path: str = "/"

    def see(self) -> str:
        """The page that stands there now; whoever is sent on goes on."""
        return self._ask("GET", self.path)

    def choose(self, language: str) -> str:
        self.path = f"/{language}"
        return self.see()

    def press(self, *, paper: bool) -> str:
        return self._ask("POST", "/check-in", {"token": self.path.rpartition("/")[2], "paper": str(int(paper))})

    def leave(self) -> None:
        self._ask("POST", "/leave", {"token": self.path.rpartition("/")[2]})

    def insert(self, page: str, cartridge: str) -> None:
        """Put a simulated cartridge in, on the page of the simulator that the screen shows."""
        slot = frames(page)["slot"]
        answered = _request(slot, "POST", urlsplit(slot).path, {"cartridge": cartridge})
        assert answered.status == 200

    def _ask(self, method: str, path: str, form: Mapping[str, str] | None = None) -> str:
        answer = _request(self.url, method, path, form)
        while answer.status == 303:
            self.path = answer.location
            answer = _request(self.url, "GET", self.path)
        assert answer.status == 200, f"{path}: {answer.status}"
        return answer.body


@dataclass
class Answered:
    status: int
    location: str
    body: str


def shown(page: str) -> str:
    found = _SCREEN.search(page)
    assert found is not None, "no screen"
    return found[1]


def frames(page: str) -> dict[str, str]:
    return {kind: html.unescape(url) for kind, url in _FRAME.findall(page)}


def code_on_glass(page: str) -> tuple[str, str]:
    """The code and the ready group, read off the page that a child shows in the frame."""
    url = frames(page)["code"]
    *code, group = _STRONG.findall(_request(url, "GET", urlsplit(url).path or "/").body)
    return "-".join(" ".join(code).split()), group


def slip_on_tray(page: str) -> str:
    """The address on the slip that came out, read off its QR symbol as a phone does."""
    slot = frames(page)["slot"]
    shown_there = _request(slot, "GET", urlsplit(slot).path).body
    assert '<img src="/slip.png"' in shown_there, "no slip on the tray"
    with urllib.request.urlopen(f"{slot.rpartition('/')[0]}/slip.png", timeout=60) as answer:
        return read_slip(Image.open(io.BytesIO(answer.read())))


def _request(url: str, method: str, path: str, form: Mapping[str, str] | None = None) -> Answered:
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    headers = {} if form is None else {"Origin": f"http://{parts.netloc}"}
    if form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        connection.request(method, path, None if form is None else urlencode(form), headers)
        response = connection.getresponse()
        return Answered(response.status, response.headers.get("Location", ""), response.read().decode())
    finally:
        connection.close()
