"""What every test has: real services on request, fixed chance, and a watched log."""

import logging
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from playwright.sync_api import Browser

from tests.support.chromium import running_chromium
from tests.support.influxd import InfluxOrg, InfluxServer
from tests.support.logs import LogWatch
from tests.support.mosquitto import MosquittoServer
from tests.support.postgres import PostgresServer
from tests.support.seeds import SEED

# Derandomised: the same examples at every run, so that a red build is red for its change.
hypothesis.settings.register_profile("kioskwatch", derandomize=True, deadline=None, print_blob=True, database=None)
hypothesis.settings.load_profile("kioskwatch")

_OWN = ("backend", "contracts", "dashboards", "edge", "firmware_sim", "gateway", "kioskwatch", "mqttlink", "stores")


def pytest_report_header() -> str:
    return f"kioskwatch: seed {SEED} (KIOSKWATCH_SEED=… looks elsewhere), hypothesis derandomised"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests last: the shared browser keeps an event loop in this thread, beside which none can be run."""
    items.sort(key=lambda item: "browser" in getattr(item, "fixturenames", ()))


@pytest.fixture(autouse=True)
def watched_log() -> Iterator[LogWatch]:
    """Fails a test whose code wrote a log record that cannot be formatted or that carries a payload."""
    watch = LogWatch()
    levels = {name: logging.getLogger(name).level for name in _OWN}
    for name in _OWN:
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger().addHandler(watch)
    yield watch
    logging.getLogger().removeHandler(watch)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    assert not watch.complaints, "\n".join(watch.complaints)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    """A real InfluxDB 2, shared: take an organisation of your own, and do not kill it."""
    server = InfluxServer(tmp_path_factory.mktemp("influxd"))
    server.start()
    yield server
    server.program.stop()


@pytest.fixture
def influx_org(influxd: InfluxServer) -> InfluxOrg:
    """Empty buckets of kioskwatch in a real InfluxDB 2."""
    return influxd.organisation()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL, shared: take a database of your own, and do not kill it."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """The SQLAlchemy URL of an empty database in a real PostgreSQL."""
    return postgres.database()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[MosquittoServer]:
    """A running Mosquitto of this test alone, open on plain TCP: it may be killed and started again."""
    server = MosquittoServer(tmp_path / "mosquitto")
    server.start()
    yield server
    server.program.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real Chromium, shared; tests.support.chromium.watched_page gives a page in it."""
    with running_chromium() as chromium:
        yield chromium
