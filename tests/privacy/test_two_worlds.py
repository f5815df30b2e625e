"""Two worlds that differ in what a test says, or in when the analyser is done, look the same from outside.

A virtual clock, an in-process broker, the real agent. What is compared: every message's time, topic and length; every
file's size each minute; the content of everything but releases and sealed ticks; which tick a visitor's record is in
and in which place; the numbers of releases where the calls are the same; and what the screen shows. Worlds of the same
check-ins must also show the same screens; where nobody came, all but the screen must be the same. Six mutants, each
a mistake that somebody could make, must be caught by these comparisons.
"""

import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.claim import SLOT_BYTES
from contracts.frames import Frame, TickBody
from contracts.sealed import RECORD_BYTES
from contracts.windows import NS, TICK_S
from edge.adapters.store import OutboxStore
from edge.adapters.visits import VisitDatabase
from edge.core.visit import EMPTY, State, Visit
from edge.ports import ControlSeen, Happening, SealedRun
from edge.service.desk import DeskView
from edge.service.kiosk import KioskTask
from tests.support.agent import AgentInTestTime, Sent, agent_in_test_time
from tests.support.kiosk import START_NS, WINDOW_S, kiosk_rules
from tests.support.seeds import seeded

pytestmark = pytest.mark.timeout(120)  # a world is two thousand turns of an agent

STEP_S = 60
TICKS = 24
WINDOW_END_TICKS = 12  # from the beginning of a world
BEGIN_NS = START_NS + (WINDOW_S - WINDOW_END_TICKS * TICK_S) * NS
VISITS_AT_S = (120, 360, 1380, 2100, 3120, 3420, 4500, 5160, 6000, 6480)  # each when a module is free
OUTAGE_TICKS = range(8, 16)  # over the window's end and some visitors' ready ticks


@dataclass(frozen=True)
class Script:
    """What the analyser says of each visitor's cartridge and after how many seconds; None: nobody comes."""

    word: str | None
    run_s: int = 1800


WORLDS = {
    "nobody": Script(None),
    "negative": Script("NEGATIVE"),
    "positive": Script("POSITIVE"),
    "early positive": Script("POSITIVE", 300),
    "late positive": Script("POSITIVE", 2640),
    "invalid": Script("INVALID"),
    "error": Script("ERROR", 60),
    "too late": Script("POSITIVE", 2760),
}


@dataclass(frozen=True)
class Seen:
    """Everything that somebody outside may have seen of one world, and where the visitors' records were."""

    sent: tuple[Sent, ...]
    sizes: tuple[tuple[tuple[str, int], ...], ...]
    views: tuple[DeskView, ...]
    slots: tuple[bytes, ...]

    @property
    def trace(self) -> list[tuple[int, str, int, str | None]]:
        return [(one.at_ns, one.topic, len(one.payload), one.content_type) for one in self.sent]

    @property
    def contents(self) -> list[bytes]:
        return [one.payload for one in self.sent if not one.topic.endswith(("/release", "/sealed"))]

    @property
    def releases(self) -> list[bytes]:
        return [one.payload for one in self.sent if one.topic.endswith("/release")]

    @property
    def ticks(self) -> list[Frame]:
        return [Frame.decode(one.payload) for one in self.sent if one.topic.endswith("/sealed")]

    @property
    def records(self) -> list[tuple[int, int, bytes]]:
        """Tick, place and record of everything that was published, each message once."""
        by_tick = {frame.start: frame.body for frame in self.ticks}
        return [
            (tick, place, record)
            for tick, body in by_tick.items()
            for place, record in enumerate(TickBody.decode(body).records)
        ]

    @property
    def found(self) -> list[tuple[int, int]]:
        """Tick and place of each visitor's record, in the order of their check-ins."""
        where = {record[:SLOT_BYTES]: (tick, place) for tick, place, record in self.records}
        return [where[slot] for slot in self.slots]


Worlds = Callable[[str], Seen]


