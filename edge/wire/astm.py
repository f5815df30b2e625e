"""ASTM E1381 (CLSI LIS1-A) dialogue: one half-duplex line, seen from either end. Sans-I/O.

In: bytes received, `now_s` (monotonic seconds), messages to send, and the verdict on each message received. Out: bytes
to write and events. Not here: what a message means (instruments' codecs), sockets, retries of a whole message.

The last frame of a message is acknowledged only after `accept`: for the sender it is the proof that the message is
kept, so it must follow our commit. A message is the records up to and including L, however they were cut.

A dialogue can be handed on between two transfers: after `finish` it reads nothing behind the present one, and `rest` is
what the next one has to be fed first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from edge.wire.astm_frames import ACK, ENQ, EOT, NAK, BadFrame, Control, Frame, FrameReader, Noise, Token, encode

ANSWER_S = 15.0  # LIS1-A 8.5.2: the sender waits this long for an answer
FRAME_S = 30.0  # LIS1-A 8.5.2: the receiver waits this long for the next frame
BUSY_S = 10.0  # LIS1-A 8.2: after NAK to ENQ
CONTENTION_INSTRUMENT_S = 1.0  # LIS1-A 8.2.7.1: the instrument has priority
CONTENTION_HOST_S = 20.0  # LIS1-A 8.2.7.1
MAX_RETRANSMISSIONS = 6  # LIS1-A 8.5.1
MAX_MESSAGE_BYTES = 64 * 1024  # a panel with every analyte is about 6 KiB

TEXT_DROPPED = frozenset({"ended early", "no next frame", "message too long", "disconnected"})  # part of a message

_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Received:
    """A whole message: call `accept` once what it says is kept, or `refuse`. The line waits meanwhile."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """The peer acknowledged the last frame of our message."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """Our message did not get through; with `perhaps` its last frame left and only the answer is missing."""

    perhaps: bool


@dataclass(frozen=True, slots=True)
class Dropped:
    """Something received was given up; `reason` is one of few fixed words, good for counting."""

    reason: str


Event = Received | Sent | NotSent | Dropped


class _State(Enum):
    IDLE = auto()
    ASKING = auto()  # we sent ENQ
    WAITING = auto()  # the peer was busy, or both asked at once
    SENDING = auto()  # we sent a frame
    RECEIVING = auto()
    JUDGING = auto()  # a whole message waits for its verdict


class _Input(Enum):
    ENQ = ENQ
    ACK = ACK
    NAK = NAK
    EOT = EOT
    NEXT_FRAME = 0x101  # above 0xFF: no byte
    SAME_FRAME = 0x102
    BAD_FRAME = 0x103
    TIMEOUT = 0x104


class Dialogue:
    """One line. `instrument` decides contention: the instrument asks again first."""

    def __init__(self, *, instrument: bool) -> None:
        self._contention_s = CONTENTION_INSTRUMENT_S if instrument else CONTENTION_HOST_S
        self._reader = FrameReader()
        self._state = _State.IDLE
        self._now_s = 0.0
        self._deadline_s = _NEVER
        self._output = bytearray()
        self._events: list[Event] = []
        self._outgoing: list[bytes] = []  # frames of our message; empty when there is none
        self._at = 0  # index of the frame under way
        self._failures = 0  # NAKs in a row
        self._text = bytearray()
        self._last_number: int | None = None
        self._incoming = Frame(0, b"", last=False)
        self._finishing = False

    @property
    def deadline_s(self) -> float:
        """When `tick` is wanted at the latest; infinity when nothing is awaited."""
        return self._deadline_s

    @property
    def sending(self) -> bool:
        """Whether a message of ours is not settled yet; a second one is not taken meanwhile."""
        return bool(self._outgoing)

    @property
    def judging(self) -> bool:
        """Whether a received message waits for `accept` or `refuse`."""
        return self._state is _State.JUDGING

    @property
    def finished(self) -> bool:
        """Whether, after `finish`, the line is between two transfers; a message of ours may wait for the next one."""
        return self._finishing and self._state in (_State.IDLE, _State.WAITING)

    def finish(self) -> None:
        """Read nothing behind the present transfer, and begin none."""
        self._finishing = True

    def rest(self) -> bytes:
        """Take the bytes that were received and not read."""
        return self._reader.rest()

    def output(self) -> bytes:
        """Take the bytes to write now."""
        data = bytes(self._output)
        self._output.clear()
        return data

    def send(self, text: bytes, now_s: float) -> None:
        """Send one message as soon as the line is free; ValueError when one is under way or the text cannot be sent."""
        if self._outgoing:
            raise ValueError("one message at a time")
        self._outgoing = encode(text)
        self._now_s = now_s
        if self._state is _State.IDLE:
            self._ask()

    def withdraw(self) -> bool:
        """Take our message back if not one byte of it has left; tell whether that was possible."""
        if not self._outgoing or self._state in (_State.ASKING, _State.SENDING):
            return False
        self._outgoing = []
        if self._state is _State.WAITING:
            self._enter(_State.IDLE)
        return True

    def feed(self, data: bytes, now_s: float) -> list[Event]:
        """Take received bytes; return what they brought."""
        self._now_s = now_s
        self._reader.feed(data, now_s)
        return self._read()

    def tick(self, now_s: float) -> list[Event]:
        """Let time pass."""
        self._now_s = now_s
        if now_s >= self._deadline_s and not self.finished:
            self._handle(_Input.TIMEOUT)
        return self._take_events()

    def accept(self, now_s: float) -> list[Event]:
        """Acknowledge the message of the last `Received`: it is kept."""
        return self._verdict(self._accept_frame, now_s)

    def refuse(self, now_s: float) -> list[Event]:
        """Answer NAK to its last frame: it could not be kept now; the sender tries again."""
        return self._verdict(self._refuse_frame, now_s)

    def disconnected(self) -> list[Event]:
        """Start afresh: the line is gone and with it everything half-way."""
        if self._text:
            self._drop_text("disconnected")
        if self._outgoing:
            self._settle(NotSent(perhaps=self._last_frame_left()))
        self._reader.clear()
        self._output.clear()
        self._enter(_State.IDLE)
        return self._take_events()

    # --- tokens to inputs -------------------------------------------------------------------------------

    def _read(self) -> list[Event]:
        tokens = self._reader.tokens()
        # What follows a message waits in the reader for the verdict, what follows the last transfer for `rest`.
        while self._state is not _State.JUDGING and not self.finished:
            token = next(tokens, None)
            if token is None:
                break
            self._take(token)
        return self._take_events()

    def _take(self, token: Token) -> None:
        match token:
            case Control(code):
                self._handle(_Input(code))
            case Frame(number):
                self._incoming = token
                self._handle(self._frame_input(number))
            case BadFrame():
                self._events.append(Dropped("bad frame"))
                self._handle(_Input.BAD_FRAME)
            case Noise():
                self._events.append(Dropped("noise"))

    def _frame_input(self, number: int) -> _Input:
        if number == self._last_number:
            return _Input.SAME_FRAME
        expected = 1 if self._last_number is None else (self._last_number + 1) % 8
        return _Input.NEXT_FRAME if number == expected else _Input.BAD_FRAME

    def _handle(self, what: _Input) -> None:
        """Act by the table; what it does not list means nothing in that state and is ignored."""
        action = _TABLE.get((self._state, what))
        if action is not None:
            action(self)

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _enter(self, state: _State, wait_s: float = _NEVER) -> None:
        self._state = state
        self._deadline_s = self._now_s + wait_s

    # --- sending ----------------------------------------------------------------------------------------

    def _ask(self) -> None:
        self._output.append(ENQ)
        self._enter(_State.ASKING, ANSWER_S)

    def _asked_and_busy(self) -> None:
        self._failures += 1
        if self._failures > MAX_RETRANSMISSIONS:
            self._give_up()
        else:
            self._enter(_State.WAITING, BUSY_S)

    def _contention(self) -> None:
        self._enter(_State.WAITING, self._contention_s)

    def _begin(self) -> None:
        self._at = self._failures = 0
        self._put_frame()

    def _put_frame(self) -> None:
        self._output += self._outgoing[self._at]
        self._enter(_State.SENDING, ANSWER_S)

    def _frame_taken(self) -> None:
        self._failures = 0
        if not self._last_frame_left():
            self._at += 1
            self._put_frame()
            return
        self._output.append(EOT)
        self._settle(Sent())
        self._idle()

    def _frame_refused(self) -> None:
        self._failures += 1
        if self._failures > MAX_RETRANSMISSIONS:
            self._give_up()
        else:
            self._put_frame()

    def _give_up(self) -> None:
        """The peer said no each time: it certainly does not have the message."""
        self._output.append(EOT)
        self._settle(NotSent(perhaps=False))
        self._idle()

    def _unanswered(self) -> None:
        self._output.append(EOT)
        self._settle(NotSent(perhaps=self._last_frame_left()))
        self._idle()

    def _interrupted(self) -> None:
        """The peer forgot our transfer and begins its own."""
        self._settle(NotSent(perhaps=self._last_frame_left()))
        self._listen()

    def _last_frame_left(self) -> bool:
        return self._state is _State.SENDING and self._at == len(self._outgoing) - 1

    def _settle(self, outcome: Sent | NotSent) -> None:
        self._outgoing = []
        self._events.append(outcome)

    def _idle(self) -> None:
        self._failures = 0
        self._enter(_State.IDLE)
        if self._outgoing and not self._finishing:
            self._ask()

    # --- receiving --------------------------------------------------------------------------------------

    def _listen(self) -> None:
        self._last_number = None
        self._output.append(ACK)
        self._enter(_State.RECEIVING, FRAME_S)

    def _asked_again(self) -> None:
        """Answer a repeated ENQ; between frames it is noise, and an ACK would pass for the next frame's."""
        if self._last_number is None and not self._text:
            self._listen()

    def _frame_came(self) -> None:
        if len(self._text) + len(self._incoming.text) > MAX_MESSAGE_BYTES:
            self._events.append(Dropped("message too long"))
            self._refuse_frame()
            return
        whole = bytes(self._text) + self._incoming.text
        if self._incoming.last and _is_complete(whole):
            self._events.append(Received(whole))
            self._enter(_State.JUDGING)
            return
        self._text += self._incoming.text
        self._acknowledge()

    def _verdict(self, act: Callable[[], None], now_s: float) -> list[Event]:
        if self._state is not _State.JUDGING:
            raise ValueError("there is no message to judge")
        self._now_s = now_s
        act()
        return self._read()

    def _accept_frame(self) -> None:
        self._text.clear()
        self._acknowledge()

    def _acknowledge(self) -> None:
        self._last_number = self._incoming.number
        self._output.append(ACK)
        self._enter(_State.RECEIVING, FRAME_S)

    def _refuse_frame(self) -> None:
        self._output.append(NAK)
        self._enter(_State.RECEIVING, FRAME_S)

    def _acknowledge_again(self) -> None:
        self._output.append(ACK)
        self._enter(_State.RECEIVING, FRAME_S)

    def _transfer_ended(self) -> None:
        if self._text:
            self._drop_text("ended early")
        self._idle()

    def _frame_missing(self) -> None:
        if self._text:
            self._drop_text("no next frame")
        self._idle()

    def _drop_text(self, reason: str) -> None:
        self._text.clear()
        self._events.append(Dropped(reason))


