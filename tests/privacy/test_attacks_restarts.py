"""D4: whatever happens to a kiosk, of each of its windows one release is accepted, ever, and one draw leaves it.

A thousand power cuts at every step of closing a window, messages that come again and in any order, a restored copy of
the disk, a new disk. The real agent and the real ingest, in a time of the test's own.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.codec import CONTENT_BINARY
from contracts.envelope import sign
from contracts.frames import Frame
from contracts.rows import ReleaseRow
from contracts.topics import UpTopic
from edge.adapters.visits import VisitDatabase
from edge.service.kiosk import KioskTask
from stores.state.releases import first_broken_link, releases_after
from tests.support.agent import DEVICE, agent_in_test_time
from tests.support.ingest import Bench, ingest_bench
from tests.support.kiosk import START_NS, WINDOW_S
from tests.support.registry import enrol_again, write_registry
from tests.support.seeds import seeded
from tests.support.speaker import Said, Speaker

NS = 10**9
RESTARTS = 1_000
WINDOW_NS = WINDOW_S * NS
TOPIC = str(UpTopic(DEVICE, "release"))


class PowerCutError(BaseException):
    """The machine is gone; what was committed stays."""


class Cut:
    """At which step the power goes; each goes once."""

    STEPS = ("before closing", "while closing", "while drawing", "after closing", "before copying", "after copying")

    def __init__(self) -> None:
        self.step: str | None = None
        self.happened: list[str] = []

    def here(self, step: str) -> None:
        if step == self.step:
            self.step = None
            self.happened.append(step)
            raise PowerCutError


CUT = Cut()


class CutVisits(VisitDatabase):
    """The visit store on a machine whose power fails."""

    _closing = False

    def close_window(self, now_ns: int) -> bool:
        if now_ns < self.open_windows[0] + WINDOW_NS:
            return super().close_window(now_ns)
        CUT.here("before closing")
        self._closing = True
        try:
            closed = super().close_window(now_ns)
        finally:
            self._closing = False
        CUT.here("after closing")
        return closed

    def _write_blob(self, slot: int, blob: bytes) -> None:
        super()._write_blob(slot, blob)
        if self._closing:
            CUT.here("while closing" if slot == 2 else "while drawing")  # 2: where the closed window stands ready


class CutKiosk(KioskTask):
    """The kiosk on a machine whose power fails."""

    def _copy_release(self) -> None:
        if not self._release_copied and self._visits.ready_release() is not None:
            CUT.here("before copying")
            super()._copy_release()
            CUT.here("after copying")
        else:
            super()._copy_release()


class Site:
    """A kiosk's folder, its key, and the gateway that hears it."""

    def __init__(self, folder: Path, bench: Bench, speaker: Speaker) -> None:
        self.folder, self.bench, self.speaker = folder, bench, speaker
        self.now_ns = START_NS
        self.starts = 0
        self.sent: list[Said] = []
        self.bodies: dict[int, set[bytes]] = {}  # window start, s -> all that was ever sent of it
        self.ob = 0

    def run(self, *passes_s: float) -> None:
        """Start, let time pass in these steps, stop; or be cut off."""
        self.starts += 1
        with (
            contextlib.suppress(PowerCutError),
            agent_in_test_time(
                self.folder,
                seed=self.starts,  # noise of its own at each start: a second draw would show
                key=self.speaker.key,
                now_ns=self.now_ns,
                visits_type=CutVisits,
                kiosk_type=CutKiosk,
            ) as agent,
        ):
            self.ob = agent.outbox.ob
            try:
                agent.turns(3)
                for seconds in passes_s:
                    agent.clock.move(seconds)
                    agent.turns(3)
                agent.judge_all()  # not after a cut: what was sent then comes again
            finally:
                self.now_ns = agent.clock.ns
                fresh = [self._said(one.payload) for one in agent.uplink.of("release")]
        self.sent += fresh
        self._hear(fresh)

    def replay(self, chance: Random) -> None:
        """Everything that was ever sent comes again, in any order."""
        again = [*self.sent, *self.sent]
        chance.shuffle(again)
        self._hear(again)

    def _hear(self, messages: list[Said]) -> None:
        self.bench.clock.ns = self.now_ns
        if messages:
            self.bench.hear(*messages)

    def _said(self, payload: bytes) -> Said:
        frame = Frame.decode(payload)
        self.bodies.setdefault(frame.start, set()).add(frame.body)
        return Said(TOPIC, payload, CONTENT_BINARY, sign(self.speaker.key, TOPIC, payload))

    @property
    def accepted(self) -> list[ReleaseRow]:
        return releases_after(self.bench.database, 0)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    speaker = Speaker(DEVICE, key=Ed25519PrivateKey.generate())
    spec = f"sqlite:{tmp_path / 'state'}"
    write_registry(spec, [speaker])
    with ingest_bench(spec) as bench:
        yield Site(tmp_path / "kiosk", bench, speaker)