@dataclass(frozen=True)
class Kiosk:
    """The kiosk of all worlds of a comparison; a mutant differs from the real one in one part."""

    visits_type: type[VisitDatabase] = VisitDatabase
    kiosk_type: type[KioskTask] = KioskTask
    shuffle: Callable[[list[bytes]], None] | None = None  # None: as chance has it
    dummy: Callable[[], bytes] | None = None
    outage: bool = False

    def live(self, folder: Path, first: Path, key: Ed25519PrivateKey, script: Script) -> Seen:
        rules = partial(kiosk_rules, shuffle=self.shuffle or seeded(f"places of {folder.name}").shuffle)
        if self.dummy is not None:
            rules = partial(rules, dummy_=self.dummy)
        with agent_in_test_time(
            folder,
            seed=7,
            outbox_from=first,
            key=key,
            now_ns=BEGIN_NS,
            visits_type=self.visits_type,
            kiosk_type=self.kiosk_type,
            rules=rules,
        ) as agent:
            return self._observed(agent, folder, script)

    def _observed(self, agent: AgentInTestTime, folder: Path, script: Script) -> Seen:
        sizes, views = [], []
        agent.turns()
        for second in range(0, TICKS * TICK_S, STEP_S):
            agent.clock.ns = BEGIN_NS + second * NS
            self._break_the_line(agent, second)
            agent.turns(3)
            if script.word is not None and second in VISITS_AT_S:
                agent.test(script.word, script.run_s)
            agent.turns(2)
            agent.judge_all()
            sizes.append(tuple(sorted((path.name, path.stat().st_size) for path in folder.iterdir())))
            views.append(agent.view)
        slots = tuple(code.keys().slot for code, order in agent.codes.issued if order.ready_tick < self._last_tick())
        return Seen(tuple(agent.uplink.sent), tuple(sizes), tuple(views), slots)

    def _break_the_line(self, agent: AgentInTestTime, second: int) -> None:
        if not self.outage or second % TICK_S:
            return
        if second // TICK_S == OUTAGE_TICKS.start:
            agent.uplink.disconnect()
        elif second // TICK_S == OUTAGE_TICKS.stop:
            agent.uplink.connect()

    @staticmethod
    def _last_tick() -> int:
        return BEGIN_NS // (TICK_S * NS) + TICKS - 1


def _worlds(folder: Path, kiosk: Kiosk) -> Worlds:
    """Worlds of one kiosk: same outbox id, same key, same noise; each lived once."""
    OutboxStore(folder / "first.db").close()
    key, lived = Ed25519PrivateKey.generate(), dict[str, Seen]()

    def world(name: str) -> Seen:
        if name not in lived:
            lived[name] = kiosk.live(folder / name.replace(" ", "-"), folder / "first.db", key, WORLDS[name])
        return lived[name]

    return world


# --- the comparisons: each returns what it found different ---------------------------------------------------------


def wire_differs(worlds: Worlds, one: str, other: str) -> list[str]:
    """What the broker, everybody behind it and whoever looks at file sizes could tell."""
    a, b = worlds(one), worlds(other)
    return [name for name in ("trace", "contents", "sizes") if getattr(a, name) != getattr(b, name)]


def screens_differ(worlds: Worlds, one: str, other: str) -> bool:
    """Whether the screen shows it."""
    return worlds(one).views != worlds(other).views


def timing_differs(worlds: Worlds, one: str, other: str) -> list[str]:
    """What a different time of the same calls could change: the ticks of the records, the windows of the counts."""
    a, b = worlds(one), worlds(other)
    ticks = [[tick for tick, _ in seen.found] for seen in (a, b)]
    return [*(["ticks"] if ticks[0] != ticks[1] else []), *(["releases"] if a.releases != b.releases else [])]


def places_are_telling(found: list[tuple[int, int]]) -> bool:
    """Whether real records prefer a place: chi-square over four places, 3 degrees of freedom, p = 0.0001."""
    expected = len(found) / 4
    counts = Counter(place for _, place in found)
    return sum((counts[place] - expected) ** 2 / expected for place in range(4)) > 21.1


def points_are_telling(seen: Seen) -> bool:
    """Whether some records cannot be sealed ones: an X25519 public value has its top bit clear (RFC 7748, 5)."""
    return any(record[SLOT_BYTES + 31] & 0x80 for _, _, record in seen.records)


