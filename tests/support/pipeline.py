"""The way of a record for fault tests: devices, broker, `gateway ingest`, state, series store; all real, all killable.

Whatever was killed, and however often, the books must balance: `Pipeline.settle` waits until every record is answered
for and projected, `Pipeline.balance` compares what was committed with what the gateway holds.
"""

import contextlib
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import text

from contracts.clock import first_anchors
from contracts.query import MAX_ROWS, SeriesQuery
from contracts.windows import NS
from stores.series.open import open_series
from stores.state.database import open_for_reading
from stores.state.releases import first_broken_link
from tests.support.influxd import InfluxOrg
from tests.support.mosquitto import MosquittoServer
from tests.support.process import Program, wait_until
from tests.support.registry import write_registry
from tests.support.senders import Identity, Point, Release, Tick, Traffic, running_traffic
from tests.support.speaker import START_NS, Speaker

PATIENCE_S = 90.0  # the machine of a test may be busy, and a store that was away is tried again ever more seldom
PROGRESS_ACKS = 12  # acknowledgements between two kills: each finds work under way
IMPATIENT_SHARE = 0.25  # of the kills: at once, while the one before is still being recovered from
MAX_DELAY_S = 0.3
START_S = 1.5  # about what a start of ingest takes
DAY_NS = 24 * 3600 * NS
NOW_NS = START_NS + 75 * DAY_NS

# Where the points of the senders are found: bucket, measurement, field.
PLACES = (
    ("environment", "air", "co2_ppm"),
    ("restricted", "air", "co2_ppm"),
    ("fleet", "event", "state"),
    ("restricted", "event", "state"),
)


class GatewayProgram(Program):
    """One process of the gateway; ready when it has said so once more than before."""

    def __init__(self, command: str, settings: Path) -> None:
        self.log = settings.with_suffix(f".{command}.log")
        self._said_before = 0
        words = [sys.executable, "-m", "kioskwatch", "gateway", command, "--settings", str(settings)]
        super().__init__(words, log=self.log, ready=self._is_ready, ready_timeout_s=PATIENCE_S)

    def start(self) -> None:
        """Start and return once it is ready."""
        self._said_before = self._said()
        super().start()

    def begin(self) -> None:
        """Start and return at once, ready or not."""
        self._said_before = -1
        super().start()

    def _is_ready(self) -> bool:
        return self._said() > self._said_before

    def _said(self) -> int:
        return self.log.read_text(errors="replace").count("ready\n") if self.log.exists() else 0


def children_of(pid: int) -> list[int]:
    """The processes that a process has started and that still are."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            state, parent, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(parent) == pid and state != "Z":
                found.append(int(folder.name))
    return found


def kill_with_children(program: Program) -> None:
    """SIGKILL for a process and all that it has started, so that nothing of it is left to tidy up."""
    children = children_of(program.pid)
    program.kill()
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(is_running(pid) for pid in children), timeout_s=20, what="the end of the children")


def is_running(pid: int) -> bool:
    """Whether this process is, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@dataclass(frozen=True)
class Series:
    """Which series store, in the words of gateway.toml."""

    spec: str
    org: str | None = None
    token_dir: Path | None = None

    @classmethod
    def of_influx(cls, org: InfluxOrg, folder: Path) -> "Series":
        """A real InfluxDB's organisation; its tokens go where the gateway reads them."""
        folder.mkdir()
        for bucket, token in org.tokens.items():
            (folder / bucket).write_text(token)
        return cls(f"influx:{org.url}", org.name, folder)

    @property
    def lines(self) -> str:
        """Its part of gateway.toml."""
        more = "" if self.org is None else f'series_org = "{self.org}"\nseries_token_dir = "{self.token_dir}"\n'
        return f'series = "{self.spec}"\n{more}'

    def points(self, devices: Iterable[str]) -> list[Point]:
        """Every stored point of these devices, whichever bucket it lies in."""
        store = open_series(self.spec, org=self.org, token_dir=self.token_dir)
        try:
            return [
                (device, at_ns, value)
                for device in devices
                for bucket, measurement, field in PLACES
                for one in store.query(_everything(device, bucket, measurement, field))
                for at_ns, value in zip(one.times_ns, one.values, strict=True)
            ]
        finally:
            store.close()


