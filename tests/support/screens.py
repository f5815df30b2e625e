"""A kiosk's screen for a browser: the real server on loopback, a desk that behaves, and the page of a code."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from edge.screen.pages import ScreenFacts
from edge.screen.server import ScreenServer
from edge.slip.code_page import code_page, headers
from firmware_sim.config import Address
from firmware_sim.outcome import Outcome
from firmware_sim.slot import Slot
from tests.support.desk import FakeDesk
from tests.support.notices import notice
from tests.support.process import free_port
from tests.support.simulators import LoopThread
from tests.support.slips import slip


@dataclass
class RunningScreen:
    url: str
    desk: FakeDesk
    inserted: list[Outcome] = field(default_factory=list)


@contextmanager
def running_screen(*, simulated: bool = False, language: str = "en") -> Iterator[RunningScreen]:
    """Serve one kiosk; `language` is that of the code that is shown without paper."""
    with ExitStack() as closing:
        desk = FakeDesk(code_url=closing.enter_context(_code(language)))
        server = ScreenServer()
        closing.callback(server.close)
        port = free_port()
        running = RunningScreen(f"http://127.0.0.1:{port}", desk)
        slot_url = closing.enter_context(_slot(running)) if simulated else None
        facts = ScreenFacts(
            notice(), ("sars-cov-2",), -18000, "a1b2 c3d4 e5f6 0718", 600 if simulated else None, slot_url
        )
        closing.callback(server.add(port, desk, lambda: facts))
        yield running


@contextmanager
def _code(language: str) -> Iterator[str]:
    page = code_page(slip(language))

    class Child(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in headers():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- likewise
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Child)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def _slot(running: RunningScreen) -> Iterator[str]:
    thread = LoopThread()

    def insert(outcome: Outcome) -> None:
        running.inserted.append(outcome)
        running.desk.insert()

    slot = Slot(Address("127.0.0.1", 0), insert)
    try:
        where = thread.run(slot.open())
        try:
            yield f"http://{where}"
        finally:
            thread.call(slot.close)
    finally:
        thread.close()
