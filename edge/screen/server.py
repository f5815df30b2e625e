"""Serves the screens of all kiosks that this process hosts: one server, a port of loopback for each.

Written on sockets rather than on a web framework: three pages and two forms for one browser on the same machine, in an
agent that shall stay below 60 MiB (docs/adr, "The kiosk's screen needs no framework"). A thread accepts; each request
gets a short-lived one of its own, because a check-in waits for the printer. Nothing is logged: who can count the lines
can count the people.

Checks, in this order: 1 size and form of the request · 2 Host is this very port of loopback (DNS rebinding) · 3 a POST
comes from a page of this origin · 4 and carries the token of its visit, which is good for one check-in.
"""

import contextlib
import json
import logging
import secrets
import selectors
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from typing import Final

from contracts.notice import LANGUAGES
from edge.errors import SettingsError
from edge.screen.flow import WITHOUT_PAPER, Sitting, advanced, before_check_in, in_visit
from edge.screen.http import MAX_HEAD_BYTES, Answer, Request, RequestError, body_bytes_wanted, form_of
from edge.screen.pages import ScreenFacts, frame_origins, start_page, visit_page
from edge.service.desk import CheckedIn, Desk

_LOG = logging.getLogger(__name__)

LOOPBACK: Final = "127.0.0.1"
MAX_REQUESTS: Final = 64  # at the same time, all kiosks together
MAX_SITTINGS: Final = 16
FORGET_AFTER_S: Final = 180.0  # a page that is open asks every second
READ_S: Final = 5.0
CHECK_IN_S: Final = 45.0  # real; a slow printer takes half of it
TOKEN_BYTES: Final = 18