def _everything(device: str, bucket: str, measurement: str, field: str) -> SeriesQuery:
    return SeriesQuery(
        bucket=bucket,
        measurement=measurement,
        field=field,
        function=None,
        every_s=None,
        group_by=("zone", "site", "kind"),  # a point under another place would be one more
        tags={"device": device},
        start=datetime(2021, 1, 1, tzinfo=UTC),
        stop=datetime(2023, 1, 1, tzinfo=UTC),
        limit=MAX_ROWS,
    )


@dataclass
class Pipeline:
    """Everything of one test; the stores and the broker are the test's own."""

    state: str
    series: Series
    broker: MosquittoServer
    ingest: GatewayProgram
    traffic: Traffic
    chance: Random
    settings: Path

    def disturb(self, times: int, kill: Callable[[], None], restart: Callable[[], None]) -> None:
        """Kill and restart so many times: mostly when acknowledgements flow again, now and then before they do."""
        for _ in range(times):
            assert is_running(self.ingest.pid), "ingest ended by itself"
            if self.chance.random() > IMPATIENT_SHARE:
                self.flow()
            time.sleep(self.chance.uniform(0.0, MAX_DELAY_S))
            kill()
            time.sleep(self.chance.uniform(0.0, MAX_DELAY_S))
            restart()

    def restart_ingest(self) -> None:
        """Start it; now and then it is killed once more before it is ready."""
        if self.chance.random() < IMPATIENT_SHARE:
            self.ingest.begin()
            time.sleep(self.chance.uniform(0.0, START_S))
            self.ingest.kill()
        self.ingest.start()

    def flow(self) -> None:
        """Return when records get through."""
        wanted = self.traffic.acks + PROGRESS_ACKS
        self._until(lambda: self.traffic.acks >= wanted, "acknowledgements")

    def settle(self) -> None:
        """Let no more be measured, and return when every record is answered for and projected."""
        self.traffic.measuring = False
        self._until(lambda: not self.traffic.held, "an answer for every record")
        self._until(lambda: self.waiting() == 0, "the projection of every record")

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        try:
            wait_until(condition, timeout_s=PATIENCE_S, what=what)
        except TimeoutError as exc:
            held, waiting = len(self.traffic.held), self.waiting()
            end = self.ingest.log.read_text(errors="replace")[-3000:]
            raise TimeoutError(f"{exc}; {held} held, {waiting} entries waiting; ingest said:\n{end}") from exc

    # --- what the gateway holds ---------------------------------------------------------------------------

    def until_said(self, words: str) -> None:
        """Return when ingest's log has these words."""
        self._until(lambda: words in self.ingest.log.read_text(errors="replace"), f"ingest's words {words!r}")

    def _rows(self, question: str) -> list[tuple[object, ...]]:
        with open_for_reading(self.state, "ingest") as database, database.read() as connection:
            return [tuple(row) for row in connection.execute(text(question))]

    def journal(self, *, after_id: int = 0) -> Counter[Identity]:
        """How often each record lies in the journal."""
        held: Counter[Identity] = Counter()
        question = f"SELECT device, ob, stream, seq + skip, n FROM journal WHERE id > {after_id}"
        for device, ob, stream, first, n in self._rows(question):
            assert isinstance(first, int)
            assert isinstance(n, int)
            held.update((str(device), int(str(ob)), str(stream), seq) for seq in range(first, first + n))
        return held

    def cursor(self) -> int:
        """How far the projection has come."""
        rows = self._rows("SELECT value FROM cursors WHERE name = 'series'")
        return int(str(rows[0][0])) if rows else 0

    def waiting(self) -> int:
        """Journal entries that are not projected."""
        ((newest,),) = self._rows("SELECT COALESCE(MAX(id), 0) FROM journal")
        return max(0, int(str(newest)) - self.cursor())

    def releases(self) -> list[tuple[str, int]]:
        """(device, window) of every release."""
        rows = self._rows("SELECT device, window_start_ns FROM releases")
        return sorted((str(device), int(str(start_ns))) for device, start_ns in rows)

    def ticks(self) -> list[Tick]:
        """Every tick in the cohort store."""
        with open_for_reading(self.state, "cohorts") as database, database.read() as connection:
            rows = connection.execute(text("SELECT device, tick, body FROM sealed_ticks ORDER BY device, tick"))
            return [Tick(row.device, row.tick, bytes(row.body)) for row in rows]

    def stored(self) -> frozenset[Identity]:
        """Every record that lies in the journal, or for a sealed tick in the cohort store."""
        ticks = set(self.ticks())
        sealed = {key for key, one in self.traffic.committed.items() if isinstance(one, Tick) and one in ticks}
        return frozenset(self.journal()) | sealed

    # --- the books ------------------------------------------------------------------------------------------

    def balance(self, missing: frozenset[Identity] = frozenset()) -> None:
        """Nothing lost but what is missing with good reason, and nothing doubled, wherever it lies."""
        assert self.traffic.alive
        assert is_running(self.ingest.pid)
        self.balance_journal(missing)
        self.balance_cohorts(missing)
        self.balance_series(missing)
        self.balance_words()

    def balance_journal(self, missing: frozenset[Identity] = frozenset()) -> None:
        """The journal holds every record once, and every release is the only one of its window."""
        kept = {identity: one for identity, one in self.traffic.committed.items() if identity not in missing}
        assert kept
        assert self.journal() == Counter(key for key, one in kept.items() if not isinstance(one, Tick))
        windows = [(one.device, one.window_start_ns) for one in kept.values() if isinstance(one, Release)]
        assert self.releases() == sorted(windows)
        with open_for_reading(self.state, "ingest") as database:
            assert first_broken_link(database) is None

    def balance_cohorts(self, missing: frozenset[Identity] = frozenset()) -> None:
        """The cohort store holds every tick once, with its content."""
        committed = self.traffic.committed
        ticks = [one for key, one in committed.items() if isinstance(one, Tick) and key not in missing]
        assert ticks
        assert self.ticks() == sorted(ticks)

    def balance_series(self, missing: frozenset[Identity] = frozenset()) -> None:
        """The series store holds every point, once and with its value."""
        points = [
            meaning
            for identity, meaning in self.traffic.committed.items()
            if not isinstance(meaning, Release | Tick) and identity not in missing
        ]
        devices = [sender.speaker.device for sender in self.traffic.senders]
        assert Counter(self.series.points(devices)) == Counter(points)

    def balance_words(self) -> None:
        """Nothing was refused on the way, nothing thinned, and nobody was told to delete what was never sent."""
        assert self.traffic.wrong_acks == []
        assert self._rows("SELECT reason, device, stream, seq FROM dead_letters") == []
        assert self._rows("SELECT reason, value FROM counts WHERE reason = 'thinned' AND value > 0") == []


