"""One end of an ASTM E1381 line: who may speak, acknowledgements, retries, time-outs. Pure: bytes, events and `now_s`.

In: `start(text)` to send a message, `feed(bytes)`, `expire()` when `deadline_s` is reached; `now_s` is any monotonic
clock in real seconds. Out: events. After CLSI LIS1-A §8.2 to §8.5; the numbers are in docs/protocols/genexpert.md.

    IDLE -start-> ENQUIRING -ACK-> SENDING -last ACK-> IDLE            IDLE -ENQ-> RECEIVING -EOT-> IDLE
                  ENQUIRING -NAK, ENQ, silence-> PAUSING -time-> ENQUIRING

A message is sent when its last frame is acknowledged. What is not sent is the caller's to start again.
"""

from dataclasses import dataclass
from enum import Enum, auto

from firmware_sim.errors import FrameError
from firmware_sim.wire.astm import ACK, ENQ, EOT, FRAME_NUMBERS, NAK, STX, Frame, FrameCollector, decode, encode

REPLY_TIMEOUT_S = 15.0  # LIS1-A §8.5: the sender waits for ACK or NAK
RECEIVE_TIMEOUT_S = 30.0  # LIS1-A §8.5: the receiver waits for a frame or EOT
BUSY_PAUSE_S = 10.0  # LIS1-A §8.2: after NAK to ENQ
CONTENTION_PAUSE_S = 1.0  # LIS1-A §8.2: the instrument; the host waits 20 s
MAX_RETRANSMISSIONS = 6  # LIS1-A §8.5
MAX_ENQUIRIES = 6
MAX_MESSAGE_BYTES = 64_000  # an order download is 300; the cap keeps a mad host out of our memory


@dataclass(frozen=True, slots=True)
class Write:
    """Put these bytes on the line."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Received:
    """The peer's whole message, frames joined."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """The peer acknowledged the last frame of ours."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Ours was given up; say why in a log, then start it again later."""

    reason: str


Event = Write | Received | Sent | Failed


class _State(Enum):
    IDLE = auto()
    ENQUIRING = auto()
    PAUSING = auto()
    SENDING = auto()
    RECEIVING = auto()


