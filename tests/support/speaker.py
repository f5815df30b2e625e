"""A device that says what a test wants, signed as the contract asks: for tests of whoever listens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.codec import CONTENT_BINARY, CONTENT_JSON, pack_json
from contracts.envelope import sign
from contracts.frames import Frame, ReleaseBody, TickBody
from contracts.messages import TQ_DISCIPLINED, VERSION, Birth, Document, Event, Reading, State, encode, join
from contracts.sealed import dummy
from contracts.topics import UpTopic
from contracts.windows import NS, TICK_S

START_S = 1_639_285_200  # 2021-12-12 00:00 at -05:00: the start of a window and of a day of the test district
START_NS = START_S * NS
START_TICK = START_S // TICK_S
WINDOW_S = 6 * 3600


class Said(NamedTuple):
    """One message as it goes to the broker."""

    topic: str
    wire: bytes
    content_type: str | None
    sig: str | None


def reading(at_s: float = 0, tq: int = TQ_DISCIPLINED, **values: float) -> Reading:
    """A reading of an air monitor, so many seconds after the start of the test district's time."""
    return Reading(START_NS + round(at_s * NS), tq, values or {"co2_ppm": 612.5})


@dataclass
class Speaker:
    """One enrolled device, with the id of its present outbox."""

    device: str = "air-1"
    ob: int = 11
    boot: int = 1
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate, repr=False)

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    def say(self, kind: str, wire: bytes, content_type: str | None = CONTENT_JSON, *, topic: str = "") -> Said:
        """Sign any bytes for any topic."""
        topic = topic or str(UpTopic(self.device, kind))
        return Said(topic, wire, content_type, sign(self.key, topic, wire))

    def batch(self, seq: int, records: Sequence[Reading | Event | bytes], *, stream: str = "bulk", lo: int = 1) -> Said:
        """Records from `seq` on; bytes go into the message as they are."""
        rows = [record if isinstance(record, bytes) else encode(record) for record in records]
        return self.json(stream, join(ob=self.ob, stream=stream, seq=seq, lo=lo, hist=False, rows=rows))

    def json(self, kind: str, plain: bytes) -> Said:
        """Any JSON, packed and signed."""
        wire, content_type = pack_json(plain)
        return self.say(kind, wire, content_type)

    def release(
        self,
        seq: int,
        window: int = 0,
        counters: tuple[int, ...] = (7, -1, 3),
        *,
        lo: int = 1,
        layout: int = 1,
        start_s: int | None = None,
    ) -> Said:
        """The release of a window, numbered from the start of the test district's time."""
        start = START_S + window * WINDOW_S if start_s is None else start_s
        frame = Frame(self.ob, seq, lo, start, ReleaseBody(layout, counters).encode())
        return self.say("release", frame.encode(), CONTENT_BINARY)

    def tick(self, seq: int, tick: int = START_TICK, records: Sequence[bytes] = (), *, lo: int = 1) -> Said:
        """The sealed records of a tick; dummies unless the test brings some."""
        body = TickBody(tuple(records) or (dummy(), dummy())).encode()
        return self.say("sealed", Frame(self.ob, seq, lo, tick, body).encode(), CONTENT_BINARY)

    def document(self, kind: str, document: Document) -> Said:
        """A document as it is."""
        return self.json(kind, encode(document))

    def state(self, conn: int = 1, *, online: bool = True, boot: int = 0) -> Said:
        """Here, or gone."""
        boot = boot or self.boot
        return self.document("state", State(v=VERSION, ob=self.ob, boot=boot, conn=conn, online=online, fw="1.0"))

    def birth(self, conn: int = 1, metrics: Sequence[str] = ("co2_ppm",)) -> Said:
        """What the device is."""
        return self.document(
            "birth",
            Birth(
                v=VERSION,
                ob=self.ob,
                boot=self.boot,
                conn=conn,
                fw="1.0",
                ts_ns=START_NS,
                instruments=[],
                metrics=list(metrics),
                layout=None,
            ),
        )


def readings(first_seq: int, count: int, **values: float) -> list[Reading]:
    """Readings a minute apart, their time following from their seq."""
    made = {seq: values or {"co2_ppm": 500.0 + seq} for seq in range(first_seq, first_seq + count)}
    return [reading(60 * seq, TQ_DISCIPLINED, **made[seq]) for seq in range(first_seq, first_seq + count)]


def keys_of(speakers: Sequence[Speaker]) -> Mapping[str, bytes]:
    """Public keys by device."""
    return {speaker.device: speaker.public_key for speaker in speakers}