@contextmanager
def running_pipeline(
    folder: Path,
    chance: Random,
    *,
    series: Series | None = None,
    state: str = "",
    persistence: bool = True,
    more_settings: str = "",
) -> Iterator[Pipeline]:
    """A district of three monitors and two kiosks whose records flow; SQLite where a test brings no store.

    `more_settings` are lines of gateway.toml.
    """
    series = series or Series(f"sqlite:{folder / 'series'}")
    state = state or f"sqlite:{folder / 'state'}"
    speakers = [
        Speaker(device, ob=chance.getrandbits(62) + 1) for device in ("air-1", "air-2", "room-1", "kiosk-1", "kiosk-2")
    ]
    write_registry(state, speakers, rules=())
    broker = MosquittoServer(folder / "broker", persistence=persistence)
    settings = _written(folder, f'state = "{state}"\n{series.lines}{more_settings}', broker.port)
    ingest = GatewayProgram("ingest", settings)
    broker.start()
    try:
        ingest.start()
        with running_traffic(speakers, chance, broker.port) as traffic:
            yield Pipeline(state, series, broker, ingest, traffic, chance, settings)
    finally:
        ingest.stop()
        broker.program.stop()


def _written(folder: Path, lines: str, port: int) -> Path:
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "deployment.key").write_bytes(key)
    now = time.monotonic_ns()
    (folder / "time.json").write_bytes(first_anchors(now, NOW_NS, 1).written_at(now))
    settings = folder / "gateway.toml"
    settings.write_text(
        f'{lines}time_file = "{folder / "time.json"}"\ndeployment_key = "{folder / "deployment.key"}"\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {port}\n'
    )
    return settings
