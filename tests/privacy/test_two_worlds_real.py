"""Two worlds of real processes that differ in what happens at a kiosk look the same from outside.

Two kiosks of one name, each with an analyser, a printer, a screen and a Mosquitto of its own, live at the same time.
In each tick one of them gets the one and the other the other of a pair of events: nobody comes, or a test is negative,
positive or invalid, with an analyser that is done early or late; coins decide which. Towards the end both brokers are
killed for three ticks, while results of the last visitors become ready. Compared are, tick by tick, number, topic and
length of all messages; every file's size in the cabinet at the end of each tick; what the log says; and the times of
publishing, by an exact signed-rank test over the pairs, which the coins make a randomisation test: that one process
is always a little slower than the other, or that the machine is busy, does not matter to it.

A mutant pair lives beside them: there a relay lets a kiosk publish only when its analyser is done.
"""

import json
import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from contracts.claim import ClaimCode
from contracts.codec import unpack_json
from contracts.frames import Frame, TickBody
from contracts.sealed import ResultBody, open_record
from firmware_sim.outcome import Call, Ending, Outcome
from mqttlink.types import Message
from tests.support.process import wait_until
from tests.support.seeds import seeded
from tests.support.signed_rank import p_value
from tests.support.worlds import READY_AFTER, Cartridge, World, worlds

pytestmark = pytest.mark.timeout(300)  # seventeen ticks of four seconds, and a busy machine's start

POSITIVE = Outcome(calls={"sars-cov-2": Call.POSITIVE})
NEGATIVE = Outcome()
INVALID = Outcome(ending=Ending.INVALID)

# The first of a pair is done early or is nobody, the second is done late: what the mutant makes visible.
PAIRS: tuple[tuple[Cartridge | None, Cartridge], ...] = (
    (None, Cartridge(POSITIVE, "late")),
    (Cartridge(POSITIVE, "early"), Cartridge(NEGATIVE, "late")),
    (Cartridge(NEGATIVE, "early"), Cartridge(POSITIVE, "late")),
    (None, Cartridge(INVALID, "late")),
    (Cartridge(INVALID, "early"), Cartridge(NEGATIVE, "late")),
    (Cartridge(POSITIVE, "early"), Cartridge(POSITIVE, "late")),
)
VISITS = 2 * len(PAIRS)
OUTAGE = range(VISITS + 1, VISITS + 4)  # missed ticks, from the first of the visits on
LAST = OUTAGE.stop + 1

LUCKY = ("edge.log", "outbox.db-wal")  # after an outage: how often it tried to connect, how many answers came at once

ALPHA = 0.004  # 12 pairs: the 8 highest of 4096 sums of ranks; 9 pairs: all of one sign
SHIFT_S = 1.0  # real; the mutant's, which holds a tick for about two seconds where a late analyser is at work
JITTER_S = 0.15  # standard deviation of a loaded machine's delays


@dataclass(frozen=True)
class Lived:
    """The worlds after it all; `first` is the tick of the first visit, `coins` who got the second of each pair."""

    real: tuple[World, World]
    mutants: tuple[World, World]
    first: int
    coins: tuple[int, ...]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    chance = seeded("coins")
    coins = tuple(chance.randrange(2) for _ in range(VISITS))
    with worlds(tmp_path_factory.mktemp("worlds"), n=4, mutants=2) as (a, b, c, d):
        first = max(max(world.ticks) for world in (a, b, c, d)) + 1
        with ThreadPoolExecutor(6) as pool:
            over = [pool.submit(_visits, world, first, coins, number % 2) for number, world in enumerate((a, b, c, d))]
            over += [pool.submit(_observe, world, first) for world in (a, b)]
            for one in over:
                one.result()
        yield Lived((a, b), (c, d), first, coins)


def _visits(world: World, first: int, coins: Sequence[int], number: int) -> None:
    for visit, coin in enumerate(coins):
        world.live(first + visit, PAIRS[visit % len(PAIRS)][coin == number])


