"""From the outbox to the broker: joins, frames, signs, and keeps the documents that describe the device.

Rows are joined as they are (C8) or framed (C11) when they are sent, with the `lo` of that moment (C18). Which rows,
and when again, is edge.core.sending's decision. Documents (state, birth, ...) have no seq: they are said anew on each
connection, so losing one costs nothing.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.clock import Clock
from contracts.codec import CONTENT_BINARY, CONTENT_JSON, pack_json
from contracts.envelope import sign
from contracts.frames import Frame
from contracts.messages import HISTORIC_AFTER_S, MAX_JOINED_BYTES, VERSION, Document, State, encode, join
from contracts.topics import UpTopic
from contracts.windows import NS
from edge.core.outbox import RULES
from edge.core.sending import Offer, Outcome, Sending
from edge.ports import Uplink
from edge.store_ports import Outbox, Row
from mqttlink.types import Will

_LOG = logging.getLogger(__name__)

WILL_DELAY_S: Final = 20  # above the usual reconnect, so that a short break is not a death (C13)
MAX_DOCUMENTS: Final = 64  # waiting; answers to commands are the only ones that add up
_ANSWERS: Final = frozenset({"reported", "cmdresp"})  # not said anew on a connection
_RETAINED: Final = frozenset({"state", "reported"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who speaks: what every message of this agent shares."""

    device: str
    firmware: str
    ob: int
    boot: int


@dataclass(frozen=True, slots=True)
class _Said:
    kind: str
    payload: bytes


class Publisher:
    """The sending end of one agent."""

    def __init__(
        self, identity: Identity, key: Ed25519PrivateKey, outbox: Outbox, sending: Sending, clock: Clock
    ) -> None:
        self.identity = identity
        self.conn = 0  # number of the connection attempt; set by `will`
        self._key = key
        self._outbox = outbox
        self._sending = sending
        self._clock = clock
        self._documents: list[_Said] = []
        self._documents_under_way: dict[int, _Said] = {}
        self._next_token = -1  # documents count down, records up

    def will(self, attempt: int) -> Will:
        """Make the last will of a connection: offline, with that connection's number (C13)."""
        self.conn = attempt
        payload = encode(self._state(online=False))
        topic = str(UpTopic(self.identity.device, "state"))
        sig = sign(self._key, topic, payload)
        return Will(topic, payload, sig, delay_s=WILL_DELAY_S, retain=True, content_type=CONTENT_JSON)

    def connected(self) -> None:
        """A connection begins: say that we are here; what was under way on the old one is settled by the session."""
        self._documents = [one for one in self._documents if one.kind in _ANSWERS]
        self.say("state", self._state(online=True))
        self._sending.connected()

    def say(self, kind: str, document: Document) -> None:
        """Queue a document; a newer one of its kind replaces it, except answers to commands."""
        if kind != "cmdresp":
            self._documents = [one for one in self._documents if one.kind != kind]
        if len(self._documents) < MAX_DOCUMENTS:
            self._documents.append(_Said(kind, encode(document)))

    def say_goodbye(self, uplink: Uplink) -> None:
        """Say `offline` before a stop that is meant; the broker then drops the will."""
        self.say("state", self._state(online=False))
        self._send_documents(uplink)

    def published(self, token: int, outcome: Outcome) -> None:
        """Note the broker's answer."""
        said = self._documents_under_way.pop(token, None)
        if said is None:
            self._sending.published(token, outcome, self._clock.real_s())
        elif outcome == "failed" and said.kind in _ANSWERS:
            self._documents.append(said)
        elif outcome not in ("stored", "no_subscriber"):
            _LOG.warning("%s: broker answered %s to %s", self.identity.device, outcome, said.kind)

    def pump(self, uplink: Uplink) -> None:
        """Send what may be sent now."""
        now_s = self._clock.real_s()
        self._sending.tick(now_s)
        if not uplink.connected or not self._send_documents(uplink):
            return
        while (offer := self._sending.next_offer(now_s)) is not None:
            if not self._send(offer, uplink, now_s):
                return

    def deadline_s(self) -> float:
        """When `pump` has something new to do; what waits for the session alone is announced by the session."""
        return self._sending.deadline_s(self._clock.real_s())

    def _state(self, *, online: bool) -> State:
        who = self.identity
        return State(v=VERSION, ob=who.ob, boot=who.boot, conn=self.conn, online=online, fw=who.firmware)

    def _send_documents(self, uplink: Uplink) -> bool:
        while self._documents:
            said = self._documents[0]
            payload, content_type = pack_json(said.payload)
            token, self._next_token = self._next_token, self._next_token - 1
            topic = str(UpTopic(self.identity.device, said.kind))
            sig = sign(self._key, topic, payload)
            retain = said.kind in _RETAINED
            if not uplink.publish(token, topic, payload, sig=sig, content_type=content_type, retain=retain):
                return False
            self._documents_under_way[token] = said
            self._documents.pop(0)
        return True

    def _send(self, offer: Offer, uplink: Uplink, now_s: float) -> bool:
        rows = self._leading_run(self._outbox.rows(offer.stream, offer.first, offer.n), offer.first)
        if not rows:
            _LOG.error("%s: record %d of %s is not in the outbox", self.identity.device, offer.first, offer.stream)
            self._sending.gone(offer.stream, offer.first, offer.first)
            return True
        payload, content_type = self._message(offer, rows)
        topic = str(UpTopic(self.identity.device, offer.stream))
        token = self._sending.sent(offer, len(rows), now_s)
        if uplink.publish(token, topic, payload, sig=sign(self._key, topic, payload), content_type=content_type):
            return True
        self._sending.not_sent(token)
        return False

    def _message(self, offer: Offer, rows: Sequence[Row]) -> tuple[bytes, str]:
        first, ob = rows[0], self.identity.ob
        if not RULES[offer.stream].joined:
            return Frame(ob, first.seq, offer.lo, first.start or 0, first.body).encode(), CONTENT_BINARY
        bodies, hist = [row.body for row in rows], self._is_historic(first)
        return pack_json(join(ob=ob, stream=offer.stream, seq=first.seq, lo=offer.lo, hist=hist, rows=bodies))

    def _leading_run(self, rows: Sequence[Row], first: int) -> list[Row]:
        """Return the rows that follow each other from `first` on, fit a message and are all historic or all not."""
        run: list[Row] = []
        size = 0
        for row in rows:
            size += len(row.body) + 1
            follows = row.seq == first + len(run)
            if not follows or (
                run and (size > MAX_JOINED_BYTES or self._is_historic(row) != self._is_historic(run[0]))
            ):
                break
            run.append(row)
        return run

    def _is_historic(self, row: Row) -> bool:
        age_s = (self._clock.now_ns() - row.committed_ns) / NS / self._clock.speed
        return not 0 <= age_s <= HISTORIC_AFTER_S
