"""The administration token goes to our own backend and to nobody else who might hold its port."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from backend.devices.authority import issue_server
from kioskwatch.administration import Administration, ensure_token, leaf_of
from kioskwatch.supervisor import PrepareError
from tests.support.district import real_now
from tests.support.process import free_port


class Peer(HTTPServer):
    """Answers as it is told and remembers what it was shown."""

    def __init__(self, status: int, body: bytes, ca: Path | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.body = status, body
        self.shown: list[tuple[str, str | None, bytes]] = []
        if ca is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(ca / "server.pem", ca / "server.key")
            self.socket = context.wrap_socket(self.socket, server_side=True)


class _Handler(BaseHTTPRequestHandler):
    server: Peer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.shown.append((self.path, self.headers["Authorization"], body))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_arguments: object) -> None:
        """A test's peer keeps no log."""


@contextmanager
def _peer(body: bytes, *, status: int = 200, ca: Path | None = None) -> Iterator[Peer]:
    with Peer(status, body, ca) as peer:
        thread = threading.Thread(target=peer.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield peer
        peer.shutdown()
        thread.join()


def _administration(peer: Peer, folder: Path, certificate: Path | None = None) -> Administration:
    ensure_token(folder / "admin.token")
    return Administration("127.0.0.1", peer.server_port, folder / "admin.token", certificate)


def test_a_token_is_asked_for_as_the_contract_says(tmp_path: Path) -> None:
    with _peer(b'{"token": "once"}') as peer:
        assert _administration(peer, tmp_path).device_token("kiosk-1") == "once"
    path, authorization, body = peer.shown[0]
    assert path == "/admin/v1/device-token"
    assert authorization == f"Bearer {(tmp_path / 'admin.token').read_text().strip()}"
    assert json.loads(body) == {"device": "kiosk-1"}


def test_over_https_only_the_very_certificate_will_do(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours", tmp_path / "other"
    for folder in (ours, other):
        issue_server(folder, ["127.0.0.1"], real_now())
    with _peer(b'{"token": "once"}', ca=ours) as peer:
        assert _administration(peer, tmp_path, ours / "server.pem").device_token("kiosk-1") == "once"
        with pytest.raises(PrepareError, match="another certificate"):
            _administration(peer, tmp_path, other / "server.pem").device_token("kiosk-1")
    assert len(peer.shown) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"no json"), (200, b"[]"), (200, b"{}"), (200, b'{"token": 7}'), (401, b'{"error": "no"}'), (500, b"")],
)
def test_an_answer_without_a_token_is_tried_again_later(tmp_path: Path, status: int, body: bytes) -> None:
    with _peer(body, status=status) as peer, pytest.raises(PrepareError):
        _administration(peer, tmp_path).device_token("kiosk-1")


def test_a_backend_that_is_not_there_is_tried_again_later(tmp_path: Path) -> None:
    ensure_token(tmp_path / "admin.token")
    with pytest.raises(PrepareError, match="kiosk-1"):
        Administration("127.0.0.1", free_port(), tmp_path / "admin.token", None).device_token("kiosk-1")


def test_the_token_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "admin.token"
    ensure_token(path)
    first = path.read_text()
    ensure_token(path)
    assert path.read_text() == first
    assert len(first.strip()) >= 40
    assert path.stat().st_mode & 0o077 == 0


def test_the_leaf_is_the_first_certificate_of_a_chain(tmp_path: Path) -> None:
    issue_server(tmp_path, ["127.0.0.1"], real_now())
    chain = tmp_path / "chain.pem"
    chain.write_text((tmp_path / "server.pem").read_text() + (tmp_path / "ca.pem").read_text())
    assert leaf_of(chain) == leaf_of(tmp_path / "server.pem") != leaf_of(tmp_path / "ca.pem")
