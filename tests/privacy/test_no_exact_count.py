"""No exact count exists: every counter starts near 2^30, so that each version is a byte string of its own to look for.

After each commit the kiosk's files and journals hold the current version only; what leaves the kiosk is the same in
number, time and size whoever came and whatever the tests said, and differs in the release's numbers alone.
"""

import logging
import random
import sqlite3
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.frames import Frame, ReleaseBody
from contracts.windows import Calendar
from edge.adapters.store import OutboxStore
from edge.adapters.visits import VisitDatabase, open_visits
from edge.core.layouts import LayoutBook
from edge.release.counters import WindowCounters
from edge.release.window import OpenWindow
from tests.support.agent import AgentInTestTime, Sent, agent_in_test_time
from tests.support.kiosk import CALENDAR, LAYOUT, LAYOUTS, START_NS, WINDOW_S

NS = 10**9
TICK_S = 600
COUNTERS_AT = 14  # window start, length and layout number come first
COUNTERS_BYTES = 12


class FarOff:
    """A sampler of tests: draws that are far from zero and from each other, so that 4 bytes name one version."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def __call__(self, window_start: datetime, targets: tuple[str, ...]) -> WindowCounters:
        def draw() -> int:
            return 2**30 + self._chance.randrange(0, 2**29, 64)

        return WindowCounters(window_start, {target: draw() for target in targets}, draw(), draw())


def _bytes(value: int) -> bytes:
    return value.to_bytes(4, signed=True)


def _files(folder: Path) -> bytes:
    """Everything the kiosk has on disk: databases, journals, WAL and shared memory."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


class Watch:
    """Remembers every version the counters ever had, and looks for the old ones on disk.

    A version is all three counters: four bytes alone turn up by chance in the sealed records of a long history.
    """

    def __init__(self, folder: Path, agent: AgentInTestTime) -> None:
        self._folder = folder
        self._agent = agent
        self._seen: set[bytes] = set()
        self.released: set[bytes] = set()
        self.looks = 0

    def look(self) -> None:
        now = {self._agent.visits._blob(slot)[COUNTERS_AT : COUNTERS_AT + COUNTERS_BYTES] for slot in (0, 1)}
        disk = _files(self._folder)
        assert all(version in disk for version in now), "the search itself does not find what is there"
        self.released |= {Frame.decode(one.payload).body[4:] for one in self._agent.uplink.of("release")}
        old = self._seen - now - self.released
        found = [version for version in old if version in disk]
        assert not found, f"{len(found)} earlier versions of counters are on the disk"
        self._seen |= now
        self.looks += 1

    @property
    def versions(self) -> int:
        return len(self._seen)


def _counters(message: Sent) -> tuple[int, ...]:
    return ReleaseBody.decode(Frame.decode(message.payload).body, {1: LAYOUT}).counters


@pytest.mark.timeout(120)
def test_after_every_commit_only_the_current_version_of_a_counter_is_on_the_disk(tmp_path: Path) -> None:
    chance = random.Random(4)
    with agent_in_test_time(tmp_path, open_window_=FarOff(1)) as agent:
        watch = Watch(tmp_path, agent)
        for step in range(135):
            if step % 3 == 0:
                agent.test(chance.choice(["POSITIVE", "NEGATIVE", "INVALID", "ERROR"]), 1500)
            for _ in range(2):
                agent.pass_time(150, 75)
                watch.look()
        assert agent.uplink.of("release"), "no window was closed"
        assert watch.versions > 40, watch.versions
        assert watch.looks == 270


def test_a_commit_that_is_cut_off_leaves_nothing_of_the_other_version_after_the_next_start(tmp_path: Path) -> None:
    """A hot journal, as a power cut leaves it: the next start rolls back and truncates it."""
    store, _ = open_visits(
        tmp_path / "visits.db", calendar=CALENDAR, layouts=LAYOUTS, open_window=FarOff(2), now_ns=START_NS
    )
    before = ReleaseBody.decode(store._blob(0)[10:26], {1: LAYOUT}).counters
    store._connection.execute("BEGIN IMMEDIATE")
    window = store._window(0).add("SARSCOV2", {"sars-cov-2": "positive"})
    store._write_blob(0, window.encode())
    store._connection.execute("PRAGMA cache_spill=ON")
    after = ReleaseBody.decode(window.body(), {1: LAYOUT}).counters
    cut = tmp_path / "cut"
    cut.mkdir()
    for name in ("visits.db", "visits.db-journal"):
        (cut / name).write_bytes((tmp_path / name).read_bytes())
    store._connection.rollback()
    store.close()
    again, _ = open_visits(
        cut / "visits.db", calendar=CALENDAR, layouts=LAYOUTS, open_window=FarOff(3), now_ns=START_NS
    )
    disk = _files(cut)
    assert all(_bytes(value) in disk for value in before)
    assert not any(_bytes(value) in disk for value in after if value not in before)
    again.close()


def test_the_search_finds_what_a_wal_would_have_kept(tmp_path: Path) -> None:
    """The control of this file: the same commits in a WAL database leave old versions, and the search sees them."""
    database = sqlite3.connect(tmp_path / "wal.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE windows (slot INTEGER PRIMARY KEY, body BLOB)")
    database.execute("INSERT INTO windows VALUES (0, ?)", (_bytes(2**30 + 5),))
    for value in range(2**30 + 6, 2**30 + 20):
        database.execute("UPDATE windows SET body = ?", (_bytes(value),))
    assert _bytes(2**30 + 7) in _files(tmp_path)
    database.close()


