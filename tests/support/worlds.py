"""Worlds of real processes: kiosks of one name that live at the same time and differ in what happens at them.

A world is a kiosk with its analyser and printer, a Mosquitto of its own, and whoever listens there. All worlds share
the clock, the device's key (and with it the offset of its ticks) and the files to begin with. A tick lasts four
seconds. `Relay` stands between kiosk and broker of a mutant, and lets nothing through while its gate is shut.
"""

import asyncio
import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image

from contracts.claim import ClaimCode, parse_fragment
from contracts.clock import TimeAnchors, first_anchors
from contracts.frames import Frame
from contracts.windows import NS, TICK_S, tick_start_ns
from edge.adapters.store import OutboxStore
from edge.adapters.visits import VisitDatabase
from edge.release.counters import open_window
from firmware_sim.clock import DistrictClock
from firmware_sim.outcome import Outcome
from mqttlink.types import Message
from tests.support.enrolled import device_key
from tests.support.judge import Judge
from tests.support.kiosk import CALENDAR, LAYOUTS, START_NS, WINDOW_S
from tests.support.mosquitto import MosquittoServer
from tests.support.process import free_port, wait_until
from tests.support.qr import read_slip
from tests.support.visitor import code_on_glass
from tests.support.whole_kiosk import DEVICE, Making, WholeKiosk, whole_kiosk

SPEED = 150  # a tick is four seconds
TICK_REAL_S = TICK_S / SPEED
BEGIN_NS = START_NS + (WINDOW_S - 9 * TICK_S) * NS  # a window's end and three hours' health lie in what follows
INSERTION_S = 600
T_MAX_S = 1200  # with the insertion time three ticks: a code handed out in tick k is ready in tick k + 4
READY_AFTER = 4
DONE_S = {"early": 0.05, "late": 4.5}  # real; a late analyser works over the beginning of a tick, and ends before T_max


@dataclass(frozen=True)
class Cartridge:
    """What happens at one kiosk in one tick: a cartridge, and when the analyser is done with it."""

    outcome: Outcome
    done: str


@dataclass(frozen=True, slots=True)
class PacedClock(DistrictClock):
    """An analyser's clock in whose time every run takes as long as the test says."""

    pace: list[float] = field(default_factory=lambda: [DONE_S["early"]])

    async def sleep_until(self, at_ns: int) -> None:
        await asyncio.sleep(self.pace[0] if at_ns > self.now_ns() else 0.0)


class Watch(Judge):
    """Judges, and remembers when everything came."""

    def __init__(self, port: int, kiosk: WholeKiosk) -> None:
        cabinet = kiosk.cabinet
        super().__init__(port, {DEVICE: cabinet.public_key}, {DEVICE: cabinet.deployment})
        self.seen: list[tuple[int, Message]] = []  # monotonic ns

    def on_message(self, message: Message) -> None:
        self.seen.append((time.monotonic_ns(), message))
        super().on_message(message)