class Link:
    """The instrument's end. `naks`: how often each frame of the peer is refused before it is taken (a fault)."""

    def __init__(self, *, naks: int = 0) -> None:
        self.deadline_s: float | None = None
        self._state = _State.IDLE
        self._frames: list[bytes] = []  # of the message to send; empty when there is none
        self._next = 0
        self._tries = 0
        self._collector = FrameCollector()
        self._text = bytearray()
        self._whole = False  # the last frame taken ended with ETX
        self._expected = 1
        self._naks = naks
        self._naks_left = naks

    @property
    def busy(self) -> bool:
        """Whether a message is on its way out."""
        return bool(self._frames)

    def start(self, text: bytes, now_s: float) -> list[Event]:
        """Send a message; while the peer speaks, right after it. One at a time."""
        if self._frames:
            raise RuntimeError("the message before is still on its way")
        self._frames, self._next, self._tries = encode(text), 0, 0
        return self._enquire(now_s) if self._state is _State.IDLE else []

    def feed(self, data: bytes, now_s: float) -> list[Event]:
        """Bytes from the peer."""
        events: list[Event] = []
        for byte in data:
            if self._state is _State.RECEIVING:
                events += self._hear(byte, now_s)
            elif self._state in (_State.IDLE, _State.PAUSING):
                events += self._begin_receiving(now_s) if byte == ENQ else []
            else:
                events += self._answered(byte, now_s)
        return events

    def expire(self, now_s: float) -> list[Event]:
        """The deadline may be reached."""
        if self.deadline_s is None or now_s < self.deadline_s:
            return []
        if self._state is _State.PAUSING:
            return self._enquire(now_s)
        if self._state is _State.ENQUIRING:
            return [Write(bytes([EOT])), *self._pause(BUSY_PAUSE_S, now_s, "no answer to ENQ")]
        if self._state is _State.SENDING:
            return self._give_up("no answer to a frame")
        return self._neutral(now_s)  # RECEIVING: the peer fell silent, its message is forgotten

    # --- sending ------------------------------------------------------------------------------------

    def _enquire(self, now_s: float) -> list[Event]:
        self._state, self.deadline_s = _State.ENQUIRING, now_s + REPLY_TIMEOUT_S
        return [Write(bytes([ENQ]))]

    def _answered(self, byte: int, now_s: float) -> list[Event]:
        if self._state is _State.ENQUIRING:
            return self._enquiry_answered(byte, now_s)
        if byte in (ACK, EOT):  # EOT: accepted, please stop soon; we do not
            return self._frame_accepted(now_s)
        if byte != NAK:
            return []  # line noise
        self._tries += 1
        if self._tries > MAX_RETRANSMISSIONS:
            return self._give_up("a frame was refused too often")
        return self._send_frame(now_s)

    def _enquiry_answered(self, byte: int, now_s: float) -> list[Event]:
        if byte == ACK:
            self._state, self._next, self._tries = _State.SENDING, 0, 0
            return self._send_frame(now_s)
        if byte == NAK:
            return self._pause(BUSY_PAUSE_S, now_s, "the host stays busy")
        if byte == ENQ:
            return self._pause(CONTENTION_PAUSE_S, now_s, "the host keeps asking for the line")
        return []

    def _pause(self, pause_s: float, now_s: float, reason: str) -> list[Event]:
        self._tries += 1
        if self._tries >= MAX_ENQUIRIES:
            self._frames = []
            return [Failed(reason), *self._neutral(now_s)]
        self._state, self.deadline_s = _State.PAUSING, now_s + pause_s
        return []

    def _send_frame(self, now_s: float) -> list[Event]:
        self.deadline_s = now_s + REPLY_TIMEOUT_S
        return [Write(self._frames[self._next])]

    def _frame_accepted(self, now_s: float) -> list[Event]:
        self._next, self._tries = self._next + 1, 0
        if self._next < len(self._frames):
            return self._send_frame(now_s)
        self._frames = []
        return [Write(bytes([EOT])), Sent(), *self._neutral(now_s)]

    def _give_up(self, reason: str) -> list[Event]:
        self._frames, self._state, self.deadline_s = [], _State.IDLE, None
        return [Write(bytes([EOT])), Failed(reason)]

    def _neutral(self, now_s: float) -> list[Event]:
        self._collector.drop()
        self._state, self.deadline_s = _State.IDLE, None
        return self._enquire(now_s) if self._frames else []

    # --- receiving ----------------------------------------------------------------------------------

    def _begin_receiving(self, now_s: float) -> list[Event]:
        self._state, self.deadline_s = _State.RECEIVING, now_s + RECEIVE_TIMEOUT_S
        self._text.clear()
        self._whole = False
        self._collector.drop()
        self._expected, self._naks_left = 1, self._naks
        return [Write(bytes([ACK]))]

    def _hear(self, byte: int, now_s: float) -> list[Event]:
        if byte == EOT:
            text = bytes(self._text)
            return [*([Received(text)] if self._whole else []), *self._neutral(now_s)]
        if byte == ENQ:
            return self._begin_receiving(now_s)
        if byte == STX:
            self._collector.begin()
            return []
        try:
            body = self._collector.add(byte)
            return [] if body is None else [self._take(decode(body), now_s)]
        except FrameError:
            self.deadline_s = now_s + RECEIVE_TIMEOUT_S
            return [Write(bytes([NAK]))]

    def _take(self, frame: Frame, now_s: float) -> Write:
        self.deadline_s = now_s + RECEIVE_TIMEOUT_S
        if frame.number == (self._expected - 1) % FRAME_NUMBERS and self._text:
            return Write(bytes([ACK]))  # our ACK was lost: the same frame again
        if self._naks_left > 0:
            self._naks_left -= 1
            return Write(bytes([NAK]))
        if frame.number != self._expected or len(self._text) + len(frame.text) > MAX_MESSAGE_BYTES:
            return Write(bytes([NAK]))
        self._text += frame.text
        self._whole = frame.last
        self._expected, self._naks_left = (frame.number + 1) % FRAME_NUMBERS, self._naks
        return Write(bytes([ACK]))
