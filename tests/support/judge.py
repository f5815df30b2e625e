"""A gateway for tests of the edge: takes every up message over a real broker, remembers it, and judges it by down/ack.

It shares the contract with the real one and nothing else. What it has heard is kept in memory by identity
(ob, stream, seq) with the bytes, so that a record that comes twice must be the same.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from contracts.codec import pack_json, unpack_json
from contracts.envelope import sign, verify
from contracts.frames import Frame
from contracts.messages import VERSION, Ack, Down, decode_batch, encode
from contracts.topics import ALL_UP, DownTopic, UpTopic
from mqttlink.session import Session
from mqttlink.types import LinkSettings, Message, Outcome

Identity = tuple[str, int, str, int]
"""(device, ob, stream, seq)"""


@dataclass
class Heard:
    """Everything that was ever heard and held up: records by identity, messages by topic."""

    records: dict[Identity, bytes] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    repeated: int = 0
    changed: list[Identity] = field(default_factory=list)  # came again with other bytes: must stay empty
    unsigned: int = 0
    lo: dict[tuple[str, int, str], int] = field(default_factory=dict)


class Judge:
    """Subscribes to every device. `answer_share` is the share of messages after which it answers."""

    def __init__(
        self,
        port: int,
        keys: Mapping[str, Ed25519PublicKey],
        deployment: Mapping[str, Ed25519PrivateKey],
        *,
        chance: Random | None = None,
        answer_share: float = 1.0,
    ) -> None:
        self.heard = Heard()
        self.answering = True
        self._keys = keys
        self._deployment = deployment
        self._chance = chance or Random(1)
        self._answer_share = answer_share
        self._lock = threading.Lock()
        self._token = 0
        settings = LinkSettings(host="127.0.0.1", port=port, client_id="_gw-test", reconnect_max_s=1.0)
        self.session = Session(settings, handler=self, subscriptions=(ALL_UP,))

    def __enter__(self) -> "Judge":
        self.session.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.session.stop(timeout_s=2.0)

    def seqs(self, device: str, ob: int, stream: str) -> set[int]:
        """The seqs heard of a stream."""
        with self._lock:
            return {seq for dev, its_ob, name, seq in self.heard.records if (dev, its_ob, name) == (device, ob, stream)}

    def answer(self, device: str, ob: int, stream: str) -> None:
        """Say what has been judged: everything heard, and what lies below the lowest that the device still holds."""
        judged = self.seqs(device, ob, stream)
        hi = self.heard.lo.get((device, ob, stream), 1) - 1
        while hi + 1 in judged:
            hi += 1
        also: list[tuple[int, int]] = []
        for seq in sorted(seq for seq in judged if seq > hi):
            if also and also[-1][1] == seq - 1:
                also[-1] = (also[-1][0], seq)
            elif len(also) < 64:
                also.append((seq, seq))
        self.tell(device, "ack", Ack(v=VERSION, ob=ob, stream=stream, hi=hi, also=also))

    def tell(self, device: str, kind: str, down: Down, *, key: Ed25519PrivateKey | None = None) -> None:
        """Publish a signed down message."""
        topic = str(DownTopic(device, kind))
        payload, content_type = pack_json(encode(down))
        sig = sign(key or self._deployment[device], topic, payload)
        self._token += 1
        self.session.publish(self._token, topic, payload, sig=sig, content_type=content_type)

    # --- mqttlink.types.Handler -------------------------------------------------------------------------

    def on_connected(self, session_present: bool) -> None:
        pass

    def on_disconnected(self, reason: str) -> None:
        pass

    def on_published(self, token: int, outcome: Outcome) -> None:
        pass

    def on_message(self, message: Message) -> None:
        topic = UpTopic.parse(message.topic)
        self.heard.messages.append(message)
        try:
            verify(self._keys[topic.device], message.topic, message.payload, message.sig)
        except ValueError:
            self.heard.unsigned += 1
            raise
        ob = self._take(topic, message)
        self.session.ack(message.ack)
        if ob and self.answering and self._chance.random() < self._answer_share:
            self.answer(topic.device, ob, topic.kind)

    def _take(self, topic: UpTopic, message: Message) -> int:
        if topic.kind in ("release", "sealed"):
            frame = Frame.decode(message.payload)
            self._remember(topic, frame.ob, frame.lo, {frame.seq: frame.body})
            return frame.ob
        if topic.kind in ("event", "health", "bulk"):
            batch = decode_batch(topic.kind, unpack_json(message.payload, message.content_type))
            bodies = {batch.seq + n: msgspec.json.encode(record) for n, record in enumerate(batch.r)}
            self._remember(topic, batch.ob, batch.lo, bodies)
            return batch.ob
        return 0

    def _remember(self, topic: UpTopic, ob: int, lo: int, bodies: Mapping[int, bytes]) -> None:
        with self._lock:
            place = (topic.device, ob, topic.kind)
            self.heard.lo[place] = max(lo, self.heard.lo.get(place, 1))
            for seq, body in bodies.items():
                identity = (topic.device, ob, topic.kind, seq)
                if identity not in self.heard.records:
                    self.heard.records[identity] = body
                elif self.heard.records[identity] == body:
                    self.heard.repeated += 1
                else:
                    self.heard.changed.append(identity)