def _is_complete(text: bytes) -> bool:
    """Tell whether the last record is the terminator."""
    records = [record for record in text.split(b"\r") if record]
    return bool(records) and records[-1].startswith(b"L|")


_TABLE: dict[tuple[_State, _Input], Callable[[Dialogue], None]] = {
    (_State.IDLE, _Input.ENQ): Dialogue._listen,
    (_State.ASKING, _Input.ACK): Dialogue._begin,
    (_State.ASKING, _Input.NAK): Dialogue._asked_and_busy,
    (_State.ASKING, _Input.ENQ): Dialogue._contention,
    (_State.ASKING, _Input.TIMEOUT): Dialogue._unanswered,
    (_State.WAITING, _Input.ENQ): Dialogue._listen,
    (_State.WAITING, _Input.TIMEOUT): Dialogue._ask,
    (_State.SENDING, _Input.ACK): Dialogue._frame_taken,
    (_State.SENDING, _Input.EOT): Dialogue._frame_taken,  # LIS1-A 8.3.5: taken, but please stop soon
    (_State.SENDING, _Input.NAK): Dialogue._frame_refused,
    (_State.SENDING, _Input.ENQ): Dialogue._interrupted,
    (_State.SENDING, _Input.TIMEOUT): Dialogue._unanswered,
    (_State.RECEIVING, _Input.ENQ): Dialogue._asked_again,
    (_State.RECEIVING, _Input.NEXT_FRAME): Dialogue._frame_came,
    (_State.RECEIVING, _Input.SAME_FRAME): Dialogue._acknowledge_again,  # LIS1-A 8.5.1: our ACK was lost
    (_State.RECEIVING, _Input.BAD_FRAME): Dialogue._refuse_frame,
    (_State.RECEIVING, _Input.EOT): Dialogue._transfer_ended,
    (_State.RECEIVING, _Input.TIMEOUT): Dialogue._frame_missing,
}
