"""How far one device, or one stranger, reaches: not into years gone by, and not into everybody's memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.rows import Mark
from contracts.windows import NS
from gateway.ingest.inbox import MAX_WAITING_BYTES, Inbox
from gateway.ingest.steps import MAX_LATE_S
from mqttlink.types import AckToken, Message
from stores.state.releases import releases_after
from tests.support.ingest import Bench, SetClock
from tests.support.registry import enrol_again
from tests.support.speaker import START_NS, WINDOW_S, Speaker, readings

WINDOWS_LATE = MAX_LATE_S // WINDOW_S


@pytest.mark.rule("C15")
def test_a_release_of_a_window_long_ago_is_a_letter_and_one_of_last_season_is_taken(
    bench: Bench, kiosk: Speaker
) -> None:
    """The clock stands an hour after window 0; each release is of a window of its own, the oldest last."""
    bench.hear(kiosk.release(1, window=0), kiosk.release(2, window=1 - WINDOWS_LATE))
    assert bench.reasons == []
    bench.hear(kiosk.release(3, window=-WINDOWS_LATE), kiosk.release(4, window=-WINDOWS_LATE * 100))
    assert bench.reasons == ["range", "range"]
    assert all(letter.payload is not None for _, letter in bench.state.dead_letters())
    found = [(row.window_start_ns, row.late) for row in releases_after(bench.database, 0)]
    assert found == [(START_NS, False), (START_NS + (1 - WINDOWS_LATE) * WINDOW_S * NS, True)]


@pytest.mark.rule("C12")
def test_what_the_broker_still_held_of_an_old_outbox_does_not_shut_the_new_one_out(bench: Bench, air: Speaker) -> None:
    """The device keeps its key, enrols again with a new outbox; then its last messages of before are delivered."""
    bench.hear(air.batch(1, readings(1, 3)))
    new = replace(air, ob=99)
    enrol_again(bench.spec, new)
    bench.clock.s += 10
    bench.clock.ns += 3600 * NS
    bench.hear(air.batch(4, readings(4, 1)))
    assert bench.hear(new.batch(1, readings(1, 2))).marks == [Mark("air-1", 99, "bulk", 2)]
    assert bench.hear(air.batch(5, readings(5, 1))).counts == {"foreign_outbox": 1}


@dataclass
class _Link:
    """Implements gateway.ingest.inbox.Link as far as reading goes."""

    reading: bool = True

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
        raise AssertionError((token, topic, payload, sig, content_type, retain, expiry_s))

    def ack_all(self, tokens: Sequence[AckToken]) -> None:
        raise AssertionError(tokens)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


@pytest.mark.parametrize("where", ["payload", "sig", "content_type", "topic"])
def test_reading_stops_by_size_wherever_in_a_message_the_bytes_are(where: str) -> None:
    inbox, link = Inbox(gateway="main", key=Ed25519PrivateKey.generate(), clock=SetClock()), _Link()
    inbox.attach(link)
    small = Message("kw/v1/air-1/up/bulk", b"", None, None, AckToken(1, 1), retain=False, dup=False)
    size = 200_000
    filled = {"payload": b"x" * size} if where == "payload" else {where: "x" * size}
    heard = 0
    while link.reading:
        inbox.on_message(replace(small, **filled))
        heard += 1
    assert heard == -(-MAX_WAITING_BYTES // (size + (0 if where == "topic" else len(small.topic))))
    inbox.take(heard, 0.0)
    assert link.reading
