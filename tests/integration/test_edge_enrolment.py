"""A device's own key and certificate, against a small backend over real HTTP and HTTPS."""

import base64
import hashlib
import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from backend.devices.authority import ensure_authority, issue_server
from edge.adapters.clocks import real_now
from edge.adapters.enrolment import Enroller
from edge.adapters.http import BackendClient
from edge.bootstrap import obtain
from edge.core.backoff import Backoff
from edge.core.enrolment import REENROL_LABEL, Enrolment, VisitTerms
from edge.errors import EnrolmentError, EnrolmentRefusedError, SettingsError
from edge.settings import LoadedCabinet, load_cabinet
from tests.support.enrolled import certificate, enrolment_answer
from tests.support.kiosk import middle

DEVICE = "air-10016"


@dataclass
class Backend:
    """What the test's backend was asked, and how it answers."""

    url: str = ""
    ca_pem: bytes = b""
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    deployment: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    authority: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    days: float = 30
    changes: dict[str, Any] = field(default_factory=dict)
    other: Callable[[], tuple[int, bytes]] | None = None

    def answer(self, path: str, request: dict[str, Any]) -> tuple[int, bytes]:
        self.asked.append((path, request))
        if self.other is not None:
            return self.other()
        csr = x509.load_pem_x509_csr(request["csr"].encode())
        key = csr.public_key()
        assert isinstance(key, Ed25519PublicKey)
        assert csr.is_signature_valid
        told = {"certificate": certificate(DEVICE, key, self.authority, days=self.days), **self.changes}
        answer = enrolment_answer(DEVICE, key, broker_port=1, deployment=self.deployment, **told)
        return 200, json.dumps(answer).encode()


class _Handler(http.server.BaseHTTPRequestHandler):
    backend: Backend

    def do_GET(self) -> None:
        self._send(200, self.backend.ca_pem)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._send(*self.backend.answer(self.path, json.loads(body)))

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _served(tls: Path | None = None) -> Iterator[Backend]:
    backend = Backend()
    handler = type("Handler", (_Handler,), {"backend": backend})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    scheme = "http"
    if tls is not None:
        scheme = "https"
        backend.ca_pem = (tls / "ca.pem").read_bytes()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "server.pem", tls / "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    backend.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield backend
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _enroller(
    folder: Path, url: str, *, fingerprint: str | None = None, days_later: float = 0, wants_terms: bool = False
) -> Enroller:
    client = BackendClient(url, ca_file=folder / "ca.pem", ca_fingerprint=fingerprint)
    return Enroller(folder, DEVICE, client, lambda: real_now() + timedelta(days=days_later), wants_terms=wants_terms)


def test_a_device_makes_its_key_asks_with_its_token_and_keeps_the_answer(tmp_path: Path) -> None:
    with _served() as backend:
        enroller = _enroller(tmp_path / "device", backend.url)
        assert enroller.current() is None
        enrolment = enroller.enrol("once")
        ((path, request),) = backend.asked
        assert (path, request["token"]) == ("/api/v1/enrol", "once")
        assert enrolment.broker.port == 1
        for name in ("device.key", "device.pem", "ca.pem", "enrolment.json"):
            assert (tmp_path / "device" / name).stat().st_mode & 0o077 == 0
        again = _enroller(tmp_path / "device", backend.url)
        assert again.current() == enrolment
        assert again.key.private_bytes_raw() == enroller.key.private_bytes_raw()
        assert again.certificate_days() == 30
    pem = (tmp_path / "device" / "device.key").read_bytes()
    assert isinstance(load_pem_private_key(pem, None), Ed25519PrivateKey)
    assert pem not in json.dumps(backend.asked).encode()


