"""MQTT in, acknowledgements out. The session's thread fills a bounded queue; the service's thread empties it.

Full means: stop reading. The broker then holds the rest, its queues and the devices' outboxes behind it, and memory
here stays bounded. A message is acknowledged to the broker after its batch is committed, and never before.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.clock import Clock
from contracts.codec import CONTENT_JSON, pack_json
from contracts.envelope import sign
from contracts.messages import MAX_ACK_RANGES, VERSION, Ack, Down, GatewayState, Rebirth, encode
from contracts.rows import Mark, MarkKey
from contracts.topics import DownTopic, gateway_state
from gateway.ingest.service import Judged
from gateway.ingest.steps import Received
from mqttlink.types import AckToken, Message, Outcome, Will

_LOG = logging.getLogger(__name__)

MAX_WAITING: Final = 2000  # messages
MAX_WAITING_BYTES: Final = 16 * 1024 * 1024
ACK_EXPIRY_S: Final = 300  # an acknowledgement that waited longer says less than the next one
WILL_DELAY_S: Final = 5  # a restart within it is no absence
_STATE_TOKEN: Final = 0
_GOODBYE_POLL_S: Final = 0.02


class Link(Protocol):
    """What is needed of `mqttlink.session.Session`."""

    def publish(
        self,
        token: int,
        topic: str,
        payload: bytes,
        *,
        sig: str | None,
        content_type: str | None = None,
        retain: bool = False,
        expiry_s: int | None = None,
    ) -> bool:
        """Take one message for sending; False = try later."""

    def ack_all(self, tokens: Sequence[AckToken]) -> None:
        """Acknowledge received messages, in the order received."""

    def pause_reading(self) -> None:
        """Stop reading."""

    def resume_reading(self) -> None:
        """Read again."""


class Inbox:
    """Implements mqttlink's Handler; `attach` the session before it starts."""

    def __init__(self, *, gateway: str, key: Ed25519PrivateKey, clock: Clock) -> None:
        self._gateway = gateway
        self._key = key
        self._clock = clock
        self._link: Link | None = None
        self._filled = threading.Condition()
        self._waiting: deque[Message] = deque()
        self._waiting_bytes = 0
        self._held = False  # the service cannot commit or project: read nothing more
        self._due_acks: dict[MarkKey, Mark] = {}
        self._due_rebirths: set[str] = set()
        self._state_due = False
        self._token = _STATE_TOKEN
        self.connected = False
        self.no_subscriber = 0

    def attach(self, link: Link) -> None:
        """Give it the session whose handler it is."""
        self._link = link

    def will(self, _attempt: int) -> Will:
        """Return what the broker says of this gateway when it is gone."""
        payload = encode(GatewayState(v=VERSION, online=False))
        topic = gateway_state(self._gateway)
        return Will(topic, payload, sign(self._key, topic, payload), WILL_DELAY_S, content_type=CONTENT_JSON)

    # --- the session's thread -------------------------------------------------------------------------

    def on_connected(self, session_present: bool) -> None:
        """Say that somebody listens."""
        _LOG.info("broker: connected, session %s", "resumed" if session_present else "new")
        self.connected = True
        self._state_due = True

    def on_disconnected(self, reason: str) -> None:
        """Drop what the old connection brought: the broker sends it again, and its tokens are worth nothing now."""
        _LOG.warning("broker: disconnected (%s)", reason)
        self.connected = False
        with self._filled:
            self._waiting.clear()
            self._waiting_bytes = 0
            self._let_read()

    def on_message(self, message: Message) -> None:
        """Queue one message."""
        with self._filled:
            self._waiting.append(message)
            self._waiting_bytes += _size_bytes(message)
            if self._full():
                self._session().pause_reading()
            self._filled.notify()

    def on_published(self, token: int, outcome: Outcome) -> None:
        """A lost acknowledgement costs a resend and no more; a device that is away is normal."""
        if outcome == "no_subscriber":
            self.no_subscriber += 1
        if token == _STATE_TOKEN and outcome == "failed":
            self._state_due = True

    # --- the service's thread ---------------------------------------------------------------------------

    def take(self, limit: int, wait_s: float) -> list[Message]:
        """Return up to `limit` messages, after at most `wait_s` without any."""
        with self._filled:
            if not self._waiting:
                self._filled.wait(wait_s)
            taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
            self._waiting_bytes -= sum(_size_bytes(message) for message in taken)
            self._let_read()
        return taken

    def hold(self, held: bool) -> None:
        """Read nothing more until `hold(False)`; what is queued stays."""
        with self._filled:
            self._held = held
            if held:
                self._session().pause_reading()
            else:
                self._let_read()

    def received(self, messages: Iterable[Message]) -> list[Received]:
        """Stamp messages with the district's time."""
        now_ns = self._clock.now_ns()
        return [Received(one.topic, one.payload, one.content_type, one.sig, now_ns) for one in messages]

    def committed(self, messages: Sequence[Message], judged: Judged) -> None:
        """Acknowledge a committed batch: to the broker now, to the devices as soon as the window has room."""
        self._session().ack_all([message.ack for message in messages])
        for mark in judged.marks:
            self._due_acks[mark.key] = mark
        self._due_rebirths |= judged.reborn
        self.send_due()

    def send_due(self) -> None:
        """Send what is due, as far as the session takes it. Of a stream the newest mark is enough."""
        if self._state_due:
            self._state_due = not self._say(online=True)
        for device in sorted(self._due_rebirths):
            if not self._send(device, "rebirth", Rebirth(v=VERSION)):
                return
            self._due_rebirths.discard(device)
        while self._due_acks:
            key, mark = next(iter(self._due_acks.items()))
            also = list(mark.also[:MAX_ACK_RANGES])
            if not self._send(
                mark.device, "ack", Ack(v=VERSION, ob=mark.ob, stream=mark.stream, hi=mark.hi, also=also)
            ):
                return
            del self._due_acks[key]

    def _send(self, device: str, kind: str, message: Down) -> bool:
        self._token += 1
        topic = str(DownTopic(device, kind))
        wire, content_type = pack_json(encode(message))
        sig = sign(self._key, topic, wire)
        return self._session().publish(
            self._token, topic, wire, sig=sig, content_type=content_type, expiry_s=ACK_EXPIRY_S
        )

    def goodbye(self, patience_s: float) -> None:
        """Say that nobody listens any more; the session's stop sends it. Without a connection the will says so."""
        until_s = self._clock.real_s() + patience_s
        while self.connected and not self._say(online=False) and self._clock.real_s() < until_s:
            with self._filled:
                self._filled.wait(_GOODBYE_POLL_S)  # the window is full: acknowledgements are on their way

    def _say(self, *, online: bool) -> bool:
        state = encode(GatewayState(v=VERSION, online=online))
        topic = gateway_state(self._gateway)
        sig = sign(self._key, topic, state)
        return self._session().publish(_STATE_TOKEN, topic, state, sig=sig, content_type=CONTENT_JSON, retain=True)

    # --- both, under the lock -----------------------------------------------------------------------------

    def _full(self) -> bool:
        return len(self._waiting) >= MAX_WAITING or self._waiting_bytes >= MAX_WAITING_BYTES

    def _let_read(self) -> None:
        half_empty = len(self._waiting) < MAX_WAITING // 2 and self._waiting_bytes < MAX_WAITING_BYTES // 2
        if half_empty and not self._held:
            self._session().resume_reading()

    def _session(self) -> Link:
        if self._link is None:
            raise RuntimeError("attach a session first")
        return self._link


def _size_bytes(message: Message) -> int:
    """What a message takes; its properties are as long as a stranger likes, up to the packet's limit."""
    words = (message.topic, message.content_type or "", message.sig or "")
    return len(message.payload) + sum(map(len, words))
