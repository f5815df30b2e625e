"""Devices for tests of the gateway: an outbox each, and its rules, on a real session; what they say keeps coming.

A record is held until a `down/ack` covers it, and is sent again when the connection, or patience, ends (C16, C17). The
outbox lies in the memory of the test, which nobody kills. It shares the contract with the real edge and nothing else.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import NamedTuple

from contracts.codec import unpack_json
from contracts.frames import TickBody
from contracts.messages import TQ_DISCIPLINED, Ack, Event, Reading, decode_down, encode
from contracts.sealed import RECORD_BYTES
from contracts.topics import DownTopic
from contracts.windows import NS
from mqttlink.session import Session
from mqttlink.types import LinkSettings, Message, Outcome
from tests.support.speaker import START_NS, START_S, START_TICK, WINDOW_S, Said, Speaker

TURN_S = 0.08
PATIENCE_S = 5.0  # without an answer a record is sent again
MAX_SENT_RECORDS = 500  # without an answer, a stream
DISK_NS = 20 * 24 * 3600 * NS  # between what two disks of one device measured
FIRST_TICK = START_TICK + 75 * 144 - 1400  # within the ten days before the clock of the tests
MAX_TICKS = 1390
MAX_WINDOWS = 280  # windows that are over on the clock of the tests, and none as old as a season

Identity = tuple[str, int, str, int]
"""(device, ob, stream, seq)"""
Point = tuple[str, int, float | str]
"""(device, time, value)"""


class Release(NamedTuple):
    """What a release of a window said."""

    device: str
    window_start_ns: int
    counters: tuple[int, ...]


class Tick(NamedTuple):
    """What a kiosk published in a tick."""

    device: str
    tick: int
    body: bytes


Meaning = Point | Release | Tick


@dataclass
class _Stream:
    held: dict[int, bytes] = field(default_factory=dict)  # seq -> the row, oldest first
    next_seq: int = 1
    sent_s: dict[int, float] = field(default_factory=dict)  # seq -> when, while no answer is overdue
    newest_sent: int = 0


def _no_streams() -> dict[str, _Stream]:
    return {stream: _Stream() for stream in ("bulk", "event", "release", "sealed")}


class Sender:
    """One device. Implements mqttlink's Handler; everything else is called by the traffic's thread."""

    def __init__(self, speaker: Speaker, chance: Random) -> None:
        self.speaker = speaker
        self.committed: dict[Identity, Meaning] = {}
        self.acknowledged: set[Identity] = set()
        self.acks = 0
        self.wrong_acks: list[str] = []
        self._chance = chance
        self._lock = threading.Lock()
        self._streams = _no_streams()
        self._start_ns = START_NS
        self._window = 0  # the next one to release
        self._tick = FIRST_TICK
        self._replaced: set[int] = set()  # outboxes on disks that are gone
        self._tokens: dict[int, tuple[str, range]] = {}
        self._token = 0
        self._session: Session | None = None

    def connect(self, port: int) -> None:
        """Open the session that lasts as long as the sender."""
        device = self.speaker.device
        link = LinkSettings(
            host="127.0.0.1", port=port, client_id=device, reconnect_min_s=0.05, reconnect_max_s=0.3, keepalive_s=5
        )
        self._session = Session(link, handler=self, subscriptions=(str(DownTopic(device, "ack")),))
        self._session.start()

    def close(self) -> None:
        """End the session."""
        if self._session is not None:
            self._session.stop(timeout_s=2.0)

    @property
    def held(self) -> set[Identity]:
        """What nobody has answered for."""
        with self._lock:
            return {self._identity(stream, seq) for stream, one in self._streams.items() for seq in one.held}

    def _identity(self, stream: str, seq: int) -> Identity:
        return (self.speaker.device, self.speaker.ob, stream, seq)

    def replace_disk(self, ob: int) -> set[Identity]:
        """Go on with an empty outbox; return what only the old one held."""
        with self._lock:
            lost = {self._identity(stream, seq) for stream, one in self._streams.items() for seq in one.held}
            self._replaced.add(self.speaker.ob)
            self.speaker = replace(self.speaker, ob=ob)
            self._streams = _no_streams()
            self._tokens.clear()
            self._start_ns += DISK_NS
        return lost

    # --- the traffic's thread ---------------------------------------------------------------------------

    def measure(self) -> None:
        """Commit some records to the outbox."""
        if self.speaker.device.startswith("kiosk"):
            if self._chance.random() < 0.15 and self._window < MAX_WINDOWS:
                self._commit_release()
            if self._chance.random() < 0.3 and self._tick < FIRST_TICK + MAX_TICKS:
                self._commit_tick()
            return
        for _ in range(self._chance.randrange(9)):
            self._commit_reading()
        if self._chance.random() < 0.2:
            self._commit_event()

    def _commit_reading(self) -> None:
        seq = self._streams["bulk"].next_seq
        at_ns = self._start_ns + seq // 2 * NS  # two readings of equal device time stay two points (C10)
        co2_ppm = 400.0 + seq % 2000 * 0.5
        row = encode(Reading(at_ns, TQ_DISCIPLINED, {"co2_ppm": co2_ppm}))
        self._commit("bulk", row, (self.speaker.device, at_ns + seq % 1000, co2_ppm))

    def _commit_event(self) -> None:
        seq = self._streams["event"].next_seq
        at_ns = self._start_ns + seq // 2 * NS
        state = self._chance.choice(("opened", "closed"))
        row = encode(Event(at_ns, TQ_DISCIPLINED, "service_door", state))
        self._commit("event", row, (self.speaker.device, at_ns + seq % 1000, state))

    def _commit_release(self) -> None:
        window, self._window = self._window, self._window + 1
        counters = (self._chance.randrange(-3, 40), self._chance.randrange(-3, 4), self._chance.randrange(-3, 9))
        row = b",".join(str(number).encode() for number in (window, *counters))
        start_ns = (START_S + window * WINDOW_S) * NS
        self._commit("release", row, Release(self.speaker.device, start_ns, counters))

    def _commit_tick(self) -> None:
        tick, self._tick = self._tick, self._tick + 1
        body = self._chance.randbytes(2 * RECORD_BYTES)
        self._commit("sealed", tick.to_bytes(8) + body, Tick(self.speaker.device, tick, body))

    def _commit(self, stream: str, row: bytes, meaning: Meaning) -> None:
        with self._lock:
            one = self._streams[stream]
            one.held[one.next_seq] = row
            self.committed[self._identity(stream, one.next_seq)] = meaning
            one.next_seq += 1

    def send(self) -> None:
        """Send what is due, as far as the session takes it."""
        assert self._session is not None
        for stream in self._streams:
            while self._session.connected:
                with self._lock:
                    due = self._due(stream)
                    if due is None:
                        break
                    seqs, said = due
                    self._token += 1
                    token = self._token
                    self._tokens[token] = (stream, seqs)  # before: the outcome may come at once
                taken = self._session.publish(
                    token, said.topic, said.wire, sig=said.sig, content_type=said.content_type
                )
                if not taken:
                    self._unsend(token)
                    break

    def _due(self, stream: str) -> tuple[range, Said] | None:
        one, overdue_s = self._streams[stream], time.monotonic() - PATIENCE_S
        first = next((seq for seq in one.held if one.sent_s.get(seq, 0.0) < overdue_s), None)
        if first is None or len(one.sent_s) >= MAX_SENT_RECORDS:
            return None
        wanted = 1 if stream in ("release", "sealed") else self._chance.randint(1, 50)
        last = first
        while last + 1 in one.held and one.sent_s.get(last + 1, 0.0) < overdue_s and last + 1 - first < wanted:
            last += 1
        seqs, lo = range(first, last + 1), min(one.held)
        rows = [one.held[seq] for seq in seqs]
        one.sent_s.update(dict.fromkeys(seqs, time.monotonic()))
        one.newest_sent = max(one.newest_sent, last)
        if stream == "release":
            window, *counters = map(int, rows[0].split(b","))
            return seqs, self.speaker.release(first, window, tuple(counters), lo=lo)
        if stream == "sealed":
            tick, body = int.from_bytes(rows[0][:8]), rows[0][8:]
            return seqs, self.speaker.tick(first, tick, TickBody.decode(body).records, lo=lo)
        return seqs, self.speaker.batch(first, rows, stream=stream, lo=lo)

    def _unsend(self, token: int) -> None:
        with self._lock:
            stream, seqs = self._tokens.pop(token, ("bulk", range(0)))
            for seq in seqs:
                self._streams[stream].sent_s.pop(seq, None)

    # --- mqttlink.types.Handler ---------------------------------------------------------------------------

    def on_connected(self, session_present: bool) -> None:
        """A broker that has forgotten the session has forgotten more: everything held is sent again."""
        if session_present:
            return
        with self._lock:
            for one in self._streams.values():
                one.sent_s.clear()

    def on_disconnected(self, reason: str) -> None:
        """The session comes back by itself."""

    def on_published(self, token: int, outcome: Outcome) -> None:
        """`stored` proves nothing (C16); anything else means once more."""
        if outcome == "stored":
            with self._lock:
                self._tokens.pop(token, None)
        else:
            self._unsend(token)

    def on_message(self, message: Message) -> None:
        """A `down/ack`: delete what it covers, and nothing else (C17)."""
        assert self._session is not None
        ack = decode_down("ack", unpack_json(message.payload, message.content_type))
        assert isinstance(ack, Ack)
        with self._lock:
            one = self._streams[ack.stream]
            covered = [(1, ack.hi), *ack.also]
            if ack.ob in self._replaced:
                pass  # of a disk that is gone
            elif ack.ob != self.speaker.ob or covered[-1][1] > one.newest_sent:
                self.wrong_acks.append(f"{ack} after {one.newest_sent} were sent from {self.speaker.ob}")
            else:
                for first, last in covered:
                    self._forget(ack.stream, first, last)
                self.acks += 1
        self._session.ack(message.ack)

    def _forget(self, stream: str, first: int, last: int) -> None:
        one = self._streams[stream]
        for seq in [seq for seq in one.held if first <= seq <= last]:
            del one.held[seq]
            one.sent_s.pop(seq, None)
            self.acknowledged.add(self._identity(stream, seq))


class Traffic:
    """Several senders that go on until they are told to stop measuring; sending goes on until `close`."""

    def __init__(self, speakers: Sequence[Speaker], chance: Random) -> None:
        self.senders = [Sender(speaker, Random(chance.random())) for speaker in speakers]
        self.measuring = True
        self._stop = threading.Event()
        self._failed: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def start(self, port: int) -> None:
        """Begin."""
        for sender in self.senders:
            sender.connect(port)
        self._thread.start()

    def close(self) -> None:
        """End it, wherever it is."""
        self._stop.set()
        self._thread.join()
        for sender in self.senders:
            sender.close()

    def _run(self) -> None:
        while not self._stop.wait(TURN_S):
            for sender in self.senders:
                if self.measuring:
                    sender.measure()
                sender.send()

    @property
    def alive(self) -> bool:
        """Whether the thread still works: its end would be a defect of the test."""
        return self._thread.is_alive()

    @property
    def committed(self) -> dict[Identity, Meaning]:
        """Everything that was ever committed; whole once nobody measures."""
        return {identity: meaning for sender in self.senders for identity, meaning in sender.committed.items()}

    @property
    def held(self) -> set[Identity]:
        """What nobody has answered for yet."""
        return {identity for sender in self.senders for identity in sender.held}

    @property
    def acknowledged(self) -> set[Identity]:
        """What was answered for."""
        return {identity for sender in self.senders for identity in list(sender.acknowledged)}

    @property
    def acks(self) -> int:
        """How many acknowledgements came."""
        return sum(sender.acks for sender in self.senders)

    @property
    def wrong_acks(self) -> list[str]:
        """Acknowledgements of what was never sent: must stay empty."""
        return [wrong for sender in self.senders for wrong in sender.wrong_acks]


@contextmanager
def running_traffic(speakers: Sequence[Speaker], chance: Random, port: int) -> Iterator[Traffic]:
    """Traffic to a broker."""
    traffic = Traffic(speakers, chance)
    traffic.start(port)
    try:
        yield traffic
    finally:
        traffic.close()