def _observe(world: World, first: int) -> None:
    """Measure at the end of every tick, and take the broker away for a while."""
    for tick in range(first, first + LAST + 1):
        if tick == first + OUTAGE.start:
            world.until(tick - 0.5)
            world.broker.program.kill()
        if tick == first + OUTAGE.stop:
            world.until(tick - 0.5)
            world.broker.start()
        world.until(tick + 0.9)
        world.measure(tick)
    wait_until(lambda: set(range(first, first + LAST + 1)) <= set(world.ticks), timeout_s=60, what="all ticks")


# --- what an observer makes of it ----------------------------------------------------------------------------------

Token = tuple[str, int]
"""A message as it looks: topic and length."""


def _looks(message: Message) -> Token:
    """How it looks, without the digits of a connection's number, which the line's luck and no visitor makes."""
    length = len(message.payload)
    if message.topic.endswith(("/state", "/birth")):
        length -= len(str(json.loads(unpack_json(message.payload, message.content_type))["conn"]))
    return message.topic, length


def _once(world: World) -> list[Message]:
    """The messages that came, each the first time: after an outage some come again."""
    found: dict[tuple[str, bytes], Message] = {}
    for _, message in world.watch.seen:
        found.setdefault((message.topic, message.payload), message)
    return list(found.values())


def tick_by_tick(world: World, ticks: range) -> dict[int, list[Token]]:
    """What came from each tick's own message to the next one's; releases apart."""
    looks: dict[int, list[Token]] = {}
    tick = 0
    for message in _once(world):
        if message.topic.endswith("/sealed"):
            tick = Frame.decode(message.payload).start
        if not message.topic.endswith("/release") and tick in ticks:
            looks.setdefault(tick, []).append(_looks(message))
    return looks


def altogether(world: World, after: int) -> list[Token]:
    """How everything looks that came after tick `after`, in whatever order; documents once.

    Without the digits of the outbox's fill in health records: how soon a line is back, and the outbox empty, is luck.
    """
    at_ns = next(
        at_ns
        for at_ns, message in world.watch.seen
        if message.topic.endswith("/sealed") and Frame.decode(message.payload).start == after
    )
    before = {(message.topic, message.payload) for at, message in world.watch.seen if at < at_ns}
    looks = [
        (topic, length - (_full(message) if topic.endswith("/health") else 0))
        for message in _once(world)
        if (message.topic, message.payload) not in before
        for topic, length in [_looks(message)]
    ]
    documents = {one for one in looks if one[0].endswith(("/state", "/birth"))}
    return sorted([*documents, *(one for one in looks if one not in documents)])


def _full(message: Message) -> int:
    """The digits of the outbox's fill in a health record."""
    (record,) = json.loads(unpack_json(message.payload, message.content_type))["r"]
    return len(str(record[2]["outbox_pct"]))


def differences_s(pair: tuple[World, World], lived: Lived, *, lag: int) -> list[float]:
    """By how much the kiosk with the second event of a pair published later, `lag` ticks after each, real seconds."""
    one, other = (world.ticks for world in pair)
    found = []
    for visit, coin in enumerate(lived.coins):
        tick = lived.first + visit + lag
        if tick < lived.first + OUTAGE.start:
            found.append((one[tick] - other[tick]) * (1 if coin == 0 else -1))
    return found


def _call(world: World, code: ClaimCode) -> str:
    """What the code's holder reads in the published ticks."""
    keys = code.keys()
    (record,) = {
        record
        for message in _once(world)
        if message.topic.endswith("/sealed")
        for record in TickBody.decode(Frame.decode(message.payload).body).records
        if record.startswith(keys.slot)
    }
    ((_, call),) = ResultBody.decode(open_record(keys, record)).calls
    return call


def _said(cartridge: Cartridge) -> str:
    if cartridge.outcome.ending is Ending.INVALID:
        return "invalid"
    return "positive" if cartridge.outcome.positive else "negative"


# --- the kiosk as it is --------------------------------------------------------------------------------------------


