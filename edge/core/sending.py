"""What to send next, and what an acknowledgement allows to be deleted. Pure: state and `now_s` (monotonic seconds).

A record is in exactly one place: waiting, under way (in one message without a `down/ack`) or parked (refused by the
broker). It leaves only when `down/ack` covers it or thinning gives it up. A PUBACK proves nothing (C16): it frees
paho's window, the record stays. Live records (committed since the connection) go before the backlog (DESIGN section 5).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from contracts.messages import MAX_RECORDS, Ack
from edge.core.outbox import BY_PRIORITY, RULES
from edge.core.ranges import Range, RangeSet

WINDOW: Final = 64  # messages without a down/ack
BACKLOG_WINDOW: Final = 48  # of them may be old records, so that live ones never wait for a backlog's answers
FRAMES_WINDOW: Final = 16  # of them may be frames of one stream, which are never joined: the others go on meanwhile
ACK_TIMEOUT_S: Final = 30.0
MAX_ACK_TIMEOUT_S: Final = 300.0
HOLD_S: Final = 1.0  # after "nobody stored it" or "quota", doubling
MAX_HOLD_S: Final = 60.0
PARK_S: Final = 600.0  # a record the broker will not take is not offered again before

Outcome = Literal["stored", "no_subscriber", "refused", "quota", "failed"]
Verdict = Literal["taken", "early", "refused"]


@dataclass(slots=True)
class _Stream:
    next_seq: int  # of the next record to be committed
    held: RangeSet
    waiting: RangeSet
    start_seq: int  # what was committed before this agent started lies below
    live_from: int
    sent_high: int = 0


@dataclass(frozen=True, slots=True)
class Flight:
    """One message under way: records first..first+n-1 of a stream."""

    stream: str
    first: int
    n: int


@dataclass(slots=True)
class _UnderWay:
    flight: Flight
    live: bool
    due_s: float


@dataclass(frozen=True, slots=True)
class Offer:
    """A run of waiting records that may be sent now: up to n records of a stream from `first` on."""

    stream: str
    first: int
    n: int
    live: bool
    lo: int  # lowest seq of the stream still held (C18)


@dataclass(slots=True)
class Counters:
    """What went wrong since the start; the agent's log tells it now and then."""

    no_subscriber: int = 0  # the broker took it, and nobody listened
    refused: int = 0  # the broker will not take it
    timeouts: int = 0  # no down/ack in time
    acks_early: int = 0  # for what an earlier run may have sent
    acks_refused: int = 0


@dataclass(slots=True)
class _Parked:
    flight: Flight
    until_s: float


@dataclass(slots=True)
class _Patience:
    """Waits that grow while nothing is acknowledged."""

    ack_timeout_s: float = ACK_TIMEOUT_S
    hold_s: float = HOLD_S
    held_until_s: float = 0.0
    parked: list[_Parked] = field(default_factory=list)