# --- the kiosk as it is --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[False, True], ids=["broker there", "broker away for 80 minutes"])
def worlds(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Worlds:
    return _worlds(tmp_path_factory.mktemp("worlds"), Kiosk(outage=request.param))


@pytest.mark.rule("C4")
@pytest.mark.parametrize("name", [name for name in WORLDS if name != "nobody"])
def test_nothing_outside_tells_whether_anybody_came_or_what_a_test_said(worlds: Worlds, name: str) -> None:
    assert wire_differs(worlds, name, "nobody") == []


@pytest.mark.parametrize("name", [name for name in WORLDS if name not in ("nobody", "negative")])
def test_the_screen_shows_the_same_whatever_the_test_said_and_whenever_it_was_done(worlds: Worlds, name: str) -> None:
    assert not screens_differ(worlds, name, "negative")


def test_a_record_is_in_its_ready_tick_and_its_count_in_that_ticks_window_however_early_it_was_there(
    worlds: Worlds,
) -> None:
    assert timing_differs(worlds, "early positive", "late positive") == []
    assert worlds("positive").releases != worlds("negative").releases
    assert [tick for tick, _ in worlds("error").found] == [tick for tick, _ in worlds("positive").found]


def test_each_tick_goes_out_once_in_order_with_each_record_once(worlds: Worlds) -> None:
    for name in WORLDS:
        starts = [frame.start for frame in worlds(name).ticks]
        assert starts == list(range(starts[0], starts[0] + len(starts)))
        assert len(starts) >= TICKS - 2
        assert {len(frame.body) for frame in worlds(name).ticks} == {4 * RECORD_BYTES}
        slots = [record[:SLOT_BYTES] for _, _, record in worlds(name).records]
        assert len(set(slots)) == len(slots)


def test_neither_a_records_place_nor_its_bytes_tell_it_from_a_dummy(worlds: Worlds) -> None:
    found = [place for name in WORLDS if name != "nobody" for place in worlds(name).found]
    assert len(found) > 40
    assert not places_are_telling(found)
    assert not any(points_are_telling(worlds(name)) for name in WORLDS)


# --- mutants: each must be caught ----------------------------------------------------------------------------------


class CountedWhenCalled(VisitDatabase):
    """A mutant: a run belongs to the window in which its result came."""

    def settle(self, run: object) -> bool:
        self._called = True
        return super().settle(run)  # type: ignore[arg-type]

    def _open_slot_of(self, visit: Visit) -> int:
        slot = super()._open_slot_of(visit)
        if visit.state is State.RUNNING and getattr(self, "_called", False):
            return self._starts.index(min(self._starts))  # the window that is open now is the older one
        return slot


class IdleWhenDone(KioskTask):
    """A mutant: the screen offers a module as soon as its run has ended."""

    def step(self) -> None:
        super().step()
        taken = (visit for visit in self._visits.visits if visit.state in (State.RESERVED, State.RUNNING))
        facts = self._check_ins.facts(self._fault())
        self.desk.show(replace(facts, busy_until_ns=tuple(sorted(visit.busy_until_ns for visit in taken))))


class FaultWhenARunErrs(KioskTask):
    """A mutant: an analyser whose run gave no result is reported as faulty."""

    def _keep_results(self, runs: tuple[SealedRun, ...], controls: tuple[ControlSeen, ...]) -> list[Happening]:
        if any(not run.valid for run in runs):
            self._recorder.event("instrument", "lost")
        return super()._keep_results(runs, controls)


class PublishedWhenSealed(VisitDatabase):
    """A mutant: a record goes out with the next tick after its call."""

    def records(self, tick: int) -> list[bytes]:
        return [visit.record for visit in self.visits if visit.state is State.SEALED and tick]

    def tick(self, tick: int) -> None:
        self._visits = [EMPTY if visit.state is State.SEALED else visit for visit in self._visits]
        super().tick(tick)


def _leave_in_order(_records: list[bytes]) -> None:
    """A mutant: dummies come last."""


def test_counting_by_the_time_of_the_call_is_caught(tmp_path: Path) -> None:
    worlds = _worlds(tmp_path, Kiosk(visits_type=CountedWhenCalled))
    assert "releases" in timing_differs(worlds, "early positive", "late positive")


def test_a_screen_that_is_idle_once_the_analyser_is_done_is_caught(tmp_path: Path) -> None:
    worlds = _worlds(tmp_path, Kiosk(kiosk_type=IdleWhenDone))
    assert screens_differ(worlds, "early positive", "late positive")


def test_a_fault_because_a_run_erred_is_caught(tmp_path: Path) -> None:
    worlds = _worlds(tmp_path, Kiosk(kiosk_type=FaultWhenARunErrs))
    assert "contents" in wire_differs(worlds, "invalid", "negative")


def test_publishing_early_is_caught(tmp_path: Path) -> None:
    worlds = _worlds(tmp_path, Kiosk(visits_type=PublishedWhenSealed))
    assert "ticks" in timing_differs(worlds, "early positive", "late positive")


def test_dummies_that_come_last_are_caught(tmp_path: Path) -> None:
    worlds = _worlds(tmp_path, Kiosk(shuffle=_leave_in_order))
    assert places_are_telling([*worlds("positive").found, *worlds("negative").found])


def test_random_bytes_as_dummies_are_caught(tmp_path: Path) -> None:
    worlds = _worlds(tmp_path, Kiosk(dummy=partial(secrets.token_bytes, RECORD_BYTES)))
    assert points_are_telling(worlds("nobody"))


def test_the_worlds_of_this_file_cross_a_windows_end_with_runs_on_both_sides() -> None:
    end_s = WINDOW_END_TICKS * TICK_S
    ready_s = [at_s + 3300 for at_s in VISITS_AT_S]
    assert sum(at_s < end_s for at_s in ready_s) > 2
    assert sum(at_s + 300 < end_s - 600 < end_s < ready for at_s, ready in zip(VISITS_AT_S, ready_s, strict=True)) > 2
