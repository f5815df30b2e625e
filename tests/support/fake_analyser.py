"""An analyser inside the test's own time: a link whose other end asks, runs and reports. No socket, no thread."""

from dataclasses import dataclass, field

from edge.errors import LinkError
from edge.wire.astm import Dialogue, Received, Sent
from tests.support.kiosk import SetClock

HEAD = "H|@^\\|GXM-1||kiosk-10016-1^GeneXpert^6.5|||||LIS||P|1394-97|20211212095221"


def query() -> bytes:
    """All pending orders?"""
    return f"{HEAD}\rQ|1|ALL||||||||||O@N\rL|1|N\r".encode()


def result(sample: str, word: str, action: str = "") -> bytes:
    """The upload of one run."""
    order = f"O|1|{sample}||^^^SARSCOV2|R|20211212093006|||||{action}||||ORH||||||||||F"
    main = f"R|1|^^^SARSCOV2^Xpert Xpress SARS-CoV-2^2^^|{word}^|||||F"
    return f"{HEAD}\rP|1||||^^^^\r{order}\r{main}\rL|1|N\r".encode()


@dataclass
class FakeAnalyser:
    """Implements edge.ports.Link. `insert` a cartridge with the word its run will end in, and how long it takes."""

    clock: SetClock
    present: bool = True
    orders: list[str] = field(default_factory=list)
    refused: int = 0
    _line: Dialogue = field(default_factory=lambda: Dialogue(instrument=True))
    _to_host: bytearray = field(default_factory=bytearray)
    _waiting: list[bytes] = field(default_factory=list)
    _sent: list[bytes] = field(default_factory=list)
    _cartridges: list[tuple[str, float]] = field(default_factory=list)
    _running: list[tuple[int, str, str]] = field(default_factory=list)

    def insert(self, word: str, run_s: float = 1800.0) -> None:
        self._cartridges.append((word, run_s))
        self._waiting.append(query())

    def say(self, text: bytes) -> None:
        """Send any message."""
        self._waiting.append(text)

    @property
    def idle(self) -> bool:
        """Whether everything it had to say was taken."""
        return not self._waiting and not self._line.sending

    # --- edge.ports.Link ----------------------------------------------------------------------------------

    def open(self) -> None:
        self._line = Dialogue(instrument=True)

    def established(self) -> bool:
        return self.present

    def fileno(self) -> int:
        return -1

    def wants_write(self) -> bool:
        return False

    def receive(self) -> bytes:
        if not self.present:
            raise LinkError("switched off")
        self._work()
        data = bytes(self._to_host)
        self._to_host.clear()
        return data

    def send(self, data: bytes) -> None:
        for event in self._line.feed(data, self.clock.real_s()):
            if isinstance(event, Received):
                self._line.accept(self.clock.real_s())
                self._answered(event.text.decode())
            elif isinstance(event, Sent):
                self._sent.append(self._waiting.pop(0))
            else:
                self.refused += 1
        self._work()

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    # --- what it does ---------------------------------------------------------------------------------------

    def _work(self) -> None:
        due = [run for run in self._running if run[0] <= self.clock.now_ns()]
        self._running = [run for run in self._running if run not in due]
        self._waiting += [result(sample, word) for _, sample, word in due]
        self._line.tick(self.clock.real_s())
        if self._waiting and not self._line.sending:
            self._line.send(self._waiting[0], self.clock.real_s())
        self._to_host += self._line.output()

    def _answered(self, text: str) -> None:
        word, run_s = self._cartridges.pop(0)
        orders = [record.split("|")[2] for record in text.split("\r") if record.startswith("O|")]
        if orders:
            self.orders.append(orders[0])
            self._running.append((self.clock.now_ns() + int(run_s * 1e9), orders[0], word))