class Sending:
    """The sending side of one outbox. `uniform(a, b)` is the source of chance for jitter."""

    def __init__(
        self,
        ob: int,
        held: Mapping[str, Iterable[Range]],
        next_seq: Mapping[str, int],
        uniform: Callable[[float, float], float],
    ) -> None:
        self.counters = Counters()
        self._ob = ob
        self._uniform = uniform
        self._streams = {
            stream: _Stream(seq, RangeSet(held.get(stream, ())), RangeSet(held.get(stream, ())), seq, seq)
            for stream, seq in next_seq.items()
        }
        self._under_way: dict[int, _UnderWay] = {}
        self._next_token = 1
        self._patience = _Patience()

    # --- the outbox changed -----------------------------------------------------------------------------

    def committed(self, stream: str, seq: int) -> None:
        """Note a new durable record."""
        state = self._streams[stream]
        state.next_seq = seq + 1
        state.held.add(seq, seq)
        state.waiting.add(seq, seq)

    def gone(self, stream: str, first: int, last: int) -> None:
        """Note that records have left the outbox, acknowledged or thinned: they are nowhere any more."""
        state = self._streams[stream]
        state.held.remove(first, last)
        state.waiting.remove(first, last)
        for token in [t for t, one in self._under_way.items() if self._is_gone(one.flight)]:
            del self._under_way[token]
        self._patience.parked = [one for one in self._patience.parked if not self._is_gone(one.flight)]

    # --- sending ----------------------------------------------------------------------------------------

    def connected(self) -> None:
        """A connection begins: what is held now is backlog, what comes is live."""
        for state in self._streams.values():
            state.live_from = state.next_seq

    def next_offer(self, now_s: float) -> Offer | None:
        """Return what may be sent now; None when nothing waits, the window is full or the broker asked for a pause."""
        patience = self._patience
        if now_s < patience.held_until_s or len(self._under_way) >= WINDOW:
            return None
        self._unpark(now_s)
        old = sum(1 for one in self._under_way.values() if not one.live)
        return self._first_waiting(live=True) or (self._first_waiting(live=False) if old < BACKLOG_WINDOW else None)

    def sent(self, offer: Offer, n: int, now_s: float) -> int:
        """Note that the first n records of an offer go out in one message; return the message's token."""
        token, self._next_token = self._next_token, self._next_token + 1
        state = self._streams[offer.stream]
        last = offer.first + n - 1
        state.waiting.remove(offer.first, last)
        state.sent_high = max(state.sent_high, last)
        wait_s = self._patience.ack_timeout_s * self._uniform(1.0, 1.5)
        self._under_way[token] = _UnderWay(Flight(offer.stream, offer.first, n), offer.live, now_s + wait_s)
        return token

    def not_sent(self, token: int) -> None:
        """Take a `sent` back: the session did not accept the message."""
        self._return(self._under_way.pop(token).flight)

    def published(self, token: int, outcome: Outcome, now_s: float) -> None:
        """Note the broker's answer to a message."""
        if outcome == "stored" or token not in self._under_way:
            return
        flight = self._under_way.pop(token).flight
        if outcome == "refused":
            self.counters.refused += 1
            self._patience.parked.append(_Parked(flight, now_s + PARK_S))
            return
        self._return(flight)
        if outcome in ("no_subscriber", "quota"):
            self.counters.no_subscriber += outcome == "no_subscriber"
            self._hold(now_s)

    def tick(self, now_s: float) -> None:
        """Let time pass: what was not acknowledged in time waits again, with more patience."""
        late = [token for token, one in self._under_way.items() if one.due_s <= now_s]
        for token in late:
            self._return(self._under_way.pop(token).flight)
        if late:
            self.counters.timeouts += len(late)
            self._patience.ack_timeout_s = min(MAX_ACK_TIMEOUT_S, 2 * self._patience.ack_timeout_s)

    def deadline_s(self, now_s: float) -> float:
        """Return when `tick` or `next_offer` has something new to do. What could be offered already is not counted."""
        patience = self._patience
        times = [one.due_s for one in self._under_way.values()] + [one.until_s for one in patience.parked]
        if patience.held_until_s > now_s:
            times.append(patience.held_until_s)
        return min(times, default=float("inf"))

    # --- acknowledgements -------------------------------------------------------------------------------

    def acknowledged(self, ack: Ack) -> tuple[Verdict, Sequence[Range]]:
        """Judge a down/ack whose signature holds; with "taken" come the ranges that may be deleted (C17).

        "early": it covers records that an earlier run of this agent may have sent; they are sent again, so that a
        second answer proves it. "refused": another outbox or stream, or more than was ever sent.
        """
        state = self._streams.get(ack.stream)
        top = max((ack.hi, *(last for _, last in ack.also)))
        if state is None or ack.ob != self._ob or top >= max(state.start_seq, state.sent_high + 1):
            self.counters.acks_refused += 1
            return "refused", ()
        if top > state.sent_high:
            self.counters.acks_early += 1
            return "early", ()
        self._patience = _Patience(parked=self._patience.parked)
        covered = [(0, ack.hi), *ack.also]
        return "taken", [part for first, last in covered for part in state.held.common(first, last)]

    # --- helpers ----------------------------------------------------------------------------------------

    def _first_waiting(self, *, live: bool) -> Offer | None:
        for stream in BY_PRIORITY:
            state = self._streams.get(stream)
            if state is None or self._is_full(stream):
                continue
            run = state.waiting.run_from(state.live_from if live else 0, MAX_RECORDS if RULES[stream].joined else 1)
            if run is None or (not live and run[0] >= state.live_from):
                continue
            last = run[1] if live else min(run[1], state.live_from - 1)
            lo = state.held.lowest
            return Offer(stream, run[0], last - run[0] + 1, live, run[0] if lo is None else lo)
        return None

    def _is_full(self, stream: str) -> bool:
        if RULES[stream].joined:
            return False
        return sum(1 for one in self._under_way.values() if one.flight.stream == stream) >= FRAMES_WINDOW

    def _return(self, flight: Flight) -> None:
        """Let what is still held of a message wait again."""
        state = self._streams[flight.stream]
        for first, last in state.held.common(flight.first, flight.first + flight.n - 1):
            state.waiting.add(first, last)

    def _is_gone(self, flight: Flight) -> bool:
        return not self._streams[flight.stream].held.common(flight.first, flight.first + flight.n - 1)

    def _hold(self, now_s: float) -> None:
        patience = self._patience
        patience.held_until_s = now_s + patience.hold_s * self._uniform(0.5, 1.0)
        patience.hold_s = min(MAX_HOLD_S, 2 * patience.hold_s)

    def _unpark(self, now_s: float) -> None:
        for one in [one for one in self._patience.parked if one.until_s <= now_s]:
            self._patience.parked.remove(one)
            self._return(one.flight)