class Relay:
    """Passes one kiosk's bytes on to its broker, while `open_` says so; the broker's come back at once."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.open_: Callable[[], bool] = lambda: True
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for end in (self._listener, *self._ends):
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                kiosk, _ = self._listener.accept()
                broker = socket.create_connection(("127.0.0.1", self._to))
                self._ends += [kiosk, broker]
                for pump in (partial(self._pump, kiosk, broker, up=True), partial(self._pump, broker, kiosk, up=False)):
                    threading.Thread(target=pump, name="relay", daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, *, up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                while up and not self.open_():
                    time.sleep(0.02)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)


@dataclass
class World:
    """One world, and what was seen of it."""

    kiosk: WholeKiosk
    broker: MosquittoServer
    watch: Watch
    pace: list[float]
    anchors: TimeAnchors
    visits: list[tuple[Callable[[], ClaimCode], Cartridge]] = field(default_factory=list)  # who came, and their codes
    sizes: dict[int, dict[str, int]] = field(default_factory=dict)  # of the cabinet's files, at the end of a tick

    def live(self, tick: int, cartridge: Cartridge | None) -> None:
        """Come in this tick, take a code and put the cartridge in; None: nobody comes."""
        self.until(tick + 0.2)
        if cartridge is None:
            return
        paper = tick % 2 == 0
        page = self.kiosk.check_in(paper=paper)
        code = partial(self._code_on, max(self.kiosk.pictures.glob("*.png"))) if paper else _shown(page)
        self.pace[0] = DONE_S[cartridge.done]
        self.kiosk.analyser.insert(cartridge.outcome)
        self.visits.append((code, cartridge))

    def until(self, tick: float) -> None:
        """Return at this instant, in ticks."""
        at_ns = tick_start_ns(int(tick)) + int(tick % 1 * TICK_S * NS)
        left_ns = at_ns - self.anchors.at(time.monotonic_ns())
        time.sleep(max(0.0, left_ns / NS / SPEED))

    def measure(self, tick: int) -> None:
        """Note the sizes of the cabinet's files; again, if one is in the middle of a commit."""
        sizes = self._sizes()
        while sizes != (again := self._sizes_later()):
            sizes = again
        self.sizes[tick] = sizes

    @property
    def idle(self) -> bool:
        """Whether the analyser is done with everything."""
        return self.kiosk.analyser.analyser.free_modules == 4

    def offset_s(self, at_ns: int, tick: int) -> float:
        """Real seconds from a tick's beginning to a monotonic instant."""
        return (self.anchors.at(at_ns) - tick_start_ns(tick)) / NS / SPEED

    @property
    def ticks(self) -> dict[int, float]:
        """Each tick's time of publishing, the first time that it came: real seconds from its beginning."""
        found: dict[int, float] = {}
        for at_ns, message in list(self.watch.seen):
            if message.topic.endswith("/sealed"):
                tick = Frame.decode(message.payload).start
                found.setdefault(tick, self.offset_s(at_ns, tick))
        return found

    @staticmethod
    def _code_on(slip: Path) -> ClaimCode:
        with Image.open(slip) as picture:
            return parse_fragment(urlsplit(read_slip(picture)).fragment)[0]

    def _sizes(self) -> dict[str, int]:
        return {path.name: path.stat().st_size for path in self.kiosk.cabinet.folder.iterdir()}

    def _sizes_later(self) -> dict[str, int]:
        time.sleep(0.05)
        return self._sizes()


@contextmanager
def worlds(folder: Path, *, mutants: int, n: int) -> Iterator[list[World]]:
    """`n` worlds, whose last `mutants` publish when their analyser is done."""
    files = _first_files(folder / "files")
    anchors = first_anchors(time.monotonic_ns(), BEGIN_NS, SPEED)
    stacks = [ExitStack() for _ in range(n)]

    def begin(number: int) -> World:
        made = _world(folder / f"world-{number}", files, anchors, relayed=number >= n - mutants)
        return stacks[number].enter_context(made)

    with ThreadPoolExecutor(n) as pool:
        try:
            begun = list(pool.map(begin, range(n)))
            for world in begun:
                wait_until(partial(_is_ready, world), timeout_s=60, what="a kiosk that is ready")
            yield begun
        finally:
            list(pool.map(ExitStack.close, stacks))


@contextmanager
def _world(folder: Path, files: Path, anchors: TimeAnchors, *, relayed: bool) -> Iterator[World]:
    broker = MosquittoServer(folder / "broker", port=free_port())
    broker.start()
    clock = PacedClock(anchors.monotonic_anchor_ns, anchors.simulated_anchor_ns, SPEED)
    with broker.program, ExitStack() as stack:
        relay = Relay(broker.port) if relayed else None
        if relay is not None:
            stack.callback(relay.close)
        making = Making(
            insertion_s=INSERTION_S,
            t_max_s=T_MAX_S,
            broker_port=broker.port if relay is None else relay.port,
            anchors=anchors,
            files=files,
            analyser_clock=clock,
        )
        kiosk = stack.enter_context(whole_kiosk(folder, making))
        watch = Watch(broker.port, kiosk)
        stack.enter_context(watch)
        world = World(kiosk, broker, watch, clock.pace, anchors)
        if relay is not None:
            relay.open_ = lambda: world.idle
        yield world


def _first_files(folder: Path) -> Path:
    """The device's key, an outbox and a visit store: one `ob`, and the same first tick however long a start takes."""
    folder.mkdir(parents=True)
    device_key(folder / "device.key")
    OutboxStore(folder / "outbox.db").close()
    draw = partial(open_window, randbelow=random.Random(1).randrange)
    VisitDatabase(folder / "visits.db", calendar=CALENDAR, layouts=LAYOUTS, open_window=draw, now_ns=BEGIN_NS).close()
    return folder


def _shown(page: str) -> Callable[[], ClaimCode]:
    """The code on the screen, read while it stands there."""
    code, _ = code_on_glass(page)
    return lambda: ClaimCode.parse(code)


def _is_ready(world: World) -> bool:
    _, visit = world.kiosk.ask("GET", "/en")
    return bool(world.ticks) and 'data-screen="info"' in world.kiosk.ask("GET", visit)[0]