def windows(rows: list[ReleaseRow]) -> list[int]:
    return [(row.window_start_ns - START_NS) // WINDOW_NS for row in rows]


@pytest.mark.rule("C22")
@pytest.mark.rule("C23")
@pytest.mark.timeout(600)
def test_after_a_thousand_restarts_and_cuts_each_window_has_one_release_and_one_draw(site: Site) -> None:
    chance = seeded("power cuts")
    for number in range(RESTARTS):
        CUT.step = chance.choice([*Cut.STEPS, None])
        site.run(chance.choice([60, 900, 3600]), chance.choice([60, 600]))
        if number % 250 == 249:
            site.replay(chance)
    CUT.step = None
    site.run(60)
    closed = (site.now_ns - START_NS) // WINDOW_NS
    assert closed > 50
    assert set(CUT.happened) == set(Cut.STEPS), "the power failed at every step"
    assert {start: len(bodies) for start, bodies in site.bodies.items() if len(bodies) > 1} == {}
    assert windows(site.accepted) == list(range(closed))
    assert {len(body) for bodies in site.bodies.values() for body in bodies} == {16}
    assert site.bench.reasons == []
    assert first_broken_link(site.bench.database) is None


def test_a_restored_copy_of_the_disk_draws_again_and_nothing_of_it_is_accepted(site: Site, tmp_path: Path) -> None:
    site.run(WINDOW_S + 60, WINDOW_S)
    shutil.copytree(site.folder, tmp_path / "copy")
    site.run(WINDOW_S, WINDOW_S, WINDOW_S)  # two windows are drawn already in the copy, the third is not
    before = site.accepted
    assert windows(before) == [0, 1, 2, 3, 4]
    shutil.rmtree(site.folder)
    shutil.copytree(tmp_path / "copy", site.folder)
    site.run(60, WINDOW_S)
    assert any(len(bodies) > 1 for bodies in site.bodies.values()), "the copy did draw again"
    assert site.accepted[:5] == before
    assert len(windows(site.accepted)) == len(set(windows(site.accepted)))
    letters = [letter for _, letter in site.bench.state.dead_letters()]
    assert all(letter.payload is None for letter in letters), "a second draw is not kept anywhere"


def test_a_new_disk_draws_again_and_what_was_released_stays_the_only_release(site: Site) -> None:
    site.run(WINDOW_S + 60)
    before = site.accepted
    assert windows(before) == [0]
    shutil.rmtree(site.folder)
    site.now_ns = START_NS + 600 * NS  # its clock was set back as well: the new disk begins in the old window
    site.run(60)
    enrol_again(site.bench.spec, Speaker(DEVICE, ob=site.ob, key=site.speaker.key))
    site.bench.clock.s += 10
    site.run(WINDOW_S, WINDOW_S)
    assert site.accepted[:1] == before
    assert windows(site.accepted) == [0, 1]
    assert site.bench.reasons == ["second_release"]
    assert all(letter.payload is None for _, letter in site.bench.state.dead_letters())


def test_a_kiosk_without_power_for_days_releases_every_window_that_it_missed_once(site: Site) -> None:
    site.run(600)
    site.now_ns += 3 * 24 * 3600 * NS
    site.run(60, 60)
    assert windows(site.accepted) == list(range(12))
    assert sum(row.late for row in site.accepted) == 11
    site.run(60)
    assert windows(site.accepted) == list(range(12))


@pytest.mark.parametrize("back_s", [3600, 5 * WINDOW_S])
def test_a_clock_that_is_set_back_releases_no_window_again(site: Site, back_s: int) -> None:
    site.run(WINDOW_S, WINDOW_S)
    before = site.accepted
    assert windows(before) == [0, 1]
    site.now_ns -= back_s * NS
    site.run(60, 600)
    assert {len(bodies) for bodies in site.bodies.values()} == {1}
    site.now_ns += (back_s + WINDOW_S) * NS
    site.run(60)
    assert site.accepted[:2] == before
    assert windows(site.accepted) == [0, 1, 2]
    assert site.bench.reasons == []