def test_the_worlds_differ_each_code_opens_to_its_call_and_other_messages_lie_between_the_ticks(lived: Lived) -> None:
    assert 0 < sum(lived.coins) < VISITS
    for world in lived.real:
        assert [_call(world, code()) for code, _ in world.visits] == [_said(one) for _, one in world.visits]
        topics = {message.topic.rpartition("/")[2] for _, message in world.watch.seen}
        assert {"sealed", "release", "health", "state", "birth"} <= topics
        assert not world.watch.heard.unsigned
        assert not world.watch.heard.changed


def test_every_tick_has_the_same_messages_of_the_same_lengths_whoever_came(lived: Lived) -> None:
    ticks = range(lived.first, lived.first + OUTAGE.start - 1)
    one, other = (tick_by_tick(world, ticks) for world in lived.real)
    assert list(one) == list(ticks)
    assert one == other


def test_after_an_outage_the_missed_ticks_come_in_order_and_as_many_of_the_same_lengths(lived: Lived) -> None:
    one, other = (altogether(world, lived.first + OUTAGE.start - 1) for world in lived.real)
    assert len(one) > len(OUTAGE)
    assert one == other
    for world in lived.real:
        order = list(world.ticks)  # as they came
        missed = [tick for tick in order if tick - lived.first in OUTAGE]
        assert missed == [lived.first + tick for tick in OUTAGE]


def test_a_window_that_ends_is_released_once_in_each_world_with_the_same_length(lived: Lived) -> None:
    one, other = (
        [_looks(message) for message in _once(world) if message.topic.endswith("/release")] for world in lived.real
    )
    assert len(one) == 1
    assert one == other


def test_every_file_of_the_cabinet_has_grown_alike_at_the_end_of_every_tick(lived: Lived) -> None:
    for tick in range(lived.first, lived.first + LAST + 1):
        one, other = (_grown(world, tick, lived.first) for world in lived.real)
        assert {"visits.db", "outbox.db"} <= set(one)
        assert one == other, f"tick {tick - lived.first}"


def test_the_times_of_publishing_tell_neither_what_runs_nor_what_a_tick_holds(lived: Lived) -> None:
    running = differences_s(lived.real, lived, lag=1)
    ready = differences_s(lived.real, lived, lag=READY_AFTER)
    assert (len(running), len(ready)) == (12, 9)
    assert p_value(running) > ALPHA
    assert p_value(ready) > ALPHA


# --- what would be caught ------------------------------------------------------------------------------------------


def test_publishing_when_the_analyser_is_done_is_caught(lived: Lived) -> None:
    later = differences_s(lived.mutants, lived, lag=1)
    assert p_value(later) <= ALPHA
    assert statistics.median(later) > SHIFT_S


def test_the_test_of_times_has_the_power_that_is_stated_and_no_more_false_alarms() -> None:
    """12 pairs, alpha 0.004: a shift of one second is caught with power above 0.99 at a jitter of 0.15 s."""
    chance, trials = seeded("power"), 2000

    def caught(shift_s: float) -> float:
        samples = ([chance.gauss(shift_s, JITTER_S * 2**0.5) for _ in range(VISITS)] for _ in range(trials))
        return sum(p_value(sample) <= ALPHA for sample in samples) / trials

    assert caught(SHIFT_S) > 0.99
    assert caught(0.0) < 0.01


def test_the_signed_rank_test_agrees_with_wilcoxons_table() -> None:
    """n = 12: a lesser sum of 7 has the two-sided p of 38/4096; n = 9 of one sign: 2/512."""
    assert p_value([-1, -2, -4, *range(5, 13), 3]) == pytest.approx(2 * 19 / 4096)
    assert p_value(list(range(1, 10))) == pytest.approx(2 / 512)
    assert p_value([1.0, -1.0]) == 1.0


def _grown(world: World, tick: int, first: int) -> dict[str, int]:
    """By how much each file has grown since the first tick: a certificate, and what a start wrote, differ by chance."""
    at_first, sizes = world.sizes[first], world.sizes[tick]
    return {
        name: size - at_first.get(name, 0)
        for name, size in sizes.items()
        if name not in LUCKY or tick - first < OUTAGE.start - 1
    }