def test_a_certificate_is_renewed_at_two_thirds_of_its_life_by_the_same_key(tmp_path: Path) -> None:
    with _served() as backend:
        enroller = _enroller(tmp_path, backend.url)
        enroller.enrol("once")
        assert not _enroller(tmp_path, backend.url, days_later=19.9).renewal_due()
        assert _enroller(tmp_path, backend.url, days_later=20.1).renewal_due()
        enroller.renew()
        path, request = backend.asked[-1]
        assert (path, request["device"]) == ("/api/v1/reenrol", DEVICE)
        sig = base64.urlsafe_b64decode(request["sig"] + "==")
        enroller.key.public_key().verify(sig, REENROL_LABEL + request["csr"].encode())


@pytest.mark.parametrize("changes", [{"notice": None}, {"results_origin": ""}, {"page_hash": ""}])
def test_a_kiosk_that_was_told_nothing_for_visitors_asks_again_after_a_day(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    with _served() as backend:
        backend.changes = changes
        _enroller(tmp_path, backend.url).enrol("once")
        assert not _enroller(tmp_path, backend.url, days_later=1.5).renewal_due()  # an air monitor needs none of it
        assert not _enroller(tmp_path, backend.url, days_later=0.9, wants_terms=True).renewal_due()
        kiosk = _enroller(tmp_path, backend.url, days_later=1.1, wants_terms=True)
        assert kiosk.renewal_due()
        backend.changes = {}
        assert isinstance(kiosk.renew().visit_terms(), VisitTerms)
        assert not kiosk.renewal_due()


def test_a_kiosk_that_starts_again_asks_for_the_newest_notice_once(tmp_path: Path) -> None:
    with _served() as backend:
        _enroller(tmp_path, backend.url).enrol("once")
        assert not _enroller(tmp_path, backend.url, days_later=0.9, wants_terms=True).renewal_due()
        started = _enroller(tmp_path, backend.url, days_later=1.1, wants_terms=True)
        assert started.renewal_due()
        backend.changes = {"page_hash": "f" * 16}
        assert started.renew().page_hash == "f" * 16
        assert not started.renewal_due()


def test_a_certificate_that_has_run_out_is_no_enrolment_and_can_still_be_renewed(tmp_path: Path) -> None:
    with _served() as backend:
        _enroller(tmp_path, backend.url).enrol("once")
        late = _enroller(tmp_path, backend.url, days_later=31)
        assert late.current() is None
        assert late.certificate_days() <= 0
        backend.days = 90
        assert late.renew() == late.current()


@pytest.mark.parametrize(
    ("status", "error"),
    [(403, EnrolmentRefusedError), (404, EnrolmentRefusedError), (429, EnrolmentError), (500, EnrolmentError)],
)
def test_no_is_told_from_later(tmp_path: Path, status: int, error: type[EnrolmentError]) -> None:
    with _served() as backend:
        backend.other = lambda: (status, json.dumps({"error": "This token has been used.\x1b[2J"}).encode())
        with pytest.raises(EnrolmentError) as refused:
            _enroller(tmp_path, backend.url).enrol("once")
        assert type(refused.value) is error
        assert "This token has been used.?[2J" in str(refused.value)
        assert "once" not in str(refused.value)


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"{" * 1000, b" " * 300_000])
def test_an_answer_that_is_none_changes_nothing(tmp_path: Path, body: bytes) -> None:
    with _served() as backend:
        enroller = _enroller(tmp_path, backend.url)
        kept = enroller.enrol("once")
        backend.other = lambda: (200, body)
        with pytest.raises(EnrolmentError):
            enroller.renew()
        assert enroller.current() == kept


def test_a_certificate_for_another_key_or_device_is_refused(tmp_path: Path) -> None:
    with _served() as backend:
        key = Ed25519PrivateKey.generate().public_key()
        answer = enrolment_answer(DEVICE, key, broker_port=1, deployment=backend.deployment)
        backend.other = lambda: (200, json.dumps(answer).encode())
        with pytest.raises(EnrolmentError, match="another key"):
            _enroller(tmp_path, backend.url).enrol("once")
        assert not (tmp_path / "enrolment.json").exists()


