"""What the deployment tells a device: checked, obeyed, and refused with a count when it does not hold.

Checks, in this order: 1 topic of this device · 2 signature by the deployment's key · 3 size, layout and version · 4
what it asks for. Before 2 holds, nothing is decoded and nothing moves. Every message is acknowledged to the broker, or
one that nobody can use would come back for ever.
"""

import logging
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from contracts.clock import Clock
from contracts.codec import unpack_json
from contracts.envelope import verify
from contracts.errors import ContractError, SignatureError, TopicError, VersionError
from contracts.messages import VERSION, Ack, Command, CommandAnswer, Desired, Down, Reported, decode_down
from contracts.topics import DownTopic
from contracts.windows import NS
from edge.core.sending import Sending
from edge.errors import StoreFullError
from edge.service.publisher import Publisher
from edge.service.recorder import Recorder
from edge.store_ports import Outbox
from mqttlink.types import Message

_LOG = logging.getLogger(__name__)

TELL_EVERY_S: Final = 3600  # district time between two events about the same kind of refusal
REBIRTH_EVERY_S: Final = 10.0  # real time; a flood of rebirths must not become a flood of births
MAX_ERRORS: Final = 16


class Downlink:
    """The receiving end of one agent."""

    def __init__(
        self,
        key: Ed25519PublicKey,
        *,
        clock: Clock,
        outbox: Outbox,
        sending: Sending,
        publisher: Publisher,
        recorder: Recorder,
        rebirth: Callable[[], None],
    ) -> None:
        self._key = key
        self._clock = clock
        self._outbox = outbox
        self._sending = sending
        self._publisher = publisher
        self._recorder = recorder
        self._rebirth = rebirth
        self._told_ns: dict[str, int] = {}
        self._reborn_s = float("-inf")
        self.refused = 0

    def handle(self, message: Message) -> None:
        """Obey one message, or count why not."""
        try:
            topic = DownTopic.parse(message.topic)  # 1
            if topic.device != self._publisher.identity.device:
                raise TopicError("another device's topic")
            verify(self._key, message.topic, message.payload, message.sig)  # 2
            down = decode_down(topic.kind, unpack_json(message.payload, message.content_type))  # 3
        except SignatureError:
            self._refuse("signature")
        except VersionError:
            self._refuse("version")
        except ContractError as exc:
            self.refused += 1
            _LOG.warning("%s: a down message is refused: %s", self._publisher.identity.device, type(exc).__name__)
        else:
            self._obey(down)  # 4

    def _obey(self, down: Down) -> None:
        match down:
            case Ack():
                self._acknowledged(down)
            case Desired():
                self._desired(down)
            case Command():
                self._command(down)
            case _:
                self._reborn()

    def _acknowledged(self, ack: Ack) -> None:
        verdict, ranges = self._sending.acknowledged(ack)
        if verdict == "refused":
            self._refuse("ack")
        if not ranges:
            return
        try:
            self._outbox.delete(ack.stream, ranges)
        except StoreFullError:
            return  # they stay, are sent again, and the next answer finds room
        for first, last in ranges:
            self._sending.gone(ack.stream, first, last)

    def _desired(self, desired: Desired) -> None:
        """Answer the twin: this agent has no setting that the backend may change, and says so by name."""
        errors = [f"{name[:64]}: this agent has no such setting" for name in list(desired.doc)[:MAX_ERRORS]]
        who = self._publisher
        self._publisher.say(
            "reported",
            Reported(
                v=VERSION,
                ob=who.identity.ob,
                boot=who.identity.boot,
                conn=who.conn,
                version=desired.version,
                accepted=not errors,
                errors=errors,
            ),
        )

    def _command(self, command: Command) -> None:
        """Answer a command: this agent knows none yet, and one that came too late is expired whatever it is."""
        expired = command.not_after_ns <= self._clock.now_ns()
        who = self._publisher
        self._publisher.say(
            "cmdresp",
            CommandAnswer(
                v=VERSION,
                ob=who.identity.ob,
                boot=who.identity.boot,
                conn=who.conn,
                id=command.id,
                state="expired" if expired else "rejected",
            ),
        )

    def _reborn(self) -> None:
        now_s = self._clock.real_s()
        if now_s - self._reborn_s >= REBIRTH_EVERY_S:
            self._reborn_s = now_s
            self._rebirth()

    def _refuse(self, reason: str) -> None:
        """Count a refusal, and tell of its kind now and then."""
        self.refused += 1
        now_ns = self._clock.now_ns()
        told_ns = self._told_ns.get(reason)
        if told_ns is None or now_ns - told_ns >= TELL_EVERY_S * NS:
            self._told_ns[reason] = now_ns
            _LOG.warning("%s: a down message is refused: %s", self._publisher.identity.device, reason)
            self._recorder.event("down_refused", reason)