_MAY_ASK: Final = frozenset({"info", *WITHOUT_PAPER})
_STATIC: Final = {"screen.css": "text/css; charset=utf-8", "screen.js": "text/javascript; charset=utf-8"}
_HTML: Final = "text/html; charset=utf-8"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; "
    "frame-src {frames}; frame-ancestors 'none'; base-uri 'none'"
)
_COMMON: Final = (
    ("Referrer-Policy", "same-origin"),  # with "no-referrer" a browser hides the origin of a form even from ourselves
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


class KioskScreen:
    """One kiosk's screen: requests in, answers out; its visitors' steps in memory and nowhere else."""

    def __init__(self, desk: Desk, facts: Callable[[], ScreenFacts], now_s: Callable[[], float]) -> None:
        self._desk = desk
        self._facts = facts
        self._now_s = now_s
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._sittings: OrderedDict[str, tuple[Sitting, float]] = OrderedDict()
        self._shown = secrets.token_urlsafe(TOKEN_BYTES)  # another one when a code was shown: a mark, and no count

    def answer(self, request: Request, port: int) -> Answer:
        """Answer one request; RequestError with the status otherwise."""
        origins = {f"http://{host}:{port}" for host in (LOOPBACK, "localhost")}
        if f"http://{request.headers.get('host', '')}" not in origins:  # 2
            raise RequestError(421)
        if request.method == "GET":
            return self._get(request.path)
        if request.headers.get("origin") != f"http://{request.headers['host']}":  # 3
            raise RequestError(403)
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise RequestError(403)
        return self._post(request.path, request.form)

    # --- pages ----------------------------------------------------------------------------------------

    def _get(self, path: str) -> Answer:
        if path == "/":
            return _html(start_page(self._facts()), ())
        if path.removeprefix("/") in LANGUAGES:
            return _see(f"/visit/{self._begin(path.removeprefix('/'))}")
        if path == "/browser":
            return _json({"shown": self._shown})
        if path.startswith("/static/"):
            return _static(path.removeprefix("/static/"))
        parts = path.split("/")
        match parts:
            case ["", "visit", token]:
                return self._visit(token)
            case ["", "visit", token, "state"]:
                return self._state(token)
        raise RequestError(404)

    def _visit(self, token: str) -> Answer:
        view = self._desk.view()
        sitting = self._sitting(token)
        if sitting is None:
            return _see("/")
        sitting = advanced(sitting, view)
        self._keep(token, sitting)
        facts = self._facts()
        return _html(visit_page(in_visit(sitting, view), sitting, token, view, facts), frame_origins(sitting, facts))

    def _state(self, token: str) -> Answer:
        view = self._desk.view()
        sitting = self._sitting(token)
        if sitting is None:
            return _json({"key": None})
        sitting = advanced(sitting, view)
        self._keep(token, sitting)
        return _json({"key": in_visit(sitting, view).key})

    # --- forms ----------------------------------------------------------------------------------------

    def _post(self, path: str, form: dict[str, str]) -> Answer:
        token = form.get("token", "")
        sitting = self._sitting(token)
        if path == "/leave":
            if sitting is not None:
                self._forget(token)
                self._desk.leave()
                if isinstance(sitting.outcome, CheckedIn) and sitting.outcome.code_url is not None:
                    self._shown = secrets.token_urlsafe(TOKEN_BYTES)
            return _see("/")
        if path != "/check-in":
            raise RequestError(404)
        if sitting is None or form.get("paper") not in ("0", "1"):  # 4
            return _see("/")
        self._check_in(token, paper=form["paper"] == "1")
        return _see(f"/visit/{token}")

    def _check_in(self, token: str, *, paper: bool) -> None:
        with self._asking:  # whoever presses twice asks once, and both presses see what came of it
            sitting = self._sitting(token)
            if sitting is None or isinstance(sitting.outcome, CheckedIn):
                return
            if before_check_in(self._desk.view()).name in _MAY_ASK:
                outcome = self._desk.check_in(sitting.language, paper=paper, timeout_s=CHECK_IN_S)
                self._keep(token, replace(sitting, outcome=outcome))

    # --- sittings -------------------------------------------------------------------------------------

    def _begin(self, language: str) -> str:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._keep(token, Sitting(language))
        return token

    def _keep(self, token: str, sitting: Sitting) -> None:
        now_s = self._now_s()
        with self._lock:
            self._sittings[token] = (sitting, now_s)
            self._sittings.move_to_end(token)
            while len(self._sittings) > MAX_SITTINGS or next(iter(self._sittings.values()))[1] < now_s - FORGET_AFTER_S:
                self._sittings.popitem(last=False)

    def _sitting(self, token: str) -> Sitting | None:
        with self._lock:
            kept = self._sittings.get(token)
        return None if kept is None or kept[1] < self._now_s() - FORGET_AFTER_S else kept[0]

    def _forget(self, token: str) -> None:
        with self._lock:
            self._sittings.pop(token, None)


class ScreenServer:
    """Listens for every kiosk that was added. `close` ends it."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(MAX_REQUESTS)
        self._closing = False
        self._wake_read, self._wake_write = socket.socketpair()
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._thread: threading.Thread | None = None

    def add(self, port: int, desk: Desk, facts: Callable[[], ScreenFacts]) -> Callable[[], None]:
        """Serve a kiosk on a port of loopback; returns what ends that. SettingsError when the port is taken."""
        try:
            listener = socket.create_server((LOOPBACK, port), backlog=MAX_REQUESTS)
        except OSError as exc:
            raise SettingsError(f"screen.port {port} cannot be had: {exc.strerror}") from exc
        listener.setblocking(False)
        screen = KioskScreen(desk, facts, time.monotonic)
        with self._lock:
            self._selector.register(listener, selectors.EVENT_READ, (listener, screen, listener.getsockname()[1]))
            if self._thread is None:
                self._thread = threading.Thread(target=self._accept, name="screens", daemon=True)
                self._thread.start()
        self._wake()

        def end() -> None:
            with self._lock, contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(listener)
            listener.close()

        return end

    def close(self) -> None:
        """Stop listening; requests on their way end by themselves."""
        self._closing = True
        self._wake()
        if self._thread is not None:
            self._thread.join()
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()
        self._wake_write.close()

    def _wake(self) -> None:
        self._wake_write.send(b"\0")

    def _accept(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select():
                if key.data is None:
                    self._wake_read.recv(64)
                    continue
                with contextlib.suppress(OSError):  # the caller has gone, or the kiosk was taken away
                    listener, screen, port = key.data
                    self._take(listener.accept()[0], screen, port)

    def _take(self, connection: socket.socket, screen: KioskScreen, port: int) -> None:
        if not self._room.acquire(blocking=False):
            connection.close()
            return
        try:
            threading.Thread(target=self._serve, args=(connection, screen, port), name="screen", daemon=True).start()
        except RuntimeError:  # the machine has no thread left: the browser asks again
            self._room.release()
            connection.close()

    def _serve(self, connection: socket.socket, screen: KioskScreen, port: int) -> None:
        try:
            with connection:
                connection.settimeout(READ_S)
                try:
                    answer = screen.answer(_read(connection), port)
                except RequestError as exc:
                    answer = Answer(exc.status)
                connection.sendall(answer.encode())
        except OSError:
            pass  # the browser has gone
        except Exception as exc:  # noqa: BLE001 -- the loop's edge: told without payload, the next request is served
            _LOG.error("a screen failed: %s", type(exc).__name__)
        finally:
            self._room.release()


def _read(connection: socket.socket) -> Request:
    """Read one request; RequestError when it is none, OSError when it does not come in time."""
    deadline_s = time.monotonic() + READ_S
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        if len(data) > MAX_HEAD_BYTES:
            raise RequestError(413)
        data += _more(connection, deadline_s)
    request, wanted = body_bytes_wanted(data[:end])
    body = data[end + 4 :]
    while len(body) < wanted:
        body += _more(connection, deadline_s)
    return replace(request, form=form_of(body[:wanted])) if request.method == "POST" else request


def _more(connection: socket.socket, deadline_s: float) -> bytes:
    connection.settimeout(max(0.001, deadline_s - time.monotonic()))
    data = connection.recv(MAX_HEAD_BYTES)
    if not data or time.monotonic() > deadline_s:
        raise ConnectionResetError
    return data


def _html(page: str, frames: tuple[str, ...]) -> Answer:
    policy = _POLICY.format(frames=" ".join(frames) or "'none'")
    headers = (("Content-Type", _HTML), ("Content-Security-Policy", policy), ("Cache-Control", "no-store"), *_COMMON)
    return Answer(200, page.encode(), headers)


def _json(value: dict[str, str | None]) -> Answer:
    headers = (("Content-Type", "application/json"), ("Cache-Control", "no-store"), *_COMMON)
    return Answer(200, json.dumps(value).encode(), headers)


def _see(path: str) -> Answer:
    return Answer(303, b"", (("Location", path), ("Cache-Control", "no-store"), *_COMMON))


def _static(name: str) -> Answer:
    kind = _STATIC.get(name)
    if kind is None:
        raise RequestError(404)
    content = files("edge.screen").joinpath(f"static/{name}").read_bytes()
    return Answer(200, content, (("Content-Type", kind), ("Cache-Control", "no-cache"), *_COMMON))