def test_nobody_there_is_later(tmp_path: Path) -> None:
    with _served() as backend:
        url = backend.url
    with pytest.raises(EnrolmentError) as refused:
        _enroller(tmp_path, url).enrol("once")
    assert not isinstance(refused.value, EnrolmentRefusedError)


def test_over_https_the_ca_is_pinned_by_its_fingerprint_before_a_token_is_sent(tmp_path: Path) -> None:
    authority = tmp_path / "ca"
    ensure_authority(authority, real_now())
    issue_server(authority, ["127.0.0.1", "localhost"], real_now())
    der = ssl.PEM_cert_to_DER_cert((authority / "ca.pem").read_text())
    fingerprint = hashlib.sha256(der).hexdigest()
    with _served(authority) as backend:
        with pytest.raises(EnrolmentError, match="fingerprint"):
            _enroller(tmp_path / "a", backend.url, fingerprint="00" * 32).enrol("once")
        with pytest.raises(EnrolmentError):
            _enroller(tmp_path / "b", backend.url).enrol("once")
        assert backend.asked == []
        enroller = _enroller(tmp_path / "c", backend.url, fingerprint=":".join([fingerprint.upper()]))
        enroller.enrol("once")
        assert len(backend.asked) == 1


@pytest.mark.parametrize(
    "url", ["http://gateway.example:8800", "ftp://127.0.0.1", "127.0.0.1:8800", "https://", "https://a:b@host/"]
)
def test_an_address_that_would_show_the_token_or_is_none_stops_the_start(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match=r"enrol\.url"):
        BackendClient(url, ca_file=tmp_path / "ca.pem", ca_fingerprint=None)


def test_a_key_file_that_is_damaged_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "device.key").write_text("not a key")
    with pytest.raises(SettingsError, match=r"device\.key"):
        _enroller(tmp_path, "http://127.0.0.1:9")


def _cabinet(folder: Path, url: str, token: str | None) -> LoadedCabinet:
    path = folder / "cabinet.toml"
    line = "" if token is None else f'token = "{token}"\n'
    path.write_text(
        f'[device]\nid = "{DEVICE}"\nkind = "air_monitor"\n[enrol]\nurl = "{url}"\n{line}'
        '[[instrument]]\nkind = "scd30"\nlink = "serial:/dev/null"\nsample_period_s = 60\n'
    )
    return load_cabinet(path)


def _obtain(folder: Path, backend: Backend, token: str | None, *, fresh: bool) -> Enrolment | None:
    return obtain(
        _enroller(folder, backend.url),
        _cabinet(folder, backend.url, token),
        fresh=fresh,
        sleep=lambda _s: True,
        backoff=Backoff(0.01, 0.01, middle),
    )


@pytest.mark.rule("C12")
def test_a_new_outbox_spends_a_new_token_although_a_certificate_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with _served() as backend:
        assert _obtain(tmp_path, backend, "first", fresh=True) is not None
        assert _obtain(tmp_path, backend, "first", fresh=False) is not None
        assert len(backend.asked) == 1  # a token is ignored while certificate and outbox are what they were
        assert _obtain(tmp_path, backend, "second", fresh=True) is not None
        assert [request["token"] for _, request in backend.asked] == ["first", "second"]
        backend.other = lambda: (403, b'{"error":"used"}')
        assert _obtain(tmp_path, backend, "second", fresh=True) is not None
        assert _obtain(tmp_path, backend, None, fresh=True) is not None
        assert caplog.text.count("until cabinet.toml has a new token") == 2


def test_without_enrolment_and_token_or_with_a_refused_one_an_operator_must_act(tmp_path: Path) -> None:
    with _served() as backend:
        with pytest.raises(SettingsError, match="token"):
            _obtain(tmp_path, backend, None, fresh=True)
        backend.other = lambda: (403, b'{"error":"used"}')
        with pytest.raises(EnrolmentRefusedError):
            _obtain(tmp_path, backend, "once", fresh=True)
        backend.other = lambda: (503, b'{"error":"starting"}')
        assert _obtain(tmp_path, backend, "once", fresh=True) is None  # told to stop while waiting
