"""What is sent when, and what an acknowledgement may delete."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.messages import Ack
from edge.core.sending import (
    ACK_TIMEOUT_S,
    BACKLOG_WINDOW,
    FRAMES_WINDOW,
    HOLD_S,
    MAX_ACK_TIMEOUT_S,
    PARK_S,
    WINDOW,
    Outcome,
    Sending,
)

OB = 7


def _uniform(low: float, _high: float) -> float:
    return low


def _ack(hi: int, *also: tuple[int, int], stream: str = "bulk", ob: int = OB) -> Ack:
    return Ack(v=1, ob=ob, stream=stream, hi=hi, also=list(also))


def _sending(held: tuple[int, int] | None = None) -> Sending:
    """An outbox whose stream bulk holds this range already."""
    ranges = [] if held is None else [held]
    streams = {"bulk": 1 if held is None else held[1] + 1, "release": 1, "health": 1}
    return Sending(OB, {"bulk": ranges}, streams, _uniform)


def _send_all(sending: Sending, now_s: float = 0.0) -> list[tuple[int, str, int, int]]:
    sent = []
    while (offer := sending.next_offer(now_s)) is not None:
        sent.append((sending.sent(offer, offer.n, now_s), offer.stream, offer.first, offer.n))
    return sent


def _commit(sending: Sending, stream: str, *seqs: int) -> None:
    for seq in seqs:
        sending.committed(stream, seq)


def test_consecutive_records_are_offered_together_and_releases_first_and_alone() -> None:
    sending = _sending()
    _commit(sending, "bulk", 1, 2, 3)
    _commit(sending, "release", 1, 2)
    assert [one[1:] for one in _send_all(sending)] == [("release", 1, 1), ("release", 2, 1), ("bulk", 1, 3)]


def test_frames_without_an_answer_leave_room_for_other_streams_and_go_on_in_order_with_one() -> None:
    sending = _sending()
    _commit(sending, "release", *range(1, 41))
    _commit(sending, "bulk", 1)
    sent = _send_all(sending)
    assert [one[1:3] for one in sent] == [*(("release", n) for n in range(1, FRAMES_WINDOW + 1)), ("bulk", 1)]
    verdict, ranges = sending.acknowledged(_ack(10, stream="release"))
    assert (verdict, list(ranges)) == ("taken", [(1, 10)])
    sending.gone("release", 1, 10)
    assert [one[2] for one in _send_all(sending)] == list(range(17, 27))


@pytest.mark.rule("C8")
def test_a_message_never_joins_across_a_gap_and_never_more_than_fifty_records() -> None:
    sending = _sending((1, 120))
    sending.gone("bulk", 30, 30)
    assert [one[2:] for one in _send_all(sending)] == [(1, 29), (31, 50), (81, 40)]


@pytest.mark.rule("C18")
def test_an_offer_names_the_lowest_record_still_held() -> None:
    sending = _sending((5, 300))
    first = sending.next_offer(0.0)
    assert first is not None
    assert (first.first, first.lo) == (5, 5)
    sending.sent(first, first.n, 0.0)
    second = sending.next_offer(0.0)
    assert second is not None
    assert (second.first, second.lo) == (55, 5)
    sending.gone("bulk", 5, 20)
    third = sending.next_offer(0.0)
    assert third is not None
    assert third.lo == 21


def test_live_records_go_before_the_backlog_and_always_find_room_in_the_window() -> None:
    sending = _sending((1, 50 * 100))
    sending.connected()
    assert len(_send_all(sending)) == BACKLOG_WINDOW
    _commit(sending, "bulk", 5001)
    assert [one[2:] for one in _send_all(sending)] == [(5001, 1)]


def test_no_more_than_the_window_is_under_way() -> None:
    sending = _sending()
    for seq in range(1, 200, 2):
        _commit(sending, "bulk", seq)
    assert len(_send_all(sending)) == WINDOW


@pytest.mark.rule("C16")
def test_a_puback_alone_deletes_nothing_and_without_an_answer_the_record_is_sent_again() -> None:
    sending = _sending()
    _commit(sending, "bulk", 1)
    ((token, *_),) = _send_all(sending)
    sending.published(token, "stored", 1.0)
    assert _send_all(sending, 1.0) == []
    sending.tick(ACK_TIMEOUT_S)
    assert [one[2:] for one in _send_all(sending, ACK_TIMEOUT_S)] == [(1, 1)]


def test_patience_grows_to_five_minutes_and_ends_with_the_first_answer() -> None:
    sending = _sending()
    _commit(sending, "bulk", 1)
    now_s, waits = 0.0, []
    for _ in range(6):
        _send_all(sending, now_s)
        waits.append(sending.deadline_s(now_s) - now_s)
        now_s = sending.deadline_s(now_s)
        sending.tick(now_s)
    assert waits == [30, 60, 120, 240, MAX_ACK_TIMEOUT_S, MAX_ACK_TIMEOUT_S]
    _send_all(sending, now_s)
    assert sending.acknowledged(_ack(1))[0] == "taken"
    sending.gone("bulk", 1, 1)
    _commit(sending, "bulk", 2)
    _send_all(sending, now_s)
    assert sending.deadline_s(now_s) - now_s == ACK_TIMEOUT_S


@pytest.mark.rule("C17")
def test_an_ack_covers_what_is_up_to_hi_and_in_its_ranges_and_nothing_else() -> None:
    sending = _sending((1, 100))
    _send_all(sending)
    assert sending.acknowledged(_ack(10, (20, 29), (40, 40))) == ("taken", [(1, 10), (20, 29), (40, 40)])
    for first, last in [(1, 10), (20, 29), (40, 40)]:
        sending.gone("bulk", first, last)
    assert sending.acknowledged(_ack(10, (20, 30))) == ("taken", [(30, 30)])


@pytest.mark.rule("C17")
@pytest.mark.parametrize(
    "ack", [_ack(51), _ack(0, (51, 51)), _ack(10, ob=8), _ack(1, stream="release"), _ack(1, stream="sealed")]
)
def test_an_ack_for_another_outbox_or_stream_or_above_what_was_sent_is_refused(ack: Ack) -> None:
    sending = _sending()
    _commit(sending, "bulk", *range(1, 101))
    offer = sending.next_offer(0.0)
    assert offer is not None
    sending.sent(offer, 50, 0.0)
    assert sending.acknowledged(ack) == ("refused", ())
    assert sending.counters.acks_refused == 1


def test_an_ack_for_what_an_earlier_run_may_have_sent_is_early_and_deletes_nothing() -> None:
    sending = _sending((1, 100))
    assert sending.acknowledged(_ack(100)) == ("early", ())
    assert sending.acknowledged(_ack(101)) == ("refused", ())
    _send_all(sending)
    assert sending.acknowledged(_ack(100)) == ("taken", [(1, 100)])


@pytest.mark.rule("C1")
def test_when_nobody_stored_a_message_it_waits_and_the_pause_doubles() -> None:
    sending = _sending()
    _commit(sending, "bulk", 1)
    ((token, *_),) = _send_all(sending)
    sending.published(token, "no_subscriber", 0.0)
    assert sending.next_offer(HOLD_S * 0.4) is None
    assert sending.deadline_s(0.0) == HOLD_S * 0.5
    assert sending.deadline_s(HOLD_S) == float("inf")
    ((token, *_),) = _send_all(sending, HOLD_S)
    sending.published(token, "quota", HOLD_S)
    assert sending.next_offer(HOLD_S * 1.9) is None
    assert sending.next_offer(HOLD_S * 2) is not None


@pytest.mark.rule("C1")
def test_a_record_the_broker_refuses_is_put_aside_and_stops_no_other() -> None:
    sending = _sending()
    _commit(sending, "release", 1)
    _commit(sending, "bulk", 1)
    (refused, *_), _other = _send_all(sending)
    sending.published(refused, "refused", 0.0)
    _commit(sending, "release", 2)
    assert [one[1:] for one in _send_all(sending)] == [("release", 2, 1)]
    assert [one[1:] for one in _send_all(sending, PARK_S)] == [("release", 1, 1)]


def test_a_connection_that_ends_gives_its_messages_back_at_once() -> None:
    sending = _sending()
    _commit(sending, "bulk", 1, 2)
    ((token, *_),) = _send_all(sending)
    sending.published(token, "failed", 0.0)
    sending.published(token, "failed", 0.0)
    assert [one[2:] for one in _send_all(sending)] == [(1, 2)]


def test_a_message_the_session_did_not_take_waits_again() -> None:
    sending = _sending()
    _commit(sending, "bulk", 1)
    ((token, *_),) = _send_all(sending)
    sending.not_sent(token)
    assert sending.next_offer(0.0) is not None


def test_what_was_thinned_while_under_way_is_not_sent_again() -> None:
    sending = _sending((1, 10))
    ((token, *_),) = _send_all(sending)
    sending.gone("bulk", 1, 6)
    sending.published(token, "failed", 0.0)
    assert [one[2:] for one in _send_all(sending)] == [(7, 4)]


class _World:
    """A gateway that judges what reaches it, and a broker that loses, delays and refuses."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.sending = _sending()
        self.judged: set[int] = set()
        self.held: set[int] = set()
        self.committed = 0
        self.floor = 0
        self.now_s = 0.0

    def commit(self) -> None:
        self.committed += 1
        self.sending.committed("bulk", self.committed)
        self.held.add(self.committed)

    def send(self) -> None:
        offer = self.sending.next_offer(self.now_s)
        if offer is None:
            return
        n = self.chance.randint(1, offer.n)
        token = self.sending.sent(offer, n, self.now_s)
        seqs = set(range(offer.first, offer.first + n))
        assert seqs <= self.held, "something was sent that is not kept"
        assert offer.lo == min(self.held)
        outcomes: list[Outcome] = ["stored", "stored", "stored", "failed", "no_subscriber", "refused", "quota"]
        outcome = self.chance.choice(outcomes)
        if outcome in ("stored", "failed") and self.chance.random() < 0.8:
            self.judged |= seqs
            self.floor = max(self.floor, offer.lo - 1)  # a mark never waits for what lies below lo
        if self.chance.random() < 0.9:
            self.sending.published(token, outcome, self.now_s)

    def acknowledge(self) -> None:
        hi = next(n for n in range(self.floor, self.committed + 1) if n + 1 not in self.judged)
        also = [(n, n) for n in sorted(self.judged) if n > hi][:3]
        verdict, ranges = self.sending.acknowledged(_ack(hi, *also))
        assert verdict == "taken"
        for first, last in ranges:
            gone = set(range(first, last + 1))
            assert gone <= self.judged, "something was deleted that nobody judged"
            self.held -= gone
            self.sending.gone("bulk", first, last)

    def pass_time(self) -> None:
        self.now_s += self.chance.choice([0.1, 1.0, 40.0, 700.0])
        self.sending.tick(self.now_s)

    def thin(self) -> None:
        if self.held:
            low = min(self.held)
            self.held.discard(low)
            self.sending.gone("bulk", low, low)


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_nothing_is_deleted_unjudged_and_everything_is_acknowledged_in_the_end(seed: int) -> None:
    world = _World(seed)
    acts = [world.commit, world.commit, world.send, world.send, world.acknowledge, world.pass_time, world.thin]
    for _ in range(150):
        world.chance.choice(acts)()
    for _ in range(400):
        if not world.held:
            break
        world.pass_time()
        world.send()
        world.acknowledge()
    assert not world.held, f"seed {seed}"
    assert not list(world.sending._streams["bulk"].waiting)