class KeptInWal(VisitDatabase):
    """A mutant: a write-ahead log in place of the rollback journal that is truncated."""

    def __init__(
        self, path: Path, *, calendar: Calendar, layouts: LayoutBook, open_window: OpenWindow, now_ns: int
    ) -> None:
        super().__init__(path, calendar=calendar, layouts=layouts, open_window=open_window, now_ns=now_ns)
        ((mode,),) = self._connection.execute("PRAGMA journal_mode=WAL").fetchall()
        assert mode == "wal"


def test_a_visit_file_with_a_wal_is_caught(tmp_path: Path) -> None:
    with agent_in_test_time(tmp_path, open_window_=FarOff(1), visits_type=KeptInWal) as agent:
        watch = Watch(tmp_path, agent)
        watch.look()
        agent.test("NEGATIVE", 900)
        agent.pass_time(1200, 60)
        with pytest.raises(AssertionError, match="earlier versions of counters"):
            watch.look()


# --- two worlds --------------------------------------------------------------------------------------------

WORLDS = {
    "nobody": [],
    "negative": ["NEGATIVE"] * 6,
    "positive": ["POSITIVE"] * 6,
    "invalid": ["INVALID", "ERROR", "NO RESULT"] * 2,
    "many": ["NEGATIVE", "POSITIVE", "INVALID"] * 11,
}


class World:
    """One history of a kiosk, seen from outside."""

    def __init__(self, folder: Path, outbox: Path, key: Ed25519PrivateKey, words: list[str]) -> None:
        with agent_in_test_time(folder, seed=7, outbox_from=outbox, key=key) as agent:
            agent.turns()
            for step in range(110):  # 18 hours: three windows
                if step % 3 == 0 and step // 3 < len(words):
                    agent.test(words[step // 3], 900 if step % 2 else 2400)
                agent.pass_time(TICK_S, 60)
                agent.judge_all()
            self.sent = list(agent.uplink.sent)
            self.sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
            self.header = (folder / "visits.db").read_bytes()[:100]

    @property
    def trace(self) -> list[tuple[int, str, int, str | None]]:
        """What the broker and everybody behind it sees: time, topic, length."""
        return [(one.at_ns, one.topic, len(one.payload), one.content_type) for one in self.sent]

    @property
    def contents(self) -> list[bytes]:
        """Every message but the numbers of releases and what is sealed."""
        return [one.payload for one in self.sent if not one.topic.endswith(("/release", "/sealed"))]

    @property
    def releases(self) -> list[tuple[int, ...]]:
        return [_counters(one) for one in self.sent if one.topic.endswith("/release")]


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, World]:
    folder = tmp_path_factory.mktemp("worlds")
    OutboxStore(folder / "first.db").close()
    key = Ed25519PrivateKey.generate()
    return {name: World(folder / name, folder / "first.db", key, words) for name, words in WORLDS.items()}


@pytest.mark.rule("C4")
@pytest.mark.parametrize("name", [name for name in WORLDS if name != "nobody"])
def test_what_leaves_a_kiosk_is_the_same_in_time_topic_and_size_whoever_came(
    worlds: dict[str, World], name: str
) -> None:
    assert worlds[name].trace == worlds["nobody"].trace
    assert worlds[name].contents == worlds["nobody"].contents
    assert len(worlds[name].releases) == 3


@pytest.mark.parametrize("name", [name for name in WORLDS if name != "nobody"])
def test_files_have_the_same_sizes_and_the_visit_file_counts_nothing_in_its_header(
    worlds: dict[str, World], name: str
) -> None:
    assert worlds[name].sizes == worlds["nobody"].sizes
    assert worlds[name].header == worlds["nobody"].header


@pytest.mark.parametrize("name", list(WORLDS))
def test_releases_differ_by_the_runs_alone(worlds: dict[str, World], name: str) -> None:
    moved = [
        tuple(there - here for here, there in zip(quiet, busy, strict=True))
        for quiet, busy in zip(worlds["nobody"].releases, worlds[name].releases, strict=True)
    ]
    valid, invalid, positives = (sum(column) for column in zip(*moved, strict=True))
    words = WORLDS[name]
    assert positives == words.count("POSITIVE")
    assert valid == words.count("POSITIVE") + words.count("NEGATIVE")
    assert invalid == len(words) - valid


@pytest.mark.timeout(120)
def test_the_log_says_the_same_whoever_came(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    OutboxStore(tmp_path / "first.db").close()
    key, logs = Ed25519PrivateKey.generate(), []
    for name in ("nobody", "many"):
        caplog.clear()
        with caplog.at_level(logging.DEBUG):
            World(tmp_path / name, tmp_path / "first.db", key, WORLDS[name])
        logs.append([(record.name, record.levelname, record.getMessage()) for record in caplog.records])
    assert logs[0] == logs[1]


def test_a_window_is_long_enough_for_what_this_file_does() -> None:
    assert WINDOW_S == 36 * TICK_S
